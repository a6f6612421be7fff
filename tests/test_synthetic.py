"""The embedded data set: what its annotation promises about its pictures."""

from dataclasses import replace

import numpy as np
import pytest

from wingloss.synthetic import (
    BASIS,
    CONTROLS,
    LANDMARKS,
    Face,
    FaceDistribution,
    render_face,
)

POPULATION = FaceDistribution(
    image_size=96,
    yaw_scale=10,
    yaw_tail=0.4,
    pitch_std=8,
    roll_std=10,
    box_shift=0,
    box_scale=0,
)
UPRIGHT = replace(POPULATION, pitch_std=0, roll_std=0)
FORWARD = replace(UPRIGHT, yaw_scale=0, yaw_tail=0)


@pytest.fixture(scope="module")
def faces() -> list[Face]:
    return [render_face(UPRIGHT, seed=1, index=i) for i in range(100)]


def sides(face: Face) -> tuple[float, float]:
    """The tight landmark box's longer side and the given box's width, px."""
    return float(np.ptp(face.points, axis=0).max()), float(face.box[2] - face.box[0])


def test_a_face_depends_on_seed_and_index_alone():
    first = render_face(POPULATION, seed=3, index=5)
    other = render_face(POPULATION, seed=3, index=6)
    again = render_face(POPULATION, seed=3, index=5)
    assert first.image.tobytes() == again.image.tobytes()
    assert first.points.tobytes() == again.points.tobytes()
    assert first.box.tobytes() == again.box.tobytes()
    assert (first.image != other.image).any()
    assert (first.image != render_face(POPULATION, seed=4, index=5).image).any()


@pytest.mark.parametrize("size", [64, 160])
def test_shapes_and_types(size: int):
    face = render_face(replace(POPULATION, image_size=size), seed=0, index=0)
    assert face.image.shape == (size, size, 3) and face.image.dtype == np.uint8
    assert face.points.shape == (68, 2) and face.points.dtype == np.float64
    assert face.visible.shape == (68,) and face.visible.dtype == bool
    assert face.box.shape == (4,)


def test_the_mean_face_is_symmetric_and_modes_are_distinct():
    mirrored = CONTROLS * [-1, 1, 1]
    distance = np.linalg.norm(CONTROLS[:, None] - mirrored, axis=-1)
    assert distance.min(axis=1).max() == 0
    assert np.linalg.matrix_rank(BASIS.reshape(len(BASIS), -1)) == len(BASIS)


def test_points_of_a_forward_face_are_the_model_in_the_picture():
    """Unturned faces have the mean face's layout up to identity, expression and perspective."""
    for index in range(5):
        points = render_face(FORWARD, seed=2, index=index).points
        unit = np.linalg.norm(points[42:48].mean(0) - points[36:42].mean(0))
        layout = (points - points[36:48].mean(0)) / unit
        assert np.abs(layout - LANDMARKS[:, :2]).mean() < 0.12


def test_positive_yaw_moves_the_nose_tip_right(faces: list[Face]):
    yaw = np.array([f.yaw for f in faces])
    nose = np.array([(f.points[30] - f.points[[0, 16]].mean(0))[0] / sides(f)[0] for f in faces])
    assert np.corrcoef(nose, np.sin(np.deg2rad(yaw)))[0, 1] > 0.98


@pytest.mark.parametrize(("name", "std"), [("pitch", "pitch_std"), ("roll", "roll_std")])
def test_signs_of_pitch_and_roll(name: str, std: str):
    turned = [render_face(replace(FORWARD, **{std: 20}), seed=0, index=i) for i in range(20)]
    angles = [getattr(f, name) for f in turned]
    if name == "pitch":  # the nose tip moves down from the line between the ears
        signs = [(f.points[30] - f.points[[0, 16]].mean(0))[1] / sides(f)[0] for f in turned]
    else:  # the line between the outer eye corners turns clockwise, from +x to +y
        signs = [np.arctan2(*(f.points[45] - f.points[36])[::-1]) for f in turned]
    assert np.corrcoef(angles, signs)[0, 1] > 0.95


def test_yaw_is_centred_with_a_tail():
    wide = replace(POPULATION, image_size=32)
    yaw = np.array([render_face(wide, seed=0, index=i).yaw for i in range(200)])
    # beyond 45 degrees: half the uniform tail and exp(-4.5) of the core; 3 standard errors wide
    assert abs((abs(yaw) > 45).mean() - (0.4 * 0.5 + 0.6 * np.exp(-4.5))) < 0.1
    assert abs(yaw.mean()) < 4 * yaw.std() / np.sqrt(len(yaw))
    assert abs(yaw).max() <= 90
    assert (abs(yaw) < 20).mean() > 0.5


def test_landmarks_lie_inside_the_picture_and_fill_half_of_it(faces: list[Face]):
    for face in faces:
        assert (face.points > 0).all() and (face.points < 95).all()
        assert 0.45 < sides(face)[0] / 96 < 0.59


def test_box_is_the_tight_square_when_the_detector_is_exact(faces: list[Face]):
    for face in faces:
        tight, side = sides(face)
        assert side == pytest.approx(tight) and face.box[3] - face.box[1] == pytest.approx(tight)
        assert (face.points >= face.box[:2] - 1e-9).all()
        assert (face.points <= face.box[2:] + 1e-9).all()


def test_box_errors_have_the_given_spread():
    distribution = replace(POPULATION, image_size=32, box_shift=0.05, box_scale=0.1)
    drawn = [render_face(distribution, seed=0, index=i) for i in range(120)]
    logs = [np.log(side / tight) for tight, side in map(sides, drawn)]
    shifts = [
        (f.box[:2] + f.box[2:] - f.points.min(0) - f.points.max(0)) / 2 / sides(f)[0] for f in drawn
    ]
    assert np.std(logs) == pytest.approx(0.1, rel=0.25)
    assert np.std(shifts) == pytest.approx(0.05, rel=0.25)


def test_the_far_side_of_the_jaw_is_hidden_at_large_yaw(faces: list[Face]):
    right = [f for f in faces if f.yaw > 50]
    left = [f for f in faces if f.yaw < -50]
    assert len(right) > 3 and len(left) > 3
    assert np.mean([f.visible[11:17] for f in right]) < 0.1
    assert np.mean([f.visible[0:6] for f in left]) < 0.1
    assert np.mean([f.visible[0:6] for f in right]) > 0.8
    assert np.mean([f.visible[11:17] for f in left]) > 0.8
    forward = [f for f in faces if abs(f.yaw) < 10]
    assert np.mean([f.visible for f in forward]) > 0.95


def test_a_face_is_drawn_where_its_landmarks_are():
    """Lips are redder, brows darker, than the skin by their side (medians over forward faces)."""
    redness, brow, contrast = [], [], []
    for index in range(30):
        face = render_face(FORWARD, seed=5, index=index)
        image = face.image.astype(float)

        def colour(point: np.ndarray, image: np.ndarray = image) -> np.ndarray:
            x, y = np.rint(point).astype(int)
            return image[y, x]

        lip = colour((face.points[57] + face.points[66]) / 2)
        chin = colour(0.4 * face.points[57] + 0.6 * face.points[8])
        forehead = colour(face.points[19] + 0.5 * (face.points[19] - face.points[37]))
        redness.append(lip[0] / lip.sum() - chin[0] / chin.sum())
        brow.append(forehead.mean() - colour(face.points[19]).mean())
        contrast.append(np.linalg.norm(colour(face.points[30]) - image[0, 0]))
    assert np.median(redness) > 0.02
    assert np.median(brow) > 20
    assert np.median(contrast) > 40


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image_size", 8),
        ("yaw_scale", -1),
        ("yaw_tail", 1.1),
        ("pitch_std", 60),
        ("roll_std", float("nan")),
        ("box_shift", -0.1),
        ("box_scale", 2),
    ],
)
def test_a_parameter_out_of_range_is_named(name: str, value: float):
    with pytest.raises(ValueError, match=name):
        replace(POPULATION, **{name: value})
