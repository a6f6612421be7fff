"""Stage two's frames: stage one's landmarks remove in-plane rotation and re-box every face."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from pipeline import files
from pipeline.config import paths
from pipeline.config.arguments import among
from pipeline.config.networks import STAGES
from pipeline.config.params import Params, load
from pipeline.config.paths import Run
from pipeline.data import predict
from pipeline.data.prepared_faces import FRAME, frames_of, read_faces
from pipeline.errors import UserError
from pipeline.runtime import cli
from pipeline.runtime.cli import log
from pipeline.trainings import obtain
from pipeline.trainings.spec import TrainingSpec
from wingloss import protocol
from wingloss.geometry import Array
from wingloss.models.correction import corrected_frames, displaced, folds, frame_errors
from wingloss.protocol import SPLITS, Protocol


def run(dataset: str, recipe: str, network: str, balance: str, loss: str, seed: int) -> None:
    """Writes the run's frames.csv: centre and side in image pixels, angle in radians, a face.

    Its column ``boxed_by`` names the training in the run store whose landmarks boxed the face,
    where that isn't the run's own stage one.
    """
    among({"network": network}, "network", [n for n, parts in STAGES.items() if len(parts) > 1])
    params = load()
    rules = protocol.load(dataset)
    one_run = Run(dataset, recipe, network, balance, loss, seed)
    samples = files.read_samples(Path(paths.SAMPLES.format(dataset=dataset)))
    mean = np.array(files.read_json(Path(paths.POSE.format(dataset=dataset)))["mean"])
    margin, training_crops = params.correction.margin, params.correction.training_crops
    model = one_run.path(paths.MODEL, stage=1)
    parts = {split: samples[samples.split == split] for split in SPLITS}
    frames, true, errors, tables = {}, {}, {}, []
    boxed_by = {split: np.full(len(rows), "", dtype=object) for split, rows in parts.items()}
    for split, rows in parts.items():
        if split == "train" and training_crops == "out_of_fold":
            points, boxed_by[split] = _out_of_fold(params, one_run, rows, rules)
        else:
            points = _predict(model, dataset, split, rows, params, rules)
        frames[split] = corrected_frames(points, mean, margin)
        frames[split][~(frames[split][:, 2] > 0)] = np.nan  # by a stage one that diverged
        true[split] = corrected_frames(files.points(rows, rules.n_landmarks), mean, margin)
        errors[split] = frame_errors(frames[split], true[split])
        _tell(split, errors[split])
    if training_crops == "matched_jitter":
        jitter = _resampled(errors["val"], len(parts["train"]), seed)
        frames["train"] = displaced(true["train"], jitter)
    for split, rows in parts.items():
        usable = np.isfinite(frames[split]).all(axis=1, keepdims=True)
        if not usable.all():
            log.warning("%s: %d faces keep their face boxes", split, (~usable).sum())
        kept = np.where(usable, frames[split], frames_of(rows))
        tables.append(
            pd.DataFrame({"face": rows.face, "split": split}).assign(
                **{name: kept[:, i] for i, name in enumerate(FRAME)}, boxed_by=boxed_by[split]
            )
        )
    files.write_table(one_run.path(paths.FRAMES), pd.concat(tables), digits=9)


def _out_of_fold(
    params: Params, one_run: Run, rows: pd.DataFrame, rules: Protocol
) -> tuple[Array, NDArray[np.object_]]:
    """Landmarks ``(N, L, 2)`` in image pixels of the training faces ``rows``, and who found them.

    Each face's are found by a stage one trained as the run's own, but without the photographs of
    the face's fold; ``(N,)`` are the keys of those trainings in the run store.

    Raises:
        UserError: there are fewer photographs than folds.
    """
    torch.set_num_threads(cli.threads())
    spec, count = TrainingSpec.of(params, one_run, stage=1), params.correction.folds
    photographs = rows.photograph.to_numpy(str)
    if (there := len(set(photographs))) < count:
        raise UserError(f"correction.folds: {there} photographs make no {count} folds")
    fold = folds(photographs, count, one_run.seed)
    points = np.empty((len(rows), rules.n_landmarks, 2))
    keys = np.empty(len(rows), dtype=object)
    specs = [
        dataclasses.replace(spec, without=frozenset(photographs[fold == number]))
        for number in range(count)
    ]
    for number, one in enumerate(specs):
        own = fold == number
        log.info("fold %d of %d: %d faces are left out", number + 1, count, own.sum())
        with obtain.finished(one, lambda: specs) as entry:
            model = entry.result / Path(paths.MODEL).name
            points[own] = _predict(model, one_run.dataset, "train", rows, params, rules)[own]
            keys[own] = entry.key
    return points, keys


def _predict(
    model: Path, dataset: str, split: str, rows: pd.DataFrame, params: Params, rules: Protocol
) -> Array:
    """Landmarks ``(N, L, 2)`` in image pixels of a split's faces, seen in their face boxes."""
    frames = frames_of(rows)
    faces = read_faces(dataset, split, rows, frames, params.context, rules)
    return predict.predict(model, faces, frames)


def _resampled(errors: Array, count: int, seed: int) -> Array:
    """``count`` of the errors ``(N, 4)`` that are finite, drawn anew; without any, no numbers."""
    known = errors[np.isfinite(errors).all(axis=1)]
    if not len(known):
        return np.full((count, 4), np.nan)
    return known[np.random.default_rng(seed).integers(len(known), size=count)]


def _tell(split: str, errors: Array) -> None:
    """Logs how far stage one's boxes are from those by the true landmarks."""
    known = errors[np.isfinite(errors).all(axis=1)]
    if len(known):
        centre = np.hypot(known[:, 0], known[:, 1])
        log.info(
            "%s: stage one's boxes are off by %.2f %% of their side, %.2f %% in size, %.2f degrees",
            split,
            100 * centre.mean(),
            100 * np.abs(known[:, 2]).mean(),
            np.rad2deg(np.abs(known[:, 3])).mean(),
        )


if __name__ == "__main__":
    cli.main(run)
