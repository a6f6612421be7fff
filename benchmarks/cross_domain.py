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

from stages import command, layout
from stages.job import Job
from stages.params import load
from wingloss import networks, protocol, training
from wingloss.augmentation import Faces

RENDERED, REAL = "synthetic", "300w"
SAMPLES = 60_000  # of every training
COUNTS = (50, 200, None)  # real training faces; None for all there are
HEADER = ("seed", "begins_with", "then", "faces", "nme_300w_val", "nme_synthetic_test")


def main() -> None:
    """Prints the table for the seeds on the command line."""
    torch.set_num_threads(command.threads())
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(HEADER)
    for seed in map(int, sys.argv[1:]):
        jobs = {
            name: Job.of(load(), layout.Run(name, "cnn6", "none", "wing", seed), stage=1)
            for name in (RENDERED, REAL)
        }
        faces = {name: job.faces("train")[0] for name, job in jobs.items()}
        tests = (validation(jobs[REAL], "val"), validation(jobs[RENDERED], "test"))

        rendered = None
        for name, part, begin in plan(faces, seed):
            network = train(jobs[name], part, rendered if begin else None)
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
        some = Faces(*(part[chosen] for part in vars(faces[REAL]).values()))
        yield REAL, some, False
        yield REAL, some, True


def train(job: Job, faces: Faces, begin: dict[str, Tensor] | None) -> nn.Sequential:
    """A network that has seen ``SAMPLES`` samples of ``faces``, from weights ``begin`` if given."""
    rules = protocol.load(job.dataset)
    network = networks.build(job.network, rules.n_landmarks, job.objective.seed)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    repeats = np.ones(len(faces), np.int64)
    state = training.start(network, job.network, faces, repeats, job.recipe)
    if begin:
        network.load_state_dict(begin)
    for _ in training.train(
        state,
        job.network,
        faces,
        repeats,
        lambda _: 0.0,
        job.objective,
        job.recipe,
        SAMPLES // job.recipe.batch,
        rules.flip_permutation,
        torch.device("cpu"),
    ):
        pass
    return network


def validation(job: Job, split: str) -> Callable[[nn.Sequential], float]:
    """The NME in percent of a network on one split of the job's data set."""
    faces, normaliser = job.faces(split)
    return training.validation(
        job.network, faces, normaliser, job.recipe.precision, torch.device("cpu")
    )


if __name__ == "__main__":
    main()
