"""The documentation's links, names and tables hold. `make docs` builds the site from it."""

import json
import re
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest
import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token
from project import ROOT

from pipeline.results import paper_spec

PAGES = sorted(
    path.relative_to(ROOT)
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob(".github/**/*.md")]
)
# Notes and the changelog tell of code as it was.
TODAYS = [
    page for page in PAGES if page.parts[:2] != ("docs", "notes") and page.stem != "CHANGELOG"
]
MARKDOWN = MarkdownIt("commonmark").enable("table")


def tokens(page: Path) -> list[Token]:
    return MARKDOWN.parse((ROOT / page).read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The headings' anchors, as GitHub and the site make them."""
    parsed = tokens(page)
    titles = [
        "".join(part.content for part in inner.children or [])
        for heading, inner in zip(parsed, parsed[1:], strict=False)
        if heading.type == "heading_open"
    ]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def targets(page: Path) -> list[str]:
    """Where the page's links and pictures lead."""
    found = [
        str(part.attrs.get("href", part.attrs.get("src", "")))
        for token in tokens(page)
        for part in token.children or []
        if part.type in ("link_open", "image")
    ]
    return [target for target in found if not target.startswith(("http://", "https://"))]


def code(page: Path) -> str:
    """The page's code spans and blocks, a line each."""
    parsed = tokens(page)
    spans = [
        part.content for token in parsed for part in token.children or [] if part.markup == "`"
    ]
    return "\n".join(spans + [token.content for token in parsed if token.type == "fence"])


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    for target in targets(page):
        file, _, anchor = target.partition("#")
        path = (ROOT / page.parent / file).resolve() if file else ROOT / page
        assert path.exists(), f"{page}: there is no {file}"
        assert not anchor or anchor in anchors(path.relative_to(ROOT)), f"{page}: no {target}"
        if page.parts[0] == "docs":
            assert path.is_file() and (ROOT / "docs") in path.parents, (
                f"{page}: {file} is not a page"
            )


def test_links_are_seen() -> None:
    assert "docs/deviations.md" in targets(Path("README.md"))
    assert "what-make-sync-records" in anchors(Path("docs/guide/running.md"))


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    sections = yaml.safe_load("nav:" + text.partition("\nnav:")[2])["nav"]
    named = {page for section in sections for page in re.findall(r"[\w/-]+\.md", str(section))}
    pages = {str(page.relative_to("docs")) for page in PAGES if page.parts[0] == "docs"}
    assert named == {page for page in pages if "/tables/" not in page}


@pytest.mark.parametrize("page", TODAYS, ids=str)
def test_named_files_and_modules_are_there(page: Path) -> None:
    text = code(page)
    rooms = "benchmarks|commands|docs|paper|pipeline|profiles|stages|tests|wingloss|workflow"
    for file in re.findall(rf"(?<![\w/])(?:{rooms})/[\w./-]+\.(?:py|md|smk|json|yaml)\b", text):
        assert (ROOT / file).exists() or file.endswith("mine.yaml"), f"{page}: there is no {file}"
    for module in re.findall(rf"python -m ((?:{rooms})\.\w+)", text):
        assert find_spec(module), f"{page}: there is no {module}"


def tables(page: str, header: str) -> list[list[list[str]]]:
    """The page's tables that begin with ``header``, row by row and cell by cell, without bold."""
    text = (ROOT / page).read_text(encoding="utf-8")
    parts = [part.partition("\n\n")[0].splitlines()[2:] for part in text.split(header)[1:]]
    return [
        [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in lines]
        for lines in parts
    ]


LOSSES = ["l2", "l1", "smooth_l1", "wing"]
NETWORKS = {
    "CNN-6": ("cnn6", "none"),
    "CNN-6 + PDB": ("cnn6", "pdb"),
    "CNN-6/7 + PDB": ("cnn6_7", "pdb"),
}
HEADER = "| | L2 | L1 | smooth L1 | Wing |"


def test_the_readmes_300w_figures_are_the_committed_ones() -> None:
    table = pd.read_csv(ROOT / "docs/results/300w/summary.csv", keep_default_na=False)
    chosen = (
        (table.split == "val") & (table.subset == "full") & (table.recipe.isin(["fast", "none"]))
    )
    scored = table[chosen]
    nme = scored.groupby(["network", "balance", "loss"]).nme_inter_pupil.agg(["mean", "std"])
    (first,) = tables("README.md", HEADER)
    assert len(first) == len(NETWORKS)
    for name, *cells in first:
        for loss, cell in zip(LOSSES, cells, strict=True):
            run = (*NETWORKS[name], loss)
            said = "{:.2f} ± {:.2f}".format(*nme.loc[run]) if run in nme.index else "–"
            assert cell == said, f"{name}, {loss}"


def test_the_defaults_figures_are_the_committed_ones() -> None:
    runs = json.loads((ROOT / "docs/results/default.json").read_text(encoding="utf-8"))["runs"]
    header = "| NME by box, percent, 500 test faces | all | beyond 45° of yaw |"
    (own,) = tables("docs/guide/getting-started.md", header)
    titles = dict(zip(("L2", "L1", "smooth L1", "Wing"), LOSSES, strict=True))
    said = {}
    for name, nme, _ in own:
        network, _, loss = name.rpartition(", ")
        if network in NETWORKS:
            said["/".join((*NETWORKS[network], titles[loss], "seed0"))] = nme
    assert said == {
        name: f"{run['nme']:.2f}" for name, run in runs.items() if name.startswith("cnn6")
    }


def test_every_study_is_listed() -> None:
    (rows,) = tables("docs/guide/getting-started.md", "| study | question | seeds | answer |")
    assert sorted(row[0].strip("`") for row in rows) == sorted(paper_spec.studies())


@pytest.mark.parametrize("path", sorted((ROOT / "pipeline/acquire/catalogue").glob("*.yaml")))
def test_a_licence_is_the_catalogues(path: Path) -> None:
    """In its first words: the page has the rest in short."""
    header = "| name | content | faces (train / test) | landmarks | source | licence |"
    (rows,) = tables("docs/guide/data.md", header)
    (row,) = [row for row in rows if row[0] == f"`{path.stem}`"]
    licence = yaml.safe_load(path.read_text(encoding="utf-8"))["licence"]
    assert row[-1].startswith(re.split(r"[,(]", licence)[0].strip())
