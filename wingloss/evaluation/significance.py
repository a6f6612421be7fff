"""Whether one network is better than another: effects with intervals, and families of tests.

An effect is the difference of two cells' means over seeds and faces. Three things vary in it:

- photographs: the faces of one are alike, so whole photographs count, and there are many;
- seeds: there are three, too few to tell their variance from one pair of cells. So it is pooled
  over all cells of one network and recipe, less what a seed does to all of them alike (a two-way
  analysis of variance);
- what seeds and faces do together is in both of these, and is subtracted once (Cameron, Gelbach and
  Miller, Journal of Business & Economic Statistics, 2011).

The sum's degrees of freedom are Satterthwaite's (Biometrics Bulletin, 1946).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import fdtri, stdtr, stdtrit

from wingloss.geometry import Array

OWN = 0.1  # how often chance may make a pair's seeds look as if they varied more than the others'


@dataclass(frozen=True)
class Part:
    """A part of a variance, and the degrees of freedom of its estimate."""

    variance: float
    freedom: float


@dataclass(frozen=True)
class Effect:
    """A difference with its standard error, which Student's t describes; negative is lower.

    Where nothing varied, chance can't be told, and all p-values are 1: that no face of a few has a
    large error doesn't say that none ever has.
    """

    value: float
    error: float
    freedom: float

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """The ends of the interval that holds the truth with the chance ``level``."""
        half = self.error * float(stdtrit(self.freedom, (1 + level) / 2))
        return self.value - half, self.value + half

    def p_below(self, bound: float = 0.0) -> float:
        """One-sided: how well chance explains a value as far below ``bound``."""
        return self._chance(self.value - bound)

    def p_above(self, bound: float = 0.0) -> float:
        """The same of a value as far above it."""
        return self._chance(bound - self.value)

    def _chance(self, distance: float) -> float:
        if self.error == 0:
            return 1.0
        return float(stdtr(self.freedom, distance / self.error))


def log_mean(errors: Array, chosen: NDArray[np.bool_]) -> Array:
    """Values ``(S, N)`` whose mean is the log of the mean error of the ``chosen`` faces ``(N,)``.

    Each value is that log and the face's own share in its change (delta method). So differences of
    such values are relative changes, and their variance is that of the ratio. ``errors`` are
    ``(S, N)``.
    """
    mean = errors[:, chosen].mean()
    return np.log(mean) + np.where(chosen, errors / mean - 1, 0) / chosen.mean()


@dataclass(frozen=True)
class Runs:
    """The cells of one network and recipe: values ``(C, S, N)`` of C cells, S seeds, N faces."""

    values: Array

    def __post_init__(self) -> None:
        if not np.isfinite(self.values).all():
            raise ValueError("values must be finite: no training may have diverged")

    def part(self, weights: Array) -> Part:
        """The seeds' part in the variance of the cells' means, weighted by ``(C,)`` and added up.

        It is pooled over all cells, but no less than what the cells with a weight show by
        themselves; and where that is more than chance explains (an F test at ``OWN``), by their own
        few degrees of freedom. One seed tells no variance.
        """
        pooled = self._part(np.ones(len(weights), bool), weights)
        own = self._part(weights != 0, weights)
        if own.variance > pooled.variance * fdtri(own.freedom, pooled.freedom, 1 - OWN):
            return own
        return Part(max(pooled.variance, own.variance), pooled.freedom)

    def _part(self, used: NDArray[np.bool_], weights: Array) -> Part:
        """The same from some of the cells: a two-way analysis of variance, by cell and seed."""
        means, w = self._means[used], weights[used]
        n_cells, n_seeds = means.shape
        if n_seeds == 1:
            return Part(0.0, np.inf)
        by_seed = means.mean(axis=0)
        rest = means - means.mean(axis=1, keepdims=True) - by_seed + by_seed.mean()
        shared = w.sum() ** 2 / n_cells  # what the weights don't cancel of a seed's own luck
        parts = [Part(shared * n_cells * by_seed.var(ddof=1) / n_seeds, n_seeds - 1)]
        if n_cells > 1:
            freedom = (n_cells - 1) * (n_seeds - 1)
            own = (w**2).sum() - shared
            parts.append(Part(own * (rest**2).sum() / freedom / n_seeds, freedom))
        return _added(parts)

    @cached_property
    def _means(self) -> Array:
        return self.values.mean(axis=2)


def _added(parts: Sequence[Part]) -> Part:
    """The sum, with Satterthwaite's degrees of freedom."""
    variance = float(sum(part.variance for part in parts))
    squares = float(sum(part.variance**2 / part.freedom for part in parts))
    return Part(variance, variance**2 / squares if squares else np.inf)


def photographs_part(values: Array, photographs: NDArray[np.intp]) -> Part:
    """The variance of the mean of ``values`` ``(N,)``, where faces of one photograph are alike.

    Deviations from the mean are added up within each of G photographs; the squares of these sums,
    times G / (G - 1), are the variance times N squared (Liang and Zeger, Biometrika, 1986).

    Raises:
        ValueError: there are fewer than two photographs.
    """
    sums = _by_photograph(values - values.mean(), photographs)
    if len(sums) < 2:
        raise ValueError("it takes two photographs to tell a variance")
    count = len(sums)
    return Part(float(count / (count - 1) * (sums**2).sum() / values.size**2), count - 1)


def _joint_variance(values: Array, photographs: NDArray[np.intp]) -> float:
    """The variance of the mean of ``values`` ``(S, N)`` that seeds and photographs have together.

    It is that of what neither a seed's mean nor a face's explains.
    """
    n_seeds, n_faces = values.shape
    if n_seeds == 1:
        return 0.0
    by_face = values.mean(axis=0)
    rest = values - values.mean(axis=1, keepdims=True) - by_face + by_face.mean()
    sums = np.stack([_by_photograph(one, photographs) for one in rest])
    count = sums.shape[1]
    return float(count / (count - 1) * (sums**2).sum() / (n_seeds - 1) / n_seeds / n_faces**2)


def _by_photograph(values: Array, photographs: NDArray[np.intp]) -> Array:
    """The sums ``(G,)`` of ``values`` ``(N,)`` over each photograph's faces."""
    sums = np.bincount(photographs, weights=values).astype(np.float64)
    return sums[np.bincount(photographs) > 0]


def compare(
    ours: Runs,
    i: int,
    theirs: Runs,
    j: int,
    photographs: NDArray[np.intp],
    strata: NDArray[np.bool_] | None = None,
) -> Effect:
    """How far the mean of cell ``i`` of ``ours`` lies from that of cell ``j`` of ``theirs``."""
    if ours is theirs:
        weighted = [(ours, _unit(ours, i) - _unit(ours, j))]
    else:
        weighted = [(ours, _unit(ours, i)), (theirs, -_unit(theirs, j))]
    return contrast(weighted, photographs, strata)


def _unit(runs: Runs, i: int) -> Array:
    return np.eye(len(runs.values))[i]


def contrast(
    weighted: Sequence[tuple[Runs, Array]],
    photographs: NDArray[np.intp],
    strata: NDArray[np.bool_] | None = None,
) -> Effect:
    """The cells' means, each times its weight, added up: ``(C,)`` weights of each network's cells.

    All have the same seeds and faces; ``photographs`` ``(N,)`` are the numbers of the faces' own.
    Faces inside and outside of ``strata`` ``(N,)`` vary by themselves, which matters where there
    are few inside. Seeds of two networks are taken for independent. With one seed only photographs
    vary.
    """
    parts = [np.tensordot(weights, runs.values, axes=1) for runs, weights in weighted]
    table = np.sum(parts, axis=0)  # (S, N)
    by_face = table.mean(axis=0)
    faces = []
    for group in [np.ones(len(by_face), bool)] if strata is None else [strata, ~strata]:
        part = photographs_part(by_face[group], photographs[group])
        faces.append(Part(part.variance * group.mean() ** 2, part.freedom))
    seeds = [runs.part(weights) for runs, weights in weighted]
    both = _added(faces + seeds)
    # it is in either, so by chance alone could it seem to be more than one of them
    twice = min(_joint_variance(table, photographs), *(_added(p).variance for p in (faces, seeds)))
    variance = both.variance - twice
    freedom = both.freedom * (variance / both.variance) ** 2 if both.variance else np.inf
    return Effect(float(table.mean()), variance**0.5, freedom)


def all_below(effects: Sequence[Effect], bound: float = 0.0) -> float:
    """The p-value that all effects lie below ``bound``: the largest (intersection-union test)."""
    return max(one.p_below(bound) for one in effects)


def any_above(effects: Sequence[Effect], bound: float = 0.0) -> float:
    """The p-value that one lies above ``bound``: the smallest, times their number (Bonferroni)."""
    return min(1.0, len(effects) * min(one.p_above(bound) for one in effects))


def equivalent(effects: Sequence[Effect], within: float) -> float:
    """The p-value that a run isn't ``within`` so much of the best of those it is compared with.

    That is, worse than any of them by so much, or better than the best of them (two one-sided
    tests). ``effects`` are its changes of the log against each.
    """
    return max(
        all_below(effects, float(np.log1p(within))), any_above(effects, float(np.log1p(-within)))
    )


def holm(p_values: ArrayLike, size: int) -> Array:
    """Holm's step-down adjustment of p-values ``(K,)``, of a family of ``size`` tests, in order.

    Tests of the family that weren't made count as if their p-value were 1. Those at most alpha can
    be rejected with at most alpha's chance of any false rejection (Holm, Scandinavian Journal of
    Statistics, 1979).
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(size, size - len(p), -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted
