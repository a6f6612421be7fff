"""Stage two's input (Section 6): stage one's landmarks turn the face upright and re-box it.

The paper doesn't say against what the rotation is measured nor how much margin the new box has:
here the rotation is the Procrustes one to the mean training shape, and the margin a parameter.
"""

import numpy as np

from wingloss.geometry import Array
from wingloss.pose import rotations


def corrected_frames(points: Array, mean_shape: Array, margin: float) -> Array:
    """Frames ``(N, 4)`` that hold faces upright, from stage one's points ``(N, L, 2)``.

    ``points`` are image pixels and so are the frames; ``mean_shape`` is ``(L, 2)`` of any scale.
    The side is ``margin`` times the longer side of the landmarks' box after turning.
    """
    angle = rotations(points, mean_shape)
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)
    upright = points @ turn
    low, high = upright.min(axis=1), upright.max(axis=1)
    centre = np.einsum("nij,nj->ni", turn, (low + high) / 2)
    side = margin * (high - low).max(axis=1)
    return np.column_stack([centre, side, angle])
