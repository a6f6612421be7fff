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
from wingloss.correction import corrected_frames
from wingloss.protocol import SPLITS


def run(dataset: str, network: str, balance: str, loss: str, seed: int) -> None:
    """Writes the run's frames.csv: centre and side in image pixels, angle in radians, a face."""
    params = load()
    rules = protocol.load(dataset)
    cell = Run(dataset, network, balance, loss, seed)
    samples = files.read_samples(Path(layout.SAMPLES.format(dataset=dataset)))
    mean = np.array(files.read_json(Path(layout.POSE.format(dataset=dataset)))["mean"])
    tables = []
    for split in SPLITS:
        rows = samples[samples.split == split]
        points = predicting.predict(cell, 1, split, rows, frames_of(rows), params.context, rules)
        frames = corrected_frames(points, mean, params.correction.margin)
        usable = np.asarray(np.isfinite(frames).all(axis=1) & (frames[:, 2] > 0))
        if not usable.all():  # a stage one that diverged corrects nothing
            log.warning("%s: %d faces keep their face boxes", split, (~usable).sum())
            frames = np.where(usable[:, None], frames, frames_of(rows))
        tables.append(
            pd.DataFrame({"face": rows.face, "split": split}).assign(
                **{name: frames[:, i] for i, name in enumerate(FRAME)}
            )
        )
    files.write_table(cell.path(layout.FRAMES), pd.concat(tables), digits=9)


if __name__ == "__main__":
    command.main(run)
