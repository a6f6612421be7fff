"""The field's measures against numbers worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wingloss import protocol
from wingloss.evaluation.metrics import NORMALISERS, auc, ced, failure_rate, nme, normalisers
from wingloss.geometry import Array

RULES = protocol.load("300w")
BOX = np.array([[0.0, 0.0, 30.0, 40.0]])
errors = st.lists(st.floats(0, 1), min_size=1, max_size=40).map(np.array)
thresholds = st.floats(0.01, 0.5)


@pytest.fixture
def face() -> Array:
    """One face ``(1, 68, 2)`` whose every length is a whole number."""
    points = np.full((68, 2), 50.0)
    points[36:42], points[42:48] = (30, 40), (70, 70)  # pupils 40 and 30 apart
    points[36], points[39] = (20, 40), (40, 40)
    points[42], points[45] = (60, 20), (80, 120)  # outer corners 60 and 80 apart
    points[[0, 8, 16]] = (5, 20), (50, 180), (95, 20)  # a box of 90 by 160
    return points[None]


def test_normalisers_by_hand(face: Array):
    lengths = normalisers(face, BOX, RULES)
    assert set(lengths) == set(NORMALISERS)
    assert lengths["inter_pupil"] == pytest.approx([50])
    assert lengths["inter_ocular"] == pytest.approx([100])
    assert lengths["box"] == pytest.approx([120])  # the square root of 90 * 160
    assert lengths["diag"] == pytest.approx([33700**0.5])


def test_normalisers_from_the_data_sets_own_boxes(face: Array):
    lengths = normalisers(face, BOX, replace(RULES, normalising_box="face"))
    assert lengths["box"] == pytest.approx([30])  # the width
    assert lengths["diag"] == pytest.approx([50])
    assert lengths["inter_pupil"] == pytest.approx([50])


def test_a_length_that_the_scheme_does_not_define_is_nan(face: Array):
    lengths = normalisers(face, BOX, replace(RULES, pupils=None, outer_eye_corners=None))
    assert np.isnan(lengths["inter_pupil"]).all() and np.isnan(lengths["inter_ocular"]).all()
    assert lengths["inter_pupil"].shape == lengths["box"].shape == (1,)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("inter_pupil", 2.5 / 50),
        ("inter_ocular", 2.5 / 100),
        ("box", 2.5 / 120),
        ("diag", 2.5 / 33700**0.5),
    ],
)
def test_nme_by_hand(face: Array, name: str, expected: float):
    predicted = face.copy()
    predicted[:, :34] += (3, -4)  # half of the points are 5 px off
    assert nme(predicted, face, normalisers(face, BOX, RULES)[name]) == pytest.approx([expected])


def test_a_length_of_nothing_is_nan(face: Array):
    face[0, 36:48] = 50
    found = normalisers(face, BOX, RULES)
    assert [name for name in NORMALISERS if np.isnan(found[name])] == [
        "inter_pupil",
        "inter_ocular",
    ]


def test_nme_is_a_face_by_itself():
    true = np.zeros((2, 2, 2))
    predicted = np.array([[[3.0, 4.0], [0.0, 0.0]], [[0.0, 1.0], [3.0, 0.0]]])
    assert nme(predicted, true, np.array([10.0, 4.0])).tolist() == [0.25, 0.5]


def test_auc_by_hand():
    # 0.02 leaves 0.06 of 0.08 below its step, 0.04 leaves 0.04 and 0.2 nothing
    assert auc(np.array([0.02, 0.04, 0.2]), 0.08) == pytest.approx((0.75 + 0.5 + 0) / 3)


@pytest.mark.parametrize(("error", "expected"), [(0, 1), (0.08, 0), (5, 0)])
def test_auc_at_its_ends(error: float, expected: float):
    assert auc(np.full(3, error), 0.08) == pytest.approx(expected)


@given(at=errors, threshold=thresholds)
def test_auc_is_the_integral_of_the_ced(at: Array, threshold: float):
    steps = 20_000
    middles = (np.arange(steps) + 0.5) * threshold / steps
    assert auc(at, threshold) == pytest.approx(ced(at, middles).mean(), abs=1 / steps)


@given(at=errors, threshold=thresholds)
def test_measures_are_shares(at: Array, threshold: float):
    assert 0 <= auc(at, threshold) <= 1
    assert failure_rate(at, threshold) == pytest.approx(1 - ced(at, np.array([threshold]))[0])
    # a face that fails leaves nothing under the curve
    assert auc(at, threshold) <= 1 - failure_rate(at, threshold) + 1e-12


def test_an_error_at_the_threshold_is_no_failure():
    assert failure_rate(np.array([0.07, 0.08, 0.0801, 0.5]), 0.08) == 0.5


@given(at=errors)
def test_the_ced_rises_from_nought_to_one(at: Array):
    curve = ced(at, np.linspace(-0.1, 1, 56))
    assert curve[0] == 0 and curve[-1] == 1
    assert (np.diff(curve) >= 0).all()


def test_ced_by_hand():
    assert ced(np.array([0.3, 0.1, 0.2, 0.2]), np.array([0, 0.1, 0.15, 0.2, 1])).tolist() == [
        0,
        0.25,
        0.25,
        0.75,
        1,
    ]
