"""Frames and the affine maps between them.

A *frame* is a square in the picture that may be turned: ``(x, y, side, angle)``, its centre and
side in image pixels and its angle in radians; a positive angle turns the x axis towards the y axis
(clockwise on the screen). A frame's *unit square* has (0, 0) at its upper left corner and (1, 1)
at its lower right one. An affine map is an array ``(..., 2, 3)`` that acts on column vectors
``(x, y, 1)``.

Pixel centres have whole coordinates, so a picture of S pixels spans [-0.5, S - 0.5] and the unit
square's u lies at pixel ``u * S - 0.5``.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def square_frames(boxes: Array, scale: float) -> Array:
    """Upright frames about ``boxes``, ``scale`` times as large.

    ``boxes`` is ``(N, 4)``: x_min, y_min, x_max, y_max in image pixels. The frame's side is
    ``scale`` times the box's longer side. Returns ``(N, 4)`` frames.
    """
    boxes = np.asarray(boxes, dtype=np.float64)
    low, high = boxes[:, :2], boxes[:, 2:]
    side = scale * (high - low).max(axis=1)
    return np.column_stack([(low + high) / 2, side, np.zeros(len(boxes))])


def landmark_boxes(points: Array) -> Array:
    """The tight boxes ``(N, 4)`` round ``(N, L, 2)`` points, in the points' pixels."""
    return np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1)


def enlarge(frames: Array, factor: float) -> Array:
    """The same frames with their sides multiplied by ``factor``."""
    return frames * np.array([1.0, 1.0, factor, 1.0])


def to_unit(frames: Array) -> Array:
    """The maps ``(N, 2, 3)`` from image pixels to the unit squares of ``(N, 4)`` frames."""
    x, y, side, angle = np.moveaxis(np.asarray(frames, dtype=np.float64), -1, 0)
    cos, sin = np.cos(angle) / side, np.sin(angle) / side
    return _matrix(cos, sin, 0.5 - cos * x - sin * y, -sin, cos, 0.5 + sin * x - cos * y)


def unit_to_pixels(size: int) -> Array:
    """The map ``(2, 3)`` from the unit square to the pixels of a crop of ``size`` pixels."""
    return np.array([[size, 0.0, -0.5], [0.0, size, -0.5]])


def context_maps(frames: Array, scale: float, size: int) -> Array:
    """The maps ``(N, 2, 3)`` from a picture's pixels to those of its faces' context crops.

    ``frames`` ``(N, 4)`` are the faces' in the picture's pixels; a context crop shows ``scale``
    times as much, on ``size`` pixels.
    """
    return compose(unit_to_pixels(size), to_unit(enlarge(frames, scale)))


def compose(outer: Array, inner: Array) -> Array:
    """The map that applies ``inner`` and then ``outer``; leading dimensions broadcast."""
    linear = outer[..., :, :2] @ inner[..., :, :2]
    shift = outer[..., :, :2] @ inner[..., :, 2:] + outer[..., :, 2:]
    return np.concatenate([linear, shift], axis=-1)


def invert(transform: Array) -> Array:
    """The inverse of invertible maps ``(..., 2, 3)``."""
    linear = np.linalg.inv(transform[..., :, :2])
    return np.concatenate([linear, -linear @ transform[..., :, 2:]], axis=-1)


def apply(transform: Array, points: Array) -> Array:
    """Maps ``(..., 2, 3)`` applied to points ``(..., L, 2)``."""
    return points @ np.swapaxes(transform[..., :, :2], -1, -2) + transform[..., None, :, 2]


def flip(points: Array, permutation: NDArray[np.intp], size: int) -> Array:
    """Mirrors points ``(..., L, 2)`` of a crop of ``size`` pixels: x becomes size - 1 - x.

    ``permutation`` gives for each landmark the one whose place it takes. Flipping twice is the
    identity.
    """
    mirrored = points[..., permutation, :].copy()
    mirrored[..., 0] = size - 1 - mirrored[..., 0]
    return mirrored


def _matrix(a: Array, b: Array, c: Array, d: Array, e: Array, f: Array) -> Array:
    """Maps ``(N, 2, 3)`` from their six entries ``(N,)``, row by row."""
    return np.stack([np.stack([a, b, c], axis=-1), np.stack([d, e, f], axis=-1)], axis=-2)
