"""One hourglass that sees 256 px, for as long as the one of 128 px takes or longer.

``python -m benchmarks.input_size SAMPLES SEED...`` needs `datasets: [300w]` prepared with
`context: {scale: 2.0, size: 512}`, so that the crops hold as many pixels as the photographs do. A
row for each training of the recipe `fast`: its NME on 300W's validation part, in percent of the
pupils' distance, and the minutes that it took.
"""

import csv
import dataclasses
import sys
import time

import numpy as np
import torch

from benchmarks import arguments, trials
from benchmarks.cross_domain import validation
from pipeline.config import paths
from pipeline.config.params import load
from pipeline.runtime import cli
from pipeline.trainings import training_data
from pipeline.trainings.spec import TrainingSpec
from wingloss import heatmaps
from wingloss.models import networks
from wingloss.models.hourglass import Hourglasses

HEADER = ("seed", "input_px", "map_px", "samples", "minutes", "nme_300w_val")


def main() -> None:
    """Prints the table for the samples and the seeds on the command line."""
    torch.set_num_threads(cli.threads())
    samples, *seeds = map(int, arguments(__doc__, 2))
    small = networks.ARCHITECTURES["hourglass"]
    assert isinstance(small, Hourglasses)
    # twice the pixels each way, and landmarks drawn as wide as the published network's
    large = dataclasses.replace(small, input_size=256, map_size=64, sigma=heatmaps.PATCH_SIGMA)
    networks.ARCHITECTURES["hourglass"] = large
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(HEADER)
    for seed in seeds:
        run = paths.Run("300w", "fast", "hourglass", "none", "adaptive_wing", seed)
        spec = TrainingSpec.of(load(), run, stage=1)
        faces = training_data.faces(spec, "train")[0]
        error = validation(spec, "val")
        begun = time.monotonic()
        network = trials.train(spec, faces, np.ones(len(faces), np.int64), samples)
        minutes = f"{(time.monotonic() - begun) / 60:.1f}"
        sizes = (large.input_size, large.map_size)
        rows.writerow((seed, *sizes, samples, minutes, f"{error(network):.2f}"))
        sys.stdout.flush()


if __name__ == "__main__":
    main()
