"""The baselines (mean shape, regression trees), on the networks' faces and boxes."""

import platform
import time
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline import files
from pipeline.config import paths
from pipeline.config.params import load
from pipeline.config.paths import Run
from pipeline.data.prepared_faces import frames_of, read_faces
from pipeline.results import scoring
from pipeline.runtime import cli
from pipeline.runtime.host import describe_commit, processor
from wingloss import protocol
from wingloss.evaluation import baselines
from wingloss.geometry import Array, apply, context_maps, invert

Made = tuple[dict[str, Array], dict[str, Any]]  # each split's landmarks in image pixels; how


def run(dataset: str, method: str, seed: int) -> None:
    """Trains METHOD on the training faces; writes its predictions and its error distribution."""
    found, made = METHODS[method](dataset, seed)
    reduced = load().regression_trees.reduced if method == "ert" else ""
    crops = Path(paths.CROPS.format(dataset=dataset, split="train"))
    about = {
        "weights": "none",
        "precision": "float32",
        "loss_parameters": "",
        "status": "trained",
        "reduced": reduced and f"reduced: {reduced}",
        "samples_seen": len(_training(dataset)),
        "data": {"train crops": files.file_hash(crops)},
        **made,
    }
    one_run = Run(dataset, paths.NEITHER, method, paths.NEITHER, paths.NEITHER, seed)
    scoring.write(one_run, found, about)


def _training(dataset: str) -> pd.DataFrame:
    samples = files.read_samples(Path(paths.SAMPLES.format(dataset=dataset)))
    return samples[samples.split == "train"]


def _mean_shape(dataset: str, seed: int) -> Made:
    """The mean training shape; ``seed`` changes nothing."""
    start = time.monotonic()
    training = _training(dataset)
    points = files.points(training, protocol.load(dataset).n_landmarks)
    found = {
        split: baselines.mean_shape(points, frames_of(training), frames_of(rows))
        for split, rows in scoring.faces(dataset).items()
    }
    return found, {
        "train_seconds": round(time.monotonic() - start, 1),
        "commit": describe_commit(),
        "hardware": processor(),
        "versions": {"Python": platform.python_version()},
    }


def _regression_trees(dataset: str, seed: int) -> Made:
    from pipeline.trainings import trees  # the run store takes torch, and the mean shape doesn't

    params, rules = load(), protocol.load(dataset)
    context = params.context
    scored = scoring.faces(dataset)
    faces = {
        split: read_faces(dataset, split, rows, frames_of(rows), context, rules)
        for split, rows in {"train": _training(dataset), **scored}.items()
    }
    found, made = trees.landmarks(dataset, faces, params.regression_trees, seed)
    placed = {
        split: apply(
            invert(context_maps(frames_of(rows), context.scale, context.size)), found[split]
        )
        for split, rows in scored.items()
    }
    return placed, made


METHODS = {"mean_shape": _mean_shape, "ert": _regression_trees}

if __name__ == "__main__":
    cli.main(run)
