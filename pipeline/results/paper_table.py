"""One of the paper's tables as rows and text: published figures beside this pipeline's."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline import files
from pipeline.config import paths
from pipeline.results import advice, run_results
from pipeline.results.paper_spec import Column, Row, Table
from pipeline.results.run_results import Results
from pipeline.results.words import counted
from wingloss import protocol
from wingloss.evaluation import metrics
from wingloss.geometry import Array

UNITS = {"parameters": 1e6, "size": 2**20}  # a table has millions, and MiB
COLUMNS = [
    "method", "recipe", "column", "paper", "here", "std", "difference", "median", "auc",
    "failure_rate", "seeds", "status",
]  # fmt: skip
NOT_RUN = "not run"


def compare(table: Table, every: list[Results]) -> pd.DataFrame:
    """A row a cell: the published figure, mean and deviation over seeds here, the difference.

    And the means over seeds of median, AUC and failure rate, which a few very large errors don't
    make. ``every`` are a recipe each; what has no recipe stands there once, with ``none``.
    """
    rows = []
    for row in table.rows:
        for recipe, results in _blocks(row, table, every).items():
            for i, column in enumerate(table.columns):
                found: dict[str, Any] = {"here": np.nan, "seeds": 0}
                found |= _here(row, i, column, table, results)
                figure = row.published[i]
                published = np.nan if figure is None else figure
                places = {"method": row.method, "recipe": recipe, "column": column.name}
                found |= {"paper": published, "difference": found["here"] - published}
                rows.append(places | found)
    return pd.DataFrame(rows, columns=COLUMNS)


def _blocks(row: Row, table: Table, every: list[Results]) -> dict[str, Results]:
    """The results that a row shows, by recipe: those that have some of its runs, or the first."""
    if table.of_speeds or row.network not in paths.STAGES:
        return {paths.NEITHER: every[0]}
    own = [results for results in every if not results.cells.keys().isdisjoint(row.cells)]
    return {results.recipe: results for results in own or every[:1]}


def _here(
    row: Row, index: int, column: Column, table: Table, results: Results
) -> dict[str, float | str]:
    """What there is of one cell here, and its status."""
    if row.network is None:
        return {"status": "published only"}
    if table.of_speeds:
        value = _speed(results.dataset)["networks"][row.network][column.measure]
        if value is None:
            return {"status": "no GPU"}
        return {"here": value / UNITS.get(column.measure, 1), "status": "measured"}
    own = results.dataset in {other.data for other in table.columns}
    if own and column.data != results.dataset:
        return {"status": f"other data: see {column.data}"}
    cell = row.cell(index)
    if cell not in results.cells:
        return {"status": NOT_RUN}
    found = results.cells[cell]
    inside = found.inside(column.subset)
    if not inside.any():
        return {"status": f"no {column.subset} faces"}
    normaliser = column.normaliser or found.normaliser
    if np.isnan(found.lengths[normaliser][inside]).any():
        return {"status": f"no {normaliser.replace('_', '-')} distance"}
    errors = found.errors_by(normaliser)[:, inside]
    if found.diverged:
        return {"seeds": len(errors), "status": "diverged"}
    threshold = 100 * protocol.load(results.dataset).threshold
    measured = np.array([_MEASURES[column.measure](own, threshold) for own in errors])
    return {
        "here": float(measured.mean()),
        "std": float(measured.std(ddof=1)) if len(measured) > 1 else np.nan,
        **run_results.other_measures(errors, threshold),
        "seeds": len(errors),
        "status": f"run, {found.reduced}" if found.reduced else "run",
    }


_MEASURES: dict[str, Callable[[Array, float], float]] = {  # in percent, of errors (N,) in percent
    "nme": lambda errors, threshold: errors.mean(),
    "failure_rate": lambda errors, threshold: 100 * metrics.failure_rate(errors, threshold),
    "auc": lambda errors, threshold: 100 * metrics.auc(errors, threshold),
}


def _speed(dataset: str) -> dict[str, Any]:
    """What ``stages.speed`` measured."""
    return files.read_json(Path(paths.SPEED.format(dataset=dataset)))


def _conditions(machine: dict[str, Any]) -> str:
    """How sizes and speeds were found."""
    gpu = f", and {machine['gpu']}" if machine["gpu"] else ""
    return (
        f"Here: one face at a time from its input crop to its landmarks, eager float32 of torch"
        f" {machine['torch']}, on {counted(machine['threads'], 'thread')} of"
        f" {machine['processor']}{gpu};"
        f" meanwhile other work took {machine['cores_of_others']} of {machine['cores']} cores."
        " CNN-6/7 includes the correction and the second crop. ResNet-50 would have 25.6 M"
        " parameters with ImageNet's 1000 outputs."
    )


def wide(table: Table, cells: pd.DataFrame, every: list[Results]) -> list[list[str]]:
    """The table's lines as text: for each method the paper's, and where it could run here, ours."""
    lines = [["method", "", *(column.name for column in table.columns)]]
    several = len(set(cells.recipe) - {paths.NEITHER}) > 1
    for row in table.rows:
        digits = 1 if table.of_speeds else 2
        published = [np.nan if figure is None else figure for figure in row.published]
        lines.append([row.method, "paper", *(_published(one, table) for one in published)])
        blocks = _blocks(row, table, every) if row.network is not None else {}
        for recipe, results in blocks.items():
            own = cells[(cells.method == row.method) & (cells.recipe == recipe)]
            ran = [results.cells[cell] for cell in row.cells if cell in results.cells]
            which = [recipe] if several and recipe != paths.NEITHER else []
            here = ", ".join(["here", *which, *{one.reduced for one in ran if one.reduced}])
            lines.append(["", here, *(_text(one, digits) for one in own.itertuples())])
            if own["median"].notna().any():
                lines.append(["", "median / AUC / failures", *(map(_others, own.itertuples()))])
            if own.here.notna().any():
                differences = [_number(value, digits, "+") for value in own.difference]
                lines.append(["", "difference", *differences])
    return lines


def _published(value: float, table: Table) -> str:
    """A figure as the paper prints it: errors with two decimals, sizes and speeds as they are."""
    return f"{value:g}" if table.of_speeds else _number(value, 2)


def _text(one, digits: int) -> str:
    """What stands in a cell of the row 'here'."""
    if np.isnan(one.here):
        return one.status
    spread = f" ± {one.std:.{digits}f}" if np.isfinite(one.std) else ""
    return f"{one.here:.{digits}f}{spread}"


def _others(one) -> str:
    """What else is said of the errors in a cell, in percent."""
    if np.isnan(one.median):
        return "–"
    return f"{one.median:.2f} / {one.auc:.1f} / {one.failure_rate:.1f}"


def _number(value: float, digits: int, sign: str = "") -> str:
    return "–" if np.isnan(value) else f"{value:{sign}.{digits}f}"


def title(table: Table, results: Results) -> str:
    """The table's title, which says where the faces of some results are not the paper's."""
    theirs = _theirs(table)
    here = None if table.of_speeds else results.elsewhere(theirs)
    return (
        f"{table.title} (the paper: {' and '.join(theirs)}; here: {here})" if here else table.title
    )


def _theirs(table: Table) -> list[str]:
    """The data sets that the paper's figures are of."""
    return sorted({column.data for column in table.columns})


def notes(table: Table, every: list[Results]) -> list[str]:
    """Sentences that belong beneath the table."""
    results = every[0]
    if table.of_speeds:
        return [_conditions(_speed(results.dataset)["machine"])]
    said = []
    if results.cells:
        spread = "; mean ± standard deviation over seeds" if len(results.any.seeds) > 1 else ""
        said.append(f"Here: {run_results.said(every)}{spread}.")
        threshold = 100 * protocol.load(results.dataset).threshold
        said.append(
            f"AUC: the area under the cumulative error curve up to {threshold:g} %, as a share of "
            "the largest; failures: errors above that. Median, AUC and failures are in percent, "
            "means over seeds."
        )
    if results.elsewhere(_theirs(table)):
        said.append(
            "Other faces than the paper's: the order of the methods can be compared, levels can't."
        )
    weights = [
        one.weights for one in every if any(cell.network == "resnet50" for cell in one.cells)
    ]
    said += [f"ResNet-50 began with {name}." for name in dict.fromkeys(weights)]
    if reduced := results.reduced(table.cells):
        said.append(f"Here {reduced}: what beats these need not beat those of their paper.")
    return [*said, *advice.for_tables(table.cells, every, table.study)]
