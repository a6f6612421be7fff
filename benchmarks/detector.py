"""How well a detector finds the landmarks of a data set's validation faces, and ranks its errors.

``python -m benchmarks.detector MODEL DATASET`` needs the data set prepared (``snakemake
data/prepared/DATASET/samples.csv``) and landmarks of one scheme. Faces are looked at in the data
set's boxes, and in those that dlib finds: once, and as often as a detector does. A row for each:
the number of faces, mean and median NME in percent by the headline normaliser, the rank correlation
of error and disagreement (Spearman), the mean error of the 90 % of the faces with the least
disagreement, and how many faces disagree more than a face in a video may. The last row has
disagreement alone, of corners of the pictures where no face is.
"""

import csv
import sys
from collections.abc import Iterable
from itertools import product
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from benchmarks import arguments
from pipeline import files
from pipeline.config import paths
from pipeline.data.prepared_faces import face_boxes
from pipeline.results import scoring
from wingloss import Detector, pictures, protocol
from wingloss.detection import detector as detection
from wingloss.detection.detector import Detected
from wingloss.evaluation.metrics import nme, normalisers
from wingloss.geometry import Array

SMALLEST = 40.0  # px: a corner without a face
HEADER = ("boxes", "faces", "nme", "median", "spearman", "nme_of_90_percent", "lost")


def main() -> None:
    """Prints the table for the model's file and the data set on the command line."""
    model, dataset = arguments(__doc__, 2)
    detector, rules = Detector.load(model), protocol.load(dataset)
    rows = scoring.faces(dataset)["val"]
    true, boxes = files.points(rows, rules.n_landmarks), face_boxes(rows)
    lengths = normalisers(true, boxes, rules)[rules.headline]
    shown = [Path(paths.RAW.format(dataset=dataset)) / image for image in rows.image]
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(HEADER)

    def write(name: str, every: Iterable[Detected]) -> None:
        errors, disagreements = [], []
        for found, points, length in zip(every, true, lengths, strict=True):
            face = _that_holds(found.boxes, points.mean(axis=0))
            if face is not None:
                errors.append(100 * nme(found.landmarks[face : face + 1], points[None], length)[0])
                disagreements.append(found.disagreement[face])
        scores = _scores(np.array(errors), np.array(disagreements))
        table.writerow((name, len(errors), *scores, _lost(disagreements)))
        sys.stdout.flush()

    whole = detection.LOOKS
    write("given", (detector(*one) for one in zip(shown, boxes[:, None], strict=True)))
    detection.LOOKS = 0
    write("found, one look", (detector(picture) for picture in shown))
    detection.LOOKS = whole
    write("found", (detector(picture) for picture in shown))
    empty = [
        float(detector(picture, corner).disagreement[0])
        for picture, box in zip(shown, boxes, strict=True)
        if (corner := _empty_corner(picture, box)) is not None
    ]
    table.writerow(("no face", len(empty), "", "", "", "", _lost(empty)))


def _that_holds(boxes: Array, point: Array) -> int | None:
    """The first of the boxes ``(N, 4)`` that holds a point ``(2,)``."""
    inside = (boxes[:, :2] < point).all(axis=1) & (point < boxes[:, 2:]).all(axis=1)
    return int(inside.argmax()) if inside.any() else None


def _empty_corner(picture: Path, box: Array) -> Array | None:
    """The largest square ``(1, 4)`` in a corner that a face's box ``(4,)`` doesn't touch."""
    size = np.array(pictures.read(picture).shape[1::-1], float)
    low, high = box[:2], size - box[2:]  # px that there are on either side of the box
    squares = []
    for right, below in product((False, True), repeat=2):
        room = max(high[0] if right else low[0], high[1] if below else low[1])
        side = min(room, *size)
        corner = np.where((right, below), size - side, 0)
        squares.append(np.concatenate([corner, corner + side]))
    largest = max(squares, key=lambda square: square[2] - square[0])
    return largest[None] if largest[2] - largest[0] >= SMALLEST else None


def _scores(errors: Array, disagreements: Array) -> list[str]:
    """A row's figures, from the third to the last but one."""
    surest = np.argsort(disagreements, kind="stable")[: round(0.9 * len(errors))]
    rank = spearmanr(errors, disagreements).statistic
    means = (errors.mean(), np.median(errors), rank, errors[surest].mean())
    return [f"{value:.2f}" for value in means]


def _lost(disagreements: list[float]) -> int:
    return sum(value > detection.LOST for value in disagreements)


if __name__ == "__main__":
    main()
