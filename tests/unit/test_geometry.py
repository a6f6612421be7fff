"""Frames, affine maps and the pixel-centre convention, by hand and as identities."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from wingloss.geometry import (
    Array,
    apply,
    compose,
    enlarge,
    flip,
    invert,
    landmark_boxes,
    square_frames,
    to_unit,
    unit_to_pixels,
)

CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])  # clockwise from upper left
points = arrays(np.float64, (2, 5, 2), elements=st.floats(-500, 500))


@st.composite
def maps(draw: st.DrawFn) -> Array:
    """Two invertible affine maps ``(2, 2, 3)`` that turn, stretch, shear and move."""
    angle, shear = draw(st.floats(-4, 4)), draw(st.floats(-2, 2))
    stretch = draw(arrays(np.float64, 2, elements=st.floats(0.1, 10)))
    move = draw(arrays(np.float64, (2, 2, 1), elements=st.floats(-100, 100)))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ np.diag(stretch) @ np.array([[1, shear], [0, 1]])
    return np.concatenate([np.stack([linear, linear.T]), move], axis=-1)


@pytest.mark.parametrize(
    ("frame", "corners"),
    [
        ((10, 20, 4, 0), [[8, 18], [12, 18], [12, 22], [8, 22]]),
        # a quarter turn of x towards y: the upper left corner comes to lie at the upper right
        ((10, 20, 4, np.pi / 2), [[12, 18], [12, 22], [8, 22], [8, 18]]),
        # an eighth: the upper left corner is on top
        ((0, 0, np.sqrt(2), np.pi / 4), [[0, -1], [1, 0], [0, 1], [-1, 0]]),
    ],
)
def test_corners_of_a_frame_by_hand(frame: tuple[float, ...], corners: list[list[float]]):
    unit = apply(to_unit(np.array([frame])), np.array([corners], dtype=float))
    np.testing.assert_allclose(unit[0], CORNERS, atol=1e-12)


def test_a_picture_spans_half_a_pixel_beyond_its_outer_pixel_centres():
    there = apply(unit_to_pixels(64), np.array([[0.0, 0.0], [1.0, 1.0], [0.5, 0.25]]))
    assert there.tolist() == [[-0.5, -0.5], [63.5, 63.5], [31.5, 15.5]]


def test_a_frame_is_square_about_its_box_with_the_longer_side():
    boxes = np.array([[0.0, 0.0, 10.0, 4.0], [2.0, -4.0, 6.0, 16.0]])
    assert square_frames(boxes, 1.25).tolist() == [[5, 2, 12.5, 0], [4, 6, 25, 0]]


def test_enlarging_keeps_centre_and_angle():
    assert enlarge(np.array([[5.0, 2.0, 12.0, 0.3]]), 1.5).tolist() == [[5, 2, 18, 0.3]]


def test_landmark_boxes_are_tight():
    faces = np.array([[[3.0, 9.0], [1.0, 2.0], [7.0, 5.0]], [[0.0, 0.0], [-1.0, 4.0], [2.0, 1.0]]])
    assert landmark_boxes(faces).tolist() == [[1, 2, 7, 9], [-1, 0, 2, 4]]


@given(outer=maps(), inner=maps(), at=points)
def test_a_composed_map_applies_the_inner_one_first(outer: Array, inner: Array, at: Array):
    np.testing.assert_allclose(
        apply(compose(outer, inner), at), apply(outer, apply(inner, at)), atol=1e-6
    )


@given(transform=maps(), at=points)
def test_an_inverse_undoes_its_map(transform: Array, at: Array):
    np.testing.assert_allclose(apply(invert(transform), apply(transform, at)), at, atol=1e-6)
    np.testing.assert_allclose(invert(invert(transform)), transform, atol=1e-6)


@given(transform=maps(), at=points)
def test_one_map_serves_many_faces(transform: Array, at: Array):
    one = transform[0]
    assert np.array_equal(apply(one, at)[1], apply(one, at[1]))
    np.testing.assert_allclose(compose(one, transform)[1], compose(one, transform[1]))


def test_a_map_is_applied_by_hand():
    transform = np.array([[0.0, -2.0, 5.0], [1.0, 0.0, 7.0]])
    assert apply(transform, np.array([[3.0, 4.0]])).tolist() == [[-3, 10]]


def test_flipped_points_take_their_partners_places():
    face = np.array([[1.0, 5.0], [8.0, 6.0], [4.0, 7.0]])
    before = face.copy()
    assert flip(face, np.array([1, 0, 2]), 10).tolist() == [[1, 6], [8, 5], [5, 7]]
    assert np.array_equal(face, before)


def test_flipped_points_lie_where_the_flipped_pixels_do():
    picture = np.zeros((6, 8))
    picture[2, 1] = 1
    moved = flip(np.array([[1.0, 2.0]]), np.array([0]), 8)[0]
    assert np.argwhere(picture[:, ::-1])[0, ::-1].tolist() == moved.tolist()


@given(at=points, size=st.integers(1, 300))
def test_flipping_twice_is_the_identity(at: Array, size: int):
    permutation = np.array([4, 1, 3, 2, 0])
    np.testing.assert_allclose(flip(flip(at, permutation, size), permutation, size), at, atol=1e-9)
