"""A verdict on each of the paper's claims, from predictions and measured speeds alone."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import files
from pipeline.config import grids, networks, paths
from pipeline.config.params import load
from pipeline.config.paths import Cell
from pipeline.results import advice, paper_spec, run_results
from pipeline.results.effects import LEVEL, SEEDS, Effects
from pipeline.results.paper_spec import Claim, Claims, Family, Published
from pipeline.results.run_results import Results, Scored
from pipeline.results.words import counted
from pipeline.runtime import cli
from pipeline.runtime.cli import log
from wingloss import protocol
from wingloss.evaluation import significance
from wingloss.evaluation.significance import Effect, log_mean
from wingloss.geometry import Array

LARGE = 2  # errors beyond this many of the protocol's thresholds are large
VERDICTS = ("reproduced", "contradicted", "equivalent", "undecided", "not run")


def run(dataset: str) -> None:
    """Writes, by recipe, the claims with their verdicts and how many there are of each."""
    claims, known = paper_spec.families(), paper_spec.published()
    found: dict[str, list[dict[str, Any]]] = {}
    numbers: dict[str, dict[str, int]] = {}
    for results in _able(claims, run_results.read(load(), dataset)):
        recipe = results.recipe
        # speeds are of no recipe, so they are judged with the first one
        own = replace(claims, families=[f for f in claims.families if f.cells or not found])
        found[recipe] = judge(own, results, known)
        counts = Counter(one["verdict"] for one in found[recipe])
        numbers[recipe] = {verdict.replace(" ", "_"): counts[verdict] for verdict in VERDICTS}
        log.info("%s: %s", recipe, ", ".join(f"{n} {name}" for name, n in numbers[recipe].items()))
    files.write_json(Path(paths.CLAIMS.format(dataset=dataset)), found)
    files.write_json(Path(paths.VERDICTS.format(dataset=dataset)), numbers)


def _able(claims: Claims, every: list[Results]) -> list[Results]:
    """The recipes by which all runs of some claim are there; the first recipe if by none."""
    compared = [claim.cells for family in claims.families for claim in family.claims if claim.cells]
    able = [one for one in every if any(set(cells) <= one.cells.keys() for cells in compared)]
    return able or every[:1]


def judge(claims: Claims, results: Results, known: Published) -> list[dict[str, Any]]:
    """Each claim with its verdict, why, and the comparisons behind it.

    All pairs of a claim must hold, so for it counts the largest of their p-values, and against it
    the smallest, times their number. The claim's p-value is twice the smaller of both, because it
    may go either way. Holm's correction is over all claims of its family that have a test, those
    not run too, and that of the tests of equivalence likewise.
    """
    effects = _AllEffects(results)
    every = []
    for family in claims.families:
        found = [
            {"family": family.family}
            | _look(claim, family, effects, known, claims.equivalent_within)
            for claim in family.claims
        ]
        tested = [one for one in found if one["p"] is not None]
        _adjust(tested, "p", "p_adjusted", family.size)
        plain = [one for one in tested if one["p_equivalent"] is not None]
        _adjust(plain, "p_equivalent", "p_equivalent", family.size)
        for one in tested:
            one |= _decide(one, family.size, claims.equivalent_within)
        every += found
    return every


def _adjust(found: list[dict[str, Any]], p: str, adjusted: str, size: int) -> None:
    """Holm's correction over a family of ``size`` tests."""
    values = significance.holm([one[p] for one in found], size)
    for one, value in zip(found, values, strict=True):
        one[adjusted] = float(value)


def _decide(one: dict[str, Any], size: int, within: float) -> dict[str, str]:
    """The verdict on a claim that has p-values."""
    why = f"{_p(one['p_adjusted'])} after Holm's correction over {counted(size, 'test')}"
    if one["p_adjusted"] <= LEVEL:
        return {"verdict": "reproduced" if one["holds"] else "contradicted", "why": f"{why}."}
    if one["p_equivalent"] is not None and one["p_equivalent"] <= LEVEL:
        what = "the errors differ" if len(one["comparisons"]) == 1 else "it differs from the best"
        why = f"{_p(one['p_equivalent'])} that {what} by {100 * within:g} % or more."
        return {"verdict": "equivalent", "why": why}
    return {"verdict": "undecided", "why": f"{why}, above {LEVEL}."}


def _p(p: float) -> str:
    """A p-value; near the level with as many digits as tell on which side it lies."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.{2 if abs(p - LEVEL) > LEVEL / 10 else 3}g}"


class _AllEffects:
    """The effects by each measure that a claim names, on its faces."""

    def __init__(self, results: Results) -> None:
        self.results = results
        self._known: dict[tuple[str, str, str, str | None], Effects[Cell]] = {}

    def by(self, claim: Claim, family: Family) -> Effects[Cell]:
        """Logarithms of ratios of errors, or differences of percentages of the faces.

        What is known of the seeds' variance comes from the family's own cells: others, such as
        Table 2's unstable settings, may vary otherwise.
        """
        key = (family.family, claim.measure, claim.subset, claim.gains_on)
        if key not in self._known:
            self._known[key] = self._by(claim, family.cells)
        return self._known[key]

    def _by(self, claim: Claim, cells: set[Cell]) -> Effects[Cell]:
        results, inside = self.results, self.results.any.inside(claim.subset)
        own = {cell: one for cell, one in results.cells.items() if cell in cells}
        by_network = attrgetter("network")
        if claim.measure == "large_errors":
            return Effects(own, by_network, inside, lambda errors: _large(errors, results))
        if claim.gains_on is None:
            return Effects(own, by_network, inside, lambda errors: log_mean(errors, inside[inside]))
        large = results.any.inside(claim.gains_on)
        on = large[inside]
        return Effects(
            own,
            by_network,
            inside,
            lambda errors: log_mean(errors, on) - log_mean(errors, ~on),
            large,
        )


def _large(errors: Array, results: Results) -> Array:
    """100 for each large error, else 0."""
    limit = 100 * LARGE * protocol.load(results.dataset).threshold
    return np.where(errors > limit, 100.0, 0.0)


def _look(
    claim: Claim, family: Family, effects: _AllEffects, known: Published, within: float
) -> dict[str, Any]:
    """What the runs say of one claim; verdicts that need a p-value are still to come."""
    results = effects.results
    found: dict[str, Any] = {
        "claim": _title(claim, results),
        "text": claim.claim,
        "place": claim.place,
        "data": claim.data,
        "verdict": "not run",
        "why": "",
        "missing": [],
        "p": None,
        "p_adjusted": None,
        "p_equivalent": None,
        "holds": None,
        "comparisons": [],
    }
    if claim.faster:
        return found | _speeds(claim, results.dataset)
    if obstacle := _obstacle(claim, results):
        return found | {"why": obstacle}
    if missing := [cell for cell in claim.cells if cell not in results.cells]:
        if results.studied:
            said = f"Only studies ask for the recipe {results.recipe}, and they don't need these."
        else:
            said = " ".join(advice.how_to_run(missing, results, family.study))
        return found | {"why": said, "missing": [str(cell) for cell in missing]}
    runs = [results.cells[cell] for cell in claim.cells]
    if claim.diverges:
        return found | _divergence(runs)
    diverged = [
        results.named(cell) for cell, run in zip(claim.cells, runs, strict=True) if run.diverged
    ]
    if diverged:
        return found | {"verdict": "undecided", "why": f"Diverged: {', '.join(diverged)}."}
    measured = [effects.by(claim, family).between(*pair) for pair in claim.pairs]
    found["comparisons"] = [
        _comparison(claim, pair, effect, results, known)
        for pair, effect in zip(claim.pairs, measured, strict=True)
    ]
    seeds = len(runs[0].seeds)
    if seeds < SEEDS:
        more = grids.at_least(SEEDS, results.params.seeds)
        why = f"{seeds} of at least {SEEDS} seeds; set `seeds: {more}` in params.yaml."
        return found | {"verdict": "undecided", "why": why}
    bound = _bound(claim)
    holds = significance.all_below(measured, bound)
    fails = significance.any_above(measured, bound)
    found |= {"p": min(1.0, 2 * min(holds, fails)), "holds": holds < fails}
    if claim.plain:
        found["p_equivalent"] = _equivalent(claim, measured, within)
    return found


def _title(claim: Claim, results: Results) -> str:
    """The claim, with what is not as it was in the paper."""
    title = claim.claim
    here = None if claim.faster else results.elsewhere([claim.data])
    if here:
        title += f" (claimed of {claim.data}, tested on {here})"
    has_resnet = any(cell.network == "resnet50" for cell in claim.cells)
    if has_resnet and results.weights != run_results.WEIGHTS["imagenet"]:
        title += f" (ResNet-50 began with {results.weights})"
    return title


def _obstacle(claim: Claim, results: Results) -> str | None:
    """Why no run of this recipe on these faces can test the claim; None if some could."""
    if scarce := _scarce(claim, results):
        return f"{scarce} in {results.faces}."
    if reduced := results.reduced(claim.cells):
        return f"No claim is tested on {reduced} (`ert` in params.yaml)."
    if not claim.testable(results.params.recipes[results.recipe]):
        return (
            "AdamW divides each gradient by its usual size, so none explodes: this needs SGD, "
            "as the recipe `paper` has it."
        )
    return None


def _scarce(claim: Claim, results: Results) -> str | None:
    """Which of the claim's faces are of fewer photographs than it takes to tell chance."""
    inside = results.any.inside(claim.subset)
    groups = {claim.subset: inside}
    if claim.gains_on:
        on = results.any.inside(claim.gains_on)
        groups = {claim.gains_on: inside & on, f"other than {claim.gains_on}": inside & ~on}
    for name, group in groups.items():
        photographs = len(np.unique(results.any.photographs[group]))
        if photographs < 2:
            return f"There are {'too few photographs with' if photographs else 'no'} {name} faces"
    return None


def _speeds(claim: Claim, dataset: str) -> dict[str, Any]:
    """No statistics: faster by the factor with every number of threads, or with none, or both."""
    measured = files.read_json(Path(paths.SPEED.format(dataset=dataset)))
    machine = measured["machine"]
    speeds = [measured["networks"][network] for network in claim.faster]
    threads = machine["threads"]
    if claim.device == "cpu":
        places = {"cpu_speed": counted(threads, "CPU thread")}
        if threads > 1:
            places = {"cpu_speed_1_thread": "1 CPU thread"} | places
    elif machine["gpu"]:
        places = {"gpu_speed": machine["gpu"]}
    else:
        return {"why": "No GPU was there to measure it."}
    here = {measure: [speed[measure] for speed in speeds] for measure in places}
    known = paper_spec.published_speeds()
    ratios = {name: here[measure][0] / here[measure][1] for measure, name in places.items()}
    hold = [ratio >= claim.factor for ratio in ratios.values()]
    said = ", ".join(f"{ratio:.1f} times on {name}" for name, ratio in ratios.items())
    others = f"{machine['cores_of_others']} of {machine['cores']} cores"
    first, second = (networks.TITLES[network] for network in claim.faster)
    return {
        "verdict": "reproduced" if all(hold) else "undecided" if any(hold) else "contradicted",
        "why": (
            f"{said} ({machine['processor']}); at least {claim.factor:g} is asked for;"
            f" meanwhile other work took {others}."
        ),
        "comparisons": [
            {
                "of": f"{first} against {second}, on {name}",
                "unit": "times as fast",
                "paper": (paper := _printed(known, [(one, measure) for one in claim.faster])),
                "paper_effect": paper and paper[0] / paper[1],
                "here": here[measure],
                "effect": ratios[name],
                "low": None,
                "high": None,
                "bound": claim.factor,
            }
            for measure, name in places.items()
        ],
    }


def _divergence(runs: list[Scored]) -> dict[str, str]:
    """No statistics: every training of at least SEEDS diverged, or none did, or it is undecided."""
    diverged = sum(len(one.diverged) for one in runs)
    count = sum(len(one.seeds) for one in runs)
    verdict = {0: "contradicted", count: "reproduced"}.get(diverged, "undecided")
    if any(len(one.seeds) < SEEDS for one in runs):
        verdict = "undecided"
    return {"verdict": verdict, "why": f"{diverged} of {counted(count, 'training')} diverged."}


def _equivalent(claim: Claim, measured: list[Effect], within: float) -> float:
    """The p-value that a first run of the pairs differs from the best of its second ones."""
    by_first: dict[Cell, list[Effect]] = {}
    for (first, _), effect in zip(claim.pairs, measured, strict=True):
        by_first.setdefault(first, []).append(effect)
    return max(significance.equivalent(own, within) for own in by_first.values())


def _bound(claim: Claim) -> float:
    """What each effect must lie below for the claim to hold."""
    return claim.margin if claim.measure == "large_errors" else float(np.log(claim.factor))


def _comparison(
    claim: Claim, pair: tuple[Cell, Cell], effect: Effect, results: Results, known: Published
) -> dict[str, Any]:
    """One pair's figures and effect, in the paper and here, in percent; None where there is none.

    An effect is a relative change of the error, or a difference of shares of the faces.
    """
    first, second = pair
    shares = claim.measure == "large_errors"

    def percent(value: float) -> float:
        return float(value if shares else 100 * np.expm1(value))

    keys = [(cell, claim.data, claim.subset) for cell in pair]
    paper = here = None
    if not claim.gains_on:
        paper = None if shares else _printed(known, keys)
        inside = results.any.inside(claim.subset)
        errors = [results.cells[cell].errors[:, inside] for cell in pair]
        here = [float((_large(one, results) if shares else one).mean()) for one in errors]
    low, high = effect.interval()
    return {
        "of": f"{results.named(first)} against {results.named(second)}"
        + (f", on {claim.gains_on} faces against the others" if claim.gains_on else ""),
        "unit": "% of the faces" if shares else "% of the error",
        "paper": paper,
        "paper_effect": paper and 100 * (paper[0] / paper[1] - 1),
        "here": here,
        "effect": percent(effect.value),
        "low": percent(low),
        "high": percent(high),
        "bound": percent(_bound(claim)),
        "p_below": effect.p_below(_bound(claim)),
        "p_above": effect.p_above(_bound(claim)),
    }


def _printed(known: Mapping[Any, float], keys: list[Any]) -> list[float] | None:
    """The published figures, where each of them is."""
    return [known[key] for key in keys] if all(key in known for key in keys) else None


if __name__ == "__main__":
    cli.main(run)
