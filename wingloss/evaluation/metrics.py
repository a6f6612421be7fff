"""Normalised mean error, area under the CED curve and failure rate, per face and exact."""

import numpy as np

from wingloss.geometry import Array, landmark_boxes
from wingloss.protocol import Protocol

NORMALISERS = ("inter_pupil", "inter_ocular", "box", "diag")


def normalisers(points: Array, boxes: Array, protocol: Protocol) -> dict[str, Array]:
    """Each face's normalising length ``(N,)`` in image pixels, by name.

    ``points`` ``(N, L, 2)`` are the true landmarks and ``boxes`` ``(N, 4)`` the data set's own face
    boxes, both in image pixels. A length that the point scheme doesn't define is NaN, as is that
    between eyes that lie on one another.
    ``box`` is the box's width (equal to its height on AFLW) where the protocol takes the data set's
    boxes, else the geometric mean of the landmark box's sides; ``diag`` is that box's diagonal.
    """
    box = boxes if protocol.normalising_box == "face" else landmark_boxes(points)
    width, height = box[:, 2] - box[:, 0], box[:, 3] - box[:, 1]
    return {
        "inter_pupil": _distance(points, protocol.pupils),
        "inter_ocular": _distance(points, protocol.outer_eye_corners),
        "box": width if protocol.normalising_box == "face" else np.sqrt(width * height),
        "diag": np.hypot(width, height),
    }


def nme(predicted: Array, true: Array, normaliser: Array) -> Array:
    """Each face's mean point-to-point error ``(N,)`` over its normaliser ``(N,)`` (Section 7.1).

    ``predicted`` and ``true`` are ``(N, L, 2)`` in image pixels. A share, not percent.
    """
    return np.linalg.norm(predicted - true, axis=2).mean(axis=1) / normaliser


def auc(errors: Array, threshold: float) -> float:
    """The area under the CED curve of errors ``(N,)`` up to ``threshold``, as a share; exact."""
    return float((1 - np.minimum(errors / threshold, 1)).mean())


def failure_rate(errors: Array, threshold: float) -> float:
    """The share of errors ``(N,)`` above ``threshold``; an error that is NaN is a failure."""
    return float((~(errors <= threshold)).mean())


def ced(errors: Array, thresholds: Array) -> Array:
    """The cumulative error distribution: the share of errors ``(N,)`` up to each threshold."""
    return np.searchsorted(np.sort(errors), thresholds, side="right") / len(errors)


def _distance(points: Array, ends: tuple[tuple[int, ...], tuple[int, ...]] | None) -> Array:
    """Distances ``(N,)`` between the means of two groups of landmarks; NaN where undefined or 0,
    as nothing can be divided by them.
    """
    if ends is None:
        return np.full(len(points), np.nan)
    first, second = (points[:, list(group)].mean(axis=1) for group in ends)
    length = np.linalg.norm(first - second, axis=1)
    return np.where(length > 0, length, np.nan)
