"""Estimates the synthetic faces' 3D shape model from the annotations of real training faces.

Not a part of the graph: its result, numbers without a picture, is kept with the code.
"""

from pathlib import Path

import numpy as np

from pipeline import files
from pipeline.config import paths
from pipeline.errors import UserError
from pipeline.runtime import cli
from pipeline.runtime.cli import log
from wingloss import protocol
from wingloss.pose import nrsfm

MODEL = Path("wingloss/synthetic/face_model.json")
MODES, ROUNDS = 12, 60
OUTLINE = (range(8), range(9, 17))  # of the 68 landmarks: the jaw's left and right in a picture


def run(dataset: str) -> None:
    """Writes wingloss/synthetic/face_model.json from DATASET's training faces (68 landmarks).

    Lengths are in distances of the eyes' centres, the origin between them.
    """
    rules = protocol.load(dataset)
    samples = files.read_samples(Path(paths.SAMPLES.format(dataset=dataset)))
    points = files.points(samples[samples.split == "train"], rules.n_landmarks)
    if rules.pupils is None or rules.n_landmarks != 68:
        raise UserError(f"--dataset {dataset}: its faces must have iBUG's 68 landmarks")
    permutation = rules.flip_permutation.tolist()
    model, views = nrsfm.estimate(
        points, permutation, (list(OUTLINE[0]), list(OUTLINE[1])), MODES, ROUNDS
    )
    left, right = (model.mean[list(group)].mean(axis=0) for group in rules.pupils)
    unit = np.linalg.norm(left - right)
    mean, modes = (model.mean - (left + right) / 2) / unit, model.modes / unit
    log.info("%d faces, standard deviation of yaw %.0f degrees", len(points), views.yaw().std())
    files.write_json(MODEL, {"mean": mean.round(4).tolist(), "modes": modes.round(4).tolist()})


if __name__ == "__main__":
    cli.main(run)
