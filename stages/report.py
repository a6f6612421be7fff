"""One self-contained page on a data set's results, which opens without a network."""

import base64
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markdown_it import MarkdownIt

from stages import command, files, layout, paper, scored
from stages import table as tables
from stages.command import log
from stages.layout import Cell, Run
from stages.params import load
from stages.scored import Results, Scored
from wingloss.geometry import Array

TEMPLATE = Path("stages/report.html.j2")
DEVIATIONS = Path("docs/deviations.md")
SHOWN = 10  # of the best, the median and the worst faces each
# Whose faces are shown: the first of these that has run, else the first run.
PREFERRED = [
    Cell("cnn6_7", "pdb", "wing"),
    Cell("cnn6", "pdb", "wing"),
    Cell("cnn6", "none", "wing"),
]
MARKDOWN = MarkdownIt("commonmark").enable("table")


def run(dataset: str) -> None:
    """Writes results/DATASET/report.html."""
    params = load()
    results = scored.read(params, dataset)
    known = paper.tables()
    claims = files.read_json(Path(layout.CLAIMS.format(dataset=dataset)))
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader("."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["markdown"] = MARKDOWN.renderInline
    shown = next((cell for cell in PREFERRED if cell in results.cells), next(iter(results.cells)))
    page = environment.get_template(TEMPLATE.as_posix()).render(
        dataset=dataset,
        said=results.said,
        normaliser=results.any.normaliser.replace("_", "-"),
        counts=files.read_json(Path(layout.VERDICTS.format(dataset=dataset))),
        runs=[_run(cell, one) for cell, one in results.cells.items()],
        tables=[_table(number, known[number], results) for number in params.tables],
        figures=[_figure(number, dataset) for number in params.figures],
        claims=claims,
        shown=str(shown),
        faces=_faces(dataset, shown, results.cells[shown]),
        deviations=MARKDOWN.render(DEVIATIONS.read_text(encoding="utf-8").partition("\n")[2]),
        provenance=_provenance(results),
    )
    path = Path(layout.REPORT.format(dataset=dataset))
    with files.whole_file(path) as partial:
        partial.write_text(page, encoding="utf-8")
    log.info("%s: %.1f MB", path, path.stat().st_size / 1e6)


def _run(cell: Cell, one: Scored) -> dict[str, Any]:
    """A line of the table of runs."""
    means = one.errors.mean(axis=1)
    spread = f" ± {means.std(ddof=1):.2f}" if len(means) > 1 else ""
    return {
        "name": str(cell),
        "seeds": ", ".join(str(seed) for seed in one.seeds),
        "error": "diverged" if one.diverged else f"{means.mean():.2f}{spread}",
        "minutes": f"{sum(about['train_seconds'] for about in one.about) / 60:.1f}",
        "samples": f"{sum(about['samples_seen'] for about in one.about):,}".replace(",", "\u202f"),
        "hardware": ", ".join(sorted({about["hardware"] for about in one.about})),
        "precision": ", ".join(sorted({about["precision"] for about in one.about})),
    }


def _table(number: int, one: paper.Table, results: Results) -> dict[str, Any]:
    cells = files.read_table(Path(layout.TABLE.format(dataset=results.dataset, table=number)))
    head, *lines = tables.wide(one, cells)
    return {
        "name": f"Table {number}",
        "title": tables.title(one, results),
        "place": one.place,
        "head": head,
        "lines": lines,
        "notes": tables.notes(one, cells, results),
    }


def _figure(number: int, dataset: str) -> dict[str, str]:
    path = Path(layout.FIGURE.format(dataset=dataset, figure=number))
    drawing = files.existing(path).read_bytes()
    return {
        "name": f"Figure {number}",
        "caption": paper.FIGURES[number].caption,
        "source": f"data:image/svg+xml;base64,{base64.b64encode(drawing).decode()}",
    }


def _faces(dataset: str, cell: Cell, one: Scored) -> list[dict[str, Any]]:
    """Groups of faces of the first seed, by their error: points on a blank ground."""
    path = Run(dataset, cell.network, cell.balance, cell.loss, one.seeds[0]).path(
        layout.PREDICTIONS
    )
    with np.load(files.existing(path), allow_pickle=False) as data:
        chosen = data["split"] == one.split
        names = data["face"][chosen]
        predicted, true = (data[key][chosen].astype(np.float64) for key in ("predicted", "true"))
    finite = np.flatnonzero(np.isfinite(one.errors[0]))
    order = finite[np.argsort(one.errors[0, finite], kind="stable")]
    middle = max(0, len(order) // 2 - SHOWN // 2)
    groups = {
        "best": order[:SHOWN],
        "median": order[middle : middle + SHOWN],
        "worst": order[-SHOWN:],
    }
    return [
        {
            "title": title,
            "faces": [
                {
                    "name": names[i],
                    "error": one.errors[0, i],
                    "points": _drawn(predicted[i], true[i]),
                }
                for i in chosen_faces
            ],
        }
        for title, chosen_faces in groups.items()
    ]


def _drawn(predicted: Array, true: Array) -> list[list[float]]:
    """Lines from true to predicted points in a square of 100 units that holds both."""
    both = np.concatenate([predicted, true])
    low = both.min(axis=0)
    size = np.ptp(both, axis=0).max()
    margin = (1 - np.ptp(both, axis=0) / size) / 2
    placed = [4 + 92 * ((points - low) / size + margin) for points in (true, predicted)]
    return np.concatenate(placed, axis=1).round(1).tolist()


def _provenance(results: Results) -> list[tuple[str, str]]:
    """Where the results come from: commits, versions, hashes of what was trained on."""
    every = [about for one in results.cells.values() for about in one.about]
    trained = {f"{name} {number}" for about in every for name, number in about["versions"].items()}
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "matplotlib", "pandas"))
    hashes = {(name, digest) for about in every for name, digest in about["data"].items()}
    return [
        ("code of the trainings, by commit", ", ".join(sorted({a["commit"] for a in every}))),
        ("trained with", ", ".join(sorted(trained))),
        ("this page was made with", packages),
        *((f"SHA-256 of {name}", digest) for name, digest in sorted(hashes)),
    ]


if __name__ == "__main__":
    command.main(run)
