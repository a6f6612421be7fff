"""Stage two's frames: stage one's landmarks remove in-plane rotation and re-box every face."""

from pathlib import Path

import numpy as np
import pandas as pd

from stages import command, files, layout, predicting
from stages.command import log
from stages.faces import FRAME, frames_of
from stages.layout import Run
from stages.params import load
from wingloss import protocol
from wingloss.correction import corrected_frames, displaced, frame_errors
from wingloss.geometry import Array
from wingloss.protocol import SPLITS


def run(dataset: str, network: str, balance: str, loss: str, seed: int) -> None:
    """Writes the run's frames.csv: centre and side in image pixels, angle in radians, a face."""
    params = load()
    rules = protocol.load(dataset)
    cell = Run(dataset, network, balance, loss, seed)
    samples = files.read_samples(Path(layout.SAMPLES.format(dataset=dataset)))
    mean = np.array(files.read_json(Path(layout.POSE.format(dataset=dataset)))["mean"])
    margin = params.correction.margin
    parts = {split: samples[samples.split == split] for split in SPLITS}
    frames, true, errors, tables = {}, {}, {}, []
    for split, rows in parts.items():
        points = predicting.predict(cell, 1, split, rows, frames_of(rows), params.context, rules)
        frames[split] = corrected_frames(points, mean, margin)
        frames[split][~(frames[split][:, 2] > 0)] = np.nan  # by a stage one that diverged
        true[split] = corrected_frames(files.points(rows, rules.n_landmarks), mean, margin)
        errors[split] = frame_errors(frames[split], true[split])
        _tell(split, errors[split])
    if params.correction.training_crops == "matched_jitter":
        jitter = _resampled(errors["val"], len(parts["train"]), seed)
        frames["train"] = displaced(true["train"], jitter)
    for split, rows in parts.items():
        usable = np.isfinite(frames[split]).all(axis=1, keepdims=True)
        if not usable.all():
            log.warning("%s: %d faces keep their face boxes", split, (~usable).sum())
        kept = np.where(usable, frames[split], frames_of(rows))
        tables.append(
            pd.DataFrame({"face": rows.face, "split": split}).assign(
                **{name: kept[:, i] for i, name in enumerate(FRAME)}
            )
        )
    files.write_table(cell.path(layout.FRAMES), pd.concat(tables), digits=9)


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
    command.main(run)
