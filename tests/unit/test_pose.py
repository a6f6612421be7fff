"""The pose space: what Procrustes removes, and that its axis is the yaw of turned heads."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
import scipy.spatial
from hypothesis import given
from hypothesis import strategies as st
from project import ROOT

from benchmarks.pose_axis import likeness, rendered
from pipeline.config.params import load
from stages import pose as pose_stage
from wingloss import protocol
from wingloss.geometry import Array
from wingloss.pose.projection import (
    PoseModel,
    _similar,
    align,
    asymmetry,
    authors_coefficients,
    fit,
    fit_antisymmetric,
    fit_eigenvector,
    mirrored,
    normalise,
    rotations,
)
from wingloss.synthetic.face import AFLW
from wingloss.synthetic.head import LANDMARKS

RNG = np.random.default_rng(0)
SHAPE = RNG.normal(size=(12, 2))
UNIT = normalise(SHAPE[None])[0]

angles = st.floats(-3.1, 3.1)
sizes = st.floats(0.01, 100)
moves = st.tuples(st.floats(-1000, 1000), st.floats(-1000, 1000))


def turned(shapes: Array, angle: float) -> Array:
    """Shapes ``(..., L, 2)`` with their x axis turned towards y."""
    cos, sin = np.cos(angle), np.sin(angle)
    return shapes @ np.array([[cos, sin], [-sin, cos]])


def heads(yaw: Array, pitch: Array) -> Array:
    """The synthetic mean face turned by angles ``(N,)`` in degrees and projected, ``(N, L, 2)``."""
    yaw, pitch = np.deg2rad(yaw)[:, None], np.deg2rad(pitch)[:, None]
    x, y, z = LANDMARKS.T
    x, z = np.cos(yaw) * x + np.sin(yaw) * z, np.cos(yaw) * z - np.sin(yaw) * x
    return np.stack([x, np.cos(pitch) * y - np.sin(pitch) * z], axis=-1)


YAW = np.concatenate([half := RNG.laplace(0, 20, 150).clip(-80, 80), -half])
PITCH = np.tile(RNG.normal(0, 6, 150), 2)
HEADS = heads(YAW, PITCH)


@pytest.fixture(scope="module")
def model() -> PoseModel:
    return fit_eigenvector(HEADS, mode=1)


def test_normalised_shapes_are_centred_and_of_unit_norm():
    unit = normalise(np.stack([SHAPE, 50 * SHAPE - 7]))
    np.testing.assert_allclose(unit.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(np.square(unit).sum(axis=(1, 2)), 1)


def test_a_quarter_turn_of_x_towards_y_is_positive():
    line = np.array([[0.0, 0.0], [1.0, 0.0]])
    down = np.array([[[5.0, 5.0], [5.0, 8.0]]])
    assert rotations(down, line) == pytest.approx([np.pi / 2])


@given(angle=angles, size=sizes, move=moves)
def test_rotations_are_recovered(angle: float, size: float, move: tuple[float, float]):
    assert rotations(size * turned(SHAPE, angle)[None] + move, SHAPE) == pytest.approx(
        [angle], abs=1e-9
    )


@given(angle=angles, size=sizes, move=moves)
def test_alignment_removes_position_size_and_rotation(
    angle: float, size: float, move: tuple[float, float]
):
    np.testing.assert_allclose(
        align(size * turned(SHAPE, angle)[None] + move, UNIT)[0], UNIT, atol=1e-7
    )


def test_alignment_keeps_reflection():
    mirrored = align(SHAPE[None] * [-1, 1], UNIT)[0]
    assert np.linalg.norm(mirrored - UNIT) > 0.3
    assert np.linalg.norm(align(mirrored[None] * [-1, 1], UNIT)[0] - UNIT) < 1e-12


def test_alignment_is_the_least_squares_one():
    """No other size or rotation of a distorted shape lies nearer to the reference."""
    found = align((SHAPE + RNG.normal(0, 0.3, SHAPE.shape))[None], UNIT)[0]
    best = np.linalg.norm(found - UNIT)
    for other in (1.01 * found, 0.99 * found, turned(found, 0.01), turned(found, -0.01)):
        assert np.linalg.norm(other - UNIT) > best


def test_the_first_mode_of_turned_heads_is_their_yaw(model: PoseModel):
    coefficients = model.coefficients(HEADS)
    assert abs(np.corrcoef(coefficients, YAW)[0, 1]) > 0.95
    assert abs(np.corrcoef(coefficients, PITCH)[0, 1]) < 0.2


def faces_turned(spread: float, scheme: Sequence[Sequence[int]]) -> tuple[Array, Array]:
    """600 rendered faces' landmarks, and their yaw, whose standard deviation is ``spread``."""
    population = load(ROOT / "params.yaml").raw["synthetic"]
    assert population
    return rendered(population.faces, spread, scheme, 600)


@pytest.mark.parametrize("spread", [20, 35, 42])
def test_the_first_antisymmetric_mode_is_the_yaw_however_far_faces_are_turned(spread: float):
    """AFLW's 19 landmarks: the first two eigenvectors mix between 30 and 45 degrees."""
    shapes, yaw = faces_turned(spread, AFLW)
    rules = protocol.load("aflw")
    found, authors = fit(shapes, rules), fit_eigenvector(shapes, rules.pose_mode)
    assert likeness(found, shapes, yaw) > 0.96
    # the shift of turned landmarks goes with the sine
    assert likeness(found, shapes, np.sin(np.deg2rad(yaw))) > 0.98
    assert likeness(authors, shapes, yaw) < 0.92


@pytest.mark.parametrize("name", ["synthetic", "300w"])
def test_with_68_landmarks_the_papers_axis_is_the_antisymmetric_one(name: str):
    shapes, yaw = faces_turned(20, [[i] for i in range(68)])
    rules = protocol.load(name)
    found = fit(shapes, rules)
    assert likeness(found, shapes, yaw) > 0.98
    other = fit_antisymmetric(shapes, rules.flip_permutation)
    assert likeness(other, shapes, found.coefficients(shapes)) > 0.999


def test_the_antisymmetric_axis_changes_its_sign_in_a_mirror():
    shapes, _ = faces_turned(35, AFLW)
    flip = protocol.load("aflw").flip_permutation
    model = fit_antisymmetric(shapes[:300], flip)
    np.testing.assert_allclose(
        model.coefficients(mirrored(shapes, flip)), -model.coefficients(shapes), atol=1e-9
    )
    np.testing.assert_allclose(mirrored(model.mean[None], flip)[0], model.mean, atol=1e-9)
    again = fit_antisymmetric(mirrored(shapes[:300], flip), flip)
    np.testing.assert_allclose(again.eigenvector, model.eigenvector, atol=1e-9)
    assert again.mode == model.mode


def test_asymmetric_landmarks_of_the_mean_are_found():
    shapes, _ = faces_turned(20, AFLW)
    flip = protocol.load("aflw").flip_permutation
    assert asymmetry(shapes, flip).max() < 0.1
    wrong = flip.copy()
    wrong[[6, 11]] = [6, 11]  # the eyes' outer corners become themselves
    assert (np.flatnonzero(asymmetry(shapes, wrong) > 0.5) == [6, 11]).all()


def test_an_eigenvector_that_is_not_the_yaws_is_said(caplog: pytest.LogCaptureFixture):
    shapes, yaw = faces_turned(20, AFLW)
    caplog.set_level("INFO", "wingloss")
    rules = protocol.load("aflw")
    pose_stage._compare_to_yaw(shapes, pd.Series(yaw), fit(shapes, rules), rules)
    (line,) = caplog.messages
    assert float(line.rpartition(": ")[2]) > 0.97
    authors = dataclasses.replace(rules, pose_axis="eigenvector")
    pose_stage._compare_to_yaw(shapes, pd.Series(yaw), fit(shapes, authors), authors)
    assert caplog.messages[-1].startswith("eigenvector 1 goes with the yaw better (0.9")
    assert "set pose_axis in aflw.yaml to antisymmetric" in caplog.messages[-1]


def test_rolled_and_moved_heads_have_the_same_pose_space(model: PoseModel):
    rng = np.random.default_rng(1)
    rolled = np.stack([turned(head, rng.uniform(-1.2, 1.2)) for head in HEADS])
    rolled = rolled * rng.uniform(5, 200, (300, 1, 1)) + rng.uniform(-99, 99, (300, 1, 2))
    found, expected = (
        fit_eigenvector(rolled, mode=1).coefficients(rolled),
        model.coefficients(HEADS),
    )
    side = np.sign(np.sum(found * expected))  # of the eigenvector: it is turned with the mean
    np.testing.assert_allclose(side * found, expected, atol=0.005 * expected.std())


@given(angle=angles, size=sizes, move=moves)
def test_coefficients_depend_on_the_shape_alone(
    model: PoseModel, angle: float, size: float, move: tuple[float, float]
):
    moved = size * turned(HEADS[:5], angle) + move
    np.testing.assert_allclose(model.coefficients(moved), model.coefficients(HEADS[:5]), atol=1e-6)


def test_left_and_right_are_opposite(model: PoseModel):
    """The heads come in pairs of opposite yaw, so their pose space is symmetric."""
    coefficients = model.coefficients(HEADS)
    np.testing.assert_allclose(coefficients[:150], -coefficients[150:], atol=1e-9)


def test_mean_and_eigenvector_are_normed_and_the_sign_is_fixed():
    shapes = np.random.default_rng(2).normal(size=(30, 12, 2))
    for mode in range(1, 9):
        model = fit_eigenvector(shapes, mode)
        norms = np.linalg.norm([model.mean, model.eigenvector], axis=(1, 2))
        assert norms == pytest.approx([1, 1])
        np.testing.assert_allclose(model.mean.mean(axis=0), 0, atol=1e-12)
        assert model.eigenvector.flat[np.abs(model.eigenvector).argmax()] > 0
        assert model.coefficients(7 * model.mean[None] + 3) == pytest.approx([0], abs=1e-12)


def test_modes_are_counted_from_one_and_orthogonal(model: PoseModel):
    assert (np.diff(model.explained) <= 0).all() and model.explained.sum() <= 1 + 1e-12
    second = fit_eigenvector(HEADS, mode=2)
    assert abs(np.sum(model.eigenvector * second.eigenvector)) < 1e-9
    assert np.var(model.coefficients(HEADS)) > 2 * np.var(second.coefficients(HEADS))


@pytest.mark.parametrize(("count", "mode"), [(0, 1), (1, 1), (2, 2)])
def test_too_few_shapes_are_refused(count: int, mode: int):
    with pytest.raises(ValueError, match=f"{count} shapes are too few"):
        fit_eigenvector(HEADS[:count], mode)


def test_one_shape_has_no_pose_axis():
    flip = protocol.load("synthetic").flip_permutation
    with pytest.raises(ValueError, match="1 shapes are too few"):
        fit_antisymmetric(HEADS[:1], flip)
    assert fit_antisymmetric(HEADS[:2], flip).explained.sum() <= 1 + 1e-12


def test_as_many_shapes_as_needed_are_enough():
    assert fit_eigenvector(HEADS[:2], 1).explained[0] == pytest.approx(1)


def test_the_authors_coefficients_ignore_position_size_rotation_and_mirroring():
    base = authors_coefficients(HEADS, HEADS, 1)
    moved = 3 * turned(HEADS, 0.7) + [40, -7]
    np.testing.assert_allclose(authors_coefficients(HEADS, moved, 1), base, atol=1e-9)
    mirrored = HEADS * [-1, 1]
    np.testing.assert_allclose(authors_coefficients(HEADS, mirrored, 1), base, atol=1e-9)


def test_the_authors_alignment_by_hand():
    # A reference of two shapes' plain mean: the unit square; a quarter turn, doubled, is aligned.
    square = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    big = 2 * turned(square, np.pi / 2) + 5
    np.testing.assert_allclose(_similar(big[None], square)[0], square.ravel(), atol=1e-12)


def test_the_authors_alignment_is_scipys():
    reference = RNG.normal(size=(12, 2))
    reference -= reference.mean(axis=0)
    ours = _similar(SHAPE[None], reference)[0].reshape(-1, 2)
    # SciPy gives both shapes unit norm and the second its least-squares scale against the first
    _, theirs, _ = scipy.spatial.procrustes(reference, SHAPE)
    np.testing.assert_allclose(ours / np.linalg.norm(reference), theirs, atol=1e-9)


def test_the_authors_coefficients_of_frontal_heads_rise_with_yaw():
    coefficients = authors_coefficients(HEADS, HEADS, 1)
    assert abs(np.corrcoef(coefficients, YAW)[0, 1]) > 0.9


def test_the_authors_refuse_too_few_shapes():
    with pytest.raises(ValueError, match="too few"):
        authors_coefficients(HEADS[:2], HEADS, 2)
