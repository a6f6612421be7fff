"""The report's charts as plain numbers: where marks lie on their axes, in percent of the width."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from pipeline.config import paths
from pipeline.results import overview
from pipeline.results.run_results import Results, Scored
from wingloss.geometry import Array

ROWS = 16  # runs of the chart that show at once
TICKS = 4  # intervals of an axis, about: legible on a phone
MARKS = ("low", "effect", "high", "paper_effect", "bound")  # of a comparison in the forest plot


class Scale:
    """A horizontal axis: where values lie on it, in percent of its width, and its ticks."""

    def __init__(self, low: float, high: float) -> None:
        values = MaxNLocator(nbins=TICKS, steps=[1, 2, 5, 10]).tick_values(low, high)
        self.low, self.high = float(values[0]), float(values[-1])
        self.ticks = [(self.at(value), f"{value:.4g}".replace("-", "−")) for value in values]

    def at(self, value: float) -> float:
        """Where the value lies; beyond an end, at the end."""
        return round(100 * float(np.clip((value - self.low) / (self.high - self.low), 0, 1)), 2)


def errors(every: list[Results]) -> dict[str, Any]:
    """A chart of errors a recipe, the lowest first, all on one axis.

    That is the networks'; baselines may lie beyond it.
    """
    whole = [
        (cell.network in paths.STAGES, one.errors.mean(axis=1))
        for results in every
        for cell, one in results.cells.items()
        if not one.diverged
    ]
    own = [means for learnt, means in whole if learnt] or [means for _, means in whole]
    scale = Scale(np.min(own), np.max(own)) if own else Scale(0, 1)
    return {"ticks": scale.ticks, "charts": [_chart(results, scale) for results in every]}


def _chart(results: Results, scale: Scale) -> dict[str, Any]:
    """One recipe's chart of errors, and its best run."""
    rows = [
        {
            "name": results.named(cell),
            "reduced": bool(one.reduced),
            "error": _error(one),
            "bar": None if one.diverged else _bar(scale, one.errors.mean(axis=1)),
        }
        for cell, one in overview.ranked(results).items()
    ]
    return {
        "recipe": results.recipe,
        "first": rows[:ROWS],
        "others": rows[ROWS:],
        "best": overview.best(results),
    }


def _error(one: Scored) -> str:
    """The mean error over seeds ± its standard deviation, in percent."""
    if one.diverged:
        return "diverged"
    means = one.errors.mean(axis=1)
    return f"{means.mean():.2f}" + (f" ± {means.std(ddof=1):.2f}" if len(means) > 1 else "")


def _bar(scale: Scale, means: Array) -> dict[str, Any]:
    """Where the seeds' errors ``(S,)`` lie, their mean, and a standard deviation on either side."""
    mean, std = means.mean(), means.std(ddof=1) if len(means) > 1 else 0.0
    return {
        "seeds": [scale.at(error) for error in means],
        "low": scale.at(mean - std),
        "mean": scale.at(mean),
        "high": scale.at(mean + std),
        "beyond": bool(mean > scale.high),
    }


def forest(
    tested: list[dict[str, Any]], within: float, numbers: Iterator[int]
) -> list[dict[str, Any]]:
    """The forest plot: families of claims on axes of their own, each claim with its decisive pair.

    That is the pair least in its favour. ``within`` is the share of the error by which equivalent
    errors may differ.
    """
    families: dict[str, list[dict[str, Any]]] = {}
    for one in tested:
        one["number"] = next(numbers)
        one["decisive"] = max(one["comparisons"], key=_against, default=None)
        families.setdefault(one["family"], []).append(one)
    return [{"name": name, "claims": own} | _axis(own, within) for name, own in families.items()]


def _axis(own: list[dict[str, Any]], within: float) -> dict[str, Any]:
    """A family's axis; adds to each pair where its marks lie, or None where it isn't drawn."""
    pairs = [one["decisive"] for one in own if one["decisive"]]
    drawn = [pair for pair in pairs if pair["low"] is not None]
    band = [100 * sign * within for sign in (-1, 1)]
    marks = [pair[key] for pair in drawn for key in MARKS if pair[key] is not None]
    scale = Scale(min(*band, *marks), max(*band, *marks))
    for pair in pairs:
        places = {key: scale.at(pair[key]) for key in MARKS if pair[key] is not None}
        pair["at"] = places if pair in drawn else None
    low, high = map(scale.at, band)
    ticks = scale.ticks if drawn else None
    return {"ticks": ticks, "zero": scale.at(0), "band": {"low": low, "width": high - low}}


def _against(pair: dict[str, Any]) -> float:
    """How little a comparison speaks for its claim; of speeds, without interval, the opposite."""
    short = pair["effect"] - pair["bound"]
    return -short if pair["low"] is None else short
