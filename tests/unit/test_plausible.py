"""Landmarks and boxes that can't be right."""

import numpy as np
import pytest
from trees import faces, five

from wingloss.datasets import plausible

POINTS = faces("300w", 1)[0][0]
COLUMNS = ("left", "top", "right", "bottom")


@pytest.mark.parametrize("count", [68, 5])
@pytest.mark.parametrize(
    ("place", "value", "fault"),
    [
        (3, (0, 0), "point 4 isn't annotated"),
        (0, (-1, -1), "point 1 isn't annotated"),
        (4, (-2, -2), "point 5 isn't annotated"),  # -1 -1 in a format that counts from 1
        (2, (np.nan, 5), "point 3 is not finite"),
        (2, (5, np.inf), "point 3 is not finite"),
        (1, (2e6, 40), "point 2 is in no picture"),
        (1, (48250, 55.5), "point 2 lies far from all others; is its decimal point lost?"),
        (1, (40, 3825), "point 2 lies far from all others"),
        (1, (-999, -999), "point 2 lies far from all others"),
        (1, (-1, 41), ""),
        (1, (100, 40), ""),
    ],
)
def test_a_point_that_cannot_be_right_is_named(
    count: int, place: int, value: tuple[float, float], fault: str
) -> None:
    points = POINTS.copy() if count == 68 else five(POINTS)
    assert plausible.points_fault(points) == ""
    points[place] = value
    found = plausible.points_fault(points)
    assert found.startswith(fault) and bool(found) == bool(fault)


def test_shares_of_the_picture_and_lines_are_no_faces() -> None:
    assert "shares of the picture, not pixels?" in plausible.points_fault(POINTS / 100)
    assert "on one line" in plausible.points_fault(POINTS * [1, 0])
    assert "on one line" in plausible.points_fault(np.zeros((5, 2)))


def test_points_far_outside_the_picture_are_named() -> None:
    assert plausible.outside_fault(POINTS, 100, 90) == ""
    half = POINTS - [POINTS[:, 0].mean(), 0]  # as a face that the picture's edge cuts through
    assert plausible.outside_fault(half, 100, 90) == ""
    points = POINTS.copy()
    points[7] = 480, 50
    said = "point 8 lies 381 px outside the picture of 100 x 90 pixels"
    assert plausible.outside_fault(points, 100, 90) == said
    assert plausible.outside_fault(POINTS[:, ::-1] + [0, 300], 100, 90)


@pytest.mark.parametrize(
    ("box", "fault"),
    [
        ((30, 20, 75, 70), ""),
        ((0, 0, 100, 100), ""),
        ((75, 20, 30, 70), "is empty or not finite"),
        ((30, 20, np.inf, 70), "is empty or not finite"),
        ((200, 20, 300, 70), "lies beside its points"),
        ((0, 0, 36, 36), "lies beside its points"),
        ((0, 0, 7000, 70), "hardly overlaps its points (0.2% of both)"),
    ],
)
def test_a_box_that_cannot_be_right_is_named(box: tuple[float, ...], fault: str) -> None:
    assert plausible.box_fault(np.array(box, float), POINTS) == fault


@pytest.mark.parametrize("order", plausible.ORDERS)
@pytest.mark.parametrize("columns", plausible.ORDERS[:3])
def test_boxes_in_another_order_are_found(order: tuple[str, ...], columns: tuple[str, ...]) -> None:
    """Written in ``order`` and read as ``columns``, of faces away from the picture's corner."""
    points, boxes = faces("300w", 20)
    points, boxes = points + [60, 20], boxes + [60, 20, 60, 20]
    left, top, right, bottom = boxes.T
    said = {"left": left, "top": top, "right": right, "bottom": bottom}
    said |= {"width": right - left, "height": bottom - top}
    said |= {"centre x": (left + right) / 2, "centre y": (top + bottom) / 2}
    numbers = dict(zip(columns, (said[name] for name in order), strict=True))
    if "width" in numbers:
        numbers["right"] = numbers["left"] + numbers["width"]
        numbers["bottom"] = numbers["top"] + numbers["height"]
    read = np.stack([numbers[name] for name in COLUMNS], axis=1)
    assert plausible.other_order(read, points, columns) == (None if order == columns else order)


@pytest.mark.parametrize("count", [12, 400])
def test_swapped_and_shifted_points_are_found(count: int) -> None:
    points = five(faces("300w", count)[0])
    assert not len(plausible.unlike_the_others(points))
    points[3, [0, 1]] = points[3, [1, 0]]  # the eyes
    points[7] = np.roll(points[7], 1, axis=0)
    assert set(plausible.unlike_the_others(points)) == {3, 7}


def test_faces_on_their_side_are_found() -> None:
    points = five(faces("300w", 20)[0])
    assert not plausible.lying(points, (0,), (1,)).any()
    points[4] = points[4][:, ::-1] * [1, -1]  # a quarter turn
    points[5] = -points[5]
    assert np.flatnonzero(plausible.lying(points, (0,), (1,))).tolist() == [4, 5]
    assert plausible.lying(points[6:, :, ::-1] * [1, -1], (0,), (1,)).all()


def test_one_or_two_faces_are_unlike_nobody() -> None:
    for count in (1, 2):
        points = five(faces("300w", count)[0])
        assert not len(plausible.unlike_the_others(points))
        assert not plausible.lying(points, (0,), (1,)).any()
