"""What a training sees: every balanced face once an epoch, in an order that the seed decides."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tiny_training import OBJECTIVE, RECIPE, REPEATS

from wingloss.augmentation.samples import DRAWS, Samples
from wingloss.recipe import Strength


def samples_of(
    repeats: np.ndarray, seed: int = 0, strength: Strength = RECIPE.strength, budget: int = 60
) -> Samples:
    return Samples(repeats, OBJECTIVE.augmentation, seed, strength, budget)


def order(repeats: np.ndarray, seed: int, first: int, count: int) -> np.ndarray:
    return samples_of(repeats, seed).order(first, count)


repetitions = st.lists(st.integers(0, 4), min_size=1, max_size=12).filter(any).map(np.array)
seeds = st.integers(0, 2**32 - 1)


@given(repeats=repetitions, seed=seeds, epoch=st.integers(0, 1000))
def test_an_epoch_has_every_balanced_face_once(repeats: np.ndarray, seed: int, epoch: int):
    size = int(repeats.sum())
    seen = Counter(order(repeats, seed, epoch * size, size).tolist())
    assert seen == Counter(np.repeat(np.arange(len(repeats)), repeats).tolist())


@given(
    repeats=repetitions,
    seed=seeds,
    first=st.integers(0, 100),
    cuts=st.lists(st.integers(0, 40), max_size=5),
)
def test_the_order_does_not_depend_on_batches(
    repeats: np.ndarray, seed: int, first: int, cuts: list[int]
):
    ends = first + np.cumsum([0, *cuts])
    pieces = [
        order(repeats, seed, int(low), int(high - low))
        for low, high in zip(ends[:-1], ends[1:], strict=True)
    ]
    whole = order(repeats, seed, first, sum(cuts))
    assert np.concatenate([[], *pieces]).tolist() == whole.tolist()


def test_seeds_and_epochs_have_orders_of_their_own():
    ones = np.ones(30, dtype=np.int64)
    orders = [order(ones, seed, epoch * 30, 30) for seed in range(3) for epoch in range(3)]
    assert len({tuple(found) for found in orders}) == 9
    assert all(found.tolist() != list(range(30)) for found in orders)


@given(seed=seeds, first=st.integers(0, 5 * DRAWS), cut=st.integers(0, 9))
def test_a_samples_perturbation_depends_on_its_place_alone(seed: int, first: int, cut: int):
    samples = samples_of(REPEATS, seed)
    whole = samples.draws(first, 9)
    again = samples_of(REPEATS, seed)
    parts = [again.draws(first + cut, 9 - cut), again.draws(first, cut)]  # out of order
    for name, values in vars(whole).items():
        assert len(values) == 9
        assert np.array_equal(values[cut:], getattr(parts[0], name))
        assert np.array_equal(values[:cut], getattr(parts[1], name))


@given(first=st.integers(0, 60), count=st.integers(0, 40))
def test_the_perturbations_weaken_from_the_first_sample_to_the_last(first: int, count: int):
    """The same chances, with linearly less of rotation and blur; boxes and flips stay."""
    usual = samples_of(REPEATS).draws(first, count)
    found = samples_of(REPEATS, strength=Strength(1, 0.25), budget=101).draws(first, count)
    strength = 1 - 0.75 * np.arange(first, first + count) / 100
    np.testing.assert_allclose(found.rotation, strength * usual.rotation)
    assert np.array_equal(found.corners, usual.corners)
    assert np.array_equal(found.flipped, usual.flipped)
    assert not (found.blurred & ~usual.blurred).any()


def test_without_strength_faces_are_upright_and_sharp():
    drawn = samples_of(REPEATS, strength=Strength(0, 0)).draws(0, 100)
    assert not drawn.rotation.any() and not drawn.blurred.any()
    assert len(np.unique(drawn.corners)) == 400
    assert drawn.flipped.any() and not drawn.flipped.all()


def test_samples_seeds_and_epochs_have_perturbations_of_their_own():
    samples = [samples_of(REPEATS, seed) for seed in range(3)]
    angles = np.concatenate([s.draws(place, 9).rotation for s in samples for place in (0, 9, 5000)])
    assert len(np.unique(angles)) == len(angles)
