"""The head: a blend-shape model whose smooth surface passes through the 68 landmarks.

The landmarks' mean and most modes are estimated from annotations (``face_model.json``); the rest
of the head and the movements that annotations can't give are set by hand. A thin-plate spline
over the directions seen from the head's centre carries the surface through all control points.

Head frame: x to the viewer's right, y down, z towards the viewer; the origin is between the eyes
and the unit the distance of the eyes' centres.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from wingloss.geometry import Array

Field = NDArray[np.float32]

_MODEL = json.loads((files(__package__) / "face_model.json").read_text(encoding="utf-8"))
_MEAN = np.array(_MODEL["mean"])
_FLIP = np.array([-1, 1, 1])
_MIRROR = ((_MEAN[:, None] - _MEAN * _FLIP) ** 2).sum(-1).argmin(1)
LANDMARKS: Array = (_MEAN + _MEAN[_MIRROR] * _FLIP) / 2  # (68, 3), rows in 300W's order

# fmt: off
# The rest of the head by hand: its half with x >= 0.
REST = np.array([
    # forehead, crown and back of the head, along the middle
    (0, -0.32, 0.24), (0, -0.64, 0.25), (0, -0.96, 0.16), (0, -1.33, -0.1), (0, -1.64, -0.65),
    (0, -1.7, -1.25), (0, -1.52, -1.93), (0, -1.09, -2.36), (0, -0.35, -2.53), (0, 0.26, -2.37),
    (0, 0.78, -2.05),
    # forehead, temple, skull
    (0.5, -0.64, 0.14), (0.45, -1.05, 0.04), (0.9, -0.57, -0.25), (0.84, -1, -0.36),
    (0.68, -1.44, -0.72), (1.1, -0.39, -0.73), (1.18, -0.57, -1.22), (0.98, -1.23, -1.23),
    (1.16, 0.01, -1.5), (1.02, -0.42, -2.03), (0.8, -1.22, -1.93), (0.75, 0.38, -2.08),
    (1.04, 0.51, -1.53),
    # eyeball, lid, socket
    (0.5, -0.01, 0.05), (0.5, -0.19, 0.05), (0.17, -0.04, 0.07), (0.8, -0.06, -0.17),
    # cheek
    (0.5, 0.2, 0.01), (0.55, 0.42, 0.04), (0.8, 0.27, -0.16), (0.52, 0.7, 0.03),
    (0.75, 0.74, -0.21), (0.95, 0.32, -0.45), (0.66, 1.09, -0.21), (0.38, 1.38, -0.01),
    # side of the nose, wing of the nose, philtrum
    (0.14, 0.21, 0.13), (0.19, 0.43, 0.17), (0.29, 0.61, 0.16), (0.17, 0.59, 0.38), (0, 0.84, 0.3),
    # chin and the underside of the jaw
    (0, 1.39, 0.14), (0, 1.57, 0.11), (0.25, 1.53, 0.01), (0, 1.72, -0.4), (0, 1.58, -0.79),
    (0.45, 1.46, -0.64), (0.72, 1.14, -0.97), (0, 1.38, -1.18), (0.6, 1.06, -1.52), (0, 1.1, -1.77),
])
# fmt: on
CONTROLS: Array = np.concatenate([LANDMARKS, REST, REST[REST[:, 0] > 0] * _FLIP])  # (K, 3)
CENTRE = np.array([0.0, 0.19, -1.01])  # of the head: every surface point is seen from here
ROWS, COLUMNS = 80, 120  # of the coarse grid that carries the surface
# Longitude as a function of a head grid's columns (-1 to 1): cells crowd at the front.
_ACROSS = np.linspace(-1, 1, 1001)
_LONGITUDE = np.pi * (0.6 * _ACROSS + 0.4 * _ACROSS**3)


def grid_coordinates(longitude: ArrayLike, latitude: ArrayLike) -> tuple[Array, Array]:
    """Where on a head grid angles (radians) lie: row and column, each from 0 to 1."""
    column = np.interp(np.asarray(longitude, float), _LONGITUDE, _ACROSS) / 2 + 0.5
    return np.asarray(latitude) / np.pi + 0.5, column


def angles(points: Array) -> tuple[Array, Array]:
    """Longitude (0 at the front) and latitude (up is negative), radians, of points (..., 3)."""
    x, y, z = np.moveaxis(unit(points - CENTRE), -1, 0)
    return np.arctan2(x, z), np.arcsin(y)


def directions(longitude: ArrayLike, latitude: ArrayLike) -> Array:
    """Unit vectors (..., 3) from the head's centre."""
    longitude, latitude = np.broadcast_arrays(longitude, latitude)
    across = np.cos(latitude)
    return np.stack(
        [across * np.sin(longitude), np.sin(latitude), across * np.cos(longitude)], axis=-1
    )


def _modes() -> dict[str, Array]:
    """Hand-made movements: how a coefficient of 1 displaces the control points, each (K, 3)."""
    x, y, z = CONTROLS.T
    side, still = np.sign(x), np.zeros_like(x)

    def near(centre: ArrayLike, width: float) -> Array:  # 1 at the centre and its mirror image
        return np.exp(-((np.c_[abs(x), y, z] - centre) ** 2).sum(1) / (2 * width**2))

    def move(dx: Array = still, dy: Array = still, dz: Array = still) -> Array:
        return np.stack([dx, dy, dz], axis=1)

    brow, nose = near((0.5, -0.32, 0.05), 0.28), near((0, 0.6, 0.4), 0.28)
    corner, cheek = near((0.43, 1.03, 0.1), 0.22), near((0.65, 0.6, -0.05), 0.3)
    jaw = 1 / (1 + np.exp(-(y - 0.97 - 0.1 * z) / 0.04)) / (1 + np.exp(-(z + 1) / 0.1))
    jaw[[*range(49, 54), 61, 62, 63]], jaw[[*range(55, 60), 65, 66, 67]] = 0, 1
    jaw[[48, 54, 60, 64]] = 0.4
    lid = still.copy()
    lid[[37, 38, 43, 44]] = y[[41, 40, 47, 46]] - y[[37, 38, 43, 44]]
    above = np.clip((-0.4 - y) / 1.2, 0, 1)
    back = np.clip((-0.6 - z) / 1.5, 0, 1)
    lower = np.clip((y - 0.4) / 0.9, 0, 1)
    return {
        "skull height": move(dy=-0.09 * above),
        "skull depth": move(dz=-0.12 * back),
        "skull width": move(dx=0.05 * x * np.maximum(back, above)),
        "jaw width": move(dx=0.05 * x * lower),
        "nose depth": move(dz=0.04 * nose),
        "nose width": move(dx=0.12 * x * nose),
        "cheeks": move(dx=0.03 * side * cheek, dz=0.03 * cheek),
        "lopsided": move(dx=0.04 * lower, dy=0.05 * side * (brow + corner)),
        "open mouth": move(dy=jaw * (z + 1), dz=-jaw * (y - 0.3)),
        "smile": move(dx=0.13 * side * corner, dy=-0.1 * corner - 0.05 * cheek, dz=-0.04 * corner),
        "raise brows": move(dy=-0.1 * brow),
        "frown": move(dx=-0.05 * side * brow, dy=0.07 * brow * np.clip(1.2 - abs(x), 0, 1)),
        "pucker": move(dx=-0.14 * side * corner, dz=0.09 * near((0, 1.05, 0.3), 0.3)),
        "close eyes": move(dy=lid),
    }


def _estimated() -> Array:
    """The estimated modes (12, K, 3): the landmarks' motion, fading towards the back of the head.

    Other control points move as the landmarks near them (kernel regression).
    """
    distance = ((CONTROLS[68:][:, None] - LANDMARKS) ** 2).sum(-1)
    weights = np.exp(-(distance - distance.min(1, keepdims=True)) / (2 * 0.2**2))
    weights /= weights.sum(1, keepdims=True)
    weights *= np.exp(-distance.min(1, keepdims=True) / (2 * 0.6**2))
    weights *= np.clip(CONTROLS[68:][:, 2:] + 2, 0, 1)
    modes = np.array(_MODEL["modes"])
    return np.concatenate([modes, np.einsum("kl,mlc->mkc", weights, modes)], axis=1)


HAND_MADE = _modes()
ESTIMATED = _estimated()
BASIS = np.concatenate([ESTIMATED, np.stack(list(HAND_MADE.values()))])  # (modes, K, 3)


def draw_shape(male: bool, expressive: bool, rng: Generator) -> Array:
    """Control points (K, 3), the 68 landmarks first: a random person, calm or not."""
    identity = rng.normal(size=len(ESTIMATED)).clip(-2.5, 2.5)
    moves = dict(zip(HAND_MADE, rng.normal(size=len(HAND_MADE)).clip(-2, 2), strict=True))
    sex = 0.6 if male else -0.6
    for name in ("jaw width", "nose depth", "nose width"):
        moves[name] += sex
    moves |= {
        "lopsided": rng.normal(0, 0.3),
        "open mouth": 0.04 * rng.exponential() * (rng.random() < 0.4),
        "smile": rng.uniform(-0.3, 0.8),
        "raise brows": rng.normal(0, 0.2),
        "frown": abs(rng.normal(0, 0.2)),
        "pucker": abs(rng.normal(0, 0.1)),
        "close eyes": float(np.clip(rng.normal(-0.08, 0.12), -0.3, 0.35)),
    }
    if expressive:
        kind = rng.choice(["scream", "laugh", "shut", "surprise", "frown", "kiss", "lopsided"])
        strong = rng.uniform(0.6, 1)
        moves |= {
            "scream": {"open mouth": 0.32 * strong, "frown": strong, "close eyes": 0.4 * strong},
            "laugh": {"open mouth": 0.14 * strong, "smile": 1.5 * strong, "close eyes": 0.45},
            "shut": {"close eyes": 0.95},
            "surprise": {"raise brows": 1.3 * strong, "open mouth": 0.2, "close eyes": -0.35},
            "frown": {"frown": 1.5 * strong, "smile": -0.9 * strong, "close eyes": 0.3},
            "kiss": {"pucker": strong, "close eyes": rng.choice([0.1, 0.9])},
            "lopsided": {"lopsided": rng.choice([-2, 2]) * strong, "smile": strong},
        }[kind]
    coefficients = np.r_[identity, list(moves.values())]
    controls = CONTROLS + np.tensordot(coefficients, BASIS, 1)
    wanted = 1.3 * moves["open mouth"] + 0.005
    gap = (controls[65:68, 1] - controls[61:64, 1]).mean() - wanted  # too wide by so much
    controls -= gap / 1.3 * HAND_MADE["open mouth"]
    if moves["open mouth"] < 0.01:  # the lips touch all along
        upper, lower = [61, 62, 63], [67, 66, 65]
        apart = (controls[lower, 1] - controls[upper, 1] - 0.005) / 2
        controls[upper, 1] += apart
        controls[lower, 1] -= apart
    return controls


@dataclass(frozen=True)
class HeadGrid:
    """What is computed once: directions and the control points' weights in surface points."""

    directions: Field  # (ROWS, COLUMNS, 3)
    weights: Field  # (ROWS * COLUMNS, K)
    mean: Field  # (ROWS, COLUMNS, 3), the surface of the mean head
    parallels: Field  # (17, 48, K): from each contour landmark at its height towards the front

    def surface(self, controls: Array) -> Field:
        """Surface points (ROWS, COLUMNS, 3)."""
        return (self.weights @ controls.astype(np.float32)).reshape(ROWS, COLUMNS, 3)


@lru_cache(maxsize=1)
def head_grid() -> HeadGrid:
    latitude = ((np.arange(ROWS) + 0.5) / ROWS - 0.5)[:, None] * np.pi
    longitude = np.interp((np.arange(COLUMNS) + 0.5) / COLUMNS * 2 - 1, _ACROSS, _LONGITUDE)
    rays = directions(longitude, latitude)
    spline = _interpolation(rays.reshape(-1, 3)).astype(np.float32)
    mean = (spline @ CONTROLS.astype(np.float32)).reshape(ROWS, COLUMNS, 3)
    start, level = angles(LANDMARKS[:17])
    paths = directions(start[:, None] * np.linspace(1, 0.35, 48), level[:, None])
    parallels = _interpolation(paths.reshape(-1, 3)).reshape(17, 48, -1).astype(np.float32)
    return HeadGrid(rays.astype(np.float32), spline, mean, parallels)


def sample(grid: Field, longitude: ArrayLike, latitude: ArrayLike) -> Field:
    """Values (h, w, C) of a head grid at directions (h, w), radians; bilinear."""
    row, column = grid_coordinates(*np.broadcast_arrays(longitude, latitude))
    height, width = grid.shape[:2]
    around = np.concatenate([grid[:, -2:], grid, grid[:, :2]], axis=1)  # closes the seam
    x, y = (column * width + 1.5).astype(np.float32), (row * height - 0.5).astype(np.float32)
    return np.asarray(cv2.remap(around, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _interpolation(rays: Array) -> Array:
    """Weights (N, K) of the control points in the surface point at each direction (N, 3).

    A thin-plate spline over the sphere of directions, exact at the control points.
    """
    sites = unit(CONTROLS - CENTRE)

    def features(points: Array) -> Array:
        squared = ((points[:, None] - sites) ** 2).sum(-1)
        bends = squared * np.log(squared + 1e-12)
        return np.concatenate([bends, np.ones((len(points), 1)), points], axis=-1)

    above = features(sites)  # (K, K + 4)
    below = np.concatenate([above[:, len(sites) :].T, np.zeros((4, 4))], axis=1)
    return features(rays) @ np.linalg.inv(np.concatenate([above, below]))[:, : len(sites)]


def unit(vectors: Array) -> Array:
    """Vectors (..., 3) of length 1."""
    return vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-9)
