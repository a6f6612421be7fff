"""Hair as a sheet of strands that run from the crown over the skull and fall from there."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from wingloss.synthetic.appearance import Person, linear
from wingloss.synthetic.head import CENTRE, Array, Field, angles, directions, head_grid, sample
from wingloss.synthetic.raster import Sheet, refine

# The hairline's latitude in degrees for longitudes from the front (0) to the nape (180).
AROUND = np.array([0, 30, 48, 58, 72, 82, 95, 108, 122, 150, 180])
LINE = np.array([-49, -48, -43, -36, -15, -6, -19, -14, 8, 26, 29])
STYLES = (
    "bald",
    "buzz",
    "short",
    "short",
    "side",
    "fringe",
    "curly",
    "long",
    "long",
    "bob",
    "tied",
    "receding",
    "hat",
)


@dataclass(frozen=True)
class Hair:
    """A cut: where on the skull it grows, how thick it is and how far it hangs."""

    style: str
    line: Array  # (361,): latitude in degrees where hair ends on the skull, longitudes -180 to 180
    volume: float  # head units
    fall: Array  # (361,): how far it hangs down from there, head units
    parting: float  # longitude in degrees

    def scalp(self) -> Field:
        """How far (0 to 1) hair covers the coarse head grid's points."""
        longitude, latitude = angles(head_grid().mean.astype(float))
        edge = np.interp(np.rad2deg(longitude), np.arange(-180, 181), np.minimum(self.line, 32))
        if self.style == "hat":
            edge = np.interp(abs(np.rad2deg(longitude)), AROUND, LINE)
        cover = np.clip(0.5 + (edge - np.rad2deg(latitude)) / 8, 0, 1)
        if self.style == "bald":
            cover *= 0
        elif self.style == "receding":
            cover *= np.clip((abs(np.rad2deg(longitude)) - 80) / 10, 0, 1)
            cover *= np.clip(0.5 + (np.rad2deg(latitude) + 32) / 12, 0, 1)
        return cover.astype(np.float32)


def draw_hair(person: Person, over_eye: bool, rng: Generator) -> Hair:
    """A random hair style; ``over_eye`` lets it hang over the forehead and one eye."""
    degrees = np.arange(-180, 181)
    away = abs(degrees)
    line = np.interp(away, AROUND, LINE) + 3 * rng.normal()
    line += cv2.GaussianBlur(rng.normal(size=(1, 361)), (0, 0), 4)[0] * 5
    common = np.array([0.09, 0.13, 0.2, 0.13, 0.14, 0.05, 0.08, 0.03, 0.01, 0.02, 0.02, 0.1, 0.06])
    if not person.male:
        common = np.array(
            [0.01, 0.01, 0.03, 0.03, 0.05, 0.08, 0.13, 0.25, 0.2, 0.14, 0.13, 0, 0.05]
        )
    style = "side" if over_eye else str(rng.choice(STYLES, p=common / common.sum()))
    volume = {"buzz": 0.02, "curly": 0.28, "receding": 0.05, "tied": 0.05, "hat": 0.17}.get(
        style, 0.12
    )
    volume *= rng.uniform(0.75, 1.4)
    fall = np.zeros(361)
    parting = float(rng.choice([-1, 1]) * rng.uniform(8, 40))
    if style == "hat":
        line = np.full(361, rng.uniform(-48, -42)) + 5 * np.cos(np.deg2rad(degrees)) ** 2
        line += 6 * np.clip(away / 90 - 1, 0, 1)
    if style in ("side", "fringe") or (style in ("long", "bob") and rng.random() < 0.35):
        lean = np.exp(-(((degrees + 0.7 * parting) / 38) ** 4))
        drop = rng.uniform(8, 17) if style == "side" else rng.uniform(15, 21)
        drop = drop + 26 if over_eye else drop
        line = line + drop * lean
    if style in ("long", "bob", "curly"):
        open_ = rng.uniform(46, 72)  # longitude where the curtain begins
        side = np.clip((away - open_) / 26, 0, 1)
        length = {"bob": 0.7, "long": rng.uniform(1.0, 2.6), "curly": rng.uniform(0, 1.0)}[style]
        line = line * (1 - side) + side * np.maximum(line, 6)
        fall = side * length * (1 + 0.05 * rng.normal(size=361))
    return Hair(style, line, float(volume), fall, parting)


def hair_sheets(
    hair: Hair, surface: Field, person: Person, size: int, rng: Generator
) -> list[Sheet]:
    """The strands' sheets, unturned, for a head's surface (ROWS, COLUMNS, 3)."""
    if hair.style == "bald":
        return []
    rows, columns = 44, 100
    degrees = np.linspace(-180, 180, columns)
    line = np.deg2rad(np.interp(degrees, np.arange(-180, 181), hair.line))
    fall = np.interp(degrees, np.arange(-180, 181), hair.fall)
    along = np.linspace(0, 1, rows)[:, None]
    knee = 1.5 / (1.5 + fall.max())  # the share of the rows that lie on the skull
    on_skull = np.clip(along / knee, 0, 1)
    start = -1.45 if hair.style != "receding" else -0.55
    latitude = start + on_skull * (line - start)
    longitude = np.deg2rad(degrees)[None] + 0 * latitude
    skull = sample(surface, longitude, latitude).astype(float)
    rays = directions(longitude, latitude)
    thick = hair.volume * np.clip(4 * (1 - on_skull), 0.12 if not fall.any() else 0, 1)
    thick = np.maximum(thick, hair.volume * np.clip(fall, 0, 1))
    over_ears = np.exp(-(((abs(degrees) - 102) / 16) ** 2)) * np.clip(fall, 0, 1)
    thick += 0.2 * over_ears * np.clip((latitude + 0.6) / 0.4, 0, 1)
    if hair.style in ("short", "side", "fringe"):
        thick *= 1 + 0.9 * np.clip(np.cos(longitude), 0, 1) * np.clip(-latitude - 0.5, 0, 1)
        thick *= np.where(abs(degrees) > 65, 0.65, 1)
    groove = np.exp(-(((degrees - hair.parting) / 9) ** 2)) * (abs(degrees) < 90)
    thick *= 1 - 0.6 * groove
    coarse = rng.normal(size=(14, 30)) if hair.style == "curly" else rng.normal(size=(3, 24))
    lumps = cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_CUBIC)
    thick = thick * (1 + (0.22 if hair.style == "curly" else 0.14) * lumps) + 0.015
    points = skull + thick[..., None] * rays
    if fall.any():
        drop = np.clip((along - knee) / (1 - knee), 0, 1)
        points[..., 1] += drop * fall
        wave = rng.uniform(0, 0.07) * np.sin(
            drop * rng.uniform(4, 9) * max(fall.max(), 0.5) + 0.02 * degrees
        )
        outward = 1 + 0.12 * np.sin(np.pi * drop) + wave
        points[..., [0, 2]] = (
            CENTRE[[0, 2]] + (points[..., [0, 2]] - CENTRE[[0, 2]]) * outward[..., None]
        )
        narrow = 0.18 * np.clip(drop - 0.5, 0, 1) * np.clip(fall, 0, 1)
        points[..., 0] *= 1 - narrow

    shape = (int(size * 1.1 / knee), size * 3)
    strands = refine(rng.normal(size=(5, shape[1] // 2)), shape)
    clumps = refine(rng.normal(size=(4, 60)), shape)
    ends = refine(along + 0 * latitude, shape)
    tone = np.exp(0.3 * strands + 0.22 * clumps)
    tone *= 0.45 + 0.55 * np.clip(ends * 4, 0, 1) if hair.style == "tied" else 1.0
    tone *= 1 - 0.5 * refine(groove[None] + 0 * latitude, shape) * (ends < 0.6)
    # Clumps of strands end at different lengths.
    ragged = 0.05 if hair.style in ("fringe", "side", "bob") else 0.09
    shown = ends < 1 - ragged * np.clip(1 + 0.8 * strands + 0.7 * clumps, 0, 3)
    if hair.style == "buzz":
        shown &= np.zeros(shape, bool)
    elif hair.style == "receding":
        shown &= abs(refine(degrees[None] + 0 * latitude, shape)) > 84 + 5 * clumps
    stretch = np.linalg.norm(np.gradient(points, axis=1), axis=-1)
    shown &= refine(stretch, shape) < 0.2  # no hair spans the gap from fringe to curtain
    if hair.style == "hat":
        dye = linear(np.clip(rng.uniform(15, 200) + rng.normal(0, 40, 3), 8, 230))
        hem = np.where(ends > 0.82, 0.75, 1.0)
        knit = 0.012 * np.sin(np.arange(shape[1]) * rng.uniform(0.5, 1.0))[None] * np.ones(shape)
        cloth = (dye * hem[..., None]).astype(np.float32)
        return [Sheet(points, cloth, 0.02, knit.astype(np.float32), closed=True)]
    gloss = 0.05 + 0.35 * float(person.hair.mean()) * rng.uniform(0.5, 1.3)
    colour = person.hair.astype(np.float32) * tone[..., None]
    sheets = [
        Sheet(
            points,
            colour,
            gloss,
            (0.018 * strands + 0.02 * clumps).astype(np.float32),
            shown,
            strands=True,
            closed=not fall.any(),
        )
    ]
    if hair.style == "tied":
        theta, phi = np.meshgrid(np.linspace(0, 2 * np.pi, 40), np.linspace(0.05, np.pi - 0.05, 30))
        centre = np.array([0, rng.uniform(-1.3, -0.3), -2.5])
        if centre[1] < -0.8:
            centre[2] += 0.45
        ball = directions(theta, phi - np.pi / 2) * rng.uniform(0.35, 0.55) + centre
        cells = (size * 2 // 3, size)
        lines = refine(rng.normal(size=(3, 40)), cells)
        sheets.append(
            Sheet(
                ball,
                person.hair.astype(np.float32) * np.exp(0.3 * lines)[..., None],
                gloss,
                0.02 * lines,
                strands=True,
            )
        )
    return sheets
