"""Protocols as data: every one is sound, and 300W is the field's."""

import contextlib
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from trees import SCHEMES, drawn

from wingloss import protocol
from wingloss.evaluation.metrics import NORMALISERS
from wingloss.synthetic.head import LANDMARKS

every = pytest.mark.parametrize("name", SCHEMES)


def count(split: str, subset: str | None) -> int:
    parts = protocol.load("300w").parts
    return sum(part.count for part in parts if (part.split, part.subset) == (split, subset))


def test_every_data_set_has_a_protocol():
    assert set(SCHEMES) <= set(protocol.available())  # there may be others, of one's own
    assert all(protocol.path(name).is_file() for name in SCHEMES)


@every
def test_flipping_is_an_involution_of_all_landmarks(name: str):
    rules = protocol.load(name)
    permutation = rules.flip_permutation
    assert sorted(permutation) == list(range(rules.n_landmarks))
    assert np.array_equal(permutation[permutation], np.arange(rules.n_landmarks))


@every
def test_flip_pairs_are_left_and_right_of_a_face(name: str):
    """On a symmetric face each point's partner is its mirror image, and no other point is."""
    permutation, face = protocol.load(name).flip_permutation, drawn(name)
    mirrored = face * [-1, 1, 1]
    np.testing.assert_allclose(face[permutation], mirrored, atol=1e-12)
    distances = np.linalg.norm(face[:, None] - mirrored, axis=-1)
    assert np.array_equal(distances.argmin(axis=1), permutation)
    assert np.sort(distances, axis=1)[:, 1].min() > 0.01


@every
def test_normalising_points_are_mirror_images(name: str):
    rules, face = protocol.load(name), drawn(name)
    for ends in filter(None, (rules.pupils, rules.outer_eye_corners)):
        left, right = ends
        assert {rules.flip_permutation[i] for i in left} == set(right)
        assert face[list(left), 0].max() < 0 < face[list(right), 0].min()


@every
def test_normalising_points_are_the_eyes(name: str):
    rules, face = protocol.load(name), drawn(name)
    for side, corner, eye in ((0, 36, range(36, 42)), (1, 45, range(42, 48))):
        if rules.pupils:
            found = face[list(rules.pupils[side])].mean(axis=0)
            np.testing.assert_allclose(found, LANDMARKS[list(eye)].mean(axis=0), atol=1e-12)
        if rules.outer_eye_corners:
            (index,) = rules.outer_eye_corners[side]
            np.testing.assert_array_equal(face[index], LANDMARKS[corner])


@every
def test_boundaries_are_contours(name: str):
    """Mirror images of each other; steps along one are short, and none turns by 60 degrees."""
    rules, face = protocol.load(name), drawn(name)
    mirrored = {tuple(rules.flip_permutation[list(curve)].tolist()) for curve in rules.boundaries}
    assert mirrored <= {*rules.boundaries, *(curve[::-1] for curve in rules.boundaries)}
    for curve in rules.boundaries:
        steps = np.diff(face[list(curve), :2], axis=0)
        lengths = np.linalg.norm(steps, axis=1)
        assert lengths.max() < 0.25 * np.ptp(face[:, 1])
        directions = steps / lengths[:, None]
        assert ((directions[1:] * directions[:-1]).sum(axis=1) > 0.5).all()


@every
def test_headline_and_parts_make_sense(name: str):
    rules = protocol.load(name)
    assert rules.name == name and rules.headline in NORMALISERS and 0 < rules.threshold < 1
    assert {part.split for part in rules.parts} == {"train", "test"}
    assert {part.subset for part in rules.parts} - {None} <= set(rules.subsets)


def test_300w_is_the_split_that_the_paper_follows():
    assert count("train", None) == 337 + 2000 + 811 == 3148
    assert count("test", "common") == 330 + 224 == 554
    assert count("test", "challenge") == 135
    assert count("test", "common") + count("test", "challenge") == 689
    grouped = {part.name for part in protocol.load("300w").parts if part.faces_share_photographs}
    assert grouped == {"afw", "helen/trainset", "helen/testset"}


def test_300w_is_measured_between_pupils():
    rules = protocol.load("300w")
    assert (rules.headline, rules.pose_mode, rules.n_landmarks) == ("inter_pupil", 1, 68)
    assert rules.pupils == ((36, 37, 38, 39, 40, 41), (42, 43, 44, 45, 46, 47))
    assert rules.outer_eye_corners == ((36,), (45,))


def test_the_pose_axis_is_the_papers_where_that_is_the_yaw_at_every_spread():
    axes = {name: protocol.load(name) for name in protocol.available()}
    assert {name: rules.pose_axis for name, rules in axes.items()} == {
        "300w": "eigenvector",
        "aflw": "antisymmetric",
        "cofw": "antisymmetric",
        "renderedaflw": "antisymmetric",
        "synthetic": "eigenvector",
        "wflw": "antisymmetric",
    }
    assert {name for name, rules in axes.items() if rules.pose_mode != 1} == {
        "aflw",
        "renderedaflw",
    }
    assert axes["aflw"].pose_mode == 2  # the authors'


def test_the_other_sets_are_the_fields():
    """Faces, landmarks, K and headline as their authors and the paper have them."""
    facts = {}
    for name in ("aflw", "cofw", "wflw"):
        rules = protocol.load(name)
        counts = tuple(part.count for part in rules.parts)
        facts[name] = (counts, rules.n_landmarks, rules.bins, rules.headline)
    assert facts == {
        "aflw": ((20000, 4386), 19, 17, "box"),
        "cofw": ((1345, 507), 29, 9, "inter_pupil"),
        "wflw": ((7500, 2500), 98, 9, "inter_ocular"),
    }
    aflw = protocol.load("aflw")
    assert (aflw.pupils, aflw.outer_eye_corners, aflw.normalising_box) == (None, None, "face")
    assert aflw.boxes.columns == ("left", "right", "top", "bottom")
    assert aflw.subsets == {"frontal": 1314}
    assert protocol.load("wflw").subsets == {
        "pose": 326, "expression": 314, "illumination": 698,
        "make-up": 206, "occlusion": 736, "blur": 773,
    }  # fmt: skip
    assert protocol.load("300w").bins == 9


def test_an_unknown_data_set_is_refused_and_the_known_ones_named():
    with pytest.raises(KeyError, match=r"celeba.*300w, aflw, cofw, "):
        protocol.load("celeba")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[1, 15]", "[1, 16]", r"flip_pairs\[1\]: \[1, 16\]: a landmark stands in two flip pairs"),
        ("[1, 15]", "[1, 68]", r"flip_pairs\[1\]: there is no landmark 68; they are 0 to 67"),
        ("[1, 15]", "[1]", r"flip_pairs\[1\]: \[1\] should be two landmarks"),
        ("[1, 15]", "[1, 1]", r"flip_pairs\[1\]: \[1, 1\] should be two landmarks"),
        ("[1, 15]", "nose", r"flip_pairs\[1\]: 'nose' should be a list$"),
        ("[[36], [45]]", "[36, 45]", r"outer_eye_corners\[0\]: 36 should be a list$"),
        ("[[36], [45]]", "[[36]]", r"outer_eye_corners\[1\]: this entry is missing"),
        (
            "[[36], [45]]",
            "[[], [45]]",
            r"outer_eye_corners\[0\]: \[\] should have at least 1 entries",
        ),
        (
            "[[36], [45]]",
            "[[36], [45], [1]]",
            r"outer_eye_corners: .* should have at most 2 entries",
        ),
        (
            "[27, 28, 29, 30]",
            "[27, 28, 29, 68]",
            r"boundaries\[3\]: there is no landmark 68; they are",
        ),
        ("[27, 28, 29, 30]", "[27]", r"boundaries\[3\]: \[27\] should have at least 2 entries"),
        ("[27, 28, 29, 30]", "nose", r"boundaries\[3\]: 'nose' should be a list$"),
        (
            "name: afw, split",
            "name: afw, splt",
            r"parts\[0\]\.splt: no such key; did you mean 'split'",
        ),
        ("[[36], [45]]", "[[36], [44]]", r"outer_eye_corners: flip_pairs don't turn the left ones"),
        ("common: 554", "very common: 554", r"subsets\.very common: a subset's name is a word"),
        ("outer_eye", "outr_eye", r"outr_eye_corners: no such key"),
        ("landmarks: 68", "landmarks: many", r"landmarks: 'many' should be a whole number"),
        ("landmarks: 68\n", "", r"landmarks: this key is missing"),
        ("reader: ibug", "reader: pts", r"reader: 'pts' is not allowed; choose from ibug, aflw"),
        (
            "threshold: 0.08",
            "threshold: 8",
            r"threshold: 8 is out of range; it must be less than 1",
        ),
        (
            "headline: inter_pupil",
            "headline: pupil",
            r"headline: 'pupil' is not allowed; did you mean 'inter_pupil'\? choose",
        ),
        ("  source: of", "  columns: []\n  source: of", r"boxes\.columns: the format of ibug"),
        ("common: 554", "full: 554", r"subsets\.full: a subset's name is a word, and not 'full'"),
        ("common: 554", "common: 555", r"subsets\.common: 555 faces, and its parts have 554"),
        ("pose_mode: 1", "pose_mode: 133", r"pose_mode: 68 landmarks have 132 modes"),
        ("[[36], [45]]", "[[30], [30]]", r"outer_eye_corners: a landmark stands on both sides"),
        (
            "count: 337, faces_share_photographs: true",
            "faces_share_photographs: 'no'",
            r"parts\[0\]\.faces_share_photographs: 'no' should be true or false",
        ),
        ("name: afw", "name: ../afw", r"parts\[0\]: path: '\.\./afw' leads out of the data"),
        ("name: afw", "name: ibug", r"parts: every part needs a name of its own"),
        (
            "split: train, count: 337",
            "split: val",
            r"parts\[0\]\.split: 'val' is not allowed; choose",
        ),
        ("count: 337", "count: all", r"parts\[0\]\.count: 'all' should be a whole number"),
        ("landmarks: 68", "landmarks: [68", r"line 5: this is not YAML"),
    ],
)
def test_a_bad_protocol_is_one_line_that_names_file_and_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, message: str
):
    good = protocol.path("300w").read_text(encoding="utf-8")
    assert good.count(old) == 1
    monkeypatch.setattr(protocol, "FOLDER", tmp_path)
    protocol.load.cache_clear()
    (tmp_path / "broken.yaml").write_text(good.replace(old, new), encoding="utf-8")
    with pytest.raises(protocol.BadProtocol, match=rf"broken\.yaml: {message}") as error:
        protocol.load("broken")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "last, message",
    [
        ("right", r"boxes\.columns: .* should be four of left"),
        ("down", r"boxes\.columns\[3\]: 'down' is not allowed; choose from left"),
    ],
)
def test_the_order_of_a_boxs_numbers_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str, message: str
):
    good = protocol.path("wflw").read_text(encoding="utf-8")
    monkeypatch.setattr(protocol, "FOLDER", tmp_path)
    protocol.load.cache_clear()
    broken = good.replace("[left, top, right, bottom]", f"[left, top, right, {last}]")
    (tmp_path / "broken.yaml").write_text(broken, encoding="utf-8")
    with pytest.raises(protocol.BadProtocol, match=message):
        protocol.load("broken")


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
)


@given(st.data())
def test_whatever_stands_in_a_protocol_it_is_taken_or_refused(tmp_path_factory, data):
    value = yaml.safe_load(protocol.path("300w").read_text(encoding="utf-8"))
    value[data.draw(st.sampled_from(sorted(value)))] = data.draw(JUNK)
    folder = tmp_path_factory.mktemp("protocols")
    (folder / "x.yaml").write_text(yaml.safe_dump(value), encoding="utf-8")
    protocol.load.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(protocol, "FOLDER", folder)
        with contextlib.suppress(protocol.BadProtocol):
            protocol.load("x")
