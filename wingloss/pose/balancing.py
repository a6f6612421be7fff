"""Pose-based data balancing (PDB, Section 5): how often each training face is repeated.

The faces of rare poses are repeated until every bin of the pose histogram weighs about the same;
each repetition is later augmented by a draw of its own.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from wingloss.geometry import Array

Balance = Literal["none", "pdb", "pdb_authors"]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Histogram:
    """Bins of pose coefficients: ``edges`` ``(K + 1,)``, faces a bin before and after balancing."""

    edges: Array
    before: Counts
    after: Counts


def half_up(x: Array) -> Counts:
    """Rounds halves away from zero for x >= 0, as MATLAB does (Python's 2.5 becomes 2)."""
    return np.floor(np.asarray(x) + 0.5).astype(np.int64)


def none(coefficients: Array, bins: int) -> tuple[Counts, Histogram]:
    """No balancing: every face once. The histogram has PDB's bins."""
    repeats = np.ones(len(coefficients), dtype=np.int64)
    edges, bin_of = signed_bins(coefficients, bins)
    before = np.bincount(bin_of, minlength=bins)
    return repeats, Histogram(edges, before, before)


def pdb(coefficients: Array, bins: int) -> tuple[Counts, Histogram]:
    """PDB as the paper tells it: K half-open bins over the signed coefficients ``(N,)``.

    Each face of a bin is repeated round(largest bin / this bin) times; empty bins are skipped.
    Returns the repetitions ``(N,)`` and the histogram.
    """
    edges, bin_of = signed_bins(coefficients, bins)
    before = np.bincount(bin_of, minlength=bins)
    repeats = half_up(before.max() / before[bin_of])
    return repeats, Histogram(edges, before, np.bincount(bin_of, repeats, bins).astype(np.int64))


def pdb_authors(coefficients: Array, bins: int) -> tuple[Counts, Histogram]:
    """PDB as the authors' published function has it, quirks included.

    It has an alignment of its own (:func:`wingloss.pose.authors_coefficients`). The bins cover the
    *absolute* coefficients from 0 to their maximum, so left and right profiles share a bin; both
    ends of a bin belong to it, so a face on an edge is counted and repeated in both bins. The
    function divides by an empty bin's count and then repeats its none faces: here they are none at
    once.
    """
    size = np.abs(coefficients)
    edges = np.linspace(0.0, size.max(), bins + 1)
    members = (size[:, None] >= edges[:-1]) & (size[:, None] <= edges[1:])
    before = members.sum(axis=0)
    factor = np.zeros(bins, dtype=np.int64)
    filled = before > 0
    factor[filled] = half_up(before.max() / before[filled])
    return members @ factor, Histogram(edges, before, before * factor)


# Each balance, and the kind of pose coefficients that it takes.
BALANCES = {
    "none": (none, "coefficient"),
    "pdb": (pdb, "coefficient"),
    "pdb_authors": (pdb_authors, "coefficient_authors"),
}


def signed_bins(coefficients: Array, bins: int) -> tuple[Array, NDArray[np.intp]]:
    """Edges ``(K + 1,)`` from the smallest to the largest coefficient, and each face's bin.

    Bins are half-open; the largest coefficient, which would open a bin of its own, is in the last.
    """
    edges = np.linspace(coefficients.min(), coefficients.max(), bins + 1)
    bin_of = np.searchsorted(edges, coefficients, side="right") - 1
    return edges, np.clip(bin_of, 0, bins - 1)
