"""Section 7.1's augmentation, and the one warp that takes a face to a network's input.

Each face comes as a *context crop*: a square picture that holds its frame with room to rotate. A
draw of the augmentation is an affine map from that crop to the input, so every picture is
interpolated once.
"""

from dataclasses import dataclass
from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from wingloss.geometry import Array, apply, compose, flip, unit_to_pixels

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class Augmentation:
    """How far a training face is perturbed."""

    rotation: Annotated[float, Field(ge=0, le=180)]  # degrees, either way
    flip: Annotated[float, Field(ge=0, le=1)]  # probability
    # each coordinate of the box's two corners moves by at most this share of the box's side
    box_shift: Annotated[float, Field(ge=0, le=0.4)]
    blur: Annotated[float, Field(ge=0, le=1)]  # probability
    # pixels of the input crop
    blur_sigma: Annotated[float, Field(gt=0, le=20)]


@dataclass(frozen=True)
class Faces:
    """Faces of one split, ready for a network.

    ``crops`` ``(N, P, P, 3)`` uint8 RGB context crops; ``points`` ``(N, L, 2)`` in their pixels;
    ``to_unit`` ``(N, 2, 3)`` maps their pixels to the unit square of each face's frame.
    """

    crops: Images
    points: Array
    to_unit: Array

    def __len__(self) -> int:
        return len(self.crops)


@dataclass(frozen=True)
class Draw:
    """One draw a face of the augmentation: all that is random about it."""

    rotation: Array  # (N,) radians
    corners: Array  # (N, 2, 2) upper left and lower right corner, in the unit square
    flipped: NDArray[np.bool_]  # (N,)
    blurred: NDArray[np.bool_]  # (N,)


def draw(
    augmentation: Augmentation,
    count: int,
    rng: np.random.Generator,
    strength: Array | float = 1.0,
) -> Draw:
    """``count`` draws of Section 7.1's augmentation.

    ``strength`` ``(count,)``, from 0 to 1, scales each face's rotation and its probability of
    blur. Box shifts and flips don't depend on it.
    """
    strength = np.broadcast_to(strength, count)
    rotation, shift = augmentation.rotation, augmentation.box_shift
    still = np.array([[0.0, 0.0], [1.0, 1.0]])
    return Draw(
        rotation=np.deg2rad(strength * rng.uniform(-rotation, rotation, count)),
        corners=still + rng.uniform(-shift, shift, (count, 2, 2)),
        flipped=rng.random(count) < augmentation.flip,
        blurred=rng.random(count) < strength * augmentation.blur,
    )


def augment(
    faces: Faces,
    chosen: NDArray[np.intp],
    augmentation: Augmentation,
    rng: np.random.Generator,
    size: int,
    flip_permutation: NDArray[np.intp],
) -> tuple[Images, Array]:
    """Training pictures ``(B, size, size, 3)`` and points ``(B, L, 2)`` in their pixels.

    ``chosen`` ``(B,)`` are indices of ``faces``; a face that appears twice gets two draws.
    """
    drawn = draw(augmentation, len(chosen), rng)
    return perturb(faces, chosen, drawn, augmentation.blur_sigma, size, flip_permutation)


def perturb(
    faces: Faces,
    chosen: NDArray[np.intp],
    drawn: Draw,
    blur_sigma: float,
    size: int,
    flip_permutation: NDArray[np.intp],
) -> tuple[Images, Array]:
    """What ``augment`` gives for draws ``drawn`` of the faces ``chosen`` ``(B,)``."""
    transform = compose(unit_to_pixels(size), compose(_perturbation(drawn), faces.to_unit[chosen]))
    points = apply(transform, faces.points[chosen])
    points[drawn.flipped] = flip(points[drawn.flipped], flip_permutation, size)
    mirror = np.array([[-1.0, 0.0, size - 1.0], [0.0, 1.0, 0.0]])
    transform[drawn.flipped] = compose(mirror, transform[drawn.flipped])
    pictures = _warp(faces.crops, chosen, transform, size)
    for i in np.flatnonzero(drawn.blurred):
        cv2.GaussianBlur(pictures[i], (0, 0), blur_sigma, dst=pictures[i])
    return pictures, points


def plain(faces: Faces, chosen: NDArray[np.intp], size: int) -> tuple[Images, Array]:
    """The unperturbed inputs ``(B, size, size, 3)``, and the maps ``(B, 2, 3)`` to their pixels."""
    transform = compose(unit_to_pixels(size), faces.to_unit[chosen])
    return _warp(faces.crops, chosen, transform, size), transform


def shrink(faces: Faces, size: int) -> Faces:
    """The same faces with crops as small as inputs of ``size`` pixels need.

    A warp samples its source at points, which aliases where it makes a picture much smaller. So
    the crops are first averaged over whole blocks of pixels, where the frames still have as many
    pixels as the input then. Frames of less than twice ``size``, such as 112 for 64, stay as they
    are, and finer detail than the input's pixels may alias.
    """
    factor = shrinkage(faces, size)
    if factor == 1:
        return faces
    new = faces.crops.shape[1] // factor
    small = np.empty((len(faces), new, new, 3), dtype=np.uint8)
    for i, crop in enumerate(faces.crops):
        cv2.resize(crop, (new, new), dst=small[i], interpolation=cv2.INTER_AREA)
    shift = (1 - factor) / (2 * factor)
    smaller = np.array([[1 / factor, 0.0, shift], [0.0, 1 / factor, shift]])
    larger = np.array([[factor, 0.0, -shift * factor], [0.0, factor, -shift * factor]])
    return Faces(small, apply(smaller, faces.points), compose(faces.to_unit, larger))


def shrinkage(faces: Faces, size: int) -> int:
    """How much smaller ``shrink`` makes the crops: by a divisor of their side.

    As far as the frames (by their median) still have at least ``size`` pixels.
    """
    unit_per_pixel = np.sqrt(np.abs(np.linalg.det(faces.to_unit[:, :, :2])))
    frame = 1 / np.median(unit_per_pixel) if len(faces) else size
    old = faces.crops.shape[1]
    return max(k for k in range(1, old + 1) if old % k == 0 and (k == 1 or frame / k >= size))


def _perturbation(drawn: Draw) -> Array:
    """Maps ``(N, 2, 3)`` from the unit square to that of the rotated and jittered box."""
    cos, sin = np.cos(drawn.rotation), np.sin(drawn.rotation)
    zero = np.zeros_like(cos)
    rotated = np.stack(
        [
            np.stack([cos, -sin, 0.5 - 0.5 * cos + 0.5 * sin], -1),
            np.stack([sin, cos, 0.5 - 0.5 * sin - 0.5 * cos], -1),
        ],
        -2,
    )
    low = drawn.corners[:, 0]
    x, y = (1 / (drawn.corners[:, 1] - low)).T
    crop = np.stack(
        [
            np.stack([x, zero, -low[:, 0] * x], -1),
            np.stack([zero, y, -low[:, 1] * y], -1),
        ],
        -2,
    )
    return compose(crop, rotated)


def _warp(crops: Images, chosen: NDArray[np.intp], transform: Array, size: int) -> Images:
    """Bilinear warps of chosen crops by maps to pixels ``(B, 2, 3)``; the edge is repeated."""
    pictures = np.empty((len(chosen), size, size, 3), dtype=np.uint8)
    for i, index in enumerate(chosen):
        cv2.warpAffine(
            crops[index],
            transform[i],
            (size, size),
            dst=pictures[i],
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
    return pictures
