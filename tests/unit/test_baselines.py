"""The mean shape by hand; regression trees on squares that are easily found."""

from dataclasses import replace

import numpy as np
import pytest

from wingloss.augmentation.perturbation import Faces
from wingloss.evaluation.baselines import PUBLISHED, RegressionTrees, mean_shape, regression_trees
from wingloss.geometry import Array, apply, invert, to_unit

FEW = RegressionTrees(
    cascades=4,
    trees=20,
    depth=3,
    shrinkage=0.3,
    initialisations=5,
    mirrored=False,
    pixels=100,
    splits=20,
)
MIRRORED = replace(FEW, mirrored=True)
MIRROR = np.array(
    [1, 0, 3, 2]
)  # a square's corners: upper left, upper right, lower left, lower right


def test_the_mean_shape_stands_in_each_frame_as_in_the_training_frames() -> None:
    """Points at a quarter and at half of their frames' sides meet at 3/8, turned with the frame."""
    frames = np.array([[50.0, 50.0, 40.0, 0.0], [10.0, 20.0, 80.0, 0.0]])
    training = np.array([[[40.0, 50.0]], [[10.0, 20.0]]])  # unit (0.25, 0.5) and (0.5, 0.5)
    upright, turned = [100.0, 100.0, 16.0, 0.0], [100.0, 100.0, 16.0, np.pi / 2]
    placed = mean_shape(training, frames, np.array([upright, turned]))
    assert placed[:, 0] == pytest.approx(np.array([[98.0, 100.0], [100.0, 98.0]]))


def test_what_there_is_less_of_is_said() -> None:
    assert FEW.reduced == (
        "4 of 10 cascades, 20 of 500 trees per cascade, 3 of 5 levels of a tree, "
        "5 of 20 initialisations, 100 of 400 pixels, no mirrored copies"
    )
    full = {name: value for name, (value, _) in PUBLISHED.items()}
    assert RegressionTrees(shrinkage=0.3, mirrored=True, **full).reduced == ""


def squares(count: int, seed: int) -> tuple[Faces, Array]:
    """Pictures of a white square, its corners the landmarks, in frames anywhere; the frames."""
    rng = np.random.default_rng(seed)
    frames = np.column_stack(
        [*rng.uniform(45, 55, (2, count)), rng.uniform(40, 60, count), np.zeros(count)]
    )
    square = 0.4 * np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    corners = rng.uniform(0.1, 0.5, (count, 1, 2)) + square
    points = apply(invert(to_unit(frames)), corners)
    crops = np.zeros((count, 100, 100, 3), dtype=np.uint8)
    for crop, ((left, top), _, _, (right, bottom)) in zip(
        crops, np.rint(points).astype(int), strict=True
    ):
        crop[top : bottom + 1, left : right + 1] = 255
    return Faces(crops, points, to_unit(frames)), frames


def test_regression_trees_find_what_the_mean_shape_cannot() -> None:
    (training, training_frames), (others, frames) = squares(150, seed=0), squares(30, seed=1)
    nobody, _ = squares(0, seed=2)
    found, none = regression_trees(training, [others, nobody], FEW, MIRROR, seed=0)
    mean = mean_shape(training.points, training_frames, frames)
    errors = [np.linalg.norm(one - others.points, axis=2).mean() for one in (found, mean)]
    assert errors[0] < 0.4 * errors[1]
    assert none.shape == (0, 4, 2)
    (again,) = regression_trees(training, [others], FEW, MIRROR, seed=0)
    (different,) = regression_trees(training, [others], FEW, MIRROR, seed=1)
    assert (again == found).all() and (different != found).any()


def test_mirrored_copies_teach_what_no_training_face_shows() -> None:
    """Trees that were trained on squares to the left are asked for squares to the right."""
    every, _ = squares(200, seed=0)
    right = apply(every.to_unit, every.points)[..., 0].mean(axis=1) > 0.5
    left, others = (
        Faces(every.crops[part], every.points[part], every.to_unit[part])
        for part in (~right, right)
    )
    errors = []
    for recipe, flips in ((MIRRORED, MIRROR), (FEW, MIRROR), (MIRRORED, np.arange(4))):
        (found,) = regression_trees(left, [others], recipe, flips, seed=0)
        errors.append(np.linalg.norm(found - others.points, axis=2).mean())
    assert errors[0] < 0.5 * min(errors[1:])
