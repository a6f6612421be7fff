"""What shows through a head's openings: eyeballs, teeth, tongue."""

import numpy as np
from numpy.random import Generator

from wingloss.synthetic.appearance import linear
from wingloss.synthetic.head import Array, directions
from wingloss.synthetic.raster import Sheet

IRIS = linear([(58, 34, 18), (92, 62, 34), (84, 104, 66), (78, 116, 152), (110, 126, 138)])


def eyeballs(controls: Array, rng: Generator) -> list[Sheet]:
    """Two ellipsoids behind the lids with iris, pupil and the lid's shadow."""
    longitude, latitude = np.meshgrid(np.linspace(-1.4, 1.4, 96), np.linspace(-1.1, 1.1, 76))
    rays = directions(longitude, latitude)
    white = 0.52 * linear(rng.uniform((215, 205, 200), (250, 244, 240)))
    iris = rng.dirichlet(np.full(len(IRIS), 0.3)) @ IRIS * rng.uniform(0.4, 0.9)
    gaze = rng.normal(0, (0.2, 0.08))
    forward = directions(*gaze)
    pupil = rng.uniform(0.19, 0.3)
    spokes = rng.normal(size=64)
    sheets = []
    for ring in (controls[36:42], controls[42:48]):
        middle = ring[[0, 3]].mean(0)
        middle[1] = 0.5 * middle[1] + 0.5 * ring[[4, 5]].mean(0)[1] - 0.04
        radii = np.array([0.265, 0.22, 0.22])
        middle[2] = ring[[1, 2, 4, 5], 2].mean() - 0.015 - radii[2]  # behind both lids
        points = middle + rays * radii
        off = np.arccos(np.clip(rays @ forward, -1, 1))
        turn = np.arctan2(latitude - gaze[1], longitude - gaze[0])
        fibre = 1 + 0.15 * np.interp(turn, np.linspace(-np.pi, np.pi, 64), spokes)
        disc = np.clip((0.47 - off) / 0.05, 0, 1)[..., None]
        limb = np.clip(1 - abs(off - 0.44) / 0.09, 0, 1)[..., None]
        hole = np.clip((pupil - off) / 0.04, 0, 1)[..., None]
        vein = 1 - np.clip(abs(longitude) - 0.5, 0, 1)[..., None] * [0.05, 0.35, 0.35]
        colour = white * vein * (1 - disc) + disc * iris * fibre[..., None] * (1 - 0.8 * limb)
        colour = colour * (1 - hole) + 0.004 * hole
        order = ring[:4][np.argsort(ring[:4, 0])]  # the upper lid from left to right
        below = points[..., 1] - np.interp(points[..., 0], order[:, 0], order[:, 1])
        colour *= np.clip(0.4 + below / 0.11, 0.3, 1)[..., None]  # its shadow
        colour *= np.clip((below - 0.004) / 0.022, 0.06, 1)[..., None]  # lashes seen against white
        sheets.append(Sheet(points[::4, ::4], colour.astype(np.float32), 0.65))
    return sheets


def mouth_inside(controls: Array, rng: Generator) -> list[Sheet]:
    """Teeth, tongue and the dark behind them."""
    upper, lower = controls[62], controls[66]
    half = abs(controls[64, 0] - controls[60, 0]) / 2
    middle = (upper + lower) / 2
    across, down = np.meshgrid(np.linspace(-1, 1, 96), np.linspace(0, 1, 24))
    ivory = linear(rng.uniform((205, 190, 165), (248, 242, 230)))
    x = 1.0 * half * across
    arch = -0.15 - 0.9 * x**2
    sheets = []
    widths = abs(np.sin(across * 1.5 * np.pi * (1.5 - 0.3 * abs(across))))
    gaps = np.clip(widths / 0.2, 0.72, 1)
    for lip, start, length in ((upper, -0.1, 0.17), (lower, 0.1, -0.14)):
        bite = lip[1] + start + length * (down - 0.12 * down * (1 - widths))
        points = np.stack([middle[0] + x, bite, lip[2] + arch - (0.03 if start > 0 else 0)], -1)
        gum = np.clip((0.4 - down) / 0.1, 0, 1)[..., None]
        dim = (gaps * (1.05 - 0.75 * across**2) * (0.8 if start > 0 else 1))[..., None]
        colour = (ivory * (1 - gum) + linear((170, 85, 85)) * gum) * dim * 0.48
        sheets.append(Sheet(points[::4, ::4], colour.astype(np.float32), 0.15))
    wall = np.stack(
        [
            middle[0] + 0.95 * half * across,
            middle[1] + (down - 0.5) * 1.1,
            middle[2] - 0.3 - 1.6 * x**2,
        ],
        -1,
    )
    sheets.append(
        Sheet(wall[::4, ::4], np.full((24, 96, 3), linear((48, 14, 14)), np.float32), 0.0)
    )
    bulge = np.sqrt(np.clip(1 - across**2, 0, 1))
    tongue = np.stack(
        [
            middle[0] + 0.6 * half * across,
            lower[1] + 0.12 - 0.1 * bulge * (1 - down),
            lower[2] - 0.1 - 0.3 * (1 - down) + 0 * x,
        ],
        -1,
    )
    sheets.append(
        Sheet(tongue[::4, ::4], np.full((24, 96, 3), linear((150, 70, 70)), np.float32), 0.2)
    )
    return sheets
