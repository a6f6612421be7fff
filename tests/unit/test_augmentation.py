"""Landmarks stay on their pixels through every warp.

Each test face has three landmarks, and at each of them a soft dot in a colour of its own: red,
green, blue. Where a dot's centre of mass comes to lie is where its landmark has to be.
"""

from dataclasses import replace

import numpy as np
import pytest

from wingloss.augmentation.perturbation import (
    Augmentation,
    Faces,
    Images,
    augment,
    draw,
    plain,
    shrink,
)
from wingloss.geometry import Array, apply, compose, invert, to_unit

CROP, SIZE = 120, 64  # sides of the context crops and of the inputs, px
FRAMES = np.array([[60.0, 58.0, 70.0, 0.0], [55.0, 62.0, 80.0, 0.3]])
# in the frames' unit squares, away from their edges
UNIT = np.array([[[0.3, 0.35], [0.7, 0.4], [0.5, 0.5]], [[0.35, 0.3], [0.6, 0.6], [0.4, 0.7]]])
SWAP = np.array([1, 0, 2])
NEAR = 0.06  # px: dots have whole grey levels and warps 1/32 px

STILL = Augmentation(rotation=0, flip=0, box_shift=0, blur=0, blur_sigma=1)
FULL = Augmentation(rotation=30, flip=0.5, box_shift=0.05, blur=0.5, blur_sigma=1)


def dotted(points: Array, size: int, sigma: float) -> Images:
    """Pictures ``(N, size, size, 3)`` with landmark c of each as a soft dot in channel c."""
    y, x = np.indices((size, size))[..., None]
    squares = (x - points[:, None, None, :, 0]) ** 2 + (y - points[:, None, None, :, 1]) ** 2
    return np.rint(250 * np.exp(-squares / (2 * sigma**2))).astype(np.uint8)


def dots(pictures: Images) -> Array:
    """The centres of mass ``(N, 3, 2)`` of each picture's three channels."""
    y, x = np.indices(pictures.shape[1:3])[..., None]
    weight = pictures / pictures.sum(axis=(1, 2), keepdims=True)
    return np.stack([(weight * x).sum(axis=(1, 2)), (weight * y).sum(axis=(1, 2))], axis=-1)


@pytest.fixture(scope="module")
def faces() -> Faces:
    maps = to_unit(FRAMES)
    points = apply(invert(maps), UNIT)
    return Faces(dotted(points, CROP, 3), points, maps)


def augmented(
    faces: Faces, augmentation: Augmentation, count: int = 20, seed: int = 0
) -> tuple[Images, Array]:
    rng = np.random.default_rng(seed)
    return augment(faces, np.arange(count) % 2, augmentation, rng, SIZE, SWAP)


def test_the_dots_are_where_the_test_thinks(faces: Faces):
    np.testing.assert_allclose(dots(faces.crops), faces.points, atol=0.01)


def test_plain_inputs_show_the_frame(faces: Faces):
    pictures, transform = plain(faces, np.array([1, 0]), SIZE)
    assert pictures.shape == (2, SIZE, SIZE, 3) and pictures.dtype == np.uint8
    expected = UNIT[[1, 0]] * SIZE - 0.5
    np.testing.assert_allclose(apply(transform, faces.points[[1, 0]]), expected)
    np.testing.assert_allclose(dots(pictures), expected, atol=NEAR)


def test_no_perturbation_is_plain(faces: Faces):
    pictures, points = augmented(faces, STILL, count=2)
    expected, transform = plain(faces, np.arange(2), SIZE)
    assert np.array_equal(pictures, expected)
    np.testing.assert_allclose(points, apply(transform, faces.points), atol=1e-9)


@pytest.mark.parametrize(
    "augmentation",
    [
        replace(STILL, rotation=30),
        replace(STILL, box_shift=0.05),
        replace(STILL, blur=1),
        replace(FULL, flip=0),
    ],
    ids=["rotation", "box_shift", "blur", "all"],
)
def test_points_follow_their_pixels(faces: Faces, augmentation: Augmentation):
    pictures, points = augmented(faces, augmentation)
    np.testing.assert_allclose(dots(pictures), points, atol=NEAR)


@pytest.mark.parametrize("augmentation", [replace(STILL, flip=1), replace(FULL, flip=1)])
def test_flipped_faces_permute_their_landmarks(faces: Faces, augmentation: Augmentation):
    """Red's landmark is now where the green dot is: left has become right."""
    pictures, points = augmented(faces, augmentation)
    np.testing.assert_allclose(dots(pictures)[:, SWAP], points, atol=NEAR)
    unflipped = augmented(faces, replace(augmentation, flip=0))[1]
    np.testing.assert_allclose(points[..., 0], SIZE - 1 - unflipped[:, SWAP, 0], atol=1e-9)


def test_rotation_is_about_the_middle_of_the_box(faces: Faces):
    points = augmented(faces, replace(STILL, rotation=30))[1]
    np.testing.assert_allclose(points[::2, 2], (SIZE - 1) / 2)  # the first face's blue landmark
    sides = np.linalg.norm(points[:, 0] - points[:, 1], axis=1)
    np.testing.assert_allclose(sides[:2], SIZE * np.linalg.norm(UNIT[:, 0] - UNIT[:, 1], axis=1))
    np.testing.assert_allclose(sides, np.tile(sides[:2], 10))
    line = points[::2, 1] - points[::2, 0]
    angles = np.rad2deg(np.arctan2(line[:, 1], line[:, 0]) - np.arctan2(0.05, 0.4))
    assert np.abs(angles).max() <= 30 and np.ptp(angles) > 30


def test_the_moved_box_is_cut_from_the_turned_picture(faces: Faces):
    points = augmented(faces, replace(FULL, flip=0))[1]
    drawn = draw(replace(FULL, flip=0), 20, np.random.default_rng(0))
    for k, (angle, (low, high)) in enumerate(zip(drawn.rotation, drawn.corners, strict=True)):
        cos, sin = np.cos(angle), np.sin(angle)
        turned = (UNIT[k % 2] - 0.5) @ np.array([[cos, sin], [-sin, cos]]) + 0.5
        np.testing.assert_allclose(points[k], (turned - low) / (high - low) * SIZE - 0.5)


def test_blur_has_its_sigma(faces: Faces):
    """A Gaussian adds its variance to a dot's; the rounded kernel and grey levels lose a little."""

    def spread(pictures: Images) -> Array:
        x = np.arange(SIZE)[None, None, :, None]
        weight = pictures / pictures.sum(axis=(1, 2), keepdims=True)
        return (weight * (x - dots(pictures)[:, None, None, :, 0]) ** 2).sum(axis=(1, 2))

    sharp, blurred = (augmented(faces, replace(STILL, blur=p), count=2)[0] for p in (0, 1))
    np.testing.assert_allclose(spread(blurred) - spread(sharp), 1, atol=0.15)


def test_copies_of_a_face_get_draws_of_their_own(faces: Faces):
    rng = np.random.default_rng(0)
    pictures, points = augment(faces, np.array([0, 0]), FULL, rng, SIZE, SWAP)
    assert np.abs(points[0] - points[1]).max() > 1
    assert (pictures[0] != pictures[1]).any()


def test_the_generator_decides_everything(faces: Faces):
    pictures, points = augmented(faces, FULL, seed=3)
    again = augmented(faces, FULL, seed=3)
    assert np.array_equal(pictures, again[0]) and np.array_equal(points, again[1])
    assert not np.array_equal(points, augmented(faces, FULL, seed=4)[1])


def test_draws_fill_their_bounds():
    drawn = draw(FULL, 2000, np.random.default_rng(0))
    degrees, shifts = np.rad2deg(drawn.rotation), drawn.corners - [[0, 0], [1, 1]]
    for values, bound in ((degrees, 30), (shifts, 0.05)):
        assert -bound <= values.min() < -0.99 * bound
        assert 0.99 * bound < values.max() <= bound
        assert np.std(values) == pytest.approx(bound / np.sqrt(3), rel=0.05)  # uniform
    assert abs(np.corrcoef(shifts.reshape(-1, 4).T) - np.eye(4)).max() < 0.1
    for chosen in (drawn.flipped, drawn.blurred):
        assert chosen.mean() == pytest.approx(0.5, abs=0.05)
    assert abs(np.corrcoef(drawn.flipped, drawn.blurred)[0, 1]) < 0.1


def test_certain_and_impossible_draws():
    drawn = draw(replace(FULL, flip=1, blur=0), 500, np.random.default_rng(0))
    assert drawn.flipped.all() and not drawn.blurred.any()


def test_shrunk_faces_keep_their_landmarks_and_frames(faces: Faces):
    small = shrink(faces, 24)  # frames of 70 and 80 px: thirds still have 25, quarters wouldn't
    assert small.crops.shape == (2, 40, 40, 3)
    np.testing.assert_allclose(dots(small.crops), small.points, atol=NEAR)
    np.testing.assert_allclose(apply(small.to_unit, small.points), UNIT, atol=1e-9)
    larger = compose(invert(faces.to_unit), small.to_unit)
    np.testing.assert_allclose(apply(larger, small.points), faces.points)
    np.testing.assert_allclose(
        dots(plain(small, np.arange(2), 24)[0]), UNIT * 24 - 0.5, atol=2 * NEAR
    )


def test_a_shrunk_pixel_is_the_mean_of_its_block(faces: Faces):
    blocks = faces.crops.reshape(2, 40, 3, 40, 3, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(shrink(faces, 24).crops, blocks, atol=0.51)


@pytest.mark.parametrize("size", [SIZE, 500])
def test_faces_with_no_pixels_to_spare_are_left(faces: Faces, size: int):
    assert shrink(faces, size) is faces


def test_no_faces_are_no_error(faces: Faces):
    nobody = Faces(faces.crops[:0], faces.points[:0], faces.to_unit[:0])
    pictures, transform = plain(shrink(nobody, SIZE), np.arange(0), SIZE)
    assert pictures.shape == (0, SIZE, SIZE, 3) and transform.shape == (0, 2, 3)
