"""A study of runs beyond the paper's tables: each run's error, and the effects that it states."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline import files
from pipeline.config import paths
from pipeline.config.arguments import among
from pipeline.config.params import load
from pipeline.results import figure_file, paper_spec, run_results
from pipeline.results.effects import LEVEL, SEEDS, Effects
from pipeline.results.paper_spec import Study
from pipeline.results.run_results import Scored
from pipeline.results.words import counted, table_cell
from pipeline.runtime import cli
from pipeline.runtime.cli import log
from wingloss import protocol
from wingloss.drawing import figures
from wingloss.evaluation.significance import Effect, equivalent, holm, log_mean
from wingloss.geometry import Array

COLUMNS = [
    *("what", "name", "first", "second", "value", "std", "median", "auc", "failure_rate"),
    *("low", "high", "p_adjusted", "p_equivalent", "verdict", "seeds", "status"),
]
RUNS = ["| run | NME, % | median | AUC | failures, % | seeds |", "|---|--:|--:|--:|--:|--:|"]
EFFECTS = [
    "| the first error against the second | change, % | 95 % interval | p | verdict |",
    "|---|--:|--:|--:|---|",
]
NOT_RUN, DIVERGED, SCARCE = "not run", "diverged", "too few photographs"


def run(dataset: str, study: str) -> None:
    """Writes the study as CSV, a row a run and a row an effect, as Markdown, and as a figure."""
    known = paper_spec.studies()
    among({"study": study}, "study", known)
    chosen = known[study]
    names = set(chosen.cells)
    every = run_results.read(load(), dataset, lambda run: f"{run.recipe}/{run.cell}" in names)
    cells = run_results.by_name(every)
    threshold = 100 * protocol.load(dataset).threshold
    rows = [*_runs(chosen, cells, threshold), *_effects(chosen, cells)]
    table = pd.DataFrame(rows, columns=COLUMNS)
    files.write_table(_path(paths.STUDY, dataset, study), table)
    said = f"Here: {run_results.said(every)}." if cells else ""
    with files.whole_file(_path(paths.STUDY_TEXT, dataset, study)) as partial:
        partial.write_text(_markdown(study, chosen, table, said), encoding="utf-8")
    figure_file.save(_drawn(chosen, table, cells), _path(paths.STUDY_FIGURE, dataset, study))
    log.info("study %s: %d of %d runs", study, len(cells), len(names))


def _runs(study: Study, cells: dict[str, Scored], threshold: float) -> list[dict[str, Any]]:
    """Each run's mean error and its deviation over seeds, in percent, and the other measures."""
    rows = []
    for name in study.cells:
        row: dict[str, Any] = {"what": "run", "name": name, "seeds": 0, "status": NOT_RUN}
        if one := cells.get(name):
            row |= {"seeds": len(one.seeds), "status": DIVERGED if one.diverged else "run"}
            means = one.errors.mean(axis=1)  # not a number where a seed diverged
            row["value"] = means.mean()
            row["std"] = means.std(ddof=1) if len(means) > 1 else np.nan
            if not one.diverged:
                row |= run_results.other_measures(one.errors, threshold)
        rows.append(row)
    return rows


def _effects(study: Study, cells: dict[str, Scored]) -> list[dict[str, Any]]:
    """By how many percent the first run's error differs from the second's, as claims have it.

    Of two pairs, by how many percent the first pair's ratio of errors differs from the second's.
    """
    effects: Effects[str] | None = None
    found: dict[str, Effect] = {}
    if cells:
        one = next(iter(cells.values()))
        scarce = len(set(one.photographs)) < 2  # one tells nothing of others
        faces = np.ones(len(one.photographs), bool)
        effects = Effects(cells, _group, faces, lambda errors: log_mean(errors, faces))
    rows = []
    for name in study.effects:
        first, second = study.sides(name)
        row: dict[str, Any] = dict(what="effect", name=name, first=first, second=second, seeds=0)
        weights = study.weights(name)
        if effects is None or any(cell not in cells for cell in weights):
            row["status"] = NOT_RUN
        elif any(cells[cell].diverged for cell in weights):
            row["status"] = DIVERGED
        elif scarce:
            row["status"] = SCARCE
        else:
            effect = found[name] = effects.contrast(weights)
            value, low, high = (
                100 * float(np.expm1(end)) for end in (effect.value, *effect.interval())
            )
            row |= dict(value=value, low=low, high=high, status="run")
            row["seeds"] = len(one.seeds)
        rows.append(row)
    tested = [row for row in rows if row["status"] == "run"]
    each = [min(1.0, 2 * min(one.p_below(), one.p_above())) for one in found.values()]
    within = paper_spec.families().equivalent_within
    alike = [equivalent([one], within) for one in found.values()]
    size = len(study.effects)
    for row, p, same in zip(tested, holm(each, size), holm(alike, size), strict=True):
        row |= {"p_adjusted": float(p), "p_equivalent": float(same)}
        row["verdict"] = _verdict(row, p, same)
    return rows


def _verdict(row: dict[str, Any], p: float, same: float) -> str:
    """What an effect's p-values say, as of claims."""
    if row["seeds"] < SEEDS:
        return f"undecided: fewer than {SEEDS} seeds"
    if p <= LEVEL:
        return "lower" if row["value"] < 0 else "higher"
    return "equivalent" if same <= LEVEL else "undecided"


def _group(name: str) -> str:
    """A run's recipe and network."""
    return name.rsplit("/", 2)[0]


def _markdown(name: str, study: Study, table: pd.DataFrame, said: str) -> str:
    runs, effects = (table[table.what == what] for what in ("run", "effect"))
    lines = [f"### {name}", "", study.question, "", *RUNS]
    for one in runs.itertuples():
        spread = f" ± {one.std:.2f}" if np.isfinite(one.std) else ""
        error = f"{one.value:.2f}{spread}" if one.status == "run" else one.status
        others = " | ".join(
            f"{value:.{digits}f}" if np.isfinite(value) else ""
            for value, digits in ((one.median, 2), (one.auc, 1), (one.failure_rate, 1))
        )
        lines.append(f"| {one.name} | {error} | {others} | {one.seeds} |")
    lines += ["", *EFFECTS]
    for one in effects.itertuples():
        ends = f"{one.low:+.1f} to {one.high:+.1f}" if one.status == "run" else ""
        change = f"{one.value:+.1f}" if one.status == "run" else one.status
        tested = f"{one.p_adjusted:.2g} | {one.verdict}" if one.status == "run" else "|"
        compared = table_cell(f"{one.name} ({one.first}, {one.second})")
        lines.append(f"| {compared} | {change} | {ends} | {tested} |")
    notes = [said] if said else []
    if (effects.status == "run").any():
        notes.append(
            f"p is after Holm's correction over {counted(len(effects), 'effect')}. Equivalent: "
            f"within ±{100 * paper_spec.families().equivalent_within:g} %, corrected likewise."
        )
    if (runs.status == NOT_RUN).any():
        notes.append(
            f"Not run: {(runs.status == NOT_RUN).sum()} of {counted(len(runs), 'run')}. "
            f"`python -m workflow.paper {name}` has params.yaml ask for them; "
            f"`snakemake --cores all study_{name}` makes them."
        )
    if (seeds := int(runs.seeds.max())) < study.seeds:
        notes.append(f"{seeds} of the {study.seeds} seeds that it wants.")
    if seeds == 1:
        notes.append("With one seed, intervals are of chance in photographs alone.")
    return "\n".join(lines) + "\n\n" + "\n\n".join(notes) + "\n"


def _drawn(study: Study, table: pd.DataFrame, cells: dict[str, Scored]) -> figures.Figure:
    """The effects, the errors by the study's setting, and the learning curves of all seeds."""
    effects = table[table.what == "effect"]
    reasons = dict.fromkeys(effects.status)
    effects = effects[effects.status == "run"]
    if effects.empty:
        return figures.nothing(f"no effect can be drawn: {', '.join(reasons)}")
    intervals = {one.name: (one.value, one.low, one.high) for one in effects.itertuples()}
    curves = {name: _curves(one) for name, one in cells.items() if not one.diverged}
    normaliser = next(iter(cells.values())).normaliser.replace("_", "-")
    lines = {
        name: {
            x: cells[cell].errors.mean(axis=1) if cell in curves else np.array([np.nan])
            for x, cell in line
        }
        for name, line in study.lines.items()
        if any(cell in curves for _, cell in line)
    }
    return figures.study(intervals, curves, normaliser, study.setting, lines)


def _curves(one: Scored) -> tuple[Array, Array]:
    """Samples seen ``(P,)``, and each seed's validation error then ``(S, P)``, in percent.

    Of two stages, what the first has seen comes before: the curve is the last one's.
    """
    every = [about["curve"] for about in one.about]
    samples = np.array(every[0]["samples"])
    before = one.about[0]["samples_seen"] - samples[-1]
    return before + samples, np.array([curve["val_nme"] for curve in every])


def _path(pattern: str, dataset: str, study: str) -> Path:
    return Path(pattern.format(dataset=dataset, study=study))


if __name__ == "__main__":
    cli.main(run)
