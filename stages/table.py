"""One of the paper's tables: published figures beside this pipeline's, from predictions alone."""

from pathlib import Path

import pandas as pd

from pipeline import files
from pipeline.config import paths
from pipeline.config.arguments import among
from pipeline.config.params import load
from pipeline.results import paper_spec, paper_table, run_results
from pipeline.results.paper_spec import Table
from pipeline.results.run_results import Results
from pipeline.results.words import line, table_cell
from pipeline.runtime import cli
from pipeline.runtime.cli import log


def run(dataset: str, table: int) -> None:
    """Writes the table as CSV, a row a cell, and as Markdown."""
    params = load()
    known = paper_spec.tables()
    among({"table": table}, "table", known)
    chosen = known[table]
    own = set(chosen.cells)
    every = run_results.read(params, dataset, lambda run: run.cell in own)
    cells = paper_table.compare(chosen, every)
    files.write_table(_path(paths.TABLE, dataset, table), cells)
    with files.whole_file(_path(paths.TABLE_TEXT, dataset, table)) as partial:
        partial.write_text(_markdown(chosen, cells, every), encoding="utf-8")
    log.info(
        "table %d: %d cells, %d not run",
        table,
        len(cells),
        (cells.status == paper_table.NOT_RUN).sum(),
    )


def _markdown(table: Table, cells: pd.DataFrame, every: list[Results]) -> str:
    head, *lines = paper_table.wide(table, cells, every)
    rows = [head, ["---"] * 2 + ["--:"] * len(table.columns), *lines]
    body = "\n".join(f"| {' | '.join(table_cell(text) for text in row)} |" for row in rows)
    beneath = "\n\n".join(line(note) for note in paper_table.notes(table, every))
    head_line = line(paper_table.title(table, every[0]))
    return f"### {head_line}\n\n{line(table.place)}\n\n{body}\n\n{beneath}\n"


def _path(pattern: str, dataset: str, table: int) -> Path:
    return Path(pattern.format(dataset=dataset, table=table))


if __name__ == "__main__":
    cli.main(run)
