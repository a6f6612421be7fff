"""What a few faces of one's own add to the model in the package.

``python -m benchmarks.own_faces SEED...`` needs `datasets: [300w]` prepared, whose training faces
stand for one's own. A row for each training of the hourglass, recipe `fast`: what it began with,
how many faces it then saw, and its NME on 300W's validation part in the data set's boxes, in
percent of the pupils' distance. The first row is the package's model as it comes.
"""

import csv
import sys
from pathlib import Path

import numpy as np
import torch

import wingloss
from benchmarks import arguments, trials
from benchmarks.cross_domain import validation
from pipeline.config import paths
from pipeline.config.params import load
from pipeline.runtime import cli
from pipeline.trainings import training_data
from pipeline.trainings.spec import TrainingSpec
from wingloss.detection import detector_file

MODEL = Path(wingloss.__file__).parent / "weights/rendered.safetensors"
COUNTS = (50, 200)
SAMPLES = 10_000  # of every training
HEADER = ("seed", "begins_with", "faces", "samples", "nme_300w_val")


def main() -> None:
    """Prints the table for the seeds on the command line."""
    seeds = [int(one) for one in arguments(__doc__)]
    torch.set_num_threads(cli.threads())
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(HEADER)
    params = load()
    for seed in seeds:
        run = paths.Run("300w", "fast", "hourglass", "none", "adaptive_wing", seed)
        spec = TrainingSpec.of(params, run, stage=1)
        error = validation(spec, "val")
        faces = training_data.faces(spec, "train")[0]
        (packaged,) = detector_file.networks(MODEL).values()
        rows.writerow((seed, "the package's model", 0, 0, f"{error(packaged):.2f}"))
        shuffled = np.random.default_rng(seed).permutation(len(faces))
        for count in COUNTS:
            some = trials.part(faces, shuffled[:count])
            for name, begin in (("nothing", None), ("the package's model", packaged.state_dict())):
                network = trials.train(spec, some, np.ones(count, np.int64), SAMPLES, begin)
                rows.writerow((seed, name, count, SAMPLES, f"{error(network):.2f}"))
                sys.stdout.flush()


if __name__ == "__main__":
    main()
