"""Regression trees from the run store; where they aren't there, they are grown.

They take a core many minutes, and an engine asks for them again whenever their inputs are made
anew, even to the same bytes.
"""

import dataclasses
import hashlib
import json
import platform
import shutil
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import files
from pipeline.config import paths
from pipeline.runtime.cli import log
from pipeline.runtime.code_hash import code_hash
from pipeline.runtime.host import describe_commit, processor
from pipeline.trainings.run_store import StoredTraining
from wingloss import protocol
from wingloss.augmentation.perturbation import Faces
from wingloss.evaluation import baselines
from wingloss.evaluation.baselines import RegressionTrees
from wingloss.geometry import Array

LANDMARKS = "landmarks.npz"
MANIFEST = "manifest.json"


def landmarks(
    dataset: str, faces: dict[str, Faces], recipe: RegressionTrees, seed: int
) -> tuple[dict[str, Array], dict[str, Any]]:
    """What trees grown on the split `train` find in each other split, and how they were grown.

    ``faces`` are those of each split. Landmarks are ``(N, L, 2)``, in pixels of the context crops.
    """
    flips = protocol.load(dataset).flip_permutation
    inputs = _inputs(dataset, faces, recipe, seed)
    with StoredTraining(paths.RUN_STORE, inputs).locked() as entry:
        if entry.finished():
            log.info("these trees are grown already: taking what they find from the run store")
        else:
            others = {split: one for split, one in faces.items() if split != "train"}
            start = time.monotonic()
            found = baselines.regression_trees(
                faces["train"], list(others.values()), recipe, flips, seed
            )
            result = entry.folder / "result.new"
            shutil.rmtree(result, ignore_errors=True)
            with files.whole_file(result / LANDMARKS) as partial, partial.open("wb") as file:
                np.savez_compressed(
                    file, allow_pickle=False, **dict(zip(others, found, strict=True))
                )
            about = {
                "key": entry.key,
                "train_seconds": round(time.monotonic() - start, 1),
                "commit": describe_commit(),
                "hardware": processor(),
                "versions": {"Python": platform.python_version(), "dlib": version("dlib-bin")},
            }
            files.write_json(result / MANIFEST, about)
            entry.finish(result)
        with np.load(entry.result / LANDMARKS, allow_pickle=False) as arrays:
            return dict(arrays), json.loads((entry.result / MANIFEST).read_text(encoding="utf-8"))


def _inputs(
    dataset: str, faces: dict[str, Faces], recipe: RegressionTrees, seed: int
) -> dict[str, Any]:
    """All that the landmarks depend on, as plain data: the run store's key."""
    return {
        "trees": dataclasses.asdict(recipe),
        "seed": seed,
        "flip_permutation": protocol.load(dataset).flip_permutation.tolist(),
        "data": {split: _digest(dataset, split, one) for split, one in faces.items()},
        "code": code_hash("wingloss.evaluation.baselines"),
        "machine": [version("dlib-bin"), version("opencv-python-headless"), platform.machine()],
    }


def _digest(dataset: str, split: str, faces: Faces) -> list[str]:
    """Hashes of a split's crops, and of its landmarks and frames."""
    numbers = hashlib.sha256(faces.points.tobytes() + faces.to_unit.tobytes()).hexdigest()
    return [files.file_hash(Path(paths.CROPS.format(dataset=dataset, split=split))), numbers]
