"""Prepared faces of a split, as the science takes them."""

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline import files
from pipeline.config import paths
from pipeline.config.params import Context
from wingloss.augmentation.perturbation import Faces, Images
from wingloss.geometry import (
    Array,
    apply,
    compose,
    context_maps,
    invert,
    to_unit,
)
from wingloss.protocol import Protocol

FRAME = ["x", "y", "side", "angle"]


def read_crops(path: Path) -> Images:
    """The context crops ``(N, P, P, 3)``, mapped from disk."""
    return files.read_array(path)


def frames_of(samples: pd.DataFrame) -> Array:
    """Stage one's frames ``(N, 4)`` in image pixels: the enlarged face boxes."""
    return samples[[f"frame_{name}" for name in FRAME]].to_numpy(np.float64)


def face_boxes(samples: pd.DataFrame) -> Array:
    """The face boxes ``(N, 4)`` in image pixels: x_min, y_min, x_max, y_max."""
    return samples[["box_x0", "box_y0", "box_x1", "box_y1"]].to_numpy(np.float64)


def read_faces(
    dataset: str,
    split: str,
    samples: pd.DataFrame,
    frames: Array,
    context: Context,
    rules: Protocol,
) -> Faces:
    """The faces of one split, each to be seen in its frame.

    ``samples`` are the split's rows and ``frames`` ``(N, 4)`` their frames in image pixels.
    """
    maps = context_maps(frames_of(samples), context.scale, context.size)
    path = Path(paths.CROPS.format(dataset=dataset, split=split))
    crops = read_crops(path)
    if crops.shape != (len(samples), context.size, context.size, 3):
        raise files.broken(path, f"crops of another table or size: {crops.shape}")
    return Faces(
        crops=crops,
        points=apply(maps, files.points(samples, rules.n_landmarks)),
        to_unit=compose(to_unit(frames), invert(maps)),
    )


def read_frames(path: Path, samples: pd.DataFrame) -> Array:
    """Stage two's frames ``(N, 4)`` in image pixels of the faces in ``samples``, in their order."""
    return files.read_by_face(path, samples.face, *FRAME)[FRAME].to_numpy(np.float64)
