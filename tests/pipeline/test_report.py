"""The report and its figures, from predictions made by hand or of a tiny project."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from paper_runs import ABOUT, BEST, LOSSES, read_table, verdicts, write_predictions
from project import ROOT, Project

from pipeline.config import paths
from pipeline.config.params import load
from pipeline.config.paths import Cell, Run
from pipeline.results import advice, overview, paper_spec, run_results
from stages import claims, figure, report, table


def test_the_figures_are_drawn_whole(finished: Project, call: Callable) -> None:
    """All, from the tiny project's runs; and twice the same to the byte."""

    def draw(number: int) -> list[bytes]:
        status, said = call(finished, figure, dataset="synthetic", figure=number)
        assert status == 0, said
        path = f"results/synthetic/figures/figure{number}"
        return [finished.read(f"{path}.{kind}") for kind in ("svg", "png")]

    for number in paper_spec.FIGURES:
        assert draw(number) == draw(number)
    drawn = finished.read("results/synthetic/figures/figure4.svg").decode()
    assert "not run" not in drawn


class Page(HTMLParser):
    """What a page refers to, its kinds of tags and attributes, and whether its tags are closed."""

    VOID = ("meta", "link", "img", "br", "path", "circle", "line", "image", "hr")

    def __init__(self) -> None:
        super().__init__()
        self.references: list[str] = []
        self.anchors: list[str] = []
        self.kinds: set[str] = set()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.kinds |= {tag, *(f"{tag} {name}" for name, _ in attrs)}
        self.references += [value for name, value in attrs if name in ("src", "href")]
        self.anchors += [value for name, value in attrs if name == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def text_of(html: str) -> str:
    return " ".join(unescape(re.sub("<[^>]*>", " ", html)).split())


def test_the_report_needs_nothing_but_itself(finished: Project) -> None:
    html = finished.read("results/synthetic/report.html").decode()
    page = Page()
    page.feed(html)
    assert not page.open
    own = {one for one in page.references if one.startswith("#")}
    assert {"#run", "#errors", "#claims", "#tables", "#deviations", "#not-run"} < own
    assert own <= {f"#{name}" for name in page.anchors}
    assert len(set(page.anchors)) == len(page.anchors)
    assert all(one.startswith("data:") for one in set(page.references) - own)
    own = re.sub(r"data:[^\"]*|http-equiv", "", html).replace("http://www.w3.org", "")
    assert "http" not in own
    for words in ("Table 3.", "Figure 4.", "faces</h3>", "SHA-256 of", "not run"):
        assert words in html
    assert (
        html.count('<svg viewBox="0 0 100 100"') == 3 * 8
    )  # best, median and worst of eight test faces
    assert html.count("SHA-256 of synthetic, ") == 4  # samples and crops to train and to validate
    assert "of chance in photographs alone, as there is one seed" in html
    assert "snakemake 9." in html and "dvc 3." in html and "code of this page, by commit" in html


def test_recipes_stand_side_by_side(
    table1: Project, call: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By `paper` Wing is best, by `fast` it ties: a block and verdicts each, on their own runs."""
    table1.set(**{"runs.cnn6.recipe": ["fast", "paper"], "tables": [1], "figures": [4]})
    for recipe, wing in (("fast", 3.0), ("paper", 2.0)):
        for loss, nme in zip(LOSSES, (4.0, 3.0, 3.1, wing), strict=True):
            for seed in (0, 1, 2):
                run = Run("synthetic", recipe, "cnn6", "none", loss, seed)
                write_predictions(table1, run, nme * (1 + (seed - 1) / 30), **ABOUT)
    assert call(table1, table, dataset="synthetic", table=1)[0] == 0
    cells = read_table(table1, "table1").loc["CNN-6 (Wing loss)"].set_index("recipe")
    assert cells.here.round(2).to_dict() == {"fast": 3.0, "paper": 2.0}
    assert read_table(table1, "table1").loc["DAC-CSR (CVPR 2017)"].recipe.tolist() == ["none"]
    text = table1.read("results/synthetic/tables/table1.md").decode()
    assert "|  | here, fast | 3.00 ± 0.10 |" in text and "|  | here, paper | 2.00 ± 0.07 |" in text
    assert "recipes fast, paper, seeds 0, 1, 2" in text
    assert call(table1, claims, dataset="synthetic")[0] == 0
    found = json.loads(table1.read("results/synthetic/claims.json"))
    assert {
        recipe: one["verdict"]
        for recipe, own in found.items()
        for one in own
        if one["text"] == BEST
    } == {"fast": "equivalent", "paper": "reproduced"}
    # speeds are of no recipe: they are judged once
    judged = {recipe: {one["family"] for one in own} for recipe, own in found.items()}
    assert judged["fast"] - judged["paper"] == {"Speed"} and judged["paper"] < judged["fast"]
    monkeypatch.setattr(report, "_Pictures", lambda *_: None)
    for stage, more in ((figure, {"figure": 4}), (report, {})):
        status, said = call(table1, stage, dataset="synthetic", **more)
        assert status == 0, said
    html = table1.read("results/synthetic/report.html").decode()
    numbers = [int(number) for number in re.findall(r'id="claim-(\d+)"', html)]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    page = text_of(html)
    claims_, errors = page.split("Errors by run")
    for text in (claims_, errors):
        assert re.findall("By the recipe (\\w+)", text) == ["fast", "paper"]
    assert errors.index("CNN-6 (Wing) 3.00 ± 0.10") < errors.index("CNN-6 (Wing) 2.00 ± 0.07")
    assert "runs 24, trained in 48.0 minutes" in page


def test_a_studys_recipe_needs_no_more_runs(
    table1: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What to set fills the paper's tables, not a recipe that only answers a study's question."""
    float32 = {"network": "cnn6", "recipe": ["fast_float32"], "balance": ["none"], "loss": ["wing"]}
    table1.set(runs=table1.params()["runs"] | {"precision_float32": float32})
    for seed in (0, 1, 2):
        write_predictions(
            table1, Run("synthetic", "fast_float32", "cnn6", "none", "wing", seed), 3.0
        )
    monkeypatch.chdir(table1.root)
    known = paper_spec.tables()
    (own, _) = report._advice({1: known[1]}, run_results.read(load(), "synthetic"))
    assert "`runs.cnn6_fast_float32_none: {" in own  # `fast` lacks nothing
    table1.set(studies=["precision"])
    every = run_results.read(load(), "synthetic")
    assert [(one.recipe, one.studied) for one in every] == [("fast", False), ("fast_float32", True)]
    (follow_up,) = report._advice({1: known[1]}, every)
    assert "`python -m workflow.paper heat_maps` has params.yaml ask for" in follow_up
    assert not any("float32" in said for said in report._advice({3: known[3]}, every))
    assert advice.for_tables(known[3].cells, every)


@pytest.mark.parametrize(
    "network, loss, named",
    [
        ("cnn6", "l1", "CNN-6 (L1)"),
        ("cnn6_7", "wing", "CNN-6/7 (Wing)"),
        ("cnn6", "wing_10_8", "CNN-6 (Wing, ε = 8)"),
        ("cnn6", "wing_4_half", "CNN-6 (Wing, w = 4, ε = 0.5)"),
        ("hourglass", "heatmap_mse", "one hourglass (squared error)"),
        ("hourglass", "adaptive_wing", "one hourglass (Adaptive Wing)"),
        ("hourglass", "adaptive_wing_even", "one hourglass (Adaptive Wing, W = 0)"),
        ("cnn6", "twin", "CNN-6 (twin)"),
        ("cnn6", "wing_10_3", "CNN-6 (wing_10_3)"),  # there is another like it
    ],
)
def test_a_run_is_called_as_in_the_papers(
    project: Project, monkeypatch: pytest.MonkeyPatch, network: str, loss: str, named: str
) -> None:
    """With the parameters that aren't the paper's; one that has only those keeps its name."""
    monkeypatch.chdir(project.root)
    own = load().loss
    own |= {"twin": own["wing"], "other": own["wing_10_3"]}
    assert paper_spec.named(Cell(network, "none", loss), own) == named


@pytest.mark.parametrize("reduced", ["reduced: 100 of 500 trees per cascade", ""])
def test_what_compares_with_weaker_trees_says_so(
    finished: Project, call: Callable, monkeypatch: pytest.MonkeyPatch, reduced: str
) -> None:
    """No claim is tested on them; tables, figures and the report name them for what they are."""
    finished.set(**{
        "seeds": [0, 1, 2],
        "baselines": ["ert"],
        "tables": [4],
        "figures": [6],
        "runs.cnn6.balance": ["pdb"], "runs.cnn6.loss": ["wing"],
        "runs.cnn6_7.balance": ["pdb"], "runs.cnn6_7.loss": ["l2"],
    })  # fmt: skip
    trees = Cell("ert", paths.NEITHER, paths.NEITHER)
    for seed in (0, 1, 2):
        for cell, nme in (
            ("fast/cnn6/pdb/wing", 3.0), ("fast/cnn6_7/pdb/l2", 2.0), (f"none/{trees}", 9.0)
        ):  # fmt: skip
            run = Run("synthetic", *cell.split("/"), seed)
            more = {"reduced": reduced} if run.cell == trees else {}
            write_predictions(finished, run, nme, **(ABOUT | more))
    found = verdicts(finished, call)
    monkeypatch.setattr(report, "_Pictures", lambda *_: None)
    for stage, more in ((table, {"table": 4}), (figure, {"figure": 6}), (report, {})):
        status, said = call(finished, stage, dataset="synthetic", **more)
        assert status == 0, said
    named = f"regression trees, {reduced}"
    beaten = [one for claim, one in found.items() if "an ensemble of regression trees" in claim]
    html = finished.read("results/synthetic/report.html").decode()
    drawn = finished.read("results/synthetic/figures/figure6.svg").decode()
    texts = [
        *(one["why"] for one in beaten),
        finished.read("results/synthetic/tables/table4.csv").decode(),
        finished.read("results/synthetic/tables/table4.md").decode(),
        " ".join(re.findall("<!-- (.*) -->", drawn)),  # letters are drawn; so is each line of text
        html,
    ]
    if not reduced:
        assert [one["verdict"] for one in beaten] == ["reproduced"] * 2
        assert not any("reduced:" in text for text in texts)
        return
    assert [one["verdict"] for one in beaten] == ["not run"] * 2
    assert beaten[0]["why"] == f"No claim is tested on {named} (`ert` in params.yaml)."
    for text in texts[2:]:
        assert reduced in text
    assert f"regression trees ({reduced})" in html  # what was run
    assert "regression trees <small>reduced</small>" in html  # the chart
    assert f"<td>here, {reduced}</td>" in html  # Table 4
    assert html.count(f"Here {named}") == 2  # Figure 6's caption and its alt text


@pytest.fixture
def first_screen(
    table1: Project, call: Callable, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """The page up to its tables, as text without tags, made of Table 1's runs."""
    monkeypatch.setattr(report, "_Pictures", lambda *_: None)

    def make(tables: Sequence[int] = (1,), **about: object) -> str:
        table1.set(tables=list(tables), figures=[4])
        for loss, nme in zip(LOSSES, (4.0, 3.0, 3.1, 2.9), strict=True):
            for seed in (0, 1, 2):
                run = Run("synthetic", "fast", "cnn6", "none", loss, seed)
                more = ABOUT | (about if (loss, seed) == ("wing", 1) else {})
                write_predictions(table1, run, nme + 0.1 * (seed - 1), **more)
        shown = [(table, {"table": number}) for number in tables]
        for stage, more in [(claims, {}), *shown, (figure, {"figure": 4}), (report, {})]:
            status, said = call(table1, stage, dataset="synthetic", **more)
            assert status == 0, said
        html = table1.read("results/synthetic/report.html").decode().partition('id="tables"')[0]
        return text_of(html.partition("<header>")[2])

    return make


def test_the_first_screen_says_what_was_run(first_screen: Callable) -> None:
    said = first_screen()
    for fact in (
        "Here: synthetic, 60 test faces.",
        "NME (% of box)",
        "networks CNN-6 losses L2, L1, smooth L1, Wing balancing none seeds 0, 1, 2",
        "recipe fast: CNN-6 480 (0.05 %) samples a training, of the paper's 960,000",
        "runs 12, trained in 24.0 minutes",  # of two each
        "hardware a processor, float32",
        "commit unknown",
    ):
        assert fact in said


def test_the_first_screen_says_what_was_found(table1: Project, first_screen: Callable) -> None:
    said = first_screen()
    counts = json.loads(table1.read("results/synthetic/verdicts.json"))["fast"]
    tiles = " ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items())
    assert f"The paper's claims {tiles} Change of the error" in said and counts["not_run"] > 0
    chart = said.partition("Errors by run")[2].partition("Lowest:")[0]
    runs = re.findall(r"CNN-6 \((.*?)\) (\d\.\d\d ± \d\.\d\d)", chart)
    assert runs == [
        ("Wing", "2.90 ± 0.10"), ("L1", "3.00 ± 0.10"),
        ("smooth L1", "3.10 ± 0.10"), ("L2", "4.00 ± 0.10"),
    ]  # fmt: skip
    (runs,) = run_results.read(load(table1.root / "params.yaml"), "synthetic")
    behind = overview.best(runs).behind
    assert behind.value == pytest.approx(0.1, abs=1e-3)
    low, high = (f"{end:+.2f}".replace("-", "−") for end in behind.interval())
    interval = f"({low} to {high}; chosen by these errors, so no test)"
    assert f"Lowest: CNN-6 (Wing), 2.90 % ; next CNN-6 (L1), +0.10 {interval}." in said
    assert "These are not the paper's faces (synthetic)" in said


def values(chart: str, shape: str) -> list[float]:
    """Where a chart's shapes lie, by the ticks beside them: the axis that the reader sees."""
    ticks = re.findall(r'<text x="([\d.]+)%" y="0.9rem">(.*?)</text>', chart)
    places = [float(x) for x, _ in ticks]
    numbers = [float(text.replace("−", "-")) for _, text in ticks]
    found = [float(x) for x in re.findall(shape, chart)]
    return np.interp(found, places, numbers).tolist()


def test_the_errors_are_drawn_to_scale(table1: Project, first_screen: Callable) -> None:
    first_screen()
    html = table1.read("results/synthetic/report.html").decode()
    (errors,) = re.findall(r'<table class="chart.*?</table>', html, re.DOTALL)
    seeds = values(errors, r'class="seed" cx="([\d.]+)%"')
    expected = [level + step for level in (2.9, 3.0, 3.1, 4.0) for step in (-0.1, 0, 0.1)]
    assert seeds == pytest.approx(expected, abs=2e-3)


def test_the_forest_plot_is_drawn_to_scale(table1: Project, first_screen: Callable) -> None:
    first_screen()
    html = table1.read("results/synthetic/report.html").decode()
    forest = html.partition('id="forest"')[2].partition('id="not-run"')[0]
    (losses,) = re.findall(r"<h3>Losses</h3>.*?</div>\n<h3>", forest, re.DOTALL)
    drawn = [
        max(one["comparisons"], key=lambda pair: pair["effect"] - pair["bound"])
        for one in json.loads(table1.read("results/synthetic/claims.json"))["fast"]
        if one["family"] == "Losses" and one["comparisons"]
    ]
    assert len(drawn) == 5 and losses.count("<summary>") == 5
    papers = [pair["paper_effect"] for pair in drawn if pair["paper_effect"] is not None]
    assert len(papers) == 4  # none of large errors
    for shape, expected in (
        (r'class="seed" cx="([\d.]+)%"', [pair["effect"] for pair in drawn]),
        (r'spread" x1="([\d.]+)%"', [pair["low"] for pair in drawn]),
        (r'spread" x1="[\d.]+%" x2="([\d.]+)%"', [pair["high"] for pair in drawn]),
        (r'<svg x="([\d.]+)%" y="50%"><path class="paper"', papers),
        (r'bound" x1="([\d.]+)%"', [-5, 1]),
        (r'zero" x1="([\d.]+)%"', [0] * 5),
        (r'band" x="([\d.]+)%"', [-1] * 5),
    ):
        assert values(losses, shape) == pytest.approx(expected, abs=0.02), shape
    assert len(html.partition('id="forest"')[2].partition('id="not-run"')[0]) < 60_000


def test_a_claims_row_has_its_effect_and_folds_the_figures_below(
    table1: Project, first_screen: Callable
) -> None:
    first_screen()
    (one, *_) = json.loads(table1.read("results/synthetic/claims.json"))["fast"]
    (pair,) = one["comparisons"]
    html = table1.read("results/synthetic/report.html").decode()
    row, _, below = html.partition('<details id="claim-1">')[2].partition("</summary>")
    interval = f"−25.0 % ({pair['low']:+.1f} to {pair['high']:+.1f})".replace("-", "−")
    assert text_of(row) == f"L1 makes CNN-6 more accurate than L2 {interval} reproduced"
    said = text_of(below.partition("</details>")[0])
    assert said.startswith(
        "Section 4.1, Table 1. p < 0.001 after Holm's correction over 11 tests. "
    )
    figures = "here 3.00 against 4.00; paper 2.00 against 2.41 on aflw, −17.0 %"
    assert said.endswith(f"CNN-6 (L1) against CNN-6 (L2): {figures}")


def test_what_did_not_run_is_said_once(table1: Project, first_screen: Callable) -> None:
    first_screen(tables=[3, 6])
    html = table1.read("results/synthetic/report.html").decode()
    for key in ("cnn6", "cnn6_7", "resnet50"):
        assert html.count(f"runs.{key}: {{network") == 1
    page = text_of(html)
    assert "Not run here: CNN-6 + PDB, CNN-6/7, CNN-6/7 + PDB." in page
    assert "<td>not run</td>" not in html


def test_a_run_that_diverged_is_last_and_never_the_best(
    table1: Project, first_screen: Callable
) -> None:
    said = first_screen(status="diverged")
    assert "CNN-6 (L2) 4.00 ± 0.10 CNN-6 (Wing) diverged" in said
    assert "Lowest: CNN-6 (L1), 3.00 %" in said
    page = text_of(table1.read("results/synthetic/report.html").decode())
    assert "Of CNN-6 (L2), recipe fast, first seed" in page and "The 10 best faces" in page
    table1.set(**{"runs.cnn6.loss": ["wing"]})
    (alone,) = run_results.read(load(table1.root / "params.yaml"), "synthetic")
    assert overview.best(alone) is None


HOSTILE = """\"'><script>alert(1)</script><img src="http://a.b/x" onerror="alert(2)">
[c](javascript:alert(3)) ![d](http://a.b/y) <http://a.b/z> | e | {{ 7 * 6 }} `<b>` \x1b[2J"""


def hostile(value: object) -> object:
    """The same JSON with foreign words in place of its text."""
    if isinstance(value, dict):
        return {key: hostile(one) for key, one in value.items()}
    if isinstance(value, list):
        return [hostile(one) for one in value]
    return HOSTILE if isinstance(value, str) else value


def test_foreign_words_stay_words(
    finished: Project, call: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In every file that the report reads there may be what somebody else has written."""
    finished.set(tables=[3, 7])
    results = finished.root / "results/synthetic"
    for path in [results / "claims.json", results / "verdicts.json", results / "speed.json"]:
        read = json.loads(path.read_text())
        if path.name == "verdicts.json":
            read = {"fast": {name: str(count) for name, count in read["fast"].items()}}
        path.write_text(json.dumps(hostile(read)))
    assert call(finished, table, dataset="synthetic", table=7)[0] == 0
    for path in (results / "tables").glob("*.csv"):
        cells = pd.read_csv(path)
        cells.loc[cells.here.isna(), "status"] = HOSTILE
        cells.to_csv(path, index=False)
    for path in (results / "predictions").rglob("*.npz"):
        data = dict(np.load(path))
        about = json.loads(str(data["run"]))
        kept = {name: about[name] for name in ("status", "data_stamp", "recipe")}
        about = hostile(about) | kept
        about |= {"reduced": HOSTILE} if "ert" in path.parts else {}
        about["versions"] = about["data"] = {f"{HOSTILE} samples": HOSTILE}
        data["face"] = np.array([f"{i}{HOSTILE}" for i in range(len(data["face"]))])
        np.savez_compressed(path, **data | {"run": np.array(json.dumps(about))})
    for path in (results / "figures").glob("*.svg"):
        path.write_text(HOSTILE)
    (finished.root / "docs/deviations.md").write_text(
        f"# Title\n\n{HOSTILE}\n\n<script>1</script>\n"
    )
    monkeypatch.setattr(report, "describe_commit", lambda: HOSTILE)
    status, said = call(finished, report, dataset="synthetic")
    assert status == 0, said
    html = finished.read("results/synthetic/report.html").decode()
    page, plain = Page(), Page()
    page.feed(html)
    plain.feed(Path(ROOT / "stages/report.html.j2").read_text())
    assert page.kinds <= plain.kinds | {"code", "p"}
    assert not page.open and html.count("alert(1)") > 30
    assert not any(kind.split()[-1].startswith("on") for kind in page.kinds)
    outside = [one for one in page.references if one.removeprefix("#") not in page.anchors]
    assert all(one.startswith(("data:image/", "data:,")) for one in outside)
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'"
    assert f'Content-Security-Policy" content="{policy}' in html
    assert "<code>&lt;b&gt;</code>" in html  # what is meant as code is
    text = finished.read("results/synthetic/tables/table7.md").decode()
    assert "<" not in text.replace("&lt;", "") and HOSTILE not in text
    table_lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table_lines}) == 1


def test_only_faces_that_are_nobodys_are_shown(
    finished: Project, call: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    html = finished.read("results/synthetic/report.html").decode()
    assert html.count("<image x=") == 3 * 8
    params = load(finished.root / "params.yaml")
    params.raw["synthetic"] = None  # as of photographs
    monkeypatch.setattr(report, "load", lambda: params)
    assert call(finished, report, dataset="synthetic")[0] == 0
    html = finished.read("results/synthetic/report.html").decode()
    assert "<image" not in html and html.count('<svg viewBox="0 0 100 100"') == 3 * 8


def test_a_browser_shows_the_report_without_complaint(finished: Project) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium here: its console could not be watched")
    done = subprocess.run(
        [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
            f"--user-data-dir={finished.root / 'browser'}", "--dump-dom",
            (finished.root / "results/synthetic/report.html").as_uri(),
        ],
        text=True, capture_output=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "CONSOLE" not in done.stderr
    assert "Where it comes from" in done.stdout


def test_snakemakes_own_report_works(finished: Project) -> None:
    finished.snakemake("--report", "graph.html")
    html = finished.read("graph.html").decode()
    assert "Feng et al., CVPR 2018" in html and "claims.json" in html
