"""What changes of the recipe are worth on 300W's validation part, with as many samples each.

``python -m benchmarks.recipes SEED CANDIDATE...`` needs 300W prepared (``datasets: [300w]``,
``snakemake data/balance/300w/pdb.csv``). A row for each candidate: CNN-6 + PDB (Wing) with the
recipe `fast`, changed; its NME by the pupils' distance in percent on the validation faces, there
again with the mean of each picture's and its mirror image's landmarks, and on as many training
faces. Without candidates, all of them.
"""

import csv
import dataclasses
import sys
import time
from typing import Any

import numpy as np
import torch

from benchmarks import arguments, trials
from pipeline.config import paths
from pipeline.config.params import load
from pipeline.runtime import cli
from pipeline.trainings import training_data
from pipeline.trainings.spec import TrainingSpec
from wingloss.recipe import Strength

DATASET = "300w"
SAMPLES = 120_000  # an eighth of the paper's
HEADER = (
    "candidate", "seed", "nme_val", "nme_val_mirrored", "nme_training_faces", "seconds",
)  # fmt: skip
QUICKER, CALMER = {"learning_rate": 3e-3}, {"strength": Strength(1, 0)}
BEFORE = {"learning_rate": 1.5e-3, "strength": Strength(1, 1)}
CANDIDATES: dict[str, dict[str, Any]] = {
    "before": BEFORE,
    "learning rate 3e-3": BEFORE | QUICKER,
    "rotation and blur fade": BEFORE | CALMER,
    "both": BEFORE | QUICKER | CALMER,
    "both, batches of 8, learning rate 2e-3": BEFORE | CALMER | {"batch": 8, "learning_rate": 2e-3},
    "both, fading from half": BEFORE | QUICKER | {"strength": Strength(0.5, 0)},
}


def main() -> None:
    """Prints the rows of the seed and the candidates on the command line."""
    seed, *names = arguments(__doc__)
    torch.set_num_threads(cli.threads())
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(HEADER)
    for name in names or CANDIDATES:
        rows.writerow((name, seed, *measure(CANDIDATES[name], int(seed))))
        sys.stdout.flush()


def measure(changes: dict[str, Any], seed: int) -> tuple[str, ...]:
    """The errors of `fast` with ``changes``, and how long the training took."""
    spec = TrainingSpec.of(load(), paths.Run(DATASET, "fast", "cnn6", "pdb", "wing", seed), stage=1)
    spec = dataclasses.replace(spec, recipe=dataclasses.replace(spec.recipe, **changes))
    faces, everyones_lengths = training_data.faces(spec, "train")
    validating, lengths = training_data.faces(spec, "val")
    began = time.monotonic()
    network = trials.train(spec, faces, training_data.repetitions(spec), SAMPLES)
    seconds = time.monotonic() - began
    few = np.random.default_rng(0).permutation(len(faces))[: len(validating)]
    errors = (
        trials.nme(network, spec, validating, lengths),
        trials.nme(network, spec, validating, lengths, mirrored=True),
        trials.nme(network, spec, trials.part(faces, few), everyones_lengths[few]),
    )
    return *(f"{error:.3f}" for error in errors), f"{seconds:.0f}"


if __name__ == "__main__":
    main()
