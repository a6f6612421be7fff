"""How well a detector finds the landmarks of a data set's validation faces, and ranks its errors.

``python -m benchmarks.detector MODEL DATASET`` needs the data set prepared (``snakemake
data/prepared/DATASET/samples.csv``) and landmarks of one scheme. Faces are looked at in the data
set's boxes, and in those that dlib finds. A row for each: the number of faces, mean and median NME
in percent by the headline normaliser, the rank correlation of error and disagreement (Spearman),
and the mean error of the 90 % of the faces with the least disagreement.
"""

import csv
import sys
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from pipeline.config import paths
from pipeline.data import files
from pipeline.data.prepared_faces import face_boxes
from pipeline.results import predictions_file
from wingloss import Detector, protocol
from wingloss.evaluation.metrics import nme, normalisers
from wingloss.geometry import Array

HEADER = ("boxes", "faces", "nme", "median", "spearman", "nme_of_90_percent")


def main() -> None:
    """Prints the table for the model's file and the data set on the command line."""
    model, dataset = sys.argv[1:]
    detector, rules = Detector.load(model), protocol.load(dataset)
    rows = predictions_file.faces(dataset)["val"]
    true, boxes = files.points(rows, rules.n_landmarks), face_boxes(rows)
    lengths = normalisers(true, boxes, rules)[rules.headline]
    pictures = [Path(paths.RAW.format(dataset=dataset)) / image for image in rows.image]
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(HEADER)
    given = [(picture, box[None]) for picture, box in zip(pictures, boxes, strict=True)]
    for name, looks in (("given", given), ("found", [(picture, None) for picture in pictures])):
        errors, disagreements = [], []
        for (picture, own), points, length in zip(looks, true, lengths, strict=True):
            found = detector(picture, own)
            face = _that_holds(found.boxes, points.mean(axis=0))
            if face is not None:
                errors.append(100 * nme(found.landmarks[face : face + 1], points[None], length)[0])
                disagreements.append(found.disagreement[face])
        table.writerow((name, len(errors), *_scores(np.array(errors), np.array(disagreements))))
        sys.stdout.flush()


def _that_holds(boxes: Array, point: Array) -> int | None:
    """The first of the boxes ``(N, 4)`` that holds a point ``(2,)``."""
    inside = (boxes[:, :2] < point).all(axis=1) & (point < boxes[:, 2:]).all(axis=1)
    return int(inside.argmax()) if inside.any() else None


def _scores(errors: Array, disagreements: Array) -> list[str]:
    """A row's figures, from the third on."""
    surest = np.argsort(disagreements, kind="stable")[: round(0.9 * len(errors))]
    rank = spearmanr(errors, disagreements).statistic
    means = (errors.mean(), np.median(errors), rank, errors[surest].mean())
    return [f"{value:.2f}" for value in means]


if __name__ == "__main__":
    main()
