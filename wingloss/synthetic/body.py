"""Ears, neck and clothes."""

import cv2
import numpy as np
from numpy.random import Generator

from wingloss.synthetic.appearance import Person, linear
from wingloss.synthetic.head import CENTRE, Array, Field, sample, unit
from wingloss.synthetic.raster import Sheet, refine


def ears(surface: Field, person: Person, size: int, rng: Generator) -> list[Sheet]:
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
    half = wide * 0.86 + (shoulder - wide) * (0.06 * t + spread * (1 - 0.12 * t))
    deep = wide * 0.84 + (1.1 - wide) * spread
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
    cells = (size * 6 // 5, size * 2)
    fine_t, fine_front = refine(t, cells), refine(front, cells)
    colour, folds = draw_cloth(cells, rng)
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


def draw_cloth(cells: tuple[int, int], rng: Generator) -> tuple[Field, Field]:
    """Colours and relief of a fabric."""

    def dye() -> Array:
        grey, tint = rng.uniform(15, 225), rng.normal(0, rng.choice([5, 30]), 3)
        return linear(np.clip(grey + tint, 8, 240))

    base, other = dye().astype(np.float32), dye().astype(np.float32)
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
