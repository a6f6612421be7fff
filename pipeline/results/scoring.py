"""What evaluation writes of a run: one predictions file, and the cumulative error distribution."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline import files
from pipeline.config import paths
from pipeline.config.paths import Run
from pipeline.data.prepared_faces import face_boxes
from pipeline.results.predictions_file import SPLITS, Predictions, scored_split
from pipeline.runtime.cli import log
from wingloss import protocol
from wingloss.evaluation import metrics
from wingloss.geometry import Array

LARGE_POSE = "large_pose"
LARGE_POSES = 0.1  # the share of a split's faces that are, where the data don't name them
CED_UP_TO = 0.2  # the curve ends below 1 where errors lie beyond


def faces(dataset: str) -> dict[str, pd.DataFrame]:
    """The rows of the table of samples that are scored, by split."""
    samples = files.read_samples(Path(paths.SAMPLES.format(dataset=dataset)))
    return {split: samples[samples.split == split] for split in SPLITS}


def write(run: Run, found: dict[str, Array], about: dict[str, Any]) -> None:
    """Writes a run's predictions ``(N, L, 2)`` of each split, in image pixels, and its CED.

    ``about`` is what the summary says of the run besides its errors.
    """
    rules = protocol.load(run.dataset)
    samples = pd.concat(faces(run.dataset).values())
    predicted = np.concatenate([found[split] for split in SPLITS])
    points = files.points(samples, rules.n_landmarks)
    lengths = metrics.normalisers(points, face_boxes(samples), rules)
    stamp = files.read_json(Path(paths.STAMP.format(dataset=run.dataset)))
    predictions = Predictions(
        about={**vars(run), "data_stamp": stamp["data_stamp"], **about},
        face=samples.face.to_numpy(str),
        photograph=samples.photograph.to_numpy(str),
        split=samples.split.to_numpy(str),
        subsets=_subsets(run.dataset, samples).to_numpy(str),
        predicted=predicted,
        true=points,
        lengths=lengths,
    )
    predictions.write(run.path(paths.PREDICTIONS))
    _write_ced(run, predictions, rules.headline)


def _subsets(dataset: str, samples: pd.DataFrame) -> pd.Series:
    """Each face's subsets, named by the data or, of large poses, by the pose coefficient's size."""
    if samples.subsets.str.split().explode().eq(LARGE_POSE).any():
        return samples.subsets
    path = Path(paths.COEFFICIENTS.format(dataset=dataset))
    poses = files.read_by_face(path, samples.face, "coefficient")
    size = poses.coefficient.abs().set_axis(samples.index)
    large = size.groupby(samples.split).rank(pct=True) > 1 - LARGE_POSES
    return samples.subsets.where(~large, (samples.subsets + f" {LARGE_POSE}").str.strip())


def _write_ced(run: Run, predictions: Predictions, normaliser: str) -> None:
    """The CED of the split that stands for the run; a training that diverged has no shares."""
    split = scored_split(predictions.split)
    errors = predictions.errors(normaliser)[predictions.split == split]
    chosen = np.nan_to_num(errors, nan=np.inf)
    thresholds = np.linspace(0, CED_UP_TO, 101)
    diverged, status = predictions.diverged, predictions.about["status"]
    share = np.full(len(thresholds), np.nan) if diverged else metrics.ced(chosen, thresholds)
    curve = pd.DataFrame({"error_percent": 100 * thresholds, "share": share, "status": status})
    files.write_table(run.path(paths.CED), curve)
    mean = "diverged" if diverged else f"mean error {100 * chosen.mean():.2f} %"
    log.info("%s: %d %s faces, %s", run, len(chosen), split, mean)
