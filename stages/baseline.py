"""The baselines (mean shape, regression trees), on the networks' faces and boxes."""

import platform
import time
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from pipeline.config import paths
from pipeline.config.params import load
from pipeline.config.paths import Run
from pipeline.data import files
from pipeline.data.prepared_faces import frames_of, read_faces
from pipeline.results import predictions_file
from pipeline.runtime import cli
from pipeline.runtime.host import describe_commit, processor
from wingloss import protocol
from wingloss.evaluation import baselines
from wingloss.geometry import Array, apply, context_maps, invert


def run(dataset: str, method: str, seed: int) -> None:
    """Trains METHOD on the training faces; writes its predictions and its error distribution."""
    start = time.monotonic()
    found = METHODS[method](dataset, seed)
    reduced = load().regression_trees.reduced if method == "ert" else ""
    crops = Path(paths.CROPS.format(dataset=dataset, split="train"))
    about = {
        "weights": "none",
        "precision": "float32",
        "loss_parameters": "",
        "status": "trained",
        "reduced": reduced and f"reduced: {reduced}",
        "train_seconds": round(time.monotonic() - start, 1),
        "samples_seen": len(_training(dataset)),
        "commit": describe_commit(),
        "hardware": processor(),
        "versions": {"Python": platform.python_version(), "dlib": version("dlib-bin")},
        "data": {"train crops": files.file_hash(crops)},
    }
    one_run = Run(dataset, paths.NEITHER, method, paths.NEITHER, paths.NEITHER, seed)
    predictions_file.write(one_run, found, about)


def _training(dataset: str) -> pd.DataFrame:
    samples = files.read_samples(Path(paths.SAMPLES.format(dataset=dataset)))
    return samples[samples.split == "train"]


def _mean_shape(dataset: str, seed: int) -> dict[str, Array]:
    """The mean training shape; ``seed`` changes nothing."""
    training = _training(dataset)
    points = files.points(training, protocol.load(dataset).n_landmarks)
    return {
        split: baselines.mean_shape(points, frames_of(training), frames_of(rows))
        for split, rows in predictions_file.faces(dataset).items()
    }


def _regression_trees(dataset: str, seed: int) -> dict[str, Array]:
    params, rules = load(), protocol.load(dataset)
    context = params.context
    scored = predictions_file.faces(dataset)
    training, *others = (
        read_faces(dataset, split, rows, frames_of(rows), context, rules)
        for split, rows in {"train": _training(dataset), **scored}.items()
    )
    found = baselines.regression_trees(
        training, others, params.regression_trees, rules.flip_permutation, seed
    )
    return {
        split: apply(invert(context_maps(frames_of(rows), context.scale, context.size)), points)
        for (split, rows), points in zip(scored.items(), found, strict=True)
    }


METHODS = {"mean_shape": _mean_shape, "ert": _regression_trees}

if __name__ == "__main__":
    cli.main(run)
