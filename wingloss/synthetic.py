"""The embedded data set: rendered 3D faces with 68 landmarks.

A face is a blend-shape model: control points (the 68 landmarks of the 300W scheme and hand-set ones
on cheeks, forehead and skull) move linearly with identity and expression. The skin is a smooth
surface through the control points, so the landmarks lie on it by construction; brows, eyes and lips
are painted on it along the same landmarks. The surface is lit, posed and drawn with a z-buffer.

Head frame: x to the viewer's right, y down, z towards the viewer; the origin is between the eyes
and the unit the distance of the eyes' centres. Picture frame: pixels, 0-based pixel centres.
"""

from dataclasses import dataclass, field, fields
from functools import lru_cache

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from wingloss.geometry import Array

# fmt: off
# x and y: rounded mean of the public 300W training annotations (near-frontal faces, made
# symmetric); depth by hand. Rows in 300W order.
LANDMARKS: Array = np.array([
    (-1.10, 0.00, -1.02), (-1.08, 0.30, -1.00), (-1.04, 0.58, -0.94), (-0.99, 0.87, -0.83),
    (-0.88, 1.13, -0.64), (-0.72, 1.36, -0.40), (-0.51, 1.55, -0.14), (-0.27, 1.70, 0.05),
    (0.00, 1.74, 0.12), (0.27, 1.70, 0.05), (0.51, 1.55, -0.14), (0.72, 1.36, -0.40),
    (0.88, 1.13, -0.64), (0.99, 0.87, -0.83), (1.04, 0.58, -0.94), (1.08, 0.30, -1.00),
    (1.10, 0.00, -1.02),
    (-0.92, -0.19, -0.28), (-0.78, -0.32, -0.07), (-0.59, -0.35, 0.09), (-0.38, -0.33, 0.18),
    (-0.19, -0.26, 0.22), (0.19, -0.26, 0.22), (0.38, -0.33, 0.18), (0.59, -0.35, 0.09),
    (0.78, -0.32, -0.07), (0.92, -0.19, -0.28),
    (0.00, -0.03, 0.17), (0.00, 0.16, 0.28), (0.00, 0.36, 0.41), (0.00, 0.55, 0.52),
    (-0.22, 0.67, 0.23), (-0.12, 0.70, 0.32), (0.00, 0.74, 0.37), (0.12, 0.70, 0.32),
    (0.22, 0.67, 0.23),
    (-0.69, 0.00, -0.20), (-0.57, -0.07, -0.08), (-0.42, -0.07, -0.05), (-0.30, 0.03, -0.08),
    (-0.44, 0.05, -0.06), (-0.58, 0.05, -0.10), (0.30, 0.03, -0.08), (0.42, -0.07, -0.05),
    (0.57, -0.07, -0.08), (0.69, 0.00, -0.20), (0.58, 0.05, -0.10), (0.44, 0.05, -0.06),
    (-0.43, 1.01, 0.10), (-0.28, 0.95, 0.24), (-0.11, 0.92, 0.34), (0.00, 0.95, 0.35),
    (0.11, 0.92, 0.34), (0.28, 0.95, 0.24), (0.43, 1.01, 0.10), (0.28, 1.17, 0.20),
    (0.12, 1.24, 0.27), (0.00, 1.25, 0.28), (-0.12, 1.24, 0.27), (-0.28, 1.17, 0.20),
    (-0.37, 1.02, 0.11), (-0.12, 1.01, 0.30), (0.00, 1.03, 0.31), (0.12, 1.01, 0.30),
    (0.37, 1.02, 0.11), (0.12, 1.10, 0.28), (0.00, 1.11, 0.29), (-0.12, 1.10, 0.28),
])
# The rest of the head by hand: its half with x >= 0.
REST = np.array([
    # forehead, crown and back of the head, along the middle
    (0, -0.35, 0.24), (0, -0.65, 0.24), (0, -1.0, 0.15), (0, -1.4, -0.12), (0, -1.75, -0.65),
    (0, -1.85, -1.2), (0, -1.6, -2.0), (0, -1.0, -2.5), (0, -0.2, -2.65), (0, 0.5, -2.5),
    (0, 1.0, -2.1),
    # forehead, temple, skull
    (0.5, -0.65, 0.13), (0.45, -1.1, 0.02), (0.9, -0.6, -0.25), (0.8, -1.1, -0.4),
    (0.65, -1.55, -0.8), (1.1, -0.4, -0.8), (1.2, -0.5, -1.3), (0.95, -1.2, -1.3),
    (1.2, 0.1, -1.5), (1.0, -0.3, -2.1), (0.8, -1.1, -2.0), (0.75, 0.6, -2.1), (1.1, 0.6, -1.5),
    # eyeball, lid, socket
    (0.5, -0.01, -0.02), (0.5, -0.2, 0.03), (0.17, -0.05, 0.04), (0.82, -0.05, -0.3),
    # cheek
    (0.5, 0.2, -0.02), (0.55, 0.42, 0.06), (0.8, 0.25, -0.2), (0.5, 0.7, 0.07),
    (0.75, 0.75, -0.22), (0.94, 0.4, -0.55), (0.65, 1.1, -0.12), (0.36, 1.36, 0.12),
    # side of the nose, philtrum
    (0.13, 0.2, 0.1), (0.17, 0.42, 0.18), (0.26, 0.57, 0.2), (0, 0.83, 0.32),
    # chin and the underside of the jaw
    (0, 1.4, 0.22), (0, 1.58, 0.24), (0.25, 1.52, 0.16), (0, 1.72, -0.15), (0, 1.58, -0.6),
    (0.45, 1.45, -0.5), (0.68, 1.15, -1.0), (0, 1.45, -1.1), (0.6, 1.15, -1.5), (0, 1.25, -1.7),
])
# fmt: on
CONTROLS: Array = np.concatenate([LANDMARKS, REST, REST[REST[:, 0] > 0] * [-1, 1, 1]])  # (K, 3)
CENTRE = np.array([0.0, 0.25, -1.0])  # of the head: every surface point is seen from here
# The hair's lower edge: its y for depths from the nape to the forehead.
HAIR_DEPTH, HAIR_EDGE = (
    (-2.5, -1.6, -1.25, -0.8, -0.35, 0.2),
    (1.0, 0.9, 0.0, -0.4, -0.75, -0.95),
)
EAR = np.array([1.15, 0.22, -1.3])
SKIN = np.array([(255, 219, 190), (241, 194, 150), (224, 172, 125), (178, 122, 84), (110, 70, 46)])
HAIR = np.array([(28, 22, 20), (60, 38, 24), (110, 70, 38), (196, 156, 92), (150, 148, 146)])
IRIS = np.array([(70, 42, 22), (96, 68, 36), (84, 110, 70), (80, 120, 160)])
LEFT_BROW, RIGHT_BROW = LANDMARKS[17:22], LANDMARKS[22:27]
EYES = (LANDMARKS[36:42], LANDMARKS[42:48])
LIPS, MOUTH = LANDMARKS[48:60], LANDMARKS[60:68]
# Longitude as a function of a head grid's columns (-1 to 1): cells crowd at the front.
ACROSS = np.linspace(-1, 1, 1001)
LONGITUDE = np.pi * (0.6 * ACROSS + 0.4 * ACROSS**3)


@dataclass(frozen=True)
class FaceDistribution:
    """The population of faces; angles in degrees. Raises ValueError naming a field out of range.

    Yaw is a mixture: a Laplace core of scale ``yaw_scale`` and a share ``yaw_tail`` of faces
    uniform over -90 to 90; it is clipped at 90. Pitch and roll are normal. The detector's box is
    the tight square round the landmarks with the errors ``box_shift`` and ``box_scale``.
    """

    image_size: int = field(metadata={"minimum": 32, "maximum": 1024})  # px, the picture's side
    yaw_scale: float = field(metadata={"minimum": 0, "maximum": 45})
    yaw_tail: float = field(metadata={"minimum": 0, "maximum": 1})
    pitch_std: float = field(metadata={"minimum": 0, "maximum": 30})
    roll_std: float = field(metadata={"minimum": 0, "maximum": 90})
    box_shift: float = field(metadata={"minimum": 0, "maximum": 0.5})  # std, share of the side
    box_scale: float = field(metadata={"minimum": 0, "maximum": 0.5})  # std of the side's log

    def __post_init__(self) -> None:
        for item in fields(self):
            value, low, high = getattr(self, item.name), *item.metadata.values()
            if not low <= value <= high:
                raise ValueError(f"{item.name} is {value!r}, but must be from {low} to {high}")


@dataclass(frozen=True)
class Face:
    """One picture and its annotation, in image pixels.

    Angles in degrees: positive yaw turns the nose tip towards the viewer's right (+x), positive
    pitch turns it down (+y), positive roll turns the head clockwise. A landmark that the head hides
    is not visible and keeps the projection of its 3D position, as if the head were of glass.
    """

    image: NDArray[np.uint8]  # (S, S, 3), RGB
    points: Array  # (68, 2)
    visible: NDArray[np.bool_]  # (68,)
    box: Array  # (4,): x_min, y_min, x_max, y_max
    yaw: float
    pitch: float
    roll: float


def render_face(distribution: FaceDistribution, seed: int, index: int) -> Face:
    """Draws face ``index`` of the population; it depends on nothing but the three arguments.

    The landmarks' tight square covers 46 to 58 % of the picture's side and stays inside it.
    """
    rng = np.random.default_rng([seed, index])
    size, head = distribution.image_size, _head()
    yaw, pitch, roll = _draw_pose(distribution, rng)
    rotation, distance = _rotation(yaw, pitch, roll), rng.uniform(7, 15)

    def view(
        points: Array,
    ) -> Array:  # (..., 3), head frame -> camera's, in perspective
        turned = (points - CENTRE) @ rotation.T
        turned[..., :2] *= distance / (distance - turned[..., 2:])
        return turned

    controls, closure = _draw_shape(rng)
    skin, hair = _blend(SKIN, rng), _blend(HAIR, rng)
    cover = _hair_cover(head.mean, rng.normal(0, 0.12) - 2 * (rng.random() < 0.06))  # some are bald
    skull = head.weights @ controls + head.ears
    skull += rng.uniform(0.03, 0.2) * cover[..., None] * head.directions

    landmarks, skull, neck = view(controls[:68]), view(skull), view(NECK)
    low, high = landmarks[:, :2].min(0), landmarks[:, :2].max(0)
    zoom = size * rng.uniform(0.46, 0.58) / (high - low).max()
    shift = (size - 1) / 2 + size * rng.uniform(-0.07, 0.07, 2) - (low + high) / 2 * zoom
    for points in (landmarks, skull, neck):
        points[..., :2] = points[..., :2] * zoom + shift  # x, y in px, depth in head units

    picture = _background(size, rng)
    _draw_behind(picture, skull, neck, hair, zoom, rng)
    paint = _paint(head, size, skin, hair, cover, closure, rng)
    throat = np.broadcast_to(0.9 * skin, (size * 3 // 4, size * 3 // 2, 3))
    depth = _draw_surfaces(picture, [(skull, paint), (neck, throat)], zoom, rng)
    points = landmarks[:, :2].copy()
    return Face(
        _expose(picture, rng),
        points,
        _visible(landmarks, depth),
        _detect(points, distribution, rng),
        yaw,
        pitch,
        roll,
    )


# --- pose and shape -------------------------------------------------------------------------------


def _draw_pose(distribution: FaceDistribution, rng: Generator) -> tuple[float, float, float]:
    wide = rng.random() < distribution.yaw_tail
    yaw = rng.uniform(-90, 90) if wide else rng.laplace(0, distribution.yaw_scale)
    pitch, roll = rng.normal(0, (distribution.pitch_std, distribution.roll_std))
    return float(np.clip(yaw, -90, 90)), float(pitch), float(roll)


def _rotation(yaw: float, pitch: float, roll: float) -> Array:
    """The matrix (3, 3) of yaw, then pitch, then roll; degrees, signs as in ``Face``."""

    def turn(start: int, end: int, degrees: float) -> Array:  # takes axis start towards axis end
        matrix, angle = np.eye(3), np.deg2rad(degrees)
        matrix[[start, end], [start, end]] = np.cos(angle)
        matrix[start, end], matrix[end, start] = -np.sin(angle), np.sin(angle)
        return matrix

    return turn(0, 1, roll) @ turn(2, 1, pitch) @ turn(2, 0, yaw)


def _modes() -> dict[str, Array]:
    """Blend shapes: how a coefficient of 1 displaces the control points, each (K, 3)."""
    x, y, z = CONTROLS.T
    side, still = np.sign(x), np.zeros_like(x)

    def near(centre: ArrayLike, width: float) -> Array:  # 1 at the centre and its mirror image
        return np.exp(-((np.c_[abs(x), y, z] - centre) ** 2).sum(1) / (2 * width**2))

    def move(dx: Array = still, dy: Array = still, dz: Array = still) -> Array:
        return np.stack([dx, dy, dz], axis=1)

    eye, brow = near((0.5, 0, -0.08), 0.2), near((0.5, -0.32, 0.1), 0.28)
    nose, mouth = near((0, 0.6, 0.4), 0.28), near((0, 1.05, 0.3), 0.35)
    corner, cheek = near((0.42, 1.02, 0.1), 0.22), near((0.7, 0.6, -0.1), 0.3)
    lower = np.clip((y - 0.4) / 0.9, 0, 1)
    lip = still.copy()
    lip[48:60] = y[48:60] - 1.06
    jaw = 1 / (1 + np.exp(-(y - 0.97 - 0.1 * z) / 0.04)) / (1 + np.exp(-(z + 1) / 0.1))
    jaw[[*range(49, 54), 61, 62, 63]], jaw[[*range(55, 60), 65, 66, 67]] = 0, 1
    jaw[[48, 54, 60, 64]] = 0.4
    lid = still.copy()
    lid[[37, 38, 43, 44]] = y[[41, 40, 47, 46]] - y[[37, 38, 43, 44]]
    return {
        "face width": move(dx=0.05 * x),
        "face length": move(dy=0.06 * y),
        "head depth": move(dz=0.04 * (z + 1)),
        "jaw width": move(dx=0.08 * x * lower),
        "chin": move(dy=0.08 * np.clip((y - 1.25) / 0.5, 0, 1)),
        "cheeks": move(dx=0.04 * side * cheek, dz=0.03 * cheek),
        "eye size": move(dx=0.1 * eye * (x - 0.5 * side), dy=0.15 * eye * y),
        "eye distance": move(dx=0.03 * side * eye),
        "eye slant": move(dy=-0.1 * eye * (abs(x) - 0.5)),
        "nose length": move(dy=0.05 * nose),
        "nose depth": move(dz=0.06 * nose),
        "nose width": move(dx=0.15 * x * nose),
        "mouth width": move(dx=0.1 * x * mouth),
        "mouth height": move(dy=0.04 * mouth),
        "lip thickness": move(dy=0.2 * lip),
        "brow height": move(dy=-0.07 * brow),
        "brow slant": move(dy=-0.1 * brow * (abs(x) - 0.5)),
        "lopsided": move(dx=0.02 * lower, dy=0.03 * side * (brow + corner)),
        "open mouth": move(dy=jaw * (z + 1), dz=-jaw * (y - 0.3)),
        "smile": move(dx=0.13 * side * corner, dy=-0.1 * corner - 0.05 * cheek, dz=-0.04 * corner),
        "frown": move(dx=-0.05 * side * brow, dy=0.06 * brow),
        "close eyes": move(dy=lid),
    }


MODES = _modes()
BASIS = np.stack(list(MODES.values()))  # (modes, K, 3)


def _draw_shape(rng: Generator) -> tuple[Array, float]:
    """Control points (K, 3) of a random identity and expression, and how far the eyes close."""
    coefficients = dict(zip(MODES, rng.normal(size=len(MODES)).clip(-2.5, 2.5), strict=True))
    blink = rng.random() < 0.08
    closure = rng.uniform(0.6, 0.95) if blink else float(np.clip(rng.normal(0, 0.15), -0.4, 0.6))
    coefficients |= {  # -0.06 brings the lips of the mean face together
        "open mouth": -0.06 + 0.35 * min(rng.exponential(0.3) * (rng.random() < 0.5), 1),
        "smile": rng.uniform(-0.5, 1.4),
        "frown": abs(rng.normal(0, 0.5)),
        "close eyes": closure,
    }
    return CONTROLS + np.tensordot(list(coefficients.values()), BASIS, 1), closure


class _Head:
    """A coarse grid (64, 96) of directions from the head's centre that carries the surface."""

    def __init__(self) -> None:
        latitude = ((np.arange(64) + 0.5) / 64 - 0.5)[:, None] * np.pi
        longitude = np.interp((np.arange(96) + 0.5) / 48 - 1, ACROSS, LONGITUDE)
        self.directions = np.stack(
            [
                np.cos(latitude) * np.sin(longitude),
                np.sin(latitude) + 0 * longitude,
                np.cos(latitude) * np.cos(longitude),
            ],
            axis=-1,
        )
        self.weights = _interpolation(self.directions)  # (64, 96, K)
        self.mean = self.weights @ CONTROLS
        self.ears = _ear(self.mean)[..., None] * np.sign(self.mean) * [0.17, 0, 0]


@lru_cache(maxsize=1)
def _head() -> _Head:
    return _Head()


def _interpolation(directions: Array) -> Array:
    """Weights (..., K) of the control points in the surface point at each direction (..., 3).

    A thin-plate spline over the sphere of directions, exact at the control points.
    """
    sites = _unit(CONTROLS - CENTRE)

    def features(points: Array) -> Array:
        squared = ((points[..., None, :] - sites) ** 2).sum(-1)
        return np.concatenate(
            [
                squared * np.log(squared + 1e-12),
                np.ones((*points.shape[:-1], 1)),
                points,
            ],
            axis=-1,
        )

    above = features(sites)  # (K, K + 4)
    below = np.concatenate([above[:, len(sites) :].T, np.zeros((4, 4))], axis=1)
    return features(directions) @ np.linalg.inv(np.concatenate([above, below]))[:, : len(sites)]


def _hair_cover(points: Array, edge: float) -> Array:
    """How far (0 to 1) hair covers points (..., 3) of the mean head; ``edge`` lowers its edge."""
    over = np.interp(points[..., 2], HAIR_DEPTH, HAIR_EDGE) + edge - points[..., 1]
    return np.clip(0.5 + over / 0.12, 0, 1) * (1 - _ear(points))


def _ear(points: Array) -> Array:
    offset = (points * np.where(points[..., :1] < 0, [-1, 1, 1], 1) - EAR) / [
        0.3,
        0.26,
        0.15,
    ]
    return np.exp(-((offset**2).sum(-1) ** 2))


def _neck() -> Array:
    """Surface (12, 48, 3) of a slightly slanted column under the head."""
    down, angle = np.meshgrid(
        np.linspace(0, 1, 12), (np.arange(48) + 0.5) / 24 * np.pi - np.pi, indexing="ij"
    )
    wide = 1 + 0.5 * down**4
    return np.stack(
        [
            0.78 * wide * np.sin(angle),
            0.9 + 1.6 * down,
            -1.25 - 0.2 * down + 0.6 * wide * np.cos(angle),
        ],
        axis=-1,
    )


NECK = _neck()

# --- paint ----------------------------------------------------------------------------------------


def _paint(
    head: _Head,
    size: int,
    skin: Array,
    hair: Array,
    cover: Array,
    closure: float,
    rng: Generator,
) -> NDArray[np.uint8]:
    """Colours (2 S, 5 S / 2, 3) of the head before light falls on it, over the head's directions.

    About two cells a pixel. Drawn on the mean face: the shape carries everything along.
    """
    x, y, z = np.moveaxis(head.mean, -1, 0)
    front = z > -0.6
    beard = rng.uniform(0, 0.8) * (rng.random() < 0.25) * front * np.clip((y - 0.8) / 0.3, 0, 1)
    cover = np.maximum(cover, beard)[..., None]
    blush = 0.12 * np.exp(-((abs(x) - 0.65) ** 2 + (y - 0.5) ** 2) / 0.1) * front
    tone = 1 + 0.025 * rng.normal(size=x.shape)[..., None] - blush[..., None] * [0, 1, 1]
    shape = 2 * size, size * 5 // 2
    coarse = np.concatenate([skin * tone * (1 - cover) + hair * cover, cover], axis=-1)
    fine = _refine(coarse, shape)
    strands = _refine(rng.normal(size=(10, size)), shape)[..., None]
    paint = np.clip(fine[..., :3] * (1 + 0.25 * fine[..., 3:] * strands), 0, 255).astype(np.uint8)

    _fill(paint, LIPS, skin * rng.uniform((0.75, 0.5, 0.5), (0.95, 0.7, 0.75)))
    _fill(paint, MOUTH, (60, 20, 22))
    teeth = MOUTH[1:4]
    _fill(paint, np.r_[teeth, teeth[::-1] + [0, rng.uniform(0, 0.06), 0]], (235, 228, 215))
    for nostril in LANDMARKS[[32, 34]]:
        _fill(paint, nostril + [0, -0.03, 0] + _ellipse(0.05, 0.02), skin * 0.35)
    _paint_eyes(paint, skin, closure, rng)
    half = rng.uniform(0.05, 0.11) / 2 * np.outer([0.4, 0.8, 1, 1, 0.8], [0, 1, 0])
    for brow, offset in ((LEFT_BROW, half), (RIGHT_BROW, half[::-1])):
        _fill(paint, np.r_[brow - offset, (brow + offset)[::-1]], 0.6 * hair + 0.15 * skin)
    return paint


def _paint_eyes(paint: NDArray[np.uint8], skin: Array, closure: float, rng: Generator) -> None:
    eyes, opening = paint.copy(), np.zeros_like(paint)
    white, iris = rng.uniform(200, 245, 3), _blend(IRIS, rng)
    gaze = [*rng.normal(0, (0.04, 0.01)), 0]
    squash = 1 / (1 - closure)  # closing lids flatten the paint; the iris stays round
    for eye in EYES:
        centre = eye.mean(0)
        _fill(paint, centre + 1.25 * (eye - centre), skin * 0.45)  # lashes and the lids' edge
        _fill(opening, eye, (255, 255, 255))
        _fill(eyes, centre + _ellipse(0.4, 0.2), white)
        _fill(eyes, centre + gaze + _ellipse(0.095, 0.095 * squash), iris)
        _fill(eyes, centre + gaze + _ellipse(0.045, 0.045 * squash), (12, 10, 10))
    cv2.copyTo(eyes, opening[..., 0] // 128, paint)


def _fill(paint: NDArray[np.uint8], outline: Array, colour: ArrayLike) -> None:
    """Fills an outline (N, 3) on the mean head."""
    x, y, z = _unit(outline - CENTRE).T
    column = np.interp(np.arctan2(x, z), LONGITUDE, ACROSS) / 2 + 0.5
    cells = np.c_[column, np.arcsin(y) / np.pi + 0.5] * paint.shape[1::-1] - 0.5
    cv2.fillPoly(
        paint,
        [np.rint(cells * 16).astype(np.int32)],
        tuple(np.asarray(colour, dtype=float)),
        cv2.LINE_AA,
        4,
    )


def _ellipse(width: float, height: float) -> Array:
    """An outline (24, 3) round the origin with half axes ``width`` and ``height``."""
    angle = np.arange(24) / 12 * np.pi
    return np.stack([width * np.cos(angle), height * np.sin(angle), 0 * angle], axis=-1)


# --- picture --------------------------------------------------------------------------------------


def _draw_surfaces(
    picture: Array, parts: list[tuple[Array, NDArray]], zoom: float, rng: Generator
) -> NDArray[np.float32]:
    """Draws lit surfaces into ``picture`` (S, S, 3); returns each pixel's depth (S, S).

    A part is a coarse grid (h, w, 3) of x, y (px) and depth (head units), and a fine grid of
    colours. Each fine cell falls on a pixel, which takes the mean colour of its foremost cells.
    """
    size = len(picture)
    light = _unit(rng.normal((0, -0.4, 1.0), (0.8, 0.4, 0.2)))
    ambient, strength = rng.uniform(0.35, 0.65), rng.uniform(0.5, 0.8)
    tint = rng.uniform(0.9, 1.06, 3)
    cells, depths, colours = [], [], []
    for points, paint in parts:
        down, across = np.gradient(points * [1, 1, zoom], axis=(0, 1))
        normals = _unit(np.cross(across, down))
        facing = normals[..., 2:]
        shade = (ambient + strength * np.maximum(normals @ light, 0)[..., None]) * tint
        grid = _refine(np.concatenate([points, facing, shade], axis=-1), paint.shape[:2])
        column, row = np.rint(grid[..., :2]).astype(np.int32).transpose(2, 0, 1)
        shown = (grid[..., 3] > -0.1) & (np.minimum(column, row) >= 0)
        shown &= np.maximum(column, row) < size
        cells.append((row * size + column)[shown])
        depths.append(grid[..., 2][shown])
        colours.append(paint[shown] * grid[..., 4:][shown])
    cell, depth, colour = map(np.concatenate, (cells, depths, colours))
    nearest = np.full(size * size, -np.inf, dtype=np.float32)
    np.maximum.at(nearest, cell, depth)
    front = depth > nearest[cell] - 0.1
    layers = (*colour[front].T, None)  # without weights, bincount counts
    sums = np.stack([np.bincount(cell[front], layer, size * size) for layer in layers], axis=-1)
    means = (sums / np.maximum(sums[:, 3:], 1)).reshape(size, size, 4)
    spread = cv2.GaussianBlur(means, (3, 3), 0.8)  # closes pinholes and softens the outline
    cover = np.clip(2 * spread[..., 3:] - 0.2, 0, 1)
    picture += cover * (spread[..., :3] / np.maximum(spread[..., 3:], 1e-6) - picture)
    return nearest.reshape(size, size)


def _draw_behind(
    picture: Array, skull: Array, neck: Array, hair: Array, zoom: float, rng: Generator
) -> None:
    """Draws what head and neck hide in part: shoulders and, for some, long hair."""
    if rng.random() < 0.35:
        back = np.concatenate([skull[:, :22], skull[:, -22:]])[..., :2].reshape(-1, 2)
        fall = np.array([0, zoom * rng.uniform(0.2, 1.4)])
        _fill_hull(picture, np.r_[back, back + fall], hair * 0.6)
    base, half = neck[-3:, :, :2].reshape(-1, 2), rng.uniform(1.6, 2.4)
    ends = base.mean(0) + zoom * np.array([(-half, 0.5), (half, 0.5), (-half, 4), (half, 4)])
    _fill_hull(picture, np.r_[base, ends], rng.uniform(20, 230, 3))


def _background(size: int, rng: Generator) -> Array:
    """Clutter (S, S, 3): shapes over smooth noise, more or less out of focus."""
    grain = int(rng.integers(2, 12))
    noise = _refine(
        rng.normal(size=(grain, grain, 1)) + 0.3 * rng.normal(size=(grain, grain, 3)),
        (size, size),
    )
    picture = rng.uniform(50, 200) + rng.normal(0, 20, 3) + rng.uniform(5, 40) * noise
    for _ in range(rng.integers(0, 12)):
        corners = rng.uniform(0, size, 2) + rng.normal(0, 0.2 * size, (rng.integers(3, 9), 2))
        _fill_hull(picture, corners, rng.uniform(0, 230) + rng.normal(0, 25, 3))
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), size * rng.uniform(0.003, 0.03)))


def _fill_hull(picture: Array, points: Array, colour: Array) -> None:
    hull = cv2.convexHull(np.rint(points).astype(np.int32))
    cv2.fillConvexPoly(picture, hull, tuple(np.asarray(colour, dtype=float)))


def _expose(picture: Array, rng: Generator) -> NDArray[np.uint8]:
    """What the camera makes of the scene: blur, brightness, sensor noise, 8 bits."""
    size = len(picture)
    blurred = cv2.GaussianBlur(picture, (0, 0), size / 160 * rng.uniform(0.3, 0.9))
    noise = rng.uniform(1, 6) * rng.standard_normal((size, size, 3), dtype=np.float32)
    return np.clip(blurred * rng.uniform(0.75, 1.15) + noise, 0, 255).astype(np.uint8)


def _visible(landmarks: Array, depth: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which landmarks (68, 3) lie less than 0.15 head units behind the surface drawn there."""
    column, row = np.clip(np.rint(landmarks[:, :2]).astype(int), 0, len(depth) - 1).T
    return landmarks[:, 2] > cv2.erode(depth, np.ones((3, 3)))[row, column] - 0.15


def _detect(points: Array, distribution: FaceDistribution, rng: Generator) -> Array:
    low, high = points.min(0), points.max(0)
    side = (high - low).max()
    centre = (low + high) / 2 + side * rng.normal(0, distribution.box_shift, 2)
    half = side / 2 * np.exp(rng.normal(0, distribution.box_scale))
    return np.concatenate([centre - half, centre + half])


# --- small tools ----------------------------------------------------------------------------------


def _refine(grid: Array, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Resamples a grid (h, w, C) to ``shape``; the cells of both tile the same area."""
    small = grid.astype(np.float32)
    return np.asarray(cv2.resize(small, shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _blend(palette: Array, rng: Generator) -> Array:
    return rng.dirichlet(np.full(len(palette), 0.5)) @ palette


def _unit(vectors: Array) -> Array:
    return vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-9)
