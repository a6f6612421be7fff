"""One predictions file a run: per face and point, predicted and true, and the normalisers."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from stages import command, files, layout, predicting
from stages.command import log
from stages.faces import face_boxes, frames_of, read_frames
from stages.layout import Run
from stages.params import load
from wingloss import metrics, protocol

SCORED = ("val", "test")
CED_UP_TO = 0.2  # the curve ends below 1 where errors lie beyond


def run(dataset: str, network: str, balance: str, loss: str, seed: int) -> None:
    """Writes the run's predictions and its cumulative error distribution."""
    params = load()
    rules = protocol.load(dataset)
    cell = Run(dataset, network, balance, loss, seed)
    stage = len(layout.STAGES[network])
    samples = files.read_samples(Path(layout.SAMPLES.format(dataset=dataset)))
    samples = pd.concat([samples[samples.split == split] for split in SCORED])
    model, predicted = cell.path(layout.MODEL, stage=stage), []
    for split in SCORED:
        rows = samples[samples.split == split]
        frames = frames_of(rows) if stage == 1 else read_frames(cell.path(layout.FRAMES), rows)
        predicted.append(
            predicting.predict(model, dataset, split, rows, frames, params.context, rules)
        )
    points = files.points(samples, rules.n_landmarks)
    boxes = face_boxes(samples)
    lengths = metrics.normalisers(points, boxes, rules)
    found = np.concatenate(predicted)
    about = _about(cell)
    with (
        files.whole_file(cell.path(layout.PREDICTIONS)) as partial,
        partial.open("wb") as file,
    ):
        np.savez_compressed(
            file,
            run=json.dumps(about),
            face=samples.face.to_numpy(str),
            split=samples.split.to_numpy(str),
            subsets=samples.subsets.to_numpy(str),
            predicted=found.astype(np.float32),
            true=points.astype(np.float32),
            **{f"normaliser_{name}": length for name, length in lengths.items()},  # type: ignore[arg-type]
        )
    errors = metrics.nme(found, points, lengths[rules.headline])
    _write_ced(cell, samples, errors, about["status"])


def _about(cell: Run) -> dict:
    """What the summary says of the run besides its errors."""
    stages = range(1, len(layout.STAGES[cell.network]) + 1)
    made = [files.read_json(cell.path(layout.MANIFEST, stage=stage)) for stage in stages]
    last = made[-1]
    wing = last["inputs"]["objective"]["wing"] or {"w": None, "epsilon": None}
    return {
        **vars(cell),
        "data_stamp": files.read_json(Path(layout.STAMP.format(dataset=cell.dataset)))[
            "data_stamp"
        ],
        "recipe": last["recipe"],
        "weights": last["inputs"]["recipe"]["weights"],
        "precision": last["precision"],
        **wing,
        "status": "diverged" if any(m["status"] == "diverged" for m in made) else "trained",
        "train_seconds": round(sum(m["train_seconds"] for m in made), 1),
        "samples_seen": sum(m["samples_seen"] for m in made),
        "commit": last["commit"],
        "hardware": last["hardware"],
        "versions": {"Python": last["python"], "torch": last["torch"]},
        "data": last["inputs"]["data"],
    }


def _write_ced(cell: Run, samples: pd.DataFrame, errors: np.ndarray, status: str) -> None:
    """The CED of the test faces, or of the validation faces where there are no test faces.

    A training that diverged has no shares: its last weights may be finite, but mean nothing.
    """
    split = "test" if (samples.split == "test").any() else "val"
    chosen = np.nan_to_num(errors[samples.split == split], nan=np.inf)
    thresholds = np.linspace(0, CED_UP_TO, 101)
    diverged = status == "diverged"
    share = np.full(len(thresholds), np.nan) if diverged else metrics.ced(chosen, thresholds)
    curve = pd.DataFrame({"error_percent": 100 * thresholds, "share": share, "status": status})
    files.write_table(cell.path(layout.CED), curve)
    mean = "diverged" if diverged else f"mean error {100 * chosen.mean():.2f} %"
    log.info("%s: %d %s faces, %s", cell, len(chosen), split, mean)


if __name__ == "__main__":
    command.main(run)
