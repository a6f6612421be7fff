"""Pose-based data balancing against histograms worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wingloss.geometry import Array
from wingloss.pose.balancing import BALANCES, half_up, none, pdb, pdb_authors

# whole numbers, so that faces on the edges of bins are common
coefficients = st.lists(st.integers(-30, 30), min_size=1, max_size=60).map(
    lambda values: np.array(values, dtype=np.float64)
)
bins = st.integers(1, 17)

# bins of width 1 from 0 to 4: five faces, two, none, three
FACES = np.array([0, 0.2, 0.4, 0.6, 0.999, 1.0, 1.5, 3.0, 3.5, 4.0])


def test_halves_are_rounded_up():
    assert half_up(np.array([0.5, 1.0, 1.4, 1.5, 2.5, 3.49])).tolist() == [1, 1, 1, 2, 3, 3]


def test_pdb_by_hand():
    repeats, histogram = pdb(FACES, 4)
    assert histogram.edges.tolist() == [0, 1, 2, 3, 4]
    assert histogram.before.tolist() == [5, 2, 0, 3]  # 1.0 and 3.0 open a bin, 4.0 ends the last
    assert repeats.tolist() == [1] * 5 + [3] * 2 + [2] * 3  # 5 / 2 is rounded up, 5 / 3 too
    assert histogram.after.tolist() == [5, 6, 0, 6]


def test_pdb_tells_left_from_right():
    repeats, histogram = pdb(np.array([-3.0, 3.0, 2.9, 2.8]), 2)
    assert histogram.before.tolist() == [1, 3]
    assert repeats.tolist() == [3, 1, 1, 1]


def test_none_takes_every_face_once():
    repeats, histogram = none(FACES, 4)
    assert repeats.tolist() == [1] * 10
    assert histogram.edges.tolist() == [0, 1, 2, 3, 4]
    assert histogram.before.tolist() == histogram.after.tolist() == [5, 2, 0, 3]


def test_the_authors_bins_take_absolute_values_and_both_their_ends():
    repeats, histogram = pdb_authors(np.array([-4.0, 2.0, 1.0, -1.0, 0.5, -0.5]), 2)
    assert histogram.edges.tolist() == [0, 2, 4]
    assert histogram.before.tolist() == [5, 2]  # 2.0 lies on the edge: it is in both
    assert repeats.tolist() == [3, 3 + 1, 1, 1, 1, 1]
    assert histogram.after.tolist() == [5, 6]


def test_the_authors_empty_bins_are_skipped():
    repeats, histogram = pdb_authors(np.array([0.1, -0.2, -4.0]), 4)
    assert histogram.before.tolist() == [2, 0, 0, 1]
    assert repeats.tolist() == [1, 1, 2]
    assert histogram.after.tolist() == [2, 0, 0, 2]


@pytest.mark.parametrize("name", ["none", "pdb"])
def test_faces_of_one_pose_are_taken_once(name: str):
    repeats, histogram = BALANCES[name][0](np.full(5, 0.3), 9)
    assert repeats.tolist() == [1] * 5
    assert histogram.before.sum() == 5


@given(at=coefficients, count=bins)
def test_pdb_fills_every_bin_to_the_largest_within_rounding(at: Array, count: int):
    repeats, histogram = pdb(at, count)
    before, after = histogram.before, histogram.after
    assert before.sum() == len(at) and repeats.min() >= 1
    assert repeats.sum() == after.sum()
    assert (after[before == 0] == 0).all()
    # the factor is off by half at most, and each face of the bin counts that often
    assert (np.abs(after - before.max())[before > 0] <= before[before > 0] / 2).all()


@given(at=coefficients, count=bins)
def test_pdb_bins_are_half_open(at: Array, count: int):
    histogram = pdb(at, count)[1]
    if at.min() < at.max():
        expected = [
            ((at >= low) & (at < high)).sum()
            for low, high in zip(histogram.edges[:-1], histogram.edges[1:], strict=True)
        ]
        expected[-1] += (at == at.max()).sum()
        assert histogram.before.tolist() == expected


@pytest.mark.parametrize("name", BALANCES)
@given(at=coefficients, count=bins, seed=st.integers(0, 9))
def test_the_order_of_faces_does_not_matter(name: str, at: Array, count: int, seed: int):
    shuffled = np.random.default_rng(seed).permutation(len(at))
    repeats, histogram = BALANCES[name][0](at, count)
    others, other = BALANCES[name][0](at[shuffled], count)
    assert np.array_equal(others, repeats[shuffled])
    assert np.array_equal(other.after, histogram.after)


@given(at=coefficients, count=bins)
def test_the_authors_repetitions_are_those_of_their_histogram(at: Array, count: int):
    repeats, histogram = pdb_authors(at, count)
    assert repeats.sum() == histogram.after.sum()
    assert histogram.before.sum() >= len(at)
    assert np.array_equal(repeats, pdb_authors(-at, count)[0])
