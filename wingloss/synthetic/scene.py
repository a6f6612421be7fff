"""What surrounds a face: ears, neck and clothes, occluders, light and background."""

import cv2
import numpy as np
from numpy.random import Generator

from wingloss.synthetic.appearance import Person, linear
from wingloss.synthetic.head import CENTRE, Array, Field, Shape, directions, sample, unit
from wingloss.synthetic.raster import Lights, Sheet, refine


def draw_lights(hard: bool, rng: Generator) -> Lights:
    """Key, rim and ambient light; ``hard`` is the illumination subset's: from a side, or dark."""
    key = unit(np.array([rng.normal(0, 0.55), rng.normal(-0.5, 0.3), 1.0]))
    warm = np.exp(rng.normal(0, 0.11) * np.array([1, 0, -1]))
    cool = np.exp(rng.normal(0, 0.14) * np.array([1, 0, -1]))
    strength, ambient = rng.uniform(0.7, 1.2), rng.uniform(0.15, 0.45)
    if hard:
        if rng.random() < 0.7:
            side = rng.choice([-1, 1])
            key = unit(np.array([side * rng.uniform(1, 2), rng.normal(-0.3, 0.4), 0.35]))
            strength, ambient = rng.uniform(0.8, 1.3), rng.uniform(0.05, 0.2)
            warm = warm * np.exp(rng.normal(0, 0.25, 3))
        else:
            strength, ambient = rng.uniform(0.04, 0.16), rng.uniform(0.02, 0.07)
    rim = unit(np.array([-np.sign(key[0]) * 1.0, rng.uniform(-1, 0.2), -0.25]))
    glow = rng.uniform(0, 0.8) * (rng.random() < 0.5) * min(1, 2 * strength)
    return Lights(
        key,
        strength * warm,
        rim,
        glow * cool,
        ambient * cool * [0.95, 1, 1.1],
        ambient * 0.55 * warm,
    )


# --- the body -------------------------------------------------------------------------------------


def ears(shape: Shape, surface: Field, person: Person, size: int, rng: Generator) -> list[Sheet]:
    """Two shells with rim, hollow and lobe."""
    down, out = np.meshgrid(np.linspace(-1, 1, 26), np.linspace(0, 1, 18), indexing="ij")
    tall, wide, stand = rng.uniform(0.29, 0.36), rng.uniform(0.4, 0.5), rng.uniform(0.4, 0.85)
    width = wide * np.sqrt(np.clip(1.0 - np.abs(down) ** 2.6, 0, 1)) * (0.86 - 0.24 * down)
    rim = np.exp(-(((out - 0.9) / 0.12) ** 2)) * np.clip(1.1 - down, 0.25, 1)
    hollow = np.exp(-(((out - 0.42) / 0.2) ** 2) - ((down - 0.1) / 0.45) ** 2)
    fold = np.exp(-(((out - 0.66) / 0.09) ** 2)) * (down < 0.4)
    flap = np.exp(-(((out - 0.14) / 0.12) ** 2) - ((down - 0.2) / 0.2) ** 2)
    relief = 0.06 * rim - 0.11 * hollow + 0.03 * fold + 0.05 * flap
    shade = 1 - 0.45 * hollow - 0.2 * np.exp(-(((out - 0.78) / 0.05) ** 2)) * (down < 0.3)
    cells = (size * 2 // 5, size // 3)
    sheets = []
    for side in (-1, 1):
        base = sample(surface, np.full((1, 1), side * np.deg2rad(92)), np.full((1, 1), -0.01))
        anchor = base[0, 0].astype(float) + [-side * 0.02, 0.0, 0.0]
        back = unit(np.array([side * np.sin(stand), -0.1, -np.cos(stand)]))
        normal = unit(np.array([side * np.cos(stand), 0, np.sin(stand)]))
        points = (
            anchor
            + (out * width)[..., None] * back
            + relief[..., None] * normal
            + (tall * down)[..., None] * np.array([0, 1, 0.12])
            - (0.06 * down)[..., None] * back * (down < 0)[..., None]
        )
        colour = person.skin * [1.0, 0.86, 0.84] * shade[..., None]
        sheets.append(Sheet(points, refine(colour, cells), 0.1, skin=True))
    return sheets


def body(
    person: Person, size: int, turn_head: Array, turn_body: Array, rng: Generator
) -> list[Sheet]:
    """Neck and clothed torso in the camera's frame: the neck's top turns with the head."""
    down, angle = np.meshgrid(np.linspace(0, 1, 16), np.linspace(-np.pi, np.pi, 60), indexing="ij")
    wide = rng.uniform(0.66, 0.82) if person.male else rng.uniform(0.56, 0.66)
    swell = 1 - 0.1 * np.sin(np.pi * down) + 0.12 * np.clip(down - 0.75, 0, 1) / 0.25
    neck = np.stack(
        [
            wide * swell * np.sin(angle),
            0.7 + 1.6 * down,
            -1.25 - 0.25 * down + wide * swell * 0.92 * np.cos(angle),
        ],
        -1,
    )
    # Adam's apple and the two cords that run to the collar bones' inner ends
    cord = np.exp(-(((abs(angle) - 0.75 * (1 - down) - 0.12) / 0.14) ** 2)) * down * 0.04
    apple = 0.05 * person.male * np.exp(-((angle / 0.2) ** 2) - ((down - 0.5) / 0.12) ** 2)
    neck[..., 2] += (cord + apple) * np.cos(angle)
    pivot = np.array([0, 1.1, -1.4])
    bend = np.clip(1.5 * down - 0.2, 0, 1)[..., None]

    def with_head(points: Array) -> Array:
        return (points - CENTRE) @ turn_head.T

    neck_pivot = with_head(pivot)

    def with_body(points: Array) -> Array:
        return (points - pivot) @ turn_body.T + neck_pivot

    neck = (1 - bend) * with_head(neck) + bend * with_body(neck)
    throat = np.full((size * 9 // 10, size * 3 // 2, 3), 0.92 * person.skin, np.float32)
    sheets = [Sheet(neck, throat, 0.08, skin=True, closed=True)]

    shoulder = rng.uniform(2.8, 3.4) if person.male else rng.uniform(2.4, 2.8)
    t, around = np.meshgrid(np.linspace(0, 1, 26), np.linspace(-1, 1, 72), indexing="ij")
    angle = np.pi * (0.6 * around + 0.4 * around**3)  # more cells at the front
    spread = 1 / (1 + np.exp(-(t - 0.26) / 0.075))
    half = wide * 0.93 + (shoulder - wide) * (0.06 * t + spread * (1 - 0.12 * t))
    deep = wide * 0.88 + (1.1 - wide) * spread
    front = np.cos(angle)
    slope = np.interp(t, (0, 0.12, 0.45, 1), (1.92, 2.2, 3.0, 5.6))
    torso = np.stack(
        [
            half * np.sin(angle),
            slope + 0.22 * (front > 0) * front * (1 - spread) - 0.1 * (front < 0) * -front,
            -1.45 + deep * np.sign(front) * abs(front) ** 0.9,
        ],
        -1,
    )
    cells = (size * 8 // 5, size * 13 // 5)
    fine_t, fine_front = refine(t, cells), refine(front, cells)
    colour, folds = _cloth(cells, rng)
    neckline = {
        0: 0.07,
        1: 0.1 + 0.05 * np.clip(fine_front, 0, 1),
        2: 0.06 + 0.42 * np.clip((fine_front - 0.78) / 0.22, 0, 1),
        3: 0.1 + 0.14 * np.clip(fine_front, 0, 1),
    }[int(rng.integers(4))]
    bare = fine_t < neckline
    edge = abs(fine_t - neckline - 0.012) < 0.012
    colour = colour * np.where(edge, 0.75, 1)[..., None].astype(np.float32)
    colour[bare] = person.skin * 0.92
    folds = np.where(bare, 0, folds + 0.02).astype(np.float32)
    sheets.append(Sheet(with_body(torso), colour, 0.03, folds, closed=True))
    if rng.random() < 0.35:  # a collar, open at the throat
        s, angle = np.meshgrid(np.linspace(0, 1, 8), np.linspace(-2.85, 2.85, 48), indexing="ij")
        angle = angle + np.pi  # its gap is at the front
        flare = wide * (1.05 + 0.12 * s + 0.15 * s**2)
        fold_ = np.sin(np.pi * np.clip(s, 0, 1) ** 0.8)
        collar = np.stack(
            [
                flare * np.sin(angle),
                1.98 - 0.28 * fold_ + 0.45 * s + 0.25 * np.cos(angle) * (np.cos(angle) > 0),
                -1.35 + flare * np.cos(angle),
            ],
            -1,
        )
        tint = colour[-1].mean(0) * rng.choice([0.7, 1.0, 1.4])
        sheets.append(
            Sheet(
                with_body(collar),
                np.full((size // 2, size * 2, 3), tint, np.float32).clip(0, 0.9),
                0.03,
            )
        )
    return sheets


def _cloth(cells: tuple[int, int], rng: Generator) -> tuple[Field, Field]:
    """Colours and relief of a fabric."""

    def dye() -> Array:
        grey, tint = rng.uniform(15, 225), rng.normal(0, rng.choice([6, 45]), 3)
        return linear(np.clip(grey + tint, 8, 240))

    base, other = dye(), dye()
    v, u = np.mgrid[0 : cells[0], 0 : cells[1]].astype(np.float32) / cells[0]
    pattern = rng.choice(
        ["plain", "stripes", "hoops", "checks", "print"], p=[0.55, 0.1, 0.12, 0.13, 0.1]
    )
    count = rng.uniform(10, 30)
    share = {
        "plain": 0 * u,
        "stripes": np.sin(u * count * 4) > 0.5,
        "hoops": np.sin(v * count * 6) > 0.2,
        "checks": 0.5 * (np.sin(u * count * 4) > 0) + 0.5 * (np.sin(v * count * 5) > 0),
        "print": refine(rng.normal(size=(30, 44)), cells) > 0.9,
    }[str(pattern)]
    colour = base + (other - base) * np.asarray(share, np.float32)[..., None]
    folds = 0.05 * refine(cv2.GaussianBlur(rng.normal(size=(20, 26)), (0, 0), 1.0), cells)
    weave = 1 + 0.05 * refine(rng.normal(size=(cells[0] // 2, cells[1] // 2)), cells)
    return (colour * weave[..., None]).astype(np.float32), folds


# --- occluders ------------------------------------------------------------------------------------


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


def glasses(shape: Shape, size: int, dark: bool, rng: Generator) -> list[Sheet]:
    """Frames with temples, and dark lenses if asked for."""
    controls = shape.controls
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


def hand(shape: Shape, person: Person, size: int, rng: Generator) -> list[Sheet]:
    """Palm, fingers and forearm before a part of the face."""
    target = shape.controls[rng.choice([8, 4, 12, 48, 54, 57, 33, 36, 45])] + [0, 0, 0.32]
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
    out = cv2.GaussianBlur(cv2.dilate(radius, np.ones((7, 7))), (0, 0), 2) + 0.04
    points = CENTRE + directions(longitude, latitude) * out[..., None]
    base = linear(
        rng.choice([(225, 232, 238), (130, 180, 215), (24, 24, 28), (150, 60, 70), (235, 235, 230)])
    )
    cells = (size * 6 // 5, size * 8 // 5)
    pleats = 0.02 * np.sin(np.linspace(0, 26, cells[0]))[:, None] * np.ones(cells)
    return [Sheet(points, np.full((*cells, 3), base, np.float32), 0.03, pleats.astype(np.float32))]


def thing(shape: Shape, size: int, rng: Generator) -> list[Sheet]:
    """A microphone, a cup or a scarf."""
    kind = rng.choice(["microphone", "cup", "scarf"])
    mouth = shape.controls[66]
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
        cloth, folds = _cloth((size * 2, size * 3 // 2), rng)
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


# --- the background -------------------------------------------------------------------------------


def background(size: int, light: Array, rng: Generator) -> Field:
    """A picture (size, size, 3) like an out-of-focus photograph; ``light`` (3,) falls on it."""
    side = 96
    kind = rng.choice(
        ["room", "outdoors", "lights", "wall", "studio"], p=[0.3, 0.3, 0.12, 0.18, 0.1]
    )
    noise = lambda cells: cv2.resize(
        rng.normal(size=(cells, cells, 1)) + 0.25 * rng.normal(size=(cells, cells, 3)),
        (side, side),
        interpolation=cv2.INTER_CUBIC,
    )  # noqa: E731
    v = np.linspace(0, 1, side)[:, None, None]
    tone = linear(rng.uniform(40, 210) + rng.normal(0, 12, 3))
    if kind == "outdoors":
        sky, leaf = (
            linear(rng.uniform((150, 180, 200), (225, 235, 250))),
            linear(rng.uniform((40, 55, 25), (120, 125, 80))),
        )
        horizon = rng.uniform(0.1, 0.8) + 0.12 * noise(5)[..., :1]
        under = leaf * np.exp(0.45 * noise(12) + 0.6 * noise(30)[..., :1])
        picture = np.where(v < horizon, sky * (1 - 0.3 * v), under)
        if rng.random() < 0.5:
            picture = np.where(noise(18)[..., :1] > 0.6, under, picture)
    else:
        picture = tone * np.exp(
            rng.normal(0, 0.5) * (v - 0.5) + 0.12 * noise(3) + rng.uniform(0, 0.12) * noise(40)
        )
    picture = np.ascontiguousarray(np.clip(picture, 0, 2), np.float32)
    count = {"room": rng.integers(4, 14), "outdoors": rng.integers(0, 6)}.get(str(kind), 0)
    for _ in range(int(count)):
        corner, extent = rng.uniform(-0.2, 1, 2) * side, rng.uniform(0.04, 0.6, 2) * side
        colour = linear(rng.uniform(10, 235) + rng.normal(0, 16, 3))
        low, high = corner.astype(int), (corner + extent).astype(int)
        cv2.rectangle(picture, low.tolist(), high.tolist(), colour.tolist(), -1)
        if rng.random() < 0.4:
            cv2.rectangle(picture, low.tolist(), high.tolist(), (0.3 * colour).tolist(), 2)
    if kind == "wall" and rng.random() < 0.6:
        step, lower = rng.uniform(5, 22), rng.uniform(0.55, 0.9)
        for k in range(int(side / step) + 1):
            at = int(k * step)
            cv2.line(picture, (0, at), (side, at), (tone * lower).tolist(), 1)
            cv2.line(
                picture,
                (int(k * step * 2.1), 0),
                (int(k * step * 2.1), side),
                (tone * lower).tolist(),
                1,
            )
    if kind == "lights":
        picture *= 0.25
        for _ in range(int(rng.integers(10, 40))):
            colour = linear(rng.uniform((150, 100, 40), (255, 240, 230))) * rng.uniform(0.5, 1.6)
            spot = np.zeros_like(picture)
            cv2.circle(
                spot,
                rng.integers(0, side, 2).tolist(),
                int(rng.integers(2, 9)),
                colour.tolist(),
                -1,
                cv2.LINE_AA,
            )
            picture += 0.6 * spot
    focus = {"lights": 0.8, "studio": 4}.get(str(kind), rng.choice([1, 1.5, 2.5, 4]))
    picture = cv2.GaussianBlur(picture, (0, 0), float(focus))
    large = cv2.resize(picture, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.clip(large, 0, None) * (0.25 + 0.75 * np.clip(light, 0, 1.2)).astype(np.float32)
