"""Regression trees in the run store: grown once, and again for all that changes what they find."""

import json
from collections.abc import Callable

import numpy as np
import pytest
from project import Project

from commands import prune
from pipeline.config import paths
from pipeline.config.paths import Run
from pipeline.trainings import trees
from stages import baseline

TREES = Run("synthetic", paths.NEITHER, "ert", paths.NEITHER, paths.NEITHER, 0)
GROWN = {"dataset": "synthetic", "method": "ert", "seed": 0}
TAKEN = "these trees are grown already"


def predicted(project: Project) -> tuple[np.ndarray, dict]:
    """What the trees found, in pixels of the pictures, and what is said of them."""
    with np.load(project.root / TREES.path(paths.PREDICTIONS)) as data:
        return data["predicted"], json.loads(str(data["run"]))


def test_trees_are_grown_once(finished: Project, done: Callable[..., str]) -> None:
    points, about = predicted(finished)
    assert "everything is used" in done(finished, prune)
    entries = set(finished.root.glob(f".runs/*/result/{trees.LANDMARKS}"))
    (finished.root / TREES.path(paths.PREDICTIONS)).unlink()
    assert "everything is used" in done(finished, prune)  # they are still asked for
    assert TAKEN in done(finished, baseline, **GROWN)
    again, said = predicted(finished)
    assert np.array_equal(again, points) and said == about  # the seconds that they took as well
    assert TAKEN not in done(finished, baseline, **GROWN | {"seed": 1})
    (entry,) = set(finished.root.glob(f".runs/*/result/{trees.LANDMARKS}")) - entries
    finished.set(baselines=[])
    said = done(finished, prune)
    assert all(one.parts[-3] in said for one in [entry, *entries])


def fewer(project: Project) -> None:
    project.set(**{"ert.reduced.trees": 1})


def other_pictures(project: Project) -> None:
    crops = project.root / paths.CROPS.format(dataset="synthetic", split="val")
    np.lib.format.open_memmap(crops, mode="r+")[0] ^= 255


@pytest.mark.parametrize("change", [fewer, other_pictures])
def test_other_trees_and_faces_are_another_entry(
    finished: Project, done: Callable[..., str], change: Callable[[Project], None]
) -> None:
    change(finished)
    assert TAKEN not in done(finished, baseline, **GROWN)
    assert TAKEN in done(finished, baseline, **GROWN)
