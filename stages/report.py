"""One self-contained page on a data set's results, which opens without a network."""

import base64
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import jinja2
import numpy as np
from markdown_it import MarkdownIt

from pipeline import files
from pipeline.config import paths
from pipeline.config.params import Params, load
from pipeline.config.paths import Cell, Run
from pipeline.data.prepared_faces import frames_of
from pipeline.results import advice, charts, overview, paper_spec, paper_table, run_results
from pipeline.results.run_results import Results, Scored
from pipeline.runtime import cli
from pipeline.runtime.cli import log
from pipeline.runtime.host import describe_commit
from wingloss.geometry import Array, apply, compose, landmark_boxes, square_frames, to_unit

TEMPLATE = Path("stages/report.html.j2")
DEVIATIONS = Path("docs/deviations.md")
NOTHING = "–"
SHOWN = 10  # of the best, the median and the worst faces each
# Whose faces are shown: the first of these that has run, else the first run.
PREFERRED = [
    Cell("cnn6_7", "pdb", "wing"),
    Cell("cnn6", "pdb", "wing"),
    Cell("cnn6", "none", "wing"),
]
SQUARE, MARGIN = np.diag([100.0, 100.0, 0.0])[:2], 1.08  # a face's drawing, and the room round it
# Results may come from anywhere, so what is written in them stays text, but for `code`.
NOTE = MarkdownIt("zero").enable("backticks")
PAGE = MarkdownIt("commonmark", {"html": False}).enable("table")
PAGE.disable(["image", "link", "autolink"])


def run(dataset: str) -> None:
    """Writes results/DATASET/report.html."""
    params = load()
    every = run_results.read(params, dataset)
    results, runs = every[0], run_results.by_name(every)
    known = paper_spec.tables()
    claims = files.read_json(Path(paths.CLAIMS.format(dataset=dataset)))
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader("."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["note"] = NOTE.renderInline
    preferred = [f"{results.recipe}/{cell}" for cell in PREFERRED]
    sound = [name for name in [*preferred, *runs] if name in runs and not runs[name].diverged]
    shown = next(iter([*sound, *runs]))
    within = paper_spec.families().equivalent_within
    counts = files.read_json(Path(paths.VERDICTS.format(dataset=dataset)))
    numbers = count(1)
    page = environment.get_template(TEMPLATE.as_posix()).render(
        dataset=dataset,
        facts=overview.facts(every),
        normaliser=results.any.normaliser.replace("_", "-"),
        elsewhere=results.elsewhere(sorted({claim.data for claim in paper_spec.claims()})),
        named=results.named,
        errors=charts.errors(every),
        judged=[
            _judged(one.recipe, claims[one.recipe], counts[one.recipe], within, numbers)
            for one in every
            if one.recipe in claims
        ],
        advice=_advice(known, every),
        within=f"{100 * within:g}",
        tables=[_table(number, known[number], every) for number in params.tables],
        figures=[_figure(number, results) for number in params.figures],
        studies=[_study(name, dataset) for name in params.studies],
        shown=_title(shown, results),
        faces=_faces(params, dataset, shown, runs[shown]),
        deviations=PAGE.render(DEVIATIONS.read_text(encoding="utf-8").partition("\n")[2]),
        runs=[_run(name, one) for name, one in runs.items()],
        provenance=_provenance(dataset, runs),
    )
    path = Path(paths.REPORT.format(dataset=dataset))
    with files.whole_file(path) as partial:
        partial.write_text(page, encoding="utf-8")
    log.info("%s: %.1f MB", path, path.stat().st_size / 1e6)


def _judged(
    recipe: str,
    claims: list[dict[str, Any]],
    counts: dict[str, int],
    within: float,
    numbers: Iterator[int],
) -> dict[str, Any]:
    """One recipe's verdicts. ``numbers`` number the claims of the whole page."""
    tested = [one for one in claims if one["verdict"] != "not run"]
    return {
        "recipe": recipe,
        "counts": counts,
        "forest": charts.forest(tested, within, numbers),
        "common": _common(tested),
        "not_run": _not_run(claims),
    }


def _common(tested: list[dict[str, Any]]) -> dict[str, int]:
    """What stands in the way of a verdict on several claims alike, with their number."""
    reasons = Counter(one["why"] for one in tested if one["p"] is None)
    return {why: number for why, number in reasons.items() if number > 1}


def _not_run(claims: list[dict[str, Any]]) -> dict[str, list[str]]:
    """The claims that weren't tested, by the reason; those that lack runs have one in common."""
    groups: dict[str, list[str]] = {}
    for one in claims:
        if one["verdict"] == "not run":
            why = "Runs are missing that these need:" if one["missing"] else one["why"]
            groups.setdefault(why, []).append(one["text"])
    return groups


def _title(name: str, results: Results) -> str:
    """A run's name as the papers would call it, with its recipe."""
    recipe, _, cell = name.partition("/")
    said = results.named(Cell.of(cell))
    return said if recipe == paths.NEITHER else f"{said}, recipe {recipe}"


def _advice(known: dict[int, paper_spec.Table], every: list[Results]) -> list[str]:
    """What to set so that every run of the paper's tables is there."""
    tables = [table for table in known.values() if not table.study]
    cells = dict.fromkeys(cell for table in tables for cell in table.cells)
    named = [table.study for table in known.values()]
    named += [family.study for family in paper_spec.families().families]
    return [
        *advice.for_tables(list(cells), every),
        *(
            f"The follow-up's claims and tables are of the study {study}, which "
            f"{advice.ask_for(study)}"
            for study in dict.fromkeys(named)
            if study and study not in every[0].params.studies
        ),
    ]


def _run(name: str, one: Scored) -> list[str]:
    """A line of the table of runs: what its trainings took, summed over seeds."""
    return [
        name,
        ", ".join(str(seed) for seed in one.seeds),
        f"{sum(about['train_seconds'] for about in one.about) / 60:.1f}",
        f"{sum(about['samples_seen'] for about in one.about):,}".replace(",", "\u202f"),
        ", ".join(sorted({about["precision"] for about in one.about})),
        ", ".join(sorted({about["hardware"] for about in one.about})),
    ]


def _table(number: int, one: paper_spec.Table, every: list[Results]) -> dict[str, Any]:
    """A table without what the page says once: on which faces, and what to set for other runs."""
    path = Path(paths.TABLE.format(dataset=every[0].dataset, table=number))
    cells = files.read_table(path, recipe=str)
    own = [results for results in every if (cells.recipe == results.recipe).any()] or every[:1]
    head, *lines = paper_table.wide(one, cells, own)
    ran = {cell for results in own for cell in results.cells}
    absent = [row.method for row in one.rows if row.cells and not ran & set(row.cells)]
    return {
        "name": f"Table {number}",
        "title": one.title,
        "place": one.place.removeprefix(f"Table {number}, "),
        "data": "" if one.of_speeds else " and ".join(sorted({c.data for c in one.columns})),
        "head": head,
        "lines": [
            [NOTHING if text == paper_table.NOT_RUN else text for text in line]
            for line in lines
            if set(line[2:]) != {paper_table.NOT_RUN}
        ],
        "absent": absent,
        "notes": paper_table.notes(one, every) if one.of_speeds else [],
    }


def _figure(number: int, results: Results) -> dict[str, str]:
    reduced = results.reduced(paper_spec.FIGURES[number].cells)
    return {
        "name": f"Figure {number}",
        "caption": paper_spec.FIGURES[number].caption + (f" Here {reduced}." if reduced else ""),
        "source": _svg(Path(paths.FIGURE.format(dataset=results.dataset, figure=number))),
    }


def _svg(path: Path) -> str:
    drawing = files.existing(path).read_bytes()
    return f"data:image/svg+xml;base64,{base64.b64encode(drawing).decode()}"


def _study(name: str, dataset: str) -> dict[str, Any]:
    """A study's question, its figure, and what ``stages.study`` says of it."""
    text = files.existing(Path(paths.STUDY_TEXT.format(dataset=dataset, study=name)))
    return {
        "name": name,
        "source": _svg(Path(paths.STUDY_FIGURE.format(dataset=dataset, study=name))),
        "text": PAGE.render(text.read_text(encoding="utf-8").partition("\n")[2]),
    }


def _faces(params: Params, dataset: str, name: str, one: Scored) -> list[dict[str, Any]]:
    """Groups of faces by their error, each drawn in a square of 100 units.

    They are of the first seed that didn't diverge. Points lie on the faces' pictures where these
    are rendered, else on a blank ground.
    """
    recipe, network, balance, loss = name.split("/")
    first = next((i for i, seed in enumerate(one.seeds) if seed not in one.diverged), 0)
    own = Run(dataset, recipe, network, balance, loss, one.seeds[first])
    data = files.read_arrays(own.path(paths.PREDICTIONS))
    chosen = data["split"] == one.split
    names = data["face"][chosen]
    points = np.concatenate([data["true"][chosen], data["predicted"][chosen]], axis=2)
    both = points.reshape(len(points), -1, 2).astype(np.float64)
    squares = compose(SQUARE, to_unit(square_frames(landmark_boxes(both), MARGIN)))
    lines = apply(squares, both).reshape(points.shape).round(1)
    rendered = params.raw[dataset] is not None
    pictures = _Pictures(params, dataset, one.split, squares) if rendered else None
    finite = np.flatnonzero(np.isfinite(one.errors[first]))
    order = finite[np.argsort(one.errors[first, finite], kind="stable")]
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
                    "error": one.errors[first, i],
                    "lines": lines[i].tolist(),
                    "picture": pictures and pictures.of(i),
                }
                for i in chosen_faces
            ],
        }
        for title, chosen_faces in groups.items()
        if len(chosen_faces)  # none where all seeds diverged
    ]


class _Pictures:
    """The context crops of a split's faces, and where they lie in the faces' squares."""

    def __init__(self, params: Params, dataset: str, split: str, squares: Array) -> None:
        samples = files.read_samples(Path(paths.SAMPLES.format(dataset=dataset)))
        samples = samples[samples.split == split]
        frames = frames_of(samples)
        centres, halves = frames[:, :2], params.context.scale * frames[:, 2:3] / 2
        corners = np.stack([centres - halves, centres + halves], axis=1)
        self.corners = apply(squares, corners).round(2)
        path = Path(paths.CROPS.format(dataset=dataset, split=split))
        self.crops = files.read_array(path)

    def of(self, i: int) -> dict[str, Any]:
        """Face number ``i``'s left, top and side, and its pixels."""
        (left, top), (right, _) = self.corners[i]
        _, jpeg = cv2.imencode(".jpg", self.crops[i, :, :, ::-1], (cv2.IMWRITE_JPEG_QUALITY, 80))
        source = f"data:image/jpeg;base64,{base64.b64encode(jpeg.tobytes()).decode()}"
        return {"left": left, "top": top, "side": right - left, "source": source}


def _provenance(dataset: str, runs: dict[str, Scored]) -> list[tuple[str, str]]:
    """Where the results come from: commits, versions, hashes of what was trained on."""
    every = [about for one in runs.values() for about in one.about]
    trained = {f"{name} {number}" for about in every for name, number in about["versions"].items()}
    packages = ("numpy", "matplotlib", "pandas", "snakemake", "dvc")
    hashes = sorted({(name, digest) for about in every for name, digest in about["data"].items()})
    return [
        ("code of the trainings, by commit", ", ".join(sorted({a["commit"] for a in every}))),
        ("trained with", ", ".join(sorted(trained))),
        ("code of this page, by commit", describe_commit()),
        ("made with", ", ".join(f"{name} {version(name)}" for name in packages)),
        # repetitions belong to a balance and stage two's frames to a run: see their manifests
        *(
            (f"SHA-256 of {dataset}, {name}", digest)
            for name, digest in hashes
            if name.endswith((" samples", " crops"))
        ),
    ]


if __name__ == "__main__":
    cli.main(run)
