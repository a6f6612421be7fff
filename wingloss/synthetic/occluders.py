"""What hides parts of a face: glasses, a hand, a mask, a microphone, a cup, a scarf.

Sheets are in the head frame.
"""

import cv2
import numpy as np
from numpy.random import Generator

from wingloss.synthetic.appearance import Person, linear
from wingloss.synthetic.body import draw_cloth
from wingloss.synthetic.head import CENTRE, Array, Field, directions, sample, unit
from wingloss.synthetic.raster import Sheet, refine


def tube(
    path: Array,
    radius: Array | float,
    colour: Array,
    cells: tuple[int, int],
    gloss: float = 0.4,
    skin: bool = False,
) -> Sheet:
    """A round rod (N, 3) along a path; ``radius`` may change along it."""
    along = unit(np.gradient(path, axis=0))
    helper = np.where(abs(along[:, 2:]) < 0.8, [[0.0, 0, 1]], [[0.0, 1, 0]])
    one = unit(np.cross(along, helper))
    two = np.cross(along, one)
    angle = np.linspace(0, 2 * np.pi, 11)
    ring = np.cos(angle)[:, None] * one[:, None] + np.sin(angle)[:, None] * two[:, None]
    points = path[:, None] + np.broadcast_to(radius, len(path))[:, None, None] * ring
    return Sheet(points, np.full((*cells, 3), colour, np.float32), gloss, skin=skin)


def glasses(controls: Array, size: int, dark: bool, rng: Generator) -> list[Sheet]:
    """Frames with temples, and dark lenses if asked for."""
    bridge = controls[27] + [0, 0.05, 0.07]
    tint = linear(
        rng.choice([(20, 18, 18), (60, 38, 24), (120, 120, 125), (150, 110, 60), (110, 20, 24)])
    )
    thick = rng.uniform(0.012, 0.03)
    half = rng.uniform((0.34, 0.2), (0.44, 0.36))
    power = rng.uniform(2, 4.5)
    angle = np.linspace(0, 2 * np.pi, 44)
    lens = linear(rng.uniform(4, 50, 3))
    sheets = []
    for side, ring in ((-1, controls[36:42]), (1, controls[42:48])):
        middle = ring.mean(0)
        middle = np.array(
            [side * max(abs(middle[0]), half[0] + 0.1), middle[1] + 0.04, bridge[2] + 0.0]
        )
        circle = np.stack(
            [
                np.sign(np.cos(angle)) * abs(np.cos(angle)) ** (2 / power),
                np.sign(np.sin(angle)) * abs(np.sin(angle)) ** (2 / power),
            ],
            -1,
        )
        rim = middle + np.c_[circle * half, np.zeros(44)]
        rim[:, 2] -= 0.25 * np.clip(abs(rim[:, 0]) - 0.3, 0, 1) ** 1.5
        sheets.append(tube(rim, thick, tint, (size * 5 // 4, size // 10)))
        inner = np.array([side * 0.06, bridge[1] - 0.02, bridge[2] + 0.03])
        start = middle + [-side * half[0], -0.06, 0]
        sheets.append(
            tube(
                np.linspace(start, inner - [side * 0.06, 0.0, 0], 6),
                thick,
                tint,
                (size // 4, size // 10),
            )
        )
        hinge = middle + [
            side * half[0],
            -0.08,
            -0.25 * max(abs(middle[0]) + half[0] - 0.3, 0) ** 1.5,
        ]
        ear = np.array([side * (abs(controls[16, 0]) + 0.08), -0.12, -1.25])
        sheets.append(tube(np.linspace(hinge, ear, 12), thick, tint, (size * 3 // 4, size // 10)))
        if dark:
            share = np.linspace(0, 1, 10)[:, None, None]
            points = middle + share * (rim[None] - middle) + [0, 0, -0.005]
            points[..., 2] = (
                middle[2]
                - 0.25 * np.clip(abs(points[..., 0]) - 0.3, 0, 1) ** 1.5
                + 0.05 * (1 - share[..., 0] ** 2)
            )
            shade = np.clip((points[..., 1:2] - middle[1]) / half[1] * 0.5 + 0.5, 0, 1)
            colour = refine(
                lens + 0.12 * (1 - shade) * rng.uniform(0.1, 1, 3), (size // 3, size * 6 // 5)
            )
            sheets.append(Sheet(points, colour, 0.7))
    return sheets


def hand(controls: Array, person: Person, size: int, rng: Generator) -> list[Sheet]:
    """Palm, fingers and forearm before a part of the face."""
    target = controls[rng.choice([8, 4, 12, 48, 54, 57, 33, 36, 45])] + [0, 0, 0.32]
    target[2] = max(target[2], 0.2)
    side = rng.choice([-1, 1])
    up = unit(np.array([-side * rng.uniform(0.0, 0.9), -1.0, 0.15]))
    across = unit(np.cross(up, [0, 0, 1]))
    colour = person.skin * [1.0, 0.9, 0.88]
    sheets = []
    curl = rng.uniform(0.0, 0.25)
    cells = (size // 2, size // 4)
    bend = np.linspace(0, 1, 12)[:, None]
    round_ = np.sqrt(np.clip(1 - np.linspace(-0.72, 1, 12) ** 6, 0.0, 1))
    for number, (place, length) in enumerate(
        ((-0.27, 0.62), (-0.09, 0.74), (0.09, 0.7), (0.27, 0.54))
    ):
        root = target + across * place * 1.05 + up * 0.02
        fan = unit(up + across * place * rng.uniform(0.1, 0.7))
        path = root + length * bend * fan + curl * bend**2 * np.array([0, 0, -0.7])
        knuckle = 1 + 0.12 * np.exp(-(((bend[:, 0] - 0.42) / 0.1) ** 2))
        sheets.append(
            tube(path, (0.092 - 0.004 * number) * round_ * knuckle, colour, cells, 0.1, True)
        )
    thumb = target - up * 0.3 + across * 0.32 * side
    path = thumb + 0.55 * bend * unit(up * 0.75 + across * side * 0.7)
    sheets.append(tube(path, 0.1 * round_, colour, cells, 0.1, True))
    longitude, latitude = np.meshgrid(np.linspace(-np.pi, np.pi, 24), np.linspace(-1.5, 1.5, 16))
    ball = directions(longitude, latitude) * [0.42, 0.46, 0.13]
    palm = (
        target
        - up * 0.32
        + ball[..., :1] * across
        + ball[..., 1:2] * up
        + ball[..., 2:] * np.array([0, 0, 1])
    )
    sheets.append(
        Sheet(
            palm,
            np.full((size * 2 // 3, size, 3), colour, np.float32),
            0.08,
            skin=True,
            closed=False,
        )
    )
    wrist = target - up * 0.6
    arm = wrist - np.linspace(0, 1, 8)[:, None] * (up * 3 - np.array([0, 0, -0.5]))
    sheets.append(
        tube(arm, np.linspace(0.25, 0.36, 8), colour * 0.95, (size * 3 // 2, size), 0.06, True)
    )
    return sheets


def mask(surface: Field, size: int, rng: Generator) -> list[Sheet]:
    """A cloth mask over nose, mouth and chin."""
    longitude, latitude = np.meshgrid(np.deg2rad(np.linspace(-82, 82, 50)), np.linspace(0, 1, 30))
    top = 9 + 13 * np.clip(abs(np.rad2deg(longitude)) / 40 - 0.35, 0, 1)
    latitude = np.deg2rad(top + latitude * (59 - top))
    skin = sample(surface, longitude, latitude).astype(float)
    radius = np.linalg.norm(skin - CENTRE, axis=-1)
    out = cv2.GaussianBlur(cv2.dilate(radius, np.ones((9, 9))), (0, 0), 2) + 0.1
    points = CENTRE + directions(longitude, latitude) * out[..., None]
    base = linear(
        rng.choice([(225, 232, 238), (130, 180, 215), (24, 24, 28), (150, 60, 70), (235, 235, 230)])
    )
    cells = (size * 6 // 5, size * 8 // 5)
    pleats = 0.02 * np.sin(np.linspace(0, 26, cells[0]))[:, None] * np.ones(cells)
    return [Sheet(points, np.full((*cells, 3), base, np.float32), 0.03, pleats.astype(np.float32))]


def thing(controls: Array, size: int, rng: Generator) -> list[Sheet]:
    """A microphone, a cup or a scarf."""
    kind = rng.choice(["microphone", "cup", "scarf"])
    mouth = controls[66]
    if kind == "scarf":
        angle = np.linspace(0, 2 * np.pi, 40)
        ring = np.stack(
            [
                1.12 * np.sin(angle),
                1.55 + 0.1 * np.sin(3 * angle) - rng.uniform(0.1, 0.5),
                -0.85 + 1.15 * np.cos(angle),
            ],
            -1,
        )
        cloth, folds = draw_cloth((size * 2, size * 3 // 2), rng)
        sheet = tube(
            ring, 0.42 + 0.04 * np.sin(5 * angle), np.ones(3), (size * 2, size * 3 // 2), 0.03
        )
        sheet.colour, sheet.height = cloth, folds * 1.5
        return [sheet]
    lean = np.array([rng.normal(0, 0.5), 1.0, rng.uniform(0.2, 0.6)])
    top = mouth + [rng.normal(0, 0.15), rng.uniform(0.05, 0.2), 0.3]
    if kind == "microphone":
        longitude, latitude = np.meshgrid(
            np.linspace(-np.pi, np.pi, 24), np.linspace(-1.5, 1.5, 16)
        )
        ball = top + directions(longitude, latitude) * 0.24
        grain = 0.03 * rng.random((size, size, 1)).astype(np.float32)
        stick = top + np.linspace(0.15, 2.5, 12)[:, None] * unit(lean)
        return [
            Sheet(ball, grain + np.zeros(3, np.float32) + 0.02, 0.3),
            tube(
                stick, np.linspace(0.16, 0.1, 12), linear((35, 35, 38)), (size * 2, size // 2), 0.5
            ),
        ]
    body_ = top + np.linspace(-0.1, 1.2, 12)[:, None] * unit(lean * [0.5, 1, 1])
    return [
        tube(
            body_,
            np.linspace(0.42, 0.34, 12),
            linear(rng.uniform(60, 245, 3)),
            (size * 2, size * 3 // 2),
            0.4,
        )
    ]
