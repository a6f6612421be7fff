"""Near-duplicate pictures under two names, which leak from training into test parts."""

import numpy as np
from numpy.typing import NDArray

from wingloss.geometry import Array

BLOCK = 4096  # faces whose likenesses are in memory at once


def normalise(thumbnails: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Grey pictures ``(N, S, S)`` as vectors ``(N, S * S)`` of mean 0 and length 1."""
    flat = thumbnails.reshape(len(thumbnails), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.asarray(flat / np.maximum(length, 1e-6), np.float32)


def nearest(faces: NDArray[np.float32], others: NDArray[np.float32]) -> tuple[NDArray, Array]:
    """For each of ``faces`` ``(N, D)`` the most alike of ``others`` ``(M, D)``, M > 0.

    Both as ``normalise`` makes them. Returns indices ``(N,)`` and correlations ``(N,)``.
    """
    index, likeness = np.zeros(len(faces), np.intp), np.full(len(faces), -np.inf)
    for first in range(0, len(others), BLOCK):
        correlations = faces @ others[first : first + BLOCK].T
        best = correlations.argmax(axis=1)
        value = correlations[np.arange(len(faces)), best]
        better = value > likeness
        index[better], likeness[better] = best[better] + first, value[better]
    return index, likeness
