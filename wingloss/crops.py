"""From a picture to a network's input: the crops that training, evaluation and detection share.

A face's *context crop* is an upright square of the picture that holds its frame with room to
rotate. A network's input is one warp of it: ``augmentation.perturbation.plain``, or ``perturb`` in
training.
"""

from dataclasses import dataclass
from typing import Annotated

import cv2
import numpy as np
from pydantic import Field

from wingloss.augmentation.perturbation import Faces, Images, plain, shrink
from wingloss.datasets.face_record import BadSample
from wingloss.geometry import Array, apply, compose, invert, to_unit, unit_to_pixels


@dataclass(frozen=True)
class Context:
    """The context crops that all networks draw their inputs from."""

    scale: Annotated[float, Field(ge=1, le=10)]
    size: Annotated[int, Field(ge=32, le=1024)]


def context_crop(
    image: Images, source: object, frame: Array, transform: Array, size: int
) -> Images:
    """The context crop ``(P, P, 3)`` of a face; outside of the picture its edge is repeated.

    ``image`` ``(H, W, 3)`` comes from ``source``, which an error names; ``frame`` ``(4,)`` is the
    face's in its pixels, and ``transform`` ``(2, 3)`` leads from them to the crop's.

    Raises:
        BadSample: the face isn't in the picture.
    """
    height, width = image.shape[:2]
    low, high = frame[:2] - frame[2] / 2, frame[:2] + frame[2] / 2
    if (high < 0).any() or (low > (width - 1, height - 1)).any():
        raise BadSample(
            f"{source}: its face box lies outside the picture of {width} x {height} pixels"
        )
    # A warp samples its source at points: average first where the crop is much smaller.
    reduction = int(1 / np.sqrt(abs(np.linalg.det(transform[:, :2]))))
    reduction = min(reduction, width, height)
    if reduction > 1:
        scale_x, scale_y = width // reduction / width, height // reduction / height
        size_then = (width // reduction, height // reduction)
        image = np.asarray(cv2.resize(image, size_then, interpolation=cv2.INTER_AREA), np.uint8)
        shrunk = np.array([[scale_x, 0.0, (scale_x - 1) / 2], [0.0, scale_y, (scale_y - 1) / 2]])
        transform = compose(transform, invert(shrunk))
    image, transform = _window(image, transform, size)
    found = cv2.warpAffine(
        image, transform, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(found, np.uint8)


def _window(image: Images, transform: Array, size: int) -> tuple[Images, Array]:
    """The part of a picture that a crop of ``size`` px sees, and the map from there to the crop.

    OpenCV warps no picture with a side of 32,768 px or more.
    """
    corners = np.array([[0.0, 0], [size, 0], [0, size], [size, size]])
    seen = apply(invert(transform), corners)
    sides = np.array(image.shape[1::-1])
    low = np.clip(np.floor(seen.min(axis=0)).astype(int) - 2, 0, sides - 1)
    high = np.clip(np.ceil(seen.max(axis=0)).astype(int) + 3, low + 1, sides)
    shift = np.array([[1.0, 0, low[0]], [0, 1, low[1]]])
    return image[low[1] : high[1], low[0] : high[0]], compose(transform, shift)


def network_inputs(crops: Images, frames: Array, size: int) -> tuple[Images, Array]:
    """What a network sees of faces: ``(N, size, size, 3)``, and the maps ``(N, 2, 3)`` to there.

    ``crops`` ``(N, P, P, 3)`` are context crops; ``frames`` ``(N, 4)`` and what the maps lead from
    are in their pixels. Of a two-stage model's second network, frames are
    ``models.correction.corrected_frames`` of the landmarks that the first one found.
    """
    inputs = np.empty((len(crops), size, size, 3), np.uint8)
    for i, (crop, frame) in enumerate(zip(crops, to_unit(frames), strict=True)):
        one = Faces(crop[None], np.empty((1, 0, 2)), frame[None])
        (inputs[i],), _ = plain(shrink(one, size), np.zeros(1, np.intp), size)
    return inputs, compose(unit_to_pixels(size), to_unit(frames))
