"""Light and background."""

import cv2
import numpy as np
from numpy.random import Generator

from wingloss.synthetic.appearance import linear
from wingloss.synthetic.head import Array, Field, unit
from wingloss.synthetic.raster import Lights


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


def background(size: int, light: Array, rng: Generator) -> Field:
    """A picture (size, size, 3) like an out-of-focus photograph; ``light`` (3,) falls on it."""
    side = 96
    kind = rng.choice(
        ["room", "outdoors", "lights", "wall", "studio"], p=[0.3, 0.3, 0.12, 0.18, 0.1]
    )

    def noise(cells: int) -> Field:
        values = rng.normal(size=(cells, cells, 1)) + 0.25 * rng.normal(size=(cells, cells, 3))
        return np.asarray(cv2.resize(values, (side, side), interpolation=cv2.INTER_CUBIC))

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
        colour = linear(rng.uniform(10, 235) + rng.normal(0, 11, 3))
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
            spot = np.zeros((side, side), np.uint8)  # OpenCV smooths edges in 8 bits only
            centre, radius = rng.integers(0, side, 2), rng.uniform(2, 9)
            cv2.circle(spot, (centre * 16).tolist(), int(radius * 16), 255, -1, cv2.LINE_AA, 4)
            picture += (spot[..., None] * (0.6 / 255 * colour)).astype(np.float32)
    focus = {"lights": 0.8, "studio": 4}.get(str(kind), rng.choice([1, 1.5, 2.5, 4]))
    picture = cv2.GaussianBlur(picture, (0, 0), float(focus))
    large = np.asarray(cv2.resize(picture, (size, size), interpolation=cv2.INTER_CUBIC), np.float32)
    return np.clip(large, 0, None) * (0.25 + 0.75 * np.clip(light, 0, 1.2)).astype(np.float32)
