"""Compare the default runs' errors with the documented ones: `python -m workflow.compare`.

Trainings round differently on other processors, so the reference, docs/results/default.json, says
of each run how far it was off wherever it was tried (`python -m benchmarks.spread` writes it).
A difference is told, and never a failure.
"""

import dataclasses
import hashlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.config import paths
from pipeline.config.params import PARAMS, Params, load
from pipeline.config.paths import Cell
from pipeline.errors import UserError
from wingloss import protocol

REFERENCE = Path("docs/results/default.json")
DATASET, RECIPE = "synthetic", "fast"  # the default parameters'


def settings(params: Params, names: Iterable[str]) -> str:
    """A hash of what these runs of DATASET and RECIPE depend on; they are named as by `errors`.

    What other networks and losses have of their own doesn't count.
    """
    values, recipe = dataclasses.asdict(params), params.recipes[RECIPE]
    networks = [Cell.of(name.rpartition("/")[0]) for name in names]
    cells = sorted({cell for cell in networks if cell.network in paths.STAGES}, key=str)
    trainings: dict[str, Any] = {}
    for cell in cells:
        for part in paths.STAGES[cell.network]:
            own = dataclasses.asdict(recipe.of(part))
            own["samples"] = own["samples"].get(DATASET)
            loss = params.loss[cell.loss]
            trainings[f"{part}/{cell.loss}"] = {
                "recipe": own,
                "loss": [loss.kind, dataclasses.asdict(loss.on(part))],  # type: ignore[call-overload]
                "augmentation": values["augmentation"][part],
            }
    own = {
        "raw": values["raw"].get(DATASET),
        "dataset": values["dataset"].get(DATASET),
        "trainings": trainings,
        "trees": dataclasses.asdict(params.regression_trees),
    }
    own |= {name: values[name] for name in ("on_bad_sample", "context", "correction", "stage_one")}
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()


def errors(summary: Path) -> dict[str, float]:
    """The headline NME of all test faces, in percent with two decimals, of runs by RECIPE.

    They are a summary's, named ``network/balance/loss/seed``; baselines are among them.
    """
    table = files.read_table(summary, recipe=str, balance=str, loss=str)
    own = table.recipe.isin([RECIPE, paths.NEITHER])
    scored = table[own & (table.split == "test") & (table.subset == protocol.ALL)]
    names = [f"{r.network}/{r.balance}/{r.loss}/seed{r.seed}" for r in scored.itertuples()]
    nme = scored[f"nme_{protocol.load(DATASET).headline}"].round(2)
    return dict(zip(names, nme, strict=True))


def compare(params: Params) -> list[str]:
    """The lines to print."""
    reference, summary = files.read_json(REFERENCE), Path(paths.SUMMARY.format(dataset=DATASET))
    known, nothing = reference["runs"], f"No runs of {DATASET} by {RECIPE} here"
    if DATASET not in params.datasets or not summary.exists():
        return [f"{nothing}, so there is nothing to compare with {REFERENCE}."]
    try:
        alike = settings(params, known) == reference["settings"]
    except LookupError:  # a recipe, network or loss that is gone
        alike = False
    if not alike:
        return [f"{PARAMS} has other settings than the default's: nothing to compare."]
    if not (here := {name: nme for name, nme in errors(summary).items() if name in known}):
        return [f"{nothing}, so there is nothing to compare with {REFERENCE}."]
    width = max(map(len, here))
    lines = [f"{'test NME, percent':{width}}   here  reference  difference  spread  within"]
    outside = []
    for name, nme in here.items():
        expected, spread = known[name]["nme"], known[name]["spread"]
        difference = round(nme - expected, 2) + 0.0  # no -0.00
        within = abs(difference) <= spread
        outside += [] if within else [name]
        lines.append(
            f"{name:{width}}  {nme:5.2f}  {expected:9.2f}  {difference:+10.2f}  {spread:6.2f}  "
            f"{'yes' if within else 'no'}"
        )
    if outside:
        return [
            *lines,
            f"{len(outside)} of {len(here)} runs are further from the reference than on any "
            "processor tried so far.",
        ]
    return [*lines, f"All {len(here)} runs are as near to the reference as processors differ."]


if __name__ == "__main__":
    try:
        print(*compare(load()), sep="\n")
    except UserError as error:
        sys.exit(f"error: {error}")
