"""Protocols as data: every one is sound, and 300W is the field's."""

from pathlib import Path

import numpy as np
import pytest

from wingloss import protocol
from wingloss.metrics import NORMALISERS
from wingloss.synthetic import LANDMARKS

every = pytest.mark.parametrize("name", protocol.available())


def count(split: str, subset: str | None) -> int:
    parts = protocol.load("300w").parts
    return sum(part.count for part in parts if (part.split, part.subset) == (split, subset))


def test_both_data_sets_have_a_protocol():
    assert protocol.available() == ["300w", "synthetic"]
    assert all(protocol.path(name).is_file() for name in protocol.available())


@every
def test_flipping_is_an_involution_of_all_landmarks(name: str):
    rules = protocol.load(name)
    permutation = rules.flip_permutation
    assert sorted(permutation) == list(range(rules.n_landmarks))
    assert np.array_equal(permutation[permutation], np.arange(rules.n_landmarks))


@every
def test_flip_pairs_are_left_and_right_of_a_face(name: str):
    """On a symmetric face with 300W's landmarks each point's partner is its mirror image."""
    permutation = protocol.load(name).flip_permutation
    np.testing.assert_allclose(LANDMARKS[permutation], LANDMARKS * [-1, 1, 1], atol=1e-12)
    middle = [*range(27, 31), 8, 33, 51, 57, 62, 66]
    assert set(np.flatnonzero(permutation == np.arange(68))) == set(middle)


@every
def test_normalising_points_are_mirror_images(name: str):
    rules = protocol.load(name)
    for left, right in (rules.pupils, rules.outer_eye_corners):
        assert {rules.flip_permutation[i] for i in left} == set(right)
        assert LANDMARKS[list(left), 0].max() < 0 < LANDMARKS[list(right), 0].min()


@every
def test_headline_and_parts_make_sense(name: str):
    rules = protocol.load(name)
    assert rules.name == name and rules.headline in NORMALISERS and 0 < rules.threshold < 1
    folders = [part.folder for part in rules.parts]
    assert len(set(folders)) == len(folders)
    assert {part.split for part in rules.parts} == {"train", "test"}


def test_300w_is_the_split_that_the_paper_follows():
    assert count("train", None) == 337 + 2000 + 811 == 3148
    assert count("test", "common") == 330 + 224 == 554
    assert count("test", "challenge") == 135
    assert count("test", "common") + count("test", "challenge") == 689
    grouped = {part.folder for part in protocol.load("300w").parts if part.faces_share_photographs}
    assert grouped == {"afw", "helen/trainset", "helen/testset"}


def test_300w_is_measured_between_pupils():
    rules = protocol.load("300w")
    assert (rules.headline, rules.pose_mode, rules.n_landmarks) == ("inter_pupil", 1, 68)
    assert rules.pupils == ((36, 37, 38, 39, 40, 41), (42, 43, 44, 45, 46, 47))
    assert rules.outer_eye_corners == ((36,), (45,))


def test_an_unknown_data_set_is_refused_and_the_known_ones_named():
    with pytest.raises(KeyError, match=r"wflw.*300w, synthetic"):
        protocol.load("wflw")


def test_a_landmark_in_two_flip_pairs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    good = protocol.path("300w").read_text(encoding="utf-8")
    (tmp_path / "broken.yaml").write_text(good.replace("[1, 15]", "[1, 16]"), encoding="utf-8")
    monkeypatch.setattr(protocol, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match=r"broken\.yaml: a landmark stands in two flip pairs"):
        protocol.load("broken")
