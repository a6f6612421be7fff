"""How far rendered faces stand in for real ones: CNN-6 across the two data sets.

``python -m benchmarks.cross_domain SEED...`` needs both data sets prepared (``datasets:
[synthetic, 300w]``). A row for each training: what it began with, how many faces of which data set
it then saw, and its NME on 300W's validation part (by the pupils' distance) and on the rendered
test faces (by the landmark box), in percent. Wing loss, no balancing, recipe `fast`.
"""

import csv
import sys
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import arguments, trials
from pipeline.config import paths
from pipeline.config.params import load
from pipeline.runtime import cli
from pipeline.trainings import training_data
from pipeline.trainings.spec import TrainingSpec
from wingloss.augmentation.perturbation import Faces

RENDERED, REAL = "synthetic", "300w"
SAMPLES = 60_000  # of every training
COUNTS = (50, 200, None)  # real training faces; None for all there are
HEADER = ("seed", "begins_with", "then", "faces", "nme_300w_val", "nme_synthetic_test")


def main() -> None:
    """Prints the table for the seeds on the command line."""
    seeds = [int(one) for one in arguments(__doc__)]
    torch.set_num_threads(cli.threads())
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(HEADER)
    for seed in seeds:
        specs = {
            name: TrainingSpec.of(
                load(), paths.Run(name, "fast", "cnn6", "none", "wing", seed), stage=1
            )
            for name in (RENDERED, REAL)
        }
        faces = {name: training_data.faces(spec, "train")[0] for name, spec in specs.items()}
        tests = (validation(specs[REAL], "val"), validation(specs[RENDERED], "test"))

        rendered: dict[str, Tensor] | None = None
        for name, part, begin in plan(faces, seed):
            once = np.ones(len(part), np.int64)
            weights = rendered if begin else None
            network = trials.train(specs[name], part, once, SAMPLES, weights)
            errors = [f"{test(network):.2f}" for test in tests]
            start = "rendered faces" if begin else "nothing"
            rows.writerow((seed, start, name, len(part), *errors))
            sys.stdout.flush()
            rendered = rendered or network.state_dict()


def plan(faces: dict[str, Faces], seed: int) -> Iterator[tuple[str, Faces, bool]]:
    """What is trained on, and whether from the first training's weights on; rendered faces first.

    All counts of real faces are the first ones of one shuffle.
    """
    yield RENDERED, faces[RENDERED], False
    shuffled = np.random.default_rng(seed).permutation(len(faces[REAL]))
    for count in COUNTS:
        chosen = shuffled[:count]
        some = trials.part(faces[REAL], chosen)
        yield REAL, some, False
        yield REAL, some, True


def validation(spec: TrainingSpec, split: str) -> Callable[[nn.Module], float]:
    """The NME in percent of a network on one split of the spec's data set."""
    faces, normaliser = training_data.faces(spec, split)
    return lambda network: trials.nme(network, spec, faces, normaliser)


if __name__ == "__main__":
    main()
