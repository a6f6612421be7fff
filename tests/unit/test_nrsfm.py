"""Structure from motion: known heads are found again from their pictures alone."""

import numpy as np
import pytest

from wingloss.geometry import Array
from wingloss.pose.nrsfm import ShapeModel, Views, _nearest_rotation, estimate, see

RNG = np.random.default_rng(0)
SIDE = RNG.normal(size=(14, 2)) * [0.5, 1] + [1, 0]  # half a face; the nose comes with it
NOSE = np.array([[0.0, 0.2, 1.2], [0.0, -0.8, 0.7], [0.0, 1.0, 0.6]])
HALF = np.column_stack([SIDE, 0.8 - 0.5 * np.square(SIDE).sum(axis=1)])
MEAN = np.concatenate([HALF, HALF * [-1, 1, 1], NOSE])
MEAN -= MEAN.mean(axis=0)
MEAN /= np.sqrt(np.square(MEAN).sum() / len(MEAN))
FLIP = [*range(14, 28), *range(14), 28, 29, 30]
MODE = np.zeros_like(MEAN)
MODE[:, 1] = 0.1 * (MEAN[:, 1] > 0)  # a mouth that opens


def turn(yaw: Array, pitch: Array) -> Array:
    """Rotations ``(N, 3, 3)``; positive yaw takes z towards x."""
    c, s, zero, one = np.cos(yaw), np.sin(yaw), np.zeros_like(yaw), np.ones_like(yaw)
    around_y = np.array([[c, zero, s], [zero, one, zero], [-s, zero, c]]).transpose(2, 0, 1)
    c, s = np.cos(pitch), np.sin(pitch)
    around_x = np.array([[one, zero, zero], [zero, c, s], [zero, -s, c]]).transpose(2, 0, 1)
    return around_x @ around_y


YAW = np.deg2rad(RNG.normal(0, 25, 300))
ROTATION = turn(YAW, np.deg2rad(RNG.normal(0, 8, 300)))
OPEN = RNG.normal(size=300)
SHAPES = MEAN + OPEN[:, None, None] * MODE
SCALE, SHIFT = RNG.uniform(20, 200, 300), RNG.uniform(0, 500, (300, 2))
POINTS = Views(ROTATION, SCALE, SHIFT).maps() @ SHAPES.transpose(0, 2, 1) + SHIFT[..., None]
POINTS = POINTS.transpose(0, 2, 1)


@pytest.fixture(scope="module")
def found() -> tuple[ShapeModel, Views]:
    return estimate(POINTS, FLIP, ([], []), modes=2, rounds=40)


def test_known_shapes_are_seen_from_where_they_are():
    views = see(SHAPES, POINTS, np.ones(POINTS.shape[:2]), rounds=60)
    np.testing.assert_allclose(views.rotation, ROTATION, atol=1e-3)
    np.testing.assert_allclose(views.scale, SCALE, rtol=1e-3)
    np.testing.assert_allclose(views.shift, SHIFT, atol=0.5)


def test_landmarks_without_weight_do_not_count():
    weights = np.ones(POINTS.shape[:2])
    weights[:, :3] = 0
    spoilt = POINTS.copy()
    spoilt[:, :3] += 1000
    for ours, other in zip(
        vars(see(SHAPES, spoilt, weights)).values(),
        vars(see(SHAPES, POINTS, weights)).values(),
        strict=True,
    ):
        np.testing.assert_allclose(ours, other, atol=1e-9)


def test_yaw_is_found(found: tuple[ShapeModel, Views]):
    yaw = found[1].yaw()
    assert np.corrcoef(yaw, YAW)[0, 1] > 0.98
    assert yaw.std() == pytest.approx(np.rad2deg(YAW).std(), rel=0.1)


def test_the_depth_is_found(found: tuple[ShapeModel, Views]):
    turned = _nearest_rotation(MEAN.T @ found[0].mean)  # how far the head looks up is arbitrary
    error = found[0].mean @ turned.T - MEAN
    assert np.sqrt(np.square(error).sum() / len(MEAN)) < 0.05


def test_the_mean_is_symmetric(found: tuple[ShapeModel, Views]):
    mirrored = (found[0].mean * [-1, 1, 1])[FLIP]
    np.testing.assert_allclose(mirrored, found[0].mean, atol=0.01)


def test_the_mode_is_found(found: tuple[ShapeModel, Views]):
    # A mode may hide a part of itself in the views: a size, a turn, a shift.
    views = np.stack([MEAN, *(MEAN @ axis for axis in np.cross(np.eye(3), np.eye(3)[:, None]))])
    free = np.linalg.svd(views.reshape(4, -1), full_matrices=False)[2]

    def visible(mode: Array) -> Array:
        flat = (mode - mode.mean(axis=0)).ravel()
        return flat - free.T @ (free @ flat)

    turned = _nearest_rotation(MEAN.T @ found[0].mean)
    first, mode = visible(found[0].modes[0] @ turned.T), visible(MODE)
    assert abs(mode @ first) / np.linalg.norm(mode) / np.linalg.norm(first) > 0.95
    assert np.linalg.norm(first) == pytest.approx(np.linalg.norm(mode), rel=0.2)


def test_too_few_shapes_are_refused():
    with pytest.raises(ValueError, match="8 shapes are too few for 2 modes"):
        estimate(POINTS[:8], FLIP, ([], []), modes=2, rounds=1)
