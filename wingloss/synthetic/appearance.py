"""What a head is painted with: skin, brows, lips, lids and beard.

Masks are drawn once on the mean head's grid; the shape carries them along. A face mixes them with
its own colours. Colours are linear light.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline

from wingloss.synthetic.head import (
    LANDMARKS,
    Array,
    Field,
    angles,
    grid_coordinates,
    head_grid,
)
from wingloss.synthetic.raster import Sheet, refine


def linear(colour: ArrayLike) -> Array:
    """Linear light (0 to 1) of a colour in 0 to 255."""
    return np.clip(np.asarray(colour, float) / 255, 0, 1) ** 2.2


SKIN = linear(
    [(238, 197, 172), (229, 178, 147), (214, 164, 128), (178, 124, 90), (120, 78, 54), (78, 50, 36)]
)
HAIR = linear(
    [
        (26, 21, 19),
        (52, 34, 24),
        (92, 60, 36),
        (140, 98, 56),
        (200, 164, 104),
        (128, 58, 30),
        (150, 148, 146),
        (215, 213, 210),
    ]
)


@dataclass(frozen=True)
class Person:
    """Colours and traits that several parts share."""

    skin: Array  # (3,)
    hair: Array  # (3,)
    male: bool
    age: float  # 0 young to 1 old


def draw_person(rng: Generator) -> Person:
    dark = rng.beta(1.1, 1.9) * (len(SKIN) - 1)
    low = int(min(dark, len(SKIN) - 2))
    skin = SKIN[low] + (dark - low) * (SKIN[low + 1] - SKIN[low])
    skin = skin * np.exp(rng.normal(0, (0.04, 0.05, 0.08)))
    age = rng.beta(1.2, 2)
    shades = [0.3, 0.25, 0.17, 0.12, 0.1, 0.06] if dark < 2.5 else [0.75, 0.22, 0.03, 0, 0, 0]
    hair = HAIR[rng.choice(6, p=shades)] * np.exp(rng.normal(0, 0.2))
    grey = np.clip((age - 0.62) * 3, 0, 1) * rng.random()
    hair = hair + grey * (HAIR[rng.integers(6, 8)] - hair)
    return Person(skin, np.clip(hair, 0.004, 0.8), bool(rng.random() < 0.55), float(age))


# --- masks on the mean head -----------------------------------------------------------------------


def _arc(points: Array, count: int = 24) -> Array:
    """A smooth curve (count, 3) through points (N, 3)."""
    return CubicSpline(np.arange(len(points)), points)(np.linspace(0, len(points) - 1, count))


def _loop(upper: list[int], lower: list[int]) -> Array:
    return np.concatenate([_arc(LANDMARKS[upper]), _arc(LANDMARKS[lower])[1:-1]])


MOUTH = _loop([60, 61, 62, 63, 64], [64, 65, 66, 67, 60])
LIPS = _loop([*range(48, 55)], [54, 55, 56, 57, 58, 59, 48])
EYES = (_loop([36, 37, 38, 39], [39, 40, 41, 36]), _loop([42, 43, 44, 45], [45, 46, 47, 42]))
UPPER_LIDS = (_arc(LANDMARKS[36:40]), _arc(LANDMARKS[[45, 44, 43, 42]]))  # from the outer corner
LOWER_LIDS = (_arc(LANDMARKS[[36, 41, 40, 39]]), _arc(LANDMARKS[[45, 46, 47, 42]]))
BROWS = (LANDMARKS[17:22], LANDMARKS[[26, 25, 24, 23, 22]])  # from the outer end


class Masks:
    """Shares (0 to 1) of each fine cell (H, W) of the head grid."""

    def __init__(self, size: int) -> None:
        self.shape = (21 * size // 10, 27 * size // 10)
        rng = np.random.default_rng(0)
        self.place = refine(head_grid().mean, self.shape)
        x, y, z = np.moveaxis(self.place, -1, 0)
        side, front = abs(x), np.clip((z + 0.75) / 0.3, 0, 1)
        longitude, self.latitude = angles(self.place.astype(float))
        self.longitude = longitude

        def blob(*centre: float, width: float) -> Field:
            away = (side - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2
            return np.exp(-away / (2 * width**2))

        self.mouth = self.region([MOUTH], 0) > 0.5
        self.lips = self.region([LIPS], 0.014)
        self.eyes = self.region(EYES, 0) > 0.5
        self.lids = np.clip(
            1.3
            * self.region([np.r_[lid, (lid + [0, -0.085, 0])[::-1]] for lid in UPPER_LIDS], 0.03),
            0,
            1,
        )
        self.lashes = self.strokes(UPPER_LIDS, 0.038, 0.007)
        self.low_lashes = self.strokes([lid + [0, 0.008, 0] for lid in LOWER_LIDS], 0.014, 0.008)
        self.crease = self.strokes([lid[1:-2] + [0, -0.075, 0] for lid in UPPER_LIDS], 0.016, 0.01)
        self.socket = np.maximum(
            blob(0.26, -0.05, 0.1, width=0.1), 0.7 * blob(0.5, -0.14, 0, width=0.13)
        )
        self.bags = self.strokes([lid[3:] + [0, 0.1, 0] for lid in LOWER_LIDS], 0.03, 0.03)
        self.nostrils = self.region(
            [
                LANDMARKS[i] + [s * 0.015, -0.03, 0] + _ellipse(0.06, 0.034)
                for i, s in ((32, -1), (34, 1))
            ],
            0.012,
        )
        wing = np.array(
            [(0.27, 0.5, 0.25), (0.31, 0.58, 0.22), (0.29, 0.67, 0.24), (0.22, 0.71, 0.3)]
        )
        fold = np.array(
            [(0.33, 0.64, 0.2), (0.47, 0.82, 0.12), (0.55, 1.02, 0.03), (0.55, 1.15, 0)]
        )
        self.wings = self.strokes(_both(wing), 0.03, 0.018)
        self.folds = self.strokes(_both(fold), 0.03, 0.025)
        across = np.linspace(-0.55, 0.55, 9)
        self.wrinkles = self.strokes(
            [
                np.stack([across, level + 0.03 * np.cos(4 * across), 0.15 - 0.3 * across**2], -1)
                for level in (-0.58, -0.7, -0.82)
            ],
            0.02,
            0.03,
        )
        self.lip_line = self.strokes([_arc(LANDMARKS[[48, 60, 61, 62, 63, 64, 54]])], 0.02, 0.012)
        self.blush = np.clip(
            blob(0.62, 0.5, 0, width=0.22) + 0.7 * blob(0, 0.55, 0.5, width=0.16), 0, 1
        )
        self.philtrum = self.strokes([np.array([(0, 0.77, 0.37), (0, 0.9, 0.37)])], 0.06, 0.03)
        jaw = np.interp(side, (0, 0.3, 0.45, 0.7, 1.05), (1.32, 1.26, 0.95, 0.9, 0.3))
        self.jaw = np.clip((y - jaw.astype(np.float32)) / 0.12, 0, 1) * np.clip(
            (z + 1.0) / 0.15, 0, 1
        )
        self.jaw *= np.clip((1.75 - y) / 0.1, 0, 1)
        above = 0.77 + 0.35 * np.clip(side - 0.12, 0, 1)  # the moustache's upper edge
        self.moustache = np.clip((0.5 - side) / 0.12, 0, 1) * np.clip((y - above) / 0.08, 0, 1)
        self.moustache *= np.clip((1.1 - y) / 0.12, 0, 1) * front
        self.goatee = np.clip((0.38 - side) / 0.12, 0, 1) * np.clip((y - 1.25) / 0.1, 0, 1) * front
        self.goatee *= np.clip((1.78 - y) / 0.1, 0, 1)
        # A beard thins out towards its edge.
        edge = 0.05 * self._scale()
        self.jaw, self.moustache, self.goatee = (
            np.asarray(cv2.GaussianBlur(np.asarray(area, np.float32), (0, 0), edge))
            for area in (self.jaw, self.moustache, self.goatee)
        )
        self.stubble = np.clip(self.jaw + self.moustache + self.goatee, 0, 1)
        self.freckle = np.clip(
            blob(0.45, 0.35, 0.05, width=0.25) + blob(0, 0.3, 0.4, width=0.2), 0, 1
        )
        self.brows = [self._brow(rng, width) for width in (0.055, 0.075, 0.095, 0.115)]
        self.noise = [self._noise(rng, cells) for cells in (0, 3, 9)]
        self.strands = cv2.resize(
            rng.normal(size=(14, self.shape[1] // 2)).astype(np.float32), self.shape[::-1]
        )
        hairs = rng.normal(size=self.shape).astype(np.float32)
        whiskers = np.asarray(cv2.GaussianBlur(hairs, (0, 0), 0.8, sigmaY=3))
        self.whiskers = whiskers / whiskers.std()

    def cells(self, points: Array, scale: int) -> Array:
        row, column = grid_coordinates(*angles(points))
        return np.stack([column * self.shape[1], row * self.shape[0]], -1) * scale - 0.5

    def region(self, outlines: list[Array] | tuple[Array, ...], soft: float) -> Field:
        """The inside of outlines (N, 3); its edge is blurred by ``soft`` head units."""
        canvas = np.zeros((self.shape[0] * 3, self.shape[1] * 3), np.uint8)
        for outline in outlines:
            cv2.fillPoly(
                canvas, [np.rint(self.cells(outline, 3) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4
            )
        return self._soften(canvas, soft)

    def strokes(self, curves: list[Array] | tuple[Array, ...], width: float, soft: float) -> Field:
        """Curves (N, 3) drawn ``width`` head units thick."""
        canvas = np.zeros((self.shape[0] * 3, self.shape[1] * 3), np.uint8)
        thick = max(1, round(width * self._scale() * 3))
        for curve in curves:
            cv2.polylines(
                canvas,
                [np.rint(self.cells(curve, 3) * 16).astype(np.int32)],
                False,
                255,
                thick,
                cv2.LINE_AA,
                4,
            )
        return self._soften(canvas, soft)

    def _scale(self) -> float:
        return self.shape[0] / (np.pi * 1.3)  # cells a head unit at the front of the face

    def _soften(self, canvas: NDArray[np.uint8], soft: float) -> Field:
        values = canvas.astype(np.float32) / 255
        if soft:
            blurred = cv2.GaussianBlur(values, (0, 0), soft * self._scale() * 3)
            values = np.asarray(blurred, np.float32)
        return np.asarray(cv2.resize(values, self.shape[::-1], interpolation=cv2.INTER_AREA))

    def _brow(self, rng: Generator, width: float) -> Field:
        """Hair strokes along both brows, thick at the inner end."""
        hairs = []
        for brow in BROWS:
            outwards = np.sign(brow[0, 0])
            for _ in range(150):
                t = rng.uniform(0, 1) ** 0.8
                base = _arc(brow, 101)[int(100 * t)]
                spread = width * min(1, 0.35 + 1.1 * t) * (1 if t < 0.92 else 0.7)
                base = base + [0, rng.uniform(-0.5, 0.5) * spread, 0.0]
                lean = rng.normal([outwards * 0.05, -0.02 - 0.03 * t, 0], [0.012, 0.012, 0])
                hairs.append(np.array([base, base + lean]))
        return np.clip(
            self.strokes(hairs, 0.011, 0.004) * 1.15 + 0.35 * self.strokes(hairs, 0.03, 0.02), 0, 1
        )

    def _noise(self, rng: Generator, blur: int) -> Field:
        noise = rng.normal(size=self.shape).astype(np.float32)
        if blur:
            noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), blur), np.float32)
        return noise / noise.std()


def _both(curve: Array) -> list[Array]:
    return [curve, curve * [-1, 1, 1]]


def _ellipse(width: float, height: float) -> Array:
    """An outline (24, 3) round the origin with half axes ``width`` and ``height``."""
    angle = np.arange(24) / 12 * np.pi
    return np.stack([width * np.cos(angle), height * np.sin(angle), 0 * angle], axis=-1)


@lru_cache(maxsize=2)
def masks(size: int) -> Masks:
    return Masks(size)


# --- a face's own paint ---------------------------------------------------------------------------


def paint_head(surface: Field, person: Person, scalp: Field, size: int, rng: Generator) -> Sheet:
    """The head's skin; ``scalp`` is the hair's share (h, w) of the coarse grid's points."""
    of, skin = masks(size), person.skin.astype(np.float32)
    hair = person.hair.astype(np.float32)
    shift = tuple(rng.integers(0, 200, 2))
    fine, patches, large = (np.roll(noise, shift, (0, 1)) for noise in of.noise)
    colour = np.empty((*of.shape, 3), np.float32)
    tone = np.exp(0.035 * patches + 0.05 * large + (0.015 + 0.03 * person.age) * fine)
    blush = of.blush * rng.uniform(0.05, 0.35)
    warm = 0.04 * large + blush
    for channel, weight in enumerate((0.1, -1, -0.8)):
        colour[..., channel] = skin[channel] * tone * (1 + weight * warm)

    def mix(share: Field, target: ArrayLike) -> None:
        nonlocal colour
        target = np.broadcast_to(np.asarray(target, np.float32), colour.shape)
        rows = np.flatnonzero(share.max(axis=1) > 0.004)
        if not len(rows):
            return
        part = slice(rows[0], rows[-1] + 1)
        colour[part] += share[part, :, None] * (target[part] - colour[part])

    made_up = not person.male and rng.random() < 0.6
    if rng.random() < 0.15 and skin[0] > 0.3:
        mix(0.3 * of.freckle * (fine > 1.2), skin * [0.6, 0.45, 0.3])
    mix(rng.uniform(0.1, 0.35) * of.socket, skin * [0.55, 0.4, 0.38])
    mix((0.15 + 0.3 * person.age) * of.bags * rng.random(), skin * [0.6, 0.45, 0.42])
    mix((0.1 + 0.4 * person.age) * of.folds, skin * [0.6, 0.45, 0.4])
    mix(0.35 * of.wings, skin * [0.5, 0.33, 0.28])
    mix(0.6 * person.age**2 * of.wrinkles, skin * [0.6, 0.45, 0.4])
    mix(0.5 * of.crease, skin * [0.35, 0.22, 0.2])
    if made_up:
        mix(rng.uniform(0.2, 0.6) * of.lids, linear(rng.uniform(40, 150, 3)))
    rose = skin * rng.uniform((0.75, 0.32, 0.33), (0.95, 0.5, 0.54))
    if made_up:
        rose = rose + rng.uniform(0.2, 0.7) * (
            linear(rng.uniform((140, 10, 20), (210, 70, 90))) - rose
        )
    mix(0.85 * of.lips, rose)
    mix(0.75 * of.lip_line, rose * 0.2)
    mix(of.nostrils * 0.9, skin * [0.06, 0.03, 0.02])
    height = 0.0012 * fine + 0.0015 * patches - 0.012 * of.crease - 0.012 * of.wings
    height += 0.02 * of.lips - 0.02 * of.lip_line - 0.025 * of.nostrils - 0.008 * of.philtrum
    height -= (0.004 + 0.02 * person.age) * of.folds
    height -= 0.012 * person.age * (of.wrinkles + of.bags)
    gloss = 0.1 + 0.12 * of.lips + 0.02 * fine

    if person.male:
        shade = rng.uniform(0.0, 0.35)
        mix(of.stubble * shade * (0.6 + 0.25 * fine).clip(0, 1), hair * 0.5 + skin * 0.12)
        if rng.random() < 0.35:
            parts = rng.choice(4, p=[0.45, 0.2, 0.2, 0.15])
            area = (of.stubble, of.moustache, np.maximum(of.moustache, of.goatee), of.jaw)[parts]
            thick = rng.uniform(0.6, 1.6)
            strands = of.whiskers[:, ::-1] if rng.random() < 0.5 else of.whiskers
            area = (area * (1 - of.lips)).clip(0)
            mix(
                np.clip(area**1.5 * (thick + 0.25 * strands), 0, 0.97),
                (hair * 0.85)[None, None] * np.exp(0.2 * strands)[..., None],
            )
            height += 0.002 * area * strands + 0.02 * thick * area
            gloss *= 1 - 0.7 * area
    brow = of.brows[rng.integers(1, 4) if person.male else rng.integers(0, 3)]
    mix(np.clip(rng.uniform(0.65, 1.1) * brow, 0, 0.96), hair * 0.55 + skin * 0.03)
    lash = rng.uniform(0.9, 1) if made_up else rng.uniform(0.65, 0.9)
    mix(lash * of.lashes, skin * 0.03 + 0.01)
    mix(0.35 * lash * of.low_lashes, skin * 0.1)
    cover = refine(scalp, of.shape)
    mix(np.clip(cover + 0.35 * of.strands * cover * (1 - cover) * 4, 0, 1), hair * 0.6)
    gloss *= 1 - cover
    return Sheet(
        surface,
        colour,
        gloss.astype(np.float32),
        height.astype(np.float32),
        ~(of.eyes | of.mouth),
        skin=True,
        closed=True,
    )
