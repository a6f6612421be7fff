"""A verdict on each of the paper's claims, from predictions and measured speeds alone."""

import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.config import paths
from pipeline.config.params import load
from pipeline.config.paths import Cell
from pipeline.data import files
from pipeline.results import paper_spec, run_results
from pipeline.results.paper_spec import Claim
from pipeline.results.run_results import Results, Scored
from pipeline.runtime import cli
from pipeline.runtime.cli import log
from wingloss import protocol
from wingloss.evaluation import significance
from wingloss.evaluation.significance import Estimate
from wingloss.geometry import Array

LEVEL = 0.05
SEEDS = 3  # fewer can't tell a better network from a luckier start
LARGE = 2  # errors beyond this many of the protocol's thresholds are large
WEAKER = "this says nothing of trees as strong as their paper's"
VERDICTS = ("reproduced", "contradicted", "undecided", "not run")


def run(dataset: str) -> None:
    """Writes the claims with what was found and their verdicts, and how many there are of each."""
    results = run_results.read(load(), dataset)
    found = judge(paper_spec.claims(), results)
    files.write_json(Path(paths.CLAIMS.format(dataset=dataset)), found)
    counts = Counter(one["verdict"] for one in found)
    numbers = {verdict.replace(" ", "_"): counts[verdict] for verdict in VERDICTS}
    files.write_json(Path(paths.VERDICTS.format(dataset=dataset)), numbers)
    log.info(", ".join(f"{number} {name}" for name, number in numbers.items()))


def judge(claims: list[Claim], results: Results) -> list[dict[str, Any]]:
    """Each claim with its verdict, why, and the comparisons behind it.

    All pairs of a claim must hold, so for it counts the largest of their p-values, and against it
    the smallest, times their number. The claim's p-value is twice the smaller of both, because it
    may go either way; Holm's correction is over all claims that have one.
    """
    found = [_look(claim, results) for claim in claims]
    tested = [one for one in found if one["p"] is not None]
    adjusted = significance.holm([one["p"] for one in tested])
    for one, p in zip(tested, adjusted, strict=True):
        one["p_adjusted"] = float(p)
        if p <= LEVEL:
            one["verdict"] = "reproduced" if one["holds"] else "contradicted"
            one["why"] = f"p = {p:.2g} after Holm's correction"
        else:
            one["verdict"] = "undecided"
            one["why"] = f"p = {p:.2g} after Holm's correction is above {LEVEL}"
    for claim, one in zip(claims, found, strict=True):
        reduced = results.reduced(claim.cells)
        if reduced and one["verdict"] != "not run":
            one["against"] = reduced
            one["why"] += f"{'' if one['why'].endswith('.') else '.'} Against {reduced}; {WEAKER}."
    return found


def _look(claim: Claim, results: Results) -> dict[str, Any]:
    """What the runs say of one claim; verdicts that need a p-value are still to come."""
    found: dict[str, Any] = {
        "claim": _title(claim, results),
        "place": claim.place,
        "verdict": "not run",
        "why": "",
        "against": None,
        "p": None,
        "p_adjusted": None,
        "holds": None,
        "comparisons": [],
    }
    if claim.faster:
        return found | _speeds(claim, results.dataset)
    obstacle = _obstacle(claim, results)
    if obstacle:
        return found | {"why": obstacle}
    runs = [results.cells[cell] for cell in claim.cells]
    if claim.diverges:
        return found | _divergence(runs)
    diverged = [str(c) for c, r in zip(claim.cells, runs, strict=True) if r.diverged]
    if diverged:
        return found | {"verdict": "undecided", "why": f"Diverged: {', '.join(diverged)}."}
    estimates = [_estimate(claim, pair, results) for pair in claim.pairs]
    found["comparisons"] = [
        {"of": _formula(claim, *pair), "unit": _unit(claim)} | dataclasses.asdict(estimate)
        for pair, estimate in zip(claim.pairs, estimates, strict=True)
    ]
    seeds = len(runs[0].seeds)
    if seeds < SEEDS:
        why = f"{seeds} of at least {SEEDS} seeds; set `seeds: [0, 1, 2]` in params.yaml."
        return found | {"verdict": "undecided", "why": why}
    holds = max(one.p_below for one in estimates)
    fails = min(one.p_above for one in estimates) * len(estimates)
    return found | {"p": min(1.0, 2 * min(holds, fails)), "holds": holds < fails}


def _title(claim: Claim, results: Results) -> str:
    """The claim, with what is not as it was in the paper."""
    title = claim.claim
    here = None if claim.faster else results.elsewhere([claim.data])
    if here:
        title += f" (claimed of {claim.data}, tested on {here})"
    if reduced := results.reduced(claim.cells):
        title += f" ({reduced})"
    if results.weights == "none" and any(cell.network == "resnet50" for cell in claim.cells):
        title += f" (ResNet-50 began with {run_results.WEIGHTS['none']})"
    return title


def _obstacle(claim: Claim, results: Results) -> str | None:
    """Why the claim can't be tested on what there is; first what no training would change."""
    for subset in (claim.subset, claim.gains_on or "full"):
        if not results.any.inside(subset).any():
            return f"There are no {subset} faces in {results.faces}."
    recipes = results.params.recipes
    if not claim.testable(recipes[results.params.recipe].cnn6.optimiser):
        able = [name for name, recipe in recipes.items() if claim.testable(recipe.cnn6.optimiser)]
        return (
            "AdamW divides each gradient by its usual size, so none explodes: this needs plain "
            f"gradient descent, `recipe: {' or '.join(able)}` in params.yaml."
        )
    missing = [cell for cell in claim.cells if cell not in results.cells]
    return " ".join(run_results.how_to_run(missing, results)) or None


def _speeds(claim: Claim, dataset: str) -> dict[str, str]:
    """No statistics: faster by the factor in every place that was measured, or in none, or both."""
    measured = files.read_json(Path(paths.SPEED.format(dataset=dataset)))
    machine = measured["machine"]
    first, second = (measured["networks"][network] for network in claim.faster)
    threads = machine["threads"]
    places = {
        "cpu_speed_1_thread": "1 CPU thread",
        "cpu_speed": f"{threads} CPU thread{'s' * (threads > 1)}",
        "gpu_speed": machine["gpu"],
    }
    ratios = {name: first[place] / second[place] for place, name in places.items() if first[place]}
    hold = [ratio >= claim.factor for ratio in ratios.values()]
    said = ", ".join(f"{ratio:.1f} times on {name}" for name, ratio in ratios.items())
    gpu = "" if machine["gpu"] else "; there is no GPU"
    others = f"{machine['cores_of_others']} of {machine['cores']} cores"
    return {
        "verdict": "reproduced" if all(hold) else "undecided" if any(hold) else "contradicted",
        "why": (
            f"{said} ({machine['processor']}){gpu}; at least {claim.factor:g} is asked for;"
            f" meanwhile other work took {others}."
        ),
    }


def _divergence(runs: list[Scored]) -> dict[str, str]:
    """No statistics: every training of at least SEEDS diverged, or none did, or it is undecided."""
    diverged = sum(len(one.diverged) for one in runs)
    count = sum(len(one.seeds) for one in runs)
    verdict = {0: "contradicted", count: "reproduced"}.get(diverged, "undecided")
    if any(len(one.seeds) < SEEDS for one in runs):
        verdict = "undecided"
    return {"verdict": verdict, "why": f"{diverged} of {count} trainings diverged."}


def _estimate(claim: Claim, pair: tuple[Cell, Cell], results: Results) -> Estimate:
    """What must be below zero for the claim to hold of a pair of cells."""
    first, second = (results.cells[cell] for cell in pair)
    inside = first.inside(claim.subset)
    ours, theirs = (_measured(claim, one, results)[:, inside] for one in (first, second))
    if claim.gains_on is None:
        return significance.compare(ours, claim.factor * theirs + claim.margin)
    table = 100 * significance.gain_contrast(ours, theirs, first.inside(claim.gains_on)[inside])
    return significance.compare(table, np.zeros_like(table))


def _measured(claim: Claim, one: Scored, results: Results) -> Array:
    """The claim's measure of each face ``(S, N)``, in percent."""
    if claim.measure == "nme":
        return one.errors
    limit = 100 * LARGE * protocol.load(results.dataset).threshold
    return np.where(one.errors > limit, 100.0, 0.0)


def _formula(claim: Claim, first: Cell, second: Cell) -> str:
    """What is below zero if the claim holds, for the reader."""
    if claim.gains_on:
        return f"gain of {first} over {second}, on {claim.gains_on} faces less on the others"
    factor = "" if claim.factor == 1 else f"{claim.factor:g} × "
    margin = "" if claim.margin == 0 else f" − {claim.margin:g}"
    return f"{first} − {factor}{second}{margin}"


def _unit(claim: Claim) -> str:
    """What one of the comparison's figures is one of."""
    if claim.gains_on:
        return "% of the error"
    return {"nme": "points of NME", "large_errors": "% of the faces"}[claim.measure]


if __name__ == "__main__":
    cli.main(run)
