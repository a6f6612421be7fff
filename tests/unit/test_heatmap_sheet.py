"""Contact sheets of heat maps: each map where it belongs, over its own face."""

import numpy as np

from wingloss.drawing.contact_sheet import POINT
from wingloss.drawing.heatmap_sheet import DIMMED, HEAT, heatmap_sheet

SIZE, MAP = 128, 32  # a label is one line, above row 20
GREY = 80
PICTURES = np.full((2, SIZE, SIZE, 3), GREY, np.uint8)
POINTS = np.array([[[17.5, 29.5], [41.5, 29.5]], [[9.5, 49.5], [33.5, 49.5]]])


def maps(boundary: bool) -> np.ndarray:
    """One pixel of each map, that under the point; a boundary's row 8."""
    shown = np.zeros((2, 2 + boundary, MAP, MAP), np.float32)
    for face, points in enumerate(POINTS):
        for landmark, (x, y) in enumerate(points):
            shown[face, landmark, int(y) // 4, int(x) // 4] = 1.5
    if boundary:
        shown[1, 2, 8] = 1
        shown[0, 2] = -1
    return shown


def test_points_and_heat_are_at_the_same_place():
    drawn = heatmap_sheet(PICTURES, POINTS, {"true": maps(boundary=False)})
    assert drawn.shape == (2 * SIZE, 2 * SIZE, 3)
    own, heated = np.split(drawn, 2, axis=1)
    for face, points in enumerate(POINTS):
        for x, y in points.astype(int):
            row = face * SIZE + y
            assert np.abs(own[row, x] - np.array(POINT)).max() < 60  # smoothed
            assert np.abs(heated[row, x] - np.array(HEAT)).max() < 60  # between four pixels
            assert tuple(heated[row + 12, x + 8]) == (GREY * DIMMED,) * 3


def test_each_kind_of_maps_has_two_pictures_and_a_boundary_is_clipped():
    drawn = heatmap_sheet(PICTURES, POINTS, {"true": maps(True), "predicted": maps(True)})
    assert drawn.shape == (2 * SIZE, 5 * SIZE, 3)
    first, second = drawn[20:SIZE, 2 * SIZE : 3 * SIZE], drawn[SIZE:, 2 * SIZE : 3 * SIZE]
    assert (first == GREY * DIMMED).all()  # below zero is zero
    assert np.abs(second[33:35].astype(int) - HEAT).max() < 40
    assert (second[40:] == GREY * DIMMED).all()
    assert (PICTURES == GREY).all()
