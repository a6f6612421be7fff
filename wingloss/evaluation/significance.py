"""Whether one network is better than another: tests over faces and seeds, Holm's correction.

Both networks are tested on the same faces and trained from the same seeds, so what counts is the
table of their differences. Faces are hundreds and are resampled (a paired bootstrap); seeds are
three, too few for that, and are what Student's t was made for.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wingloss.geometry import Array

REPLICATES = 10_000
_AT_ONCE = 500  # replicates held in memory at a time


@dataclass(frozen=True)
class Estimate:
    """A mean difference, and what the bootstrap says of it; in the unit of the differences."""

    mean: float
    low: float  # the interval's ends
    high: float
    p_below: float  # one-sided: how well chance explains a mean as far below zero
    p_above: float


def bootstrap(differences: Array, seed: int = 0, replicates: int = REPLICATES) -> Array:
    """Replicates ``(R,)`` of the mean of ``differences`` ``(S, N)``: S seeds, N faces.

    Each draws N faces with replacement, takes their mean over faces and seeds, and adds a draw of
    Student's t with S - 1 degrees of freedom, times s / sqrt(S): s is the standard deviation over
    seeds of the mean difference. Resampled instead, three seeds would have 2/3 of their variance,
    and all be the same one in a ninth of the draws. What faces and seeds do together is in both
    parts. It is counted twice, not subtracted: it is small (a 1/N of that variance), and s squared
    less another estimate has no distribution that three seeds could tell. With one seed only faces
    vary.

    Raises:
        ValueError: there is no face, or a difference is not finite (a training that diverged).
    """
    n_seeds, n_faces = differences.shape
    if not differences.size or not np.isfinite(differences).all():
        raise ValueError("differences must be finite, and at least one")
    seeds_drawn, faces_drawn = (np.random.default_rng([seed, axis]) for axis in (0, 1))
    of_faces, means = differences.mean(axis=0), []
    for first in range(0, replicates, _AT_ONCE):
        size = min(_AT_ONCE, replicates - first)
        counts = faces_drawn.multinomial(n_faces, [1 / n_faces] * n_faces, size)
        means.append(counts @ of_faces / n_faces)
    drawn = np.concatenate(means)
    if n_seeds > 1:
        error = differences.mean(axis=1).std(ddof=1) / np.sqrt(n_seeds)
        drawn += error * seeds_drawn.standard_t(n_seeds - 1, replicates)
    return drawn


def estimate(mean: float, replicates: Array, level: float = 0.95) -> Estimate:
    """The percentile interval of ``replicates`` ``(R,)`` at ``level``, and both p-values.

    ``p_below`` is the share of replicates at or above zero, counted with one more on either side
    so that it is never zero (Davison and Hinkley, Bootstrap Methods, 1997, Eq. 4.11).
    """
    low, high = np.quantile(replicates, [(1 - level) / 2, (1 + level) / 2])
    count = len(replicates) + 1
    return Estimate(
        mean=mean,
        low=float(low),
        high=float(high),
        p_below=(1 + int((replicates >= 0).sum())) / count,
        p_above=(1 + int((replicates <= 0).sum())) / count,
    )


def compare(first: Array, second: Array, seed: int = 0) -> Estimate:
    """How far the mean of ``first`` lies below (negative) or above that of ``second``.

    Both are errors ``(S, N)`` of the same seeds and faces.
    """
    differences = first - second
    return estimate(float(differences.mean()), bootstrap(differences, seed))


def gain_contrast(first: Array, second: Array, on: NDArray[np.bool_]) -> Array:
    """A table ``(S, N)`` to bootstrap: does ``first`` gain more over ``second`` on some faces?

    Its mean is the relative change of the error, from ``second`` to ``first``, on the faces where
    ``on`` ``(N,)`` is true less that on the others; negative where the gain is larger on them. Both
    ratios are linearised about their values (delta method), so that a resampled mean has their
    variance and not that of the groups' sizes.
    """
    table = np.zeros_like(first)
    contrast = 0.0
    for group, sign in ((on, 1), (~on, -1)):
        ours, theirs = first[:, group], second[:, group]
        base = theirs.mean()
        change = float((ours - theirs).mean() / base)
        contrast += sign * change
        rest = ours - theirs - change * theirs
        table[:, group] = sign * rest / base * (group.size / group.sum())
    return contrast + table


def holm(p_values: ArrayLike) -> Array:
    """Holm's step-down adjustment of the p-values ``(K,)`` of a family of tests, in their order.

    Those at most alpha can be rejected with at most alpha's chance of any false rejection
    (Holm, Scandinavian Journal of Statistics, 1979).
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted
