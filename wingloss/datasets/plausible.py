"""Checks that landmarks and boxes are plausible, for every raw format.

The limits leave a wide margin to what was measured of 300W's 2011 training faces at hand and of
2500 rendered ones, both also with 5 landmarks and with AFLW's 19 (means of the 68).
"""

import numpy as np
from numpy.typing import NDArray

from wingloss.datasets.face_record import FARTHEST
from wingloss.geometry import Array, landmark_boxes
from wingloss.protocol import CORNERS

# Both coordinates of a point that is not annotated; -2 is -1 in a format that counts from 1.
PLACEHOLDERS = (0.0, -1.0, -2.0)
# A landmark's distance to the point of median x and y, by the median of those distances: at most
# 3.7 (300W) and 6.9 (rendered, 19 landmarks). Of fewer than 5 landmarks half may nearly coincide.
FAR, FEWEST_FOR_FAR = 20.0, 5
SMALLEST = 4.0  # px, of a face's longer side: 30 px is the smallest there is
# How far outside the picture a point may be, by the longer side of the face's part inside. In 300W
# it is less than a pixel.
OUTSIDE = 1.0
# Of a given box and the landmarks' own: their intersection by their union (0.25 at least; a box of
# the whole head about eyes and mouth alone has some 0.1), and the share of landmarks in the box
# (0.62 at least).
LEAST_OVERLAP, LEAST_INSIDE = 0.02, 0.25
READ_BETTER = 0.15, 2.0  # the median overlap of another reading, and how many times the present one
ORDERS: tuple[tuple[str, ...], ...] = (
    CORNERS,
    ("left", "top", "width", "height"),
    ("left", "right", "top", "bottom"),
    ("top", "left", "bottom", "right"),
    ("top", "left", "height", "width"),
    ("centre x", "centre y", "width", "height"),
)
# A shape's distance to the third nearest of the others', by the median of that: at most 2.2 (300W,
# 68 landmarks), 4.0 (300W, 5) and 5.3 (rendered, 5). With the eyes swapped, of 5: 9 to 15.
UNLIKE, REFERENCES, NEAREST = 6.0, 500, 3
BLOCK = 4096  # faces that are compared at once
LYING = 75.0  # degrees of roll: at most 34 (300W) and 36 (rendered)


def points_fault(points: Array) -> str:
    """Why landmarks ``(L, 2)`` can't be those of a face, or nothing. Points are counted from 1."""
    finite = np.isfinite(points).all(axis=1)
    if not finite.all():
        return f"point {int(finite.argmin()) + 1} is not finite"
    beyond = (abs(points) > FARTHEST).any(axis=1)
    if beyond.any():
        return f"point {int(beyond.argmax()) + 1} is in no picture"
    unmarked = (points[:, 0] == points[:, 1]) & np.isin(points[:, 0], PLACEHOLDERS)
    if unmarked.any() and not unmarked.all():
        return (
            f"point {int(unmarked.argmax()) + 1} isn't annotated (0 0 or -1 -1 stands there); "
            "every landmark must be"
        )
    if (np.ptp(points, axis=0) <= 0).any():
        return "its points lie on one line or on one another"
    distances = np.linalg.norm(points - np.median(points, axis=0), axis=1)
    middle = np.median(distances)
    if len(points) >= FEWEST_FOR_FAR and distances.max() > FAR * middle:
        worst = int(distances.argmax()) + 1
        return f"point {worst} lies far from all others; is its decimal point lost?"
    size = np.ptp(points, axis=0).max()
    if size < SMALLEST:
        return f"its points span {size:.2g} px; are these shares of the picture, not pixels?"
    return ""


def coincide(points: Array, left: tuple[int, ...], right: tuple[int, ...]) -> bool:
    """Whether two groups of the landmarks ``(L, 2)``, such as the eyes, have the same mean."""
    first, second = (points[list(group)].mean(axis=0) for group in (left, right))
    return bool((first == second).all())


def outside_fault(points: Array, width: int, height: int) -> str:
    """Why landmarks ``(L, 2)`` can't be in a picture of this size, px, or nothing."""
    seen = points.clip((0, 0), (width - 1, height - 1))
    beyond = abs(points - seen).max(axis=1)
    worst = int(beyond.argmax())
    if beyond[worst] <= OUTSIDE * np.ptp(seen, axis=0).max():
        return ""
    return (
        f"point {worst + 1} lies {beyond[worst]:.0f} px outside the picture of "
        f"{width} x {height} pixels"
    )


def box_fault(box: Array, points: Array) -> str:
    """Why a box ``(4,)`` can't be that of landmarks ``(L, 2)``, or nothing."""
    if not np.isfinite(box).all() or (box[:2] >= box[2:]).any() or (abs(box) > FARTHEST).any():
        return "is empty or not finite"
    share = ((points >= box[:2]) & (points <= box[2:])).all(axis=1).mean()
    if share < LEAST_INSIDE:
        return "lies beside its points"
    (overlap,) = _overlaps(box[None], landmark_boxes(points[None]))
    if overlap < LEAST_OVERLAP:
        return f"hardly overlaps its points ({overlap:.1%} of both)"
    return ""


def other_order(boxes: Array, points: Array, columns: tuple[str, ...]) -> tuple[str, ...] | None:
    """What the boxes' numbers mean, if by the faces' landmarks they don't mean ``columns``.

    ``boxes`` are ``(N, 4)`` x_min, y_min, x_max, y_max as they were read in that belief, ``points``
    ``(N, L, 2)``.
    """
    given = {
        **{name: boxes[:, i] for i, name in enumerate(CORNERS)},
        "width": boxes[:, 2] - boxes[:, 0],
        "height": boxes[:, 3] - boxes[:, 1],
    }
    numbers = np.stack([given[name] for name in columns], axis=1)
    faces = landmark_boxes(points)
    overlap = {
        order: float(np.median(_overlaps(_corners(numbers, order), faces))) for order in ORDERS
    }
    best = max(ORDERS, key=overlap.__getitem__)
    least, times = READ_BETTER
    read = float(np.median(_overlaps(boxes, faces)))
    return best if overlap[best] >= max(least, times * read) else None


def unlike_the_others(points: Array) -> NDArray[np.intp]:
    """The faces of ``(N, L, 2)`` whose shapes no others have, the worst first.

    Place, size and rotation don't count.
    """
    chosen = _evenly(len(points))
    if len(chosen) <= 2 * NEAREST:
        return np.empty(0, dtype=np.intp)
    others = _shapes(points[chosen]).conj().T
    nearest = []
    for first in range(0, len(points), BLOCK):
        likeness = abs(_shapes(points[first : first + BLOCK]) @ others)
        own = np.flatnonzero((chosen >= first) & (chosen < first + BLOCK))
        likeness[chosen[own] - first, own] = 0  # to themselves
        nearest.append(-np.partition(-likeness, NEAREST - 1, axis=1)[:, NEAREST - 1])
    distances = np.sqrt(np.maximum(0, 1 - np.concatenate(nearest) ** 2))
    found = np.flatnonzero(distances > UNLIKE * np.median(distances))
    return found[np.argsort(-distances[found])]


def lying(points: Array, left: tuple[int, ...], right: tuple[int, ...]) -> NDArray[np.bool_]:
    """Which faces of ``(N, L, 2)`` lie on their side or stand on their head ``(N,)``.

    ``left`` and ``right`` are the landmarks of the eyes, as the viewer has them.
    """
    shapes = _shapes(points[_evenly(len(points))])
    mean = shapes[0]
    for _ in range(5):  # of the shapes turned to one another
        turns = (shapes * mean.conj()).sum(axis=1)
        mean = (shapes * (turns.conj() / np.maximum(abs(turns), 1e-12))[:, None]).mean(axis=0)
    eyes = mean[list(right)].mean() - mean[list(left)].mean()
    rolls = [
        np.angle((_shapes(points[first : first + BLOCK]) * mean.conj()).sum(axis=1))
        for first in range(0, len(points), BLOCK)
    ]
    return np.cos(np.concatenate(rolls) + np.angle(eyes)) < np.cos(np.radians(LYING))


def _evenly(count: int) -> NDArray[np.intp]:
    """Indices of the faces that the others are compared to."""
    return np.unique(np.linspace(0, count - 1, min(REFERENCES, count)).astype(np.intp))


def _shapes(points: Array) -> NDArray[np.complex128]:
    """Landmarks as complex numbers ``(N, L)``, their mean and size taken away."""
    shapes = points[..., 0] + 1j * points[..., 1]
    shapes = shapes - shapes.mean(axis=1, keepdims=True)
    return shapes / np.sqrt((abs(shapes) ** 2).sum(axis=1, keepdims=True))


def _corners(numbers: Array, order: tuple[str, ...]) -> Array:
    """Boxes ``(N, 4)`` of numbers ``(N, 4)`` that mean ``order``."""
    box = {name: numbers[:, i] for i, name in enumerate(order)}
    if "centre x" in box:
        box["left"] = box["centre x"] - box["width"] / 2
        box["top"] = box["centre y"] - box["height"] / 2
    if "width" in box:
        box["right"], box["bottom"] = box["left"] + box["width"], box["top"] + box["height"]
    return np.stack([box[name] for name in CORNERS], axis=1)


def _overlaps(boxes: Array, others: Array) -> Array:
    """Intersection by union ``(N,)`` of boxes ``(N, 4)``; nothing of what is no box."""
    low, high = np.maximum(boxes[:, :2], others[:, :2]), np.minimum(boxes[:, 2:], others[:, 2:])
    common = np.prod(np.maximum(0, high - low), axis=1)
    areas = [np.prod(np.maximum(0, one[:, 2:] - one[:, :2]), axis=1) for one in (boxes, others)]
    union = np.maximum(areas[0] + areas[1] - common, 1e-12)
    return np.nan_to_num(common / union)
