"""What chance explains, by hand, by its properties and by simulation; and families of tests."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import t, ttest_rel

from wingloss.evaluation.significance import (
    Effect,
    Runs,
    all_below,
    any_above,
    compare,
    contrast,
    holm,
    log_mean,
    photographs_part,
)

TABLES = arrays(
    np.float64,
    st.tuples(st.integers(2, 4), st.integers(1, 4), st.integers(3, 6)),
    elements=st.floats(-9, 9, width=32),
)
P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=8)
# Three cells by three seeds. Less the cells' means and the seeds', a sum of squares of 4 is left,
# with 4 degrees of freedom.
WORKED = Runs(np.array([[1.0, 2, 3], [2, 3, 4], [3, 4, 8]])[:, :, None])


def test_the_photographs_part_by_hand() -> None:
    """Deviations of -2, 0, -1 and 3: two photographs' sums are -2 and 2."""
    values = np.array([1.0, 3, 2, 6])
    together = photographs_part(values, np.array([0, 0, 1, 1]))
    assert (together.variance, together.freedom) == (2 * (4 + 4) / 16, 1)
    alone = photographs_part(values, np.array([7, 5, 3, 4]))
    assert (alone.variance, alone.freedom) == (pytest.approx(values.var(ddof=1) / 4), 3)
    with pytest.raises(ValueError, match="two photographs"):
        photographs_part(values, np.zeros(4, int))


def test_the_photographs_part_is_the_bootstraps() -> None:
    """Photographs of one to five faces, drawn with replacement, whole."""
    rng = np.random.default_rng(0)
    photographs = np.repeat(np.arange(80), rng.integers(1, 6, 80))
    values = rng.normal(0, 1, 80)[photographs] + rng.normal(0, 0.5, len(photographs))
    sums, sizes = np.bincount(photographs, values), np.bincount(photographs)
    drawn = rng.integers(80, size=(20_000, 80))
    deviation = (sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)).std()
    assert photographs_part(values, photographs).variance ** 0.5 == pytest.approx(
        deviation, rel=0.05
    )
    apart = photographs_part(values, np.arange(len(values)))  # as if each had its own
    assert apart.variance**0.5 < 0.7 * deviation


def test_the_seeds_part_is_pooled() -> None:
    """The first two cells differ by 1 with every seed; the others say that this is luck."""
    pair = WORKED.part(np.array([1.0, -1, 0]))
    assert (pair.variance, pair.freedom) == (pytest.approx(2 * 1 / 3), pytest.approx(4))


def test_what_a_pair_shows_by_itself_is_not_pooled_away() -> None:
    """The third cell's seeds lie far apart: 2, 2 and 5 above the first's have a variance of 3."""
    pair = WORKED.part(np.array([-1.0, 0, 1]))
    assert (pair.variance, pair.freedom) == (pytest.approx(3 / 3), pytest.approx(4))


def test_a_pair_that_varies_more_than_chance_explains_counts_by_itself() -> None:
    """Eight quiet cells, and one whose seeds are 0, 9 and -9: by its own two degrees of freedom."""
    quiet = [[0, 0.1, -0.1], [0.1, 0, -0.1], [-0.1, 0.1, 0], [0, -0.1, 0.1]]
    runs = Runs(np.array([*quiet, *quiet, [0, 9, -9]])[:, :, None])
    pair = runs.part(np.array([1.0, *[0] * 7, -1]))
    variance = np.var([0, 0.1 - 9, 9 - 0.1], ddof=1) / 3  # of the difference's mean
    assert (pair.variance, pair.freedom) == (pytest.approx(variance), pytest.approx(2))
    others = runs.part(np.array([1.0, -1, *[0] * 7]))
    assert others.freedom == pytest.approx(16)  # pooled: eight cells, times two seeds, beyond one


def test_against_another_network_the_seeds_own_luck_counts() -> None:
    """Cells vary over seeds by 1, 1 and 7, so by 3; 7/3 of it is the seeds', 2/3 the rest's."""
    one = WORKED.part(np.array([1.0, 0, 0]))
    assert one.variance == pytest.approx(3 / 3)
    assert one.freedom == pytest.approx(9 / ((7 / 3) ** 2 / 2 + (2 / 3) ** 2 / 4))
    alone = Runs(WORKED.values[:1]).part(np.array([1.0]))
    assert (alone.variance, alone.freedom) == (pytest.approx(1 / 3), pytest.approx(2))


def test_an_effect_by_hand() -> None:
    """Two seeds, two faces: each part is 4, both together 1; so 7, of 49/32 degrees of freedom."""
    runs = Runs(np.array([[[1.0, 3], [3, 9]], [[0, 0], [0, 0]]]))
    found = compare(runs, 0, runs, 1, np.array([0, 1]))
    assert (found.value, found.error) == (4, pytest.approx(7**0.5))
    assert found.freedom == pytest.approx(49 / 32)
    half = found.error * t.ppf(0.975, found.freedom)
    assert found.interval() == pytest.approx((4 - half, 4 + half))
    assert found.p_above(1) == pytest.approx(t.sf(3 / found.error, found.freedom))
    assert found.p_below(1) == pytest.approx(1 - found.p_above(1))


def test_one_pair_whose_faces_agree_is_a_paired_t_test() -> None:
    table = np.array([[1.0, 2, 4], [3.0, 2, 1]])[:, :, None] + np.zeros(5)
    runs = Runs(table)
    found = compare(runs, 0, runs, 1, np.arange(5))
    expected = ttest_rel(*table[:, :, 0])
    assert 2 * min(found.p_below(), found.p_above()) == pytest.approx(expected.pvalue)


def test_a_difference_of_differences_by_hand() -> None:
    """Pairs that are ahead by 1 and 3, and by 0 and 2: each mean has a variance of 2/2."""
    pairs = [Runs(np.array([[[a], [b]], [[0.0], [0]]]) + np.zeros(5)) for a, b in ((1, 3), (0, 2))]
    ahead = np.array([1.0, -1])
    found = contrast([(pairs[0], ahead), (pairs[1], -ahead)], np.arange(5))
    assert (found.value, found.error) == (1, pytest.approx(2**0.5))
    assert found.freedom == pytest.approx(2)


def test_one_seed_leaves_the_photographs() -> None:
    values = np.random.default_rng(0).normal(size=(2, 1, 9))
    runs, photographs = Runs(values), np.arange(9) // 2
    found = compare(runs, 0, runs, 1, photographs)
    part = photographs_part(values[0, 0] - values[1, 0], photographs)
    assert (found.error**2, found.freedom) == (pytest.approx(part.variance), pytest.approx(4))


def test_few_faces_of_a_kind_vary_by_themselves() -> None:
    """Two of six, with a deviation of 1 each: a variance of 1 times (2/6) squared, one degree."""
    on = np.array([True, True, False, False, False, False])
    runs = Runs(np.array([[[1.0, -1, 0, 0, 0, 0]], [[0.0] * 6]]))
    found = compare(runs, 0, runs, 1, np.arange(6), on)
    assert (found.error, found.freedom) == (pytest.approx(2 / 6), pytest.approx(1))


def test_where_nothing_varies_nothing_is_decided() -> None:
    runs = Runs(np.ones((2, 3, 4)))
    same = compare(runs, 0, runs, 1, np.arange(4))
    assert (same.p_below(), same.p_above(), same.interval()) == (1, 1, (0, 0))
    assert same.p_below(0.01) == same.p_above(-0.01) == 1


@given(TABLES)
def test_an_effect_turns_with_its_sides(values: np.ndarray) -> None:
    runs, photographs = Runs(values), np.arange(values.shape[2]) // 2 * 2
    there, back = (compare(runs, i, runs, 1 - i, photographs) for i in (0, 1))
    assert there.value == -back.value
    assert (there.error, there.freedom) == pytest.approx((back.error, back.freedom), nan_ok=True)
    assert there.error**2 >= photographs_part(
        (values[0] - values[1]).mean(axis=0), photographs
    ).variance * (1 - 1e-9)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_diverged_training_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        Runs(np.array([[[1.0, bad]]]))


def test_the_log_of_the_mean_and_its_change() -> None:
    errors = np.array([[1.0, 3, 9], [3, 5, 9]])
    chosen = np.array([True, True, False])
    values = log_mean(errors, chosen)
    assert values.mean() == pytest.approx(np.log(3))
    assert log_mean(errors * 2, chosen) - values == pytest.approx(np.log(2))
    # a face that changes by 1 % of the mean takes the log along by a hundredth of its share
    errors[:, 0] += 0.03
    assert log_mean(errors, chosen).mean() - np.log(3) == pytest.approx(0.005, abs=1e-4)


def test_a_gain_on_some_faces_against_the_others() -> None:
    """To a half on two faces and to three quarters on the other four: a third more."""
    on = np.array([True, True, False, False, False, False])
    second = np.array([[3.0, 5.0, 2.0, 6.0, 4.0, 4.0]])
    first = np.where(on, second / 2, 0.75 * second)
    runs = Runs(np.stack([log_mean(e, on) - log_mean(e, ~on) for e in (first, second)]))
    found = compare(runs, 0, runs, 1, np.arange(6), on)
    assert np.expm1(found.value) == pytest.approx(-1 / 3)
    assert found.error == pytest.approx(0)  # every face gains its group's share exactly


def false_verdicts(networks: int, seed: float, shared: float, together: float) -> float:
    """How often zero is rejected at 5 %, two-sided, where the truth is zero: 1000 simulated tables.

    Four cells a network, three seeds, 60 photographs of two faces. ``seed``, ``shared`` and
    ``together`` are standard deviations: of a cell's seeds, of what a seed does to all cells of a
    network, and of what seed and face do together; a photograph's and a face's are 1.
    """
    rng, photographs = np.random.default_rng(0), np.arange(120) // 2
    rejected = 0
    for _ in range(1000):
        runs = []
        for _ in range(networks):
            faces = rng.normal(size=(4, 1, 60))[:, :, photographs] + rng.normal(size=(4, 1, 120))
            seeds = rng.normal(0, seed, (4, 3, 1)) + rng.normal(0, shared, (3, 1))
            runs.append(Runs(faces + seeds + rng.normal(0, together, (4, 3, 120))))
        found = compare(runs[0], 0, runs[-1], 1, photographs)
        rejected += 2 * min(found.p_below(), found.p_above()) <= 0.05
    return rejected / 1000


@pytest.mark.parametrize(
    "networks, seed, shared, together",
    [
        (1, 0, 0, 0),  # photographs alone
        (1, 0.5, 1, 0),  # luck of the seeds outweighs the photographs'
        (1, 0, 0, 3),
        (2, 0.2, 0, 1),
    ],
)
def test_a_verdict_is_false_as_rarely_as_it_says(
    networks: int, seed: float, shared: float, together: float
) -> None:
    """Nominally 5 %. By faces the first is wrong in 11 %, without seeds the second in 35 %."""
    assert 0.02 <= false_verdicts(networks, seed, shared, together) <= 0.075


def test_several_pairs_by_hand() -> None:
    """Against the normal distribution: -1, 2 and 3 standard errors from zero."""
    one, two, three = (Effect(value, 1.0, np.inf) for value in (-1.0, -2.0, -3.0))
    assert all_below([two, three]) == pytest.approx(0.02275, abs=1e-5)
    assert all_below([one, two, three]) == pytest.approx(0.15866, abs=1e-5)
    up = Effect(2.0, 1.0, np.inf)
    assert any_above([one, up, three]) == pytest.approx(3 * 0.02275, abs=1e-4)
    assert any_above([one, two, three]) == 1


@pytest.mark.parametrize("value, equivalent", [(0.0, True), (0.03, True), (0.04, False)])
def test_equivalence_by_hand(value: float, equivalent: bool) -> None:
    """Two one-sided tests at 5 %: the 90 % interval, 1.645 standard errors wide, within 0.2."""
    one = Effect(value, 0.1, np.inf)
    p = max(all_below([one], 0.2), any_above([one], -0.2))
    assert (p <= 0.05) == equivalent == (one.interval(0.9)[1] <= 0.2)


def test_holm_by_hand() -> None:
    """0.01 x 4, 0.02 x 3, then 0.03 x 2 = 0.06 and 0.04 x 1, which may not fall below it."""
    assert holm([0.04, 0.01, 0.03, 0.02], 4) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.9], 2).tolist() == [1, 1]
    assert holm([], 3).tolist() == []


def test_holm_counts_tests_that_were_not_made() -> None:
    """Of six 0.01 x 6, 0.02 x 5, 0.03 x 4 and 0.04 x 3."""
    assert holm([0.04, 0.01, 0.03, 0.02], 6) == pytest.approx([0.12, 0.06, 0.12, 0.1])


@given(P_VALUES, st.integers(0, 5))
def test_holm_keeps_the_order_and_lies_between_p_and_bonferroni(p: list[float], more: int) -> None:
    size = len(p) + more
    adjusted = holm(p, size)
    assert (adjusted >= np.array(p)).all()
    assert (adjusted <= np.minimum(1, np.array(p) * size) + 1e-12).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()
    assert holm(p[::-1], size).tolist() == adjusted[::-1].tolist()
    assert holm([*p, *[1.0] * more], size)[: len(p)].tolist() == adjusted.tolist()
