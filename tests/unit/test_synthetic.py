"""The embedded data set: what its annotation promises about its pictures."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr

from wingloss.pose import projection
from wingloss.synthetic.face import Face, render_face
from wingloss.synthetic.head import BASIS, CENTRE, CONTROLS, LANDMARKS, angles, head_grid, sample
from wingloss.synthetic.population import FaceDistribution

POPULATION = FaceDistribution(
    image_size=96,
    yaw_scale=10,
    yaw_tail=0.4,
    pitch_std=8,
    roll_std=10,
    box_shift=0,
    box_scale=0,
    occlusion=0,
    expression=0,
    illumination=0,
    blur=0,
)
UPRIGHT = replace(POPULATION, pitch_std=0, roll_std=0)
FORWARD = replace(UPRIGHT, yaw_scale=0, yaw_tail=0)


SHARES = {"occlusion": 0.3, "expression": 0.2, "illumination": 0.15, "blur": 0.1}
MIXED = replace(
    POPULATION, image_size=32, yaw_scale=14, yaw_tail=0.15, box_shift=0.05, box_scale=0.1, **SHARES
)


@pytest.fixture(scope="module")
def faces() -> list[Face]:
    return [render_face(UPRIGHT, seed=1, index=i) for i in range(60)]


@pytest.fixture(scope="module")
def population() -> list[Face]:
    return [render_face(MIXED, seed=0, index=i) for i in range(300)]


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
    assert face.points19.shape == (19, 2) and face.visible19.shape == (19,)
    assert face.box.shape == (4,)


def test_the_surface_passes_through_the_landmarks():
    surface = sample(head_grid().mean, *(a[None] for a in angles(LANDMARKS)))[0]
    assert np.linalg.norm(surface - LANDMARKS, axis=1).max() < 0.05


def test_movements_fade_towards_the_back_of_the_head():
    length = np.linalg.norm(BASIS[:12], axis=2).max(axis=0)  # of the estimated modes
    assert length[CONTROLS[:, 2] < CENTRE[2] - 0.9].max() < 0.1 * length[:68].mean()


def test_the_mean_face_is_symmetric_and_modes_are_distinct():
    mirrored = CONTROLS * [-1, 1, 1]
    distance = np.linalg.norm(CONTROLS[:, None] - mirrored, axis=-1)
    assert distance.min(axis=1).max() < 1e-9
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
    assert np.corrcoef(nose, np.sin(np.deg2rad(yaw)))[0, 1] > 0.97


@pytest.mark.parametrize(("name", "std"), [("pitch", "pitch_std"), ("roll", "roll_std")])
def test_signs_of_pitch_and_roll(name: str, std: str):
    turned = [render_face(replace(FORWARD, **{std: 20}), seed=0, index=i) for i in range(20)]
    angles = [getattr(f, name) for f in turned]
    if name == "pitch":  # the nose tip moves down from the line between the ears
        signs = [(f.points[30] - f.points[[0, 16]].mean(0))[1] / sides(f)[0] for f in turned]
    else:  # the line between the outer eye corners turns clockwise, from +x to +y
        signs = [np.arctan2(*(f.points[45] - f.points[36])[::-1]) for f in turned]
    assert np.corrcoef(angles, signs)[0, 1] > 0.95


def test_yaw_is_centred_with_a_tail(population: list[Face]):
    yaw = np.array([f.yaw for f in population])
    # beyond 45 degrees: half the uniform tail and exp(-45 / 14) of the core; 3 standard errors wide
    assert abs((abs(yaw) > 45).mean() - (0.15 * 0.5 + 0.85 * np.exp(-45 / 14))) < 0.055
    assert abs(yaw.mean()) < 4 * yaw.std() / np.sqrt(len(yaw))
    assert abs(yaw).max() <= 90
    assert (abs(yaw) < 20).mean() > 0.5


def test_one_of_the_first_two_shape_modes_is_the_yaw(population: list[Face]):
    shapes = np.array([f.points for f in population])
    yaw = [f.yaw for f in population]
    modes = [projection.fit_eigenvector(shapes, mode).coefficients(shapes) for mode in (1, 2)]
    assert max(abs(np.corrcoef(mode, yaw)[0, 1]) for mode in modes) > 0.95
    assert max(abs(spearmanr(mode, yaw).statistic) for mode in modes) > 0.99


def test_subsets_have_their_shares_and_large_pose_is_the_yaw(population: list[Face]):
    for name, share in SHARES.items():
        drawn = np.mean([name in f.subsets for f in population])
        assert abs(drawn - share) < 3.5 * np.sqrt(share * (1 - share) / len(population))
    assert all(("large_pose" in f.subsets) == (abs(f.yaw) > 45) for f in population)


def test_subsets_show(population: list[Face]):
    def hidden(chosen: list[Face]) -> float:
        return float(np.mean([~f.visible[17:] for f in chosen if abs(f.yaw) < 30]))

    def mouth(face: Face) -> float:  # the open mouth's height in units of the face's
        return float(np.linalg.norm(face.points[66] - face.points[62])) / sides(face)[0]

    occluded = [f for f in population if "occlusion" in f.subsets]
    free = [f for f in population if "occlusion" not in f.subsets]
    assert hidden(occluded) > 0.03 > 2 * hidden(free)
    calm = [mouth(f) for f in population if "expression" not in f.subsets]
    strong = [mouth(f) for f in population if "expression" in f.subsets]
    assert np.std(strong) > 1.5 * np.std(calm)


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


def test_box_errors_have_the_given_spread(population: list[Face]):
    logs = [np.log(side / tight) for tight, side in map(sides, population)]
    shifts = [
        (f.box[:2] + f.box[2:] - f.points.min(0) - f.points.max(0)) / 2 / sides(f)[0]
        for f in population
    ]
    assert np.std(logs) == pytest.approx(0.1, rel=0.2)
    assert np.std(shifts) == pytest.approx(0.05, rel=0.2)


def test_the_far_side_is_hidden_at_profile(faces: list[Face]):
    right = [f for f in faces if f.yaw > 60]
    left = [f for f in faces if f.yaw < -60]
    assert len(right) > 1 and len(left) > 1
    far_right, far_left = [25, 26, 43, 44, 45, 46, 47], [17, 18, 36, 37, 38, 40, 41]
    assert np.mean([f.visible[far_right] for f in right]) < 0.25
    assert np.mean([f.visible[far_left] for f in left]) < 0.25
    assert np.mean([f.visible[far_left] for f in right]) > 0.7
    assert np.mean([f.visible[far_right] for f in left]) > 0.7
    forward = [f for f in faces if abs(f.yaw) < 10]
    assert np.mean([f.visible[27:] for f in forward]) > 0.95


def test_the_far_contour_slides_to_the_outline(faces: list[Face]):
    """300W's convention; as points of the head, the ears' would lie inside the eyes' corners."""
    turned = [f for f in faces if 40 < abs(f.yaw) < 65]
    assert len(turned) > 3
    for face in turned:
        contour, eye = ([14, 15, 16], 45) if face.yaw > 0 else ([0, 1, 2], 36)
        beyond = np.sign(face.yaw) * (face.points[contour, 0] - face.points[eye, 0])
        assert (beyond > -2).all()


def test_points19_follow_aflw():
    face = render_face(FORWARD, seed=0, index=0)
    x, y = face.points19.T
    for triple in range(0, 18, 3):  # brows, eyes, nose, mouth: each from the left to the right
        assert (np.diff(x[triple : triple + 3]) > 0).all()
    assert y[:6].max() < y[6:12].min() < y[12:15].min() < y[15:18].min() < y[18]


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
        ("occlusion", 1.5),
        ("blur", -0.1),
    ],
)
def test_a_parameter_out_of_range_is_named(name: str, value: float):
    with pytest.raises(ValueError, match=name):
        replace(POPULATION, **{name: value})
