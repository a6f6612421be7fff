"""From light to a photograph: blur, exposure, white balance, noise, JPEG."""

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from wingloss.synthetic.head import Field


def expose(scene: Field, size: int, blurred: bool, dark: bool, rng: Generator) -> NDArray[np.uint8]:
    """A photograph (size, size, 3) of linear light (G, G, 3), G > size; ``dark`` stays so."""
    picture = cv2.resize(scene, (size, size), interpolation=cv2.INTER_AREA)
    unit = size / 160
    soft = rng.uniform(0.15, 0.6) * unit
    if blurred and rng.random() < 0.5:
        soft = rng.uniform(1.6, 3.2) * unit
    elif blurred:
        picture = cv2.filter2D(
            picture, -1, _streak(rng.uniform(6, 14) * unit, rng), borderType=cv2.BORDER_REPLICATE
        )
    if soft > 0.25:
        picture = cv2.GaussianBlur(picture, (0, 0), soft)
    middle = picture[size // 4 : -size // 4, size // 4 : -size // 4].mean()
    target = middle if dark else rng.uniform(0.16, 0.38)
    gain = (target / max(middle, 0.02)) ** 0.75  # meters err
    picture = picture * np.float32(gain * np.exp(rng.normal(0, 0.06, 3)))
    bright = 1.15 * picture / (0.3 * picture + 0.85)  # a film's shoulder: highlights roll off
    noise = rng.standard_normal(picture.shape, dtype=np.float32)
    level = rng.uniform(0.002, 0.02) * (1 + dark)
    encoded = np.clip(bright, 0, 1) ** np.float32(1 / 2.2)
    encoded += np.float32(rng.uniform(0, 1.2)) * (encoded - 0.45) * encoded * (1 - encoded)
    encoded += np.float32(level) * noise
    pixels = np.clip(255 * encoded + 0.5, 0, 255).astype(np.uint8)
    quality = int(rng.integers(50, 97))
    _, data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(decoded[..., ::-1])


def _streak(length: float, rng: Generator) -> Field:
    """A motion blur's kernel: a line of ``length`` px."""
    side = max(3, int(length) | 1)
    kernel = np.zeros((side, side), np.float32)
    direction = np.array([np.cos(angle := rng.uniform(0, np.pi)), np.sin(angle)]) * length / 2
    ends = [np.rint((side // 2 + sign * direction) * 16).astype(int).tolist() for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0, 1, cv2.LINE_AA, 4)
    return kernel / kernel.sum()
