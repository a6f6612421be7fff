"""Stage two's input (Section 6): stage one's landmarks turn the face upright and re-box it.

The paper doesn't say what the rotation is measured against, nor how much margin the new box has:
here the rotation is the Procrustes one to the mean training shape, and the margin a parameter.

Nor does it say what stage two is trained on. Stage one's error is smaller on the faces that it was
trained on than on new ones, so frames from its own predictions are too good there.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wingloss.geometry import Array
from wingloss.pose.projection import rotations


def corrected_frames(points: Array, mean_shape: Array, margin: float) -> Array:
    """Frames ``(N, 4)`` that hold faces upright, from stage one's points ``(N, L, 2)``.

    ``points`` are image pixels and so are the frames; ``mean_shape`` is ``(L, 2)`` of any scale.
    The side is ``margin`` times the longer side of the landmarks' box after turning.
    """
    angle = rotations(points, mean_shape)
    turn = _axes(angle)
    upright = points @ turn
    low, high = upright.min(axis=1), upright.max(axis=1)
    centre = np.einsum("nij,nj->ni", turn, (low + high) / 2)
    side = margin * (high - low).max(axis=1)
    return np.column_stack([centre, side, angle])


def frame_errors(frames: Array, true_frames: Array) -> Array:
    """How far frames ``(N, 4)`` are from the true ones ``(N, 4)``, seen from the true ones.

    ``(N, 4)``: the centre's x and y along the true frame's axes in parts of its side, the logarithm
    of the sides' ratio, and the angle in radians, at most half a turn.
    """
    offset = np.einsum("nji,nj->ni", _axes(true_frames[:, 3]), (frames - true_frames)[:, :2])
    turned = frames[:, 3] - true_frames[:, 3]
    return np.column_stack(
        [
            offset / true_frames[:, 2:3],
            np.log(frames[:, 2] / true_frames[:, 2]),
            (turned + np.pi) % (2 * np.pi) - np.pi,
        ]
    )


def displaced(true_frames: Array, errors: Array) -> Array:
    """The frames ``(N, 4)`` whose ``frame_errors`` are ``errors`` ``(N, 4)``."""
    offset = np.einsum("nij,nj->ni", _axes(true_frames[:, 3]), errors[:, :2])
    return np.column_stack(
        [
            true_frames[:, :2] + true_frames[:, 2:3] * offset,
            true_frames[:, 2] * np.exp(errors[:, 2]),
            true_frames[:, 3] + errors[:, 3],
        ]
    )


def folds(photographs: Sequence[str], count: int, seed: int) -> NDArray[np.intp]:
    """The fold ``(N,)``, from 0 to ``count - 1``, of faces that lie in these photographs ``(N,)``.

    Whole photographs at random, as many in each fold, or one less.
    """
    names, photograph = np.unique(photographs, return_inverse=True)
    return np.random.default_rng(seed).permutation(len(names))[photograph] % count


def _axes(angle: Array) -> Array:
    """Matrices ``(N, 2, 2)`` whose columns are the axes of frames at ``angle`` ``(N,)``."""
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)
