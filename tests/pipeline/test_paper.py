"""The paper's tables and claims, from predictions made by hand."""

import dataclasses
import io
import itertools
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
import yaml
from project import ROOT, Project

import pipeline.runtime.cli
from pipeline.config import paths
from pipeline.config.params import load
from pipeline.config.paths import Cell, Run
from pipeline.results import overview, paper_spec, predictions_file, run_results
from pipeline.runtime.errors import UserError
from stages import claims, figure, report, speed, study, table

LOSSES = ["l2", "l1", "smooth_l1", "wing"]
N_FACES = 60
ABOUT = {  # what only the report asks of a run
    "samples_seen": 10,
    "hardware": "a processor",
    "precision": "float32",
    "commit": "unknown",
    "versions": {"Python": "3"},
    "data": {},
}


def write_predictions(
    project: Project, run: Run, nme: float, split: str = "test", first: int = 0, **about: object
) -> None:
    """Faces, numbered from ``first``, that miss by about ``nme`` % of a face 100 pixels wide."""
    hard = np.random.default_rng(0).uniform(0.5, 1.5, N_FACES)  # the same for every run
    luck = np.random.default_rng([run.seed, *run.loss.encode()]).normal(0, 0.02, N_FACES)
    true = np.full((N_FACES, 68, 2), 50.0)
    miss = hard * (1 + luck)
    miss *= nme / miss.mean()
    path = project.root / run.path(paths.PREDICTIONS)
    path.parent.mkdir(parents=True, exist_ok=True)
    said = {
        "data_stamp": "synthetic",
        "status": "trained",
        "train_seconds": 120,
        "weights": "none",
    }
    np.savez_compressed(
        path,
        run=json.dumps(vars(run) | said | about),
        face=np.array([f"face{first + i}" for i in range(N_FACES)]),
        photograph=np.array([f"photograph{(first + i) // 2}" for i in range(N_FACES)]),
        split=np.array([split] * N_FACES),
        subsets=np.array(["large_pose"] * 20 + [""] * (N_FACES - 20)),
        predicted=true + miss[:, None, None] * (0.6, 0.8),
        true=true,
        normaliser_box=np.full(N_FACES, 100.0),
        normaliser_inter_pupil=np.full(N_FACES, 100.0),
        normaliser_inter_ocular=np.full(N_FACES, 160.0),
        normaliser_diag=np.full(N_FACES, 200.0),
    )


def write_speeds(project: Project, dataset: str = "synthetic", gpu: str | None = None) -> None:
    """CNN-6/7 4 and 3 times as fast as ResNet-50 on a CPU, 2 times on a GPU."""
    machine = {"processor": "a processor", "threads": 2, "gpu": gpu, "cores": 2}
    machine |= {"cores_of_others": 0.1}
    networks = {
        "cnn6_7": {"cpu_speed_1_thread": 40.0, "cpu_speed": 60.0, "gpu_speed": gpu and 100.0},
        "resnet50": {"cpu_speed_1_thread": 10.0, "cpu_speed": 20.0, "gpu_speed": gpu and 50.0},
    }
    path = project.root / paths.SPEED.format(dataset=dataset)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": machine, "networks": networks}))


@pytest.fixture
def table1(project: Project) -> Project:
    """Table 1's four losses with three seeds; L2 is worst, Wing as good as L1."""
    project.set(**{
        "seeds": [0, 1, 2],
        "baselines": [],
        "runs.cnn6.balance": ["none"], "runs.cnn6.loss": LOSSES,
        "runs.cnn6_7.loss": [],
    })  # fmt: skip
    for loss, nme in zip(LOSSES, (4.0, 3.0, 3.1, 3.0), strict=True):
        for seed in (0, 1, 2):
            run = Run("synthetic", "fast", "cnn6", "none", loss, seed)
            write_predictions(project, run, nme + 0.1 * (seed - 1))
    write_speeds(project)
    return project


def read(project: Project, name: str) -> pd.DataFrame:
    text = project.read(f"results/synthetic/tables/{name}.csv").decode()
    return pd.read_csv(io.StringIO(text)).set_index(["method", "column"])


def test_a_table_stands_beside_the_published_one(table1: Project, call: Callable) -> None:
    status, said = call(table1, table, dataset="synthetic", table=1)
    assert status == 0, said
    cells = read(table1, "table1")
    wing = cells.loc["CNN-6 (Wing loss)", "NME"]
    assert (wing.paper, wing.seeds, wing.status) == (1.88, 3, "run")
    assert wing.here == pytest.approx(3.0, abs=1e-4)
    assert wing["std"] == pytest.approx(0.1, abs=1e-4)  # of 2.9, 3.0 and 3.1
    assert wing.difference == pytest.approx(1.12, abs=1e-4)
    errors = []
    for seed in (0, 1, 2):
        path = Run("synthetic", "fast", "cnn6", "none", "wing", seed).path(paths.PREDICTIONS)
        with np.load(table1.root / path) as data:  # faces 100 pixels wide, so pixels are percent
            errors.append(np.hypot(*(data["predicted"] - data["true"])[:, 0].T))
    assert wing["median"] == pytest.approx(np.mean([np.median(one) for one in errors]), abs=1e-4)
    areas = [np.maximum(0, 7 - one).mean() / 7 for one in errors]
    assert wing.auc == pytest.approx(100 * np.mean(areas), abs=1e-3)
    failures = 100 * (np.concatenate(errors) > 7).mean()
    assert wing.failure_rate == pytest.approx(failures, abs=1e-4)
    ccl = cells.loc["CCL (CVPR 2016)", "NME"]
    assert (ccl.paper, ccl.status) == (2.72, "published only") and np.isnan(ccl.here)
    text = table1.read("results/synthetic/tables/table1.md").decode()
    assert "(the paper: aflw; here: synthetic)" in text
    assert "levels can't" in text and "60 test faces" in text and "seeds 0, 1, 2" in text
    assert "|  | here | 3.00 ± 0.10 |" in text and "not run" not in text
    others = f"{wing['median']:.2f} / {wing.auc:.1f} / {wing.failure_rate:.1f}"
    assert f"|  | median / AUC / failures | {others} |" in text
    assert "cumulative error curve up to 7 %" in text


def test_columns_have_their_normaliser_and_measure(table1: Project, call: Callable) -> None:
    """On WFLW's table: errors of 4 % by the headline, failures beyond the protocol's 7 %."""
    run = Run("synthetic", "fast", "hourglass", "none", "adaptive_wing", 0)
    table1.set(
        **{
            "seeds": [0],
            "runs.hourglass.balance": ["none"],
            "runs.hourglass.loss": ["adaptive_wing"],
        }
    )
    write_predictions(table1, run, 4.0)
    with np.load(table1.root / run.path(paths.PREDICTIONS)) as data:
        errors = np.hypot(*(data["predicted"] - data["true"])[:, 0].T)  # of faces 100 px wide
    assert call(table1, table, dataset="synthetic", table=9)[0] == 0
    own = read(table1, "table9").loc["One hourglass (Adaptive Wing)"]
    assert own.here["NME"] == pytest.approx(4, abs=1e-4)
    assert own.here["failures"] == pytest.approx(100 * (errors > 7).mean())
    assert own.here["AUC"] == pytest.approx(100 * np.maximum(0, 1 - errors / 7).mean(), abs=1e-3)
    assert own.status["pose"] == "no pose faces"
    assert call(table1, table, dataset="synthetic", table=8)[0] == 0
    own = read(table1, "table8").loc["One hourglass (Adaptive Wing)"]
    assert own.here["Full, inter-pupil"] == pytest.approx(4, abs=1e-4)
    assert own.here["Full, inter-ocular"] == pytest.approx(4 / 1.6, abs=1e-4)
    # as of AFLW's landmarks, which have no corners of eyes
    path = table1.root / run.path(paths.PREDICTIONS)
    data = dict(np.load(path)) | {"normaliser_inter_ocular": np.full(N_FACES, np.nan)}
    np.savez_compressed(path, **data)
    assert call(table1, table, dataset="synthetic", table=8)[0] == 0
    own = read(table1, "table8").loc["One hourglass (Adaptive Wing)"]
    assert own.status["Full, inter-ocular"] == "no inter-ocular distance"
    assert own.status["Full, inter-pupil"] == "run" and own.seeds["Full, inter-ocular"] == 0


def test_cells_that_did_not_run_say_how_to(table1: Project, call: Callable) -> None:
    assert call(table1, table, dataset="synthetic", table=3)[0] == 0
    cells = read(table1, "table3")
    assert cells.loc["CNN-6", "L2"].here == pytest.approx(4.0, abs=1e-4)
    assert set(cells.loc["CNN-6 + PDB"].status) == {"not run"}
    text = table1.read("results/synthetic/tables/table3.md").decode()
    grid = "network: cnn6, recipe: [fast], balance: [none, pdb], loss: [l2, l1, smooth_l1, wing]"
    advice = f"`runs.cnn6: {{{grid}}}`"
    assert advice in text
    assert "about 24 minutes" in text  # four cells of three seeds that take two minutes each
    # CNN-6/7 has no run to tell: 24 of 1813 / 330 + 1353 / 26 seconds, by the rates measured
    # elsewhere and with 1333 samples' worth of validation each
    assert "24 runs, about 23 minutes more, estimated from rates measured elsewhere" in text


def test_what_to_set_leaves_other_entries_of_runs_alone(table1: Project, call: Callable) -> None:
    """`params.yaml` may have no run twice, and a study's entry may have some of a grid."""
    one = {"network": "cnn6", "recipe": ["quarter"], "balance": ["none"], "loss": ["l1"]}
    table1.set(runs=table1.params()["runs"] | {"mine": one})
    for recipe, losses in {"fast": LOSSES, "quarter": ["l1"]}.items():
        for loss, seed in itertools.product(losses, (0, 1, 2)):
            write_predictions(table1, Run("synthetic", recipe, "cnn6", "none", loss, seed), 3.0)
    assert call(table1, table, dataset="synthetic", table=1)[0] == 0
    text = table1.read("results/synthetic/tables/table1.md").decode()
    (advice,) = re.findall(r"`runs\.(cnn6_quarter_none): (.*?)`", text)
    table1.set(runs=table1.params()["runs"] | {advice[0]: yaml.safe_load(advice[1])})
    every = paths.runs(load(table1.root / "params.yaml"), "synthetic")
    assert {run.loss for run in every if run.recipe == "quarter"} == set(LOSSES)


def test_table_2_asks_for_its_own_runs_alone(table1: Project, call: Callable) -> None:
    table1.set(**{"runs.table2.loss": ["wing_4_half"]})
    for seed in (0, 1, 2):
        write_predictions(
            table1, Run("synthetic", "fast", "cnn6", "none", "wing_4_half", seed), 3.0
        )
    status, said = call(table1, table, dataset="synthetic", table=2)
    assert status == 0, said
    assert set(read(table1, "table2").status) == {"run", "not run"}
    text = table1.read("results/synthetic/tables/table2.md").decode()
    grid = "{network: cnn6, recipe: [fast], balance: [none], loss: [wing_4_"
    assert f"Not run: 22 cells of table2. Set `runs.table2: {grid}" in text
    assert "66 runs, about 132 minutes more" in text and "runs.cnn6:" not in text


def test_a_baseline_stands_in_its_row(table1: Project, call: Callable) -> None:
    assert call(table1, table, dataset="synthetic", table=4)[0] == 0
    text = table1.read("results/synthetic/tables/table4.md").decode()
    assert "Not run: ert. Add it to `baselines` in params.yaml." in text
    table1.set(baselines=["ert"])
    for seed in (0, 1, 2):
        run = Run("synthetic", paths.NEITHER, "ert", paths.NEITHER, paths.NEITHER, seed)
        write_predictions(table1, run, 5.0 + seed)
    status, said = call(table1, table, dataset="synthetic", table=4)
    assert status == 0, said  # although it has no recipe
    full = read(table1, "table4").loc["ERT", "Full"]
    assert (full.here, full.status) == (pytest.approx(6, abs=1e-4), "run")
    assert full.difference == pytest.approx(-0.4, abs=1e-4)


def test_a_baseline_says_how_it_falls_short_of_its_paper(finished: Project) -> None:
    said = {}
    for method in ("ert", "mean_shape"):
        path = Run("synthetic", paths.NEITHER, method, paths.NEITHER, paths.NEITHER, 0).path(
            paths.PREDICTIONS
        )
        with np.load(finished.root / path) as data:
            said[method] = json.loads(str(data["run"]))["reduced"]
    less = (
        "2 of 10 cascades, 2 of 500 trees per cascade, 5 of 20 initialisations, no mirrored copies"
    )
    assert said == {"ert": f"reduced: {less}", "mean_shape": ""}


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
    assert "regression trees (ERT) <small>reduced</small>" in html  # the chart
    assert f"<td>here, {reduced}</td>" in html  # Table 4
    assert html.count(f"Here {named}") == 2  # Figure 6's caption and its alt text


def test_subsets_that_the_data_lack_and_other_networks(table1: Project, call: Callable) -> None:
    table1.set(
        **{
            "runs.cnn6_7.balance": ["pdb"],
            "runs.cnn6_7.loss": ["wing"],
            "seeds": [0],
        }
    )
    write_predictions(table1, Run("synthetic", "fast", "cnn6_7", "pdb", "wing", 0), 2.5)
    status, said = call(table1, table, dataset="synthetic", table=5)
    assert status == 0, said
    cells = read(table1, "table5").loc["CNN-6/7 + PDB (Wing)"]
    assert cells.status.tolist() == [
        "run", "no common faces", "no challenge faces", "run",
    ]  # fmt: skip
    text = table1.read("results/synthetic/tables/table5.md").decode()
    grid = "{network: resnet50, recipe: [fast], balance: [pdb], loss: [wing]}"
    assert f"`runs.resnet50: {grid}`" in text
    assert "ResNet-50 began" not in text
    run = Run("synthetic", "fast", "resnet50", "pdb", "wing", 0)
    table1.set(**{"runs.resnet50.balance": ["pdb"], "runs.resnet50.loss": ["wing"]})
    write_predictions(table1, run, 2.0)
    assert call(table1, table, dataset="synthetic", table=5)[0] == 0
    assert read(table1, "table5").loc["ResNet-50 + PDB (Wing)", "300W Full"].here == pytest.approx(
        2
    )
    text = table1.read("results/synthetic/tables/table5.md").decode()
    assert "ResNet-50 began with random weights, the paper's with ImageNet's." in text


def test_sizes_and_speeds_are_measured(
    table1: Project, call: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed, "SECONDS", 1e-6)
    monkeypatch.setattr(speed, "REPEATS", 1)
    monkeypatch.setattr(pipeline.runtime.cli, "threads", lambda: 1)
    assert call(table1, speed, dataset="synthetic")[0] == 0
    said = json.loads(table1.read("results/synthetic/speed.json"))
    assert said["machine"]["processor"] and said["machine"]["cores_of_others"] >= 0
    # Table 7's own: 3.8 M and 14 MB, 12.3 M and 46 MB
    sizes = {name: (one["parameters"], one["size"]) for name, one in said["networks"].items()}
    assert sizes["cnn6"] == (3_806_152, 4 * 3_806_152)
    assert sizes["cnn6_7"] == (12_314_320, 4 * 12_314_320)
    assert sizes["resnet50"][0] == 23_786_696 < sizes["resnet50"][1] / 4  # means and deviations
    rates = [said["networks"][name]["cpu_speed"] for name in ("cnn6", "cnn6_7", "resnet50")]
    assert min(rates) > 0 and rates[0] > rates[1]
    said["networks"]["cnn6"] |= {"cpu_speed": 123.4, "gpu_speed": None}
    (table1.root / "results/synthetic/speed.json").write_text(json.dumps(said))
    assert call(table1, table, dataset="synthetic", table=7)[0] == 0
    cells = read(table1, "table7").loc["CNN-6"]
    assert cells.loc["frames/s on CPU"].here == pytest.approx(123.4)
    assert cells.loc["frames/s on GPU"].status == "no GPU"
    assert cells.loc["size (MiB)"].here == pytest.approx(14.52, abs=0.01)
    text = table1.read("results/synthetic/tables/table7.md").decode()
    assert "on 1 threads of" in text and "other work took" in text
    # the paper's figures as they are printed there
    assert "| CNN-6 | paper | 3.8 | 14 | 400 | 150 |" in text
    assert "| ResNet-50 | paper | 25 | 99 | 30 | 8 |" in text


@pytest.mark.parametrize("nme", [np.nan, 3.0])  # the last weights may be finite
def test_a_diverged_seed_leaves_no_mean(table1: Project, call: Callable, nme: float) -> None:
    run = Run("synthetic", "fast", "cnn6", "none", "wing", 1)
    write_predictions(table1, run, nme, status="diverged")
    assert call(table1, table, dataset="synthetic", table=1)[0] == 0
    wing = read(table1, "table1").loc["CNN-6 (Wing loss)", "NME"]
    assert wing.status == "diverged" and np.isnan(wing.here)


def test_results_of_different_data_share_no_table(table1: Project, call: Callable) -> None:
    run = Run("synthetic", "fast", "cnn6", "none", "wing", 1)
    write_predictions(table1, run, 3.0, data_stamp="partial")
    status, said = call(table1, table, dataset="synthetic", table=1)
    assert status == 1 and "share no table" in said and said.count("\n") == 1


def test_results_of_different_faces_share_no_table(table1: Project, call: Callable) -> None:
    """As many of them, but others; or the same with other true landmarks."""
    run = Run("synthetic", "fast", "cnn6", "none", "wing", 1)
    write_predictions(table1, run, 3.0, first=1)
    status, said = call(table1, table, dataset="synthetic", table=1)
    assert status == 1 and "share no table" in said
    write_predictions(table1, run, 3.0)
    assert call(table1, table, dataset="synthetic", table=1)[0] == 0
    path = table1.root / run.path(paths.PREDICTIONS)
    data = dict(np.load(path))
    data["true"][3, 5] += 1
    np.savez_compressed(path, **data)
    assert call(table1, table, dataset="synthetic", table=1)[0] == 1


def test_a_table_reads_its_own_runs_alone(table1: Project, call: Callable) -> None:
    table1.set(
        **{"runs.cnn6_7.balance": ["pdb"], "runs.cnn6_7.loss": ["wing"]}
    )  # which nobody has run
    assert call(table1, table, dataset="synthetic", table=1)[0] == 0
    assert call(table1, figure, dataset="synthetic", figure=4)[0] == 0
    status, said = call(table1, table, dataset="synthetic", table=4)
    assert status == 1 and "cnn6_7/pdb/wing/seed0.npz: no such file" in said


@pytest.fixture
def partial(project: Project) -> Project:
    """300W's validation faces, as CNN-6 + PDB and CNN-6/7 + PDB see them."""
    project.set(**{
        "datasets": ["300w"],
        "seeds": [0, 1, 2],
        "baselines": [],
        "runs.cnn6.balance": ["pdb"], "runs.cnn6.loss": ["wing"],
        "runs.cnn6_7.balance": ["pdb"], "runs.cnn6_7.loss": ["wing"],
    })  # fmt: skip
    for network, nme in (("cnn6", 5.0), ("cnn6_7", 4.0)):
        for seed in (0, 1, 2):
            run = Run("300w", "fast", network, "pdb", "wing", seed)
            write_predictions(project, run, nme, split="val", data_stamp="partial")
    write_speeds(project, "300w", gpu="a GPU")
    return project


def test_validation_faces_are_not_the_papers_test_faces(partial: Project, call: Callable) -> None:
    assert call(partial, table, dataset="300w", table=5)[0] == 0
    text = partial.read("results/300w/tables/table5.md").decode()
    assert "(the paper: 300w and aflw; here: 300w (partial), 60 validation faces)" in text
    assert "Other faces than the paper's" in text and "levels can't" in text
    found = verdicts(partial, call, "300w")
    wing = found["CNN-6 + PDB with Wing loss beats an ensemble of regression trees"]
    assert "(claimed of 300w, tested on 300w (partial), 60 validation faces)" in wing["claim"]
    # no training brings these faces, so none is advised
    common = found["Wing loss is best on 300W's Common faces"]
    assert common["verdict"] == "not run"
    assert common["why"] == "There are no common faces in 300w (partial), 60 validation faces."


def test_the_complete_test_part_is_the_papers(partial: Project, call: Callable) -> None:
    for network in ("cnn6", "cnn6_7"):
        for seed in (0, 1, 2):
            write_predictions(partial, Run("300w", "fast", network, "pdb", "wing", seed), 4.0,
                              data_stamp="full")  # fmt: skip
    assert call(partial, table, dataset="300w", table=5)[0] == 0
    text = partial.read("results/300w/tables/table5.md").decode()
    assert "here:" not in text and "levels can't" not in text and "300w (full), 60 test" in text
    found = verdicts(partial, call, "300w")
    common = "Wing loss is best on 300W's Common faces"
    assert found[common]["claim"] == common


def test_recipes_stand_side_by_side(
    table1: Project, call: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By `paper` Wing is best, by `fast` it ties: a block and verdicts each, on their own runs."""
    table1.set(**{"runs.cnn6.recipe": ["fast", "paper"], "tables": [1], "figures": [4]})
    for recipe, wing in (("fast", 3.0), ("paper", 2.0)):
        for loss, nme in zip(LOSSES, (4.0, 3.0, 3.1, wing), strict=True):
            for seed in (0, 1, 2):
                run = Run("synthetic", recipe, "cnn6", "none", loss, seed)
                write_predictions(table1, run, nme + 0.1 * (seed - 1), **ABOUT)
    assert call(table1, table, dataset="synthetic", table=1)[0] == 0
    cells = read(table1, "table1").loc["CNN-6 (Wing loss)"].set_index("recipe")
    assert cells.here.round(2).to_dict() == {"fast": 3.0, "paper": 2.0}
    assert read(table1, "table1").loc["DAC-CSR (CVPR 2017)"].recipe.tolist() == ["none"]
    text = table1.read("results/synthetic/tables/table1.md").decode()
    assert "|  | here, fast | 3.00 ± 0.10 |" in text and "|  | here, paper | 2.00 ± 0.10 |" in text
    assert "recipes fast, paper, seeds 0, 1, 2" in text
    assert call(table1, claims, dataset="synthetic")[0] == 0
    found = json.loads(table1.read("results/synthetic/claims.json"))
    assert {
        recipe: one["verdict"]
        for recipe, own in found.items()
        for one in own
        if one["text"] == BEST
    } == {"fast": "equivalent", "paper": "reproduced"}
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
    assert errors.index("CNN-6 (Wing) 3.00 ± 0.10") < errors.index("CNN-6 (Wing) 2.00 ± 0.10")
    assert "runs 24, trained in 48.0 minutes" in page


CURVE = {"samples": [10, 20], "val_nme": [9.0, 4.0]}


def read_study(project: Project, call: Callable, name: str) -> tuple[pd.DataFrame, str]:
    """A study's table by its rows' names, and its text."""
    status, said = call(project, study, dataset="synthetic", study=name)
    assert status == 0, said
    table = project.read(f"results/synthetic/tables/study_{name}.csv").decode()
    text = project.read(f"results/synthetic/tables/study_{name}.md").decode()
    return pd.read_csv(io.StringIO(table)).set_index("name"), text


def test_a_study_states_its_effects_over_recipes(table1: Project, call: Callable) -> None:
    """By `fast` Wing errs as L1 does, with more samples by a third less."""
    more = table1.params()["runs"]["cnn6"] | {"recipe": ["fast_600k"]}
    table1.set(runs=table1.params()["runs"] | {"more": more})
    for recipe, wing in (("fast", 3.0), ("fast_600k", 2.0)):
        for loss, nme in zip(LOSSES, (4.0, 3.0, 3.1, wing), strict=True):
            for seed in (0, 1, 2):
                run = Run("synthetic", recipe, "cnn6", "none", loss, seed)
                write_predictions(table1, run, nme + 0.1 * (seed - 1), curve=CURVE)
    rows, text = read_study(table1, call, "budget")
    assert rows.loc["fast_600k/cnn6/none/wing"].value == pytest.approx(2.0, abs=1e-4)
    assert rows.loc["fast_600k/cnn6/none/wing"]["std"] == pytest.approx(0.1, abs=1e-4)
    effects = rows[rows.what == "effect"]
    for name in ("Wing against L1, 600,000 samples", "Wing, 600,000 samples against fast"):
        assert effects.loc[name].value == pytest.approx(-100 / 3, abs=1e-3)
    assert effects.loc["Wing against L1, fast"].value == pytest.approx(0, abs=1e-3)
    assert ((effects.low < effects.value) & (effects.value < effects.high)).all()
    assert "| fast/cnn6/none/wing | 3.00 ± 0.10 | 3 |" in text and "Not run" not in text
    # the recipes' own seeds tell of chance, not the other one's
    both = effects.loc["Wing against L1, fast"], effects.loc["Wing against L1, 600,000 samples"]
    assert both[0].high - both[0].low != pytest.approx(both[1].high - both[1].low, rel=0.01)


def test_a_study_needs_no_validation_faces(table1: Project, call: Callable) -> None:
    """With `validation: {share: 0}` a learning curve has no errors."""
    without = {"samples": [10, 20], "val_nme": [float("nan")] * 2}
    for loss in ("l1", "wing"):
        for seed in (0, 1, 2):
            run = Run("synthetic", "fast", "cnn6", "none", loss, seed)
            write_predictions(table1, run, 3.0 + 0.1 * seed, curve=without)
    rows, _ = read_study(table1, call, "precision")
    assert rows.loc["Wing against L1, bfloat16"].status == "run"


def test_a_study_says_what_it_lacks(table1: Project, call: Callable) -> None:
    for loss in ("l1", "smooth_l1", "wing"):
        for seed in (0, 1, 2):
            run = Run("synthetic", "fast", "cnn6", "none", loss, seed)
            status = "diverged" if (loss, seed) == ("smooth_l1", 1) else "trained"
            write_predictions(table1, run, 3.0, curve=CURVE, status=status)
    rows, text = read_study(table1, call, "budget")
    assert rows.status.to_dict() == {
        "fast/cnn6/none/l1": "run",
        "fast/cnn6/none/smooth_l1": "diverged",
        "fast/cnn6/none/wing": "run",
        "fast_600k/cnn6/none/l1": "not run",
        "fast_600k/cnn6/none/smooth_l1": "not run",
        "fast_600k/cnn6/none/wing": "not run",
        "Wing against L1, fast": "run",
        "Wing against L1, 600,000 samples": "not run",
        "Wing against smooth L1, fast": "diverged",
        "Wing against smooth L1, 600,000 samples": "not run",
        "Wing, 600,000 samples against fast": "not run",
    }
    assert "Not run: 3 of 6 runs. `python -m workflow.paper budget` has params.yaml ask" in text
    table1.set(seeds=[0])
    rows, text = read_study(table1, call, "budget")
    assert "1 of the 3 seeds that it wants." in text and "chance in photographs alone" in text
    rows, text = read_study(table1, call, "steps")
    assert set(rows.status) == {"not run"}


def verdicts(project: Project, call: Callable, dataset: str = "synthetic") -> dict[str, dict]:
    status, said = call(project, claims, dataset=dataset)
    assert status == 0, said
    ((recipe, found),) = json.loads(project.read(f"results/{dataset}/claims.json")).items()
    counts = json.loads(project.read(f"results/{dataset}/verdicts.json"))[recipe]
    assert sum(counts.values()) == len(found) == len(paper_spec.claims())
    return {one["claim"].partition(" (claimed of")[0]: one for one in found}


BEST = "Wing loss makes CNN-6 more accurate than L1 and smooth L1"


def test_verdicts(table1: Project, call: Callable) -> None:
    found = verdicts(table1, call)
    better = found["L1 makes CNN-6 more accurate than L2"]
    assert better["verdict"] == "reproduced" and better["family"] == "Losses"
    assert better["claim"].endswith("(claimed of aflw, tested on synthetic)")
    (pair,) = better["comparisons"]
    assert pair["of"] == "cnn6/none/l1 against cnn6/none/l2"
    assert (pair["paper"], pair["here"]) == ([2.0, 2.41], pytest.approx([3, 4], abs=1e-3))
    assert pair["paper_effect"] == pytest.approx(100 * (2.0 / 2.41 - 1))
    assert pair["effect"] == pytest.approx(-25, abs=0.1) and pair["unit"] == "% of the error"
    assert pair["low"] < pair["effect"] < pair["high"] < pair["bound"] == 0
    worse = found["Wing loss lowers CNN-6's error by at least 5 % of L1's"]
    assert worse["verdict"] == "contradicted"  # they are as good as each other
    (pair,) = worse["comparisons"]
    assert pair["effect"] == pytest.approx(0, abs=0.1) and pair["bound"] == pytest.approx(-5)
    large = found["All losses have as many large errors, to within 1 % of the faces"]
    assert large["comparisons"][0]["paper"] is None  # the paper draws them, without figures
    assert (large["comparisons"][0]["unit"], large["comparisons"][0]["bound"]) == (
        "% of the faces", 1,
    )  # fmt: skip
    assert large["p_equivalent"] is None  # it has its own margin
    resnet = found["Wing loss is best with ResNet-50 too"]
    assert resnet["verdict"] == "not run"
    assert "resnet50/pdb/smooth_l1" in resnet["missing"] and len(resnet["missing"]) == 4
    assert resnet["claim"].endswith("(ResNet-50 began with random weights, the paper's with "
                                    "ImageNet's)")  # fmt: skip
    assert "PDB lowers CNN-6's error for every loss" in found


@pytest.mark.parametrize(
    "wing, verdict", [(2.8, "reproduced"), (3.3, "contradicted"), (3.0, "equivalent")]
)
def test_a_claim_of_two_pairs(table1: Project, call: Callable, wing: float, verdict: str) -> None:
    """L1 has 3.0 and smooth L1 3.1: Wing beats both, or none, or is as good as the better one."""
    for seed in (0, 1, 2):
        run = Run("synthetic", "fast", "cnn6", "none", "wing", seed)
        write_predictions(table1, run, wing * (1 + 0.03 * (seed - 1)))
    one = verdicts(table1, call)[BEST]
    assert one["verdict"] == verdict
    if verdict == "equivalent":
        assert one["p_adjusted"] > 0.05 >= one["p_equivalent"]
        assert one["why"].endswith("that it differs from the best by 1 % or more.")


def test_what_chance_explains_is_undecided(table1: Project, call: Callable) -> None:
    """Wing's seeds lie 20 % apart, which the others' small variance doesn't hide."""
    for seed, nme in enumerate((2.4, 2.9, 3.5)):
        write_predictions(table1, Run("synthetic", "fast", "cnn6", "none", "wing", seed), nme)
    found = verdicts(table1, call)
    assert found[BEST]["verdict"] == "undecided" and found[BEST]["p_equivalent"] > 0.05
    assert found[BEST]["why"].endswith("after Holm's correction over 11 tests, above 0.05.")


def test_a_verdict_does_not_depend_on_what_else_was_run(table1: Project, call: Callable) -> None:
    """Holm's correction counts the family's claims, not those whose runs are there."""
    first = verdicts(table1, call)["L1 makes CNN-6 more accurate than L2"]
    (losses, *_) = paper_spec.families().families
    assert losses.size == len(losses.claims) == 11
    p = sorted(
        one["p"]
        for one in verdicts(table1, call).values()
        if one["family"] == "Losses" and one["p"] is not None
    )
    steps = [min(1, value * (11 - i)) for i, value in enumerate(p)]
    assert first["p_adjusted"] == pytest.approx(max(steps[: p.index(first["p"]) + 1]))


def test_faces_of_one_photograph_count_as_one(table1: Project, call: Callable) -> None:
    """The same errors, with those faces on one photograph that gained most: a wider interval."""

    def width() -> float:
        (pair, _) = verdicts(table1, call)[BEST]["comparisons"]
        return pair["high"] - pair["low"]

    before = width()
    (results,) = run_results.read(load(table1.root / "params.yaml"), "synthetic")
    cells = results.cells
    wing, l1 = (cells[Cell("cnn6", "none", loss)].errors.mean(axis=0) for loss in ("wing", "l1"))
    gained = np.argsort(wing - l1)[:20]
    for path in (table1.root / "results/synthetic/predictions").rglob("*.npz"):
        data = dict(np.load(path))
        data["photograph"][gained] = data["photograph"][0]
        np.savez_compressed(path, **data)
    assert width() > 1.2 * before


def test_one_seed_decides_nothing(table1: Project, call: Callable) -> None:
    table1.set(seeds=[0])
    one = verdicts(table1, call)["L1 makes CNN-6 more accurate than L2"]
    assert one["verdict"] == "undecided" and one["why"].startswith("1 of at least 3 seeds")
    assert one["comparisons"][0]["effect"] == pytest.approx(100 * (2.9 / 3.9 - 1), abs=0.1)


def test_gains_on_large_poses_are_told_from_gains_elsewhere(
    table1: Project, call: Callable
) -> None:
    table1.set(**{"runs.cnn6.balance": ["none", "pdb"], "runs.cnn6.loss": LOSSES})
    for loss in LOSSES:
        for seed in (0, 1, 2):
            run = Run("synthetic", "fast", "cnn6", "pdb", loss, seed)
            write_predictions(table1, run, 2.5)
            path = table1.root / run.path(paths.PREDICTIONS)
            data = dict(np.load(path))
            large = data["subsets"] == "large_pose"
            data["predicted"][large] += 0.4 * (data["true"] - data["predicted"])[large]
            np.savez_compressed(path, **data)
    found = verdicts(table1, call)
    assert found["PDB lowers CNN-6's error for every loss"]["verdict"] == "reproduced"
    more = found["PDB gains more on large poses than on other faces"]
    assert more["verdict"] == "reproduced"
    for pair in more["comparisons"]:  # errors are 40 % lower there, beside what is everywhere
        assert pair["effect"] == pytest.approx(-40, abs=1.5)
        assert (pair["paper"], pair["paper_effect"], pair["here"]) == (None, None, None)


def test_gains_within_a_subset(table1: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Halved on the large poses among the common faces; the others are not looked at."""
    monkeypatch.chdir(table1.root)
    (results,) = run_results.read(load(table1.root / "params.yaml"), "synthetic")
    small, l2 = Cell("cnn6", "none", "wing"), Cell("cnn6", "none", "l2")
    one = results.cells[l2]
    one.subsets[:50] = [own | {"common"} for own in one.subsets[:50]]
    factor = np.where(one.inside("large_pose"), 0.5, np.where(one.inside("common"), 1, 0.1))
    results.cells[small] = dataclasses.replace(one, errors=one.errors * factor)
    claim = paper_spec.Claim(
        "a", "b", "aflw", lower=[[str(small), str(l2)]], subset="common", gains_on="large_pose"
    )
    family = paper_spec.Claims(0.01, [paper_spec.Family("c", [claim])])
    (found,) = claims.judge(family, results, {})
    (pair,) = found["comparisons"]
    assert pair["effect"] == pytest.approx(-50)


@pytest.mark.parametrize("photographs, said", [(0, "no"), (1, "too few")])
def test_faces_of_one_photograph_tell_no_chance(
    table1: Project, call: Callable, photographs: int, said: str
) -> None:
    table1.set(**{"runs.cnn6.balance": ["none", "pdb"], "runs.cnn6.loss": LOSSES})
    for loss in LOSSES:
        for seed in (0, 1, 2):
            write_predictions(table1, Run("synthetic", "fast", "cnn6", "pdb", loss, seed), 2.5)
    for path in (table1.root / "results/synthetic/predictions").rglob("*.npz"):
        data = dict(np.load(path))
        data["subsets"][:] = ["large_pose"] * 2 * photographs + [""] * (N_FACES - 2 * photographs)
        np.savez_compressed(path, **data)
    one = verdicts(table1, call)["PDB gains more on large poses than on other faces"]
    assert (one["verdict"], one["why"]) == (
        "not run", f"There are {said} large_pose faces in synthetic, 60 test faces.",
    )  # fmt: skip


@pytest.mark.parametrize("diverged, verdict", [(3, "reproduced"), (1, "undecided"), (0, "contr")])
def test_divergence(table1: Project, call: Callable, diverged: int, verdict: str) -> None:
    table1.set(**{"runs.cnn6.recipe": ["paper"], "runs.cnn6.loss": ["wing_10_tiny"]})
    for seed in (0, 1, 2):
        status, nme = ("diverged", np.nan) if seed < diverged else ("trained", 3.0)
        for recipe in ("paper", "fast"):
            run = Run("synthetic", recipe, "cnn6", "none", "wing_10_tiny", seed)
            write_predictions(table1, run, nme, status=status)
    one = verdicts(table1, call)["A very small ε (0.001) makes training blow up"]
    assert one["verdict"].startswith(verdict)
    assert one["why"] == f"{diverged} of 3 trainings diverged."
    # AdamW takes a gradient's size away, so under it nothing is said, whatever happened
    table1.set(**{"runs.cnn6.recipe": ["fast"]})
    one = verdicts(table1, call)["A very small ε (0.001) makes training blow up"]
    assert one["verdict"] == "not run" and "the recipe `paper`" in one["why"]


@pytest.mark.parametrize("gpu, several", [(None, "reproduced"), ("a GPU", "undecided")])
def test_speeds_are_claims_too(
    table1: Project, call: Callable, gpu: str | None, several: str
) -> None:
    write_speeds(table1, gpu=gpu)
    found = verdicts(table1, call)
    one = found["CNN-6/7 is several times faster than ResNet-50"]
    assert one["verdict"] == several and one["claim"].endswith("ResNet-50")
    assert one["why"].startswith("4.0 times on 1 CPU thread, 3.0 times on 2 CPU threads")
    assert ("2.0 times on a GPU" in one["why"]) == (gpu is not None)
    assert "meanwhile other work took 0.1 of 2 cores" in one["why"]
    alone, both, *_ = one["comparisons"]
    assert (alone["paper"], alone["here"], alone["effect"]) == (None, [40, 10], 4)
    assert (both["paper"], both["here"], both["effect"]) == ([20, 8], [60, 20], 3)
    assert (both["paper_effect"], both["bound"], both["low"]) == (2.5, 2.5, None)
    assert len(one["comparisons"]) == 2 + (gpu is not None)
    ten = found["CNN-6/7 is roughly an order of magnitude faster than ResNet-50"]
    assert ten["verdict"] == "contradicted"


def test_large_poses_are_the_outer_tenth_where_the_data_name_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = [f"face{i}" for i in range(30)]
    split = ["val"] * 10 + ["test"] * 20
    samples = pd.DataFrame({"face": names, "split": split, "subsets": ["common"] + [""] * 29})
    table = pd.DataFrame({"face": names, "coefficient": [-9.5, *range(1, 30)]})
    path = Path(paths.COEFFICIENTS.format(dataset="300w"))
    path.parent.mkdir(parents=True)
    table.iloc[::-1].to_csv(path, index=False)
    found = predictions_file._subsets("300w", samples)
    assert found[0] == "common large_pose" and (found[[28, 29]] == "large_pose").all()
    assert (found == "").sum() == 27
    samples.loc[4, "subsets"] = "large_pose"
    assert predictions_file._subsets("300w", samples).tolist() == samples.subsets.tolist()


def test_predictions_name_each_faces_photograph(finished: Project) -> None:
    samples = pd.read_csv(io.BytesIO(finished.read("data/prepared/synthetic/samples.csv")))
    photographs = samples.set_index("face").photograph
    assert samples.photograph.nunique() > 8
    for path in (finished.root / "results/synthetic/predictions").rglob("*.npz"):
        data = np.load(path)
        assert data["photograph"].tolist() == photographs[data["face"]].tolist()


def test_tables_and_claims_name_losses_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    losses = load().loss
    known = paper_spec.tables()
    written = yaml.safe_load(paper_spec.TABLES.read_text(encoding="utf-8"))
    assert list(written) == [f"table{number}" for number in range(1, 11)]
    cells = {c for one in (*known.values(), *paper_spec.claims()) for c in one.cells}
    (ert,) = [cell for cell in cells if cell.network not in paths.STAGES]
    assert ert == Cell("ert", paths.NEITHER, paths.NEITHER)
    for cell in cells - {ert}:
        assert cell.network in paths.STAGES
        assert cell.balance in paths.BALANCES
        assert cell.loss in losses
    assert len(known[2].cells) == 24
    assert len(known[3].cells) == 16
    for row, e in zip(known[2].rows, (0.5, 1, 2, 3), strict=True):  # names tell the truth
        for i, w in enumerate((4, 6, 8, 10, 12, 14)):
            shape = losses[row.cell(i).loss].cnn6
            assert (shape.w, shape.epsilon) == (w, e)


def test_the_follow_ups_runs_are_its_studys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    families = [one for one in paper_spec.families().families if one.study]
    tables = [one for one in paper_spec.tables().values() if one.study]
    assert len(families) == 1 and len(tables) == 3
    (study,) = {one.study for one in [*families, *tables]}
    asked = {name.partition("/")[2] for name in paper_spec.studies()[study].cells}
    assert {str(cell) for family in families for cell in family.cells} == asked


def test_every_claim_on_errors_has_the_papers_own_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    """But for the follow-up's, whose ablation isn't among its figures here."""
    monkeypatch.chdir(ROOT)
    known = paper_spec.published()
    own = [one for family in paper_spec.families().families if not family.study
           for one in family.claims]  # fmt: skip
    plain = [one for one in own if one.plain or one.factor != 1 and one.lower]
    assert len(plain) == 19
    for one in plain:
        for cell in one.cells:
            assert (cell, one.data, one.subset) in known, one.claim


@pytest.mark.parametrize(
    "bad", [{"margin": 1}, {"factor": 0.9, "measure": "large_errors"}, {"diverges": ["a/b/c"]}]
)
def test_a_claim_is_of_one_kind(bad: dict) -> None:
    good = {"claim": "a", "place": "b", "data": "c", "lower": [["d/e/f", "g/h/i"]]}
    assert paper_spec.Claim(**good).plain
    with pytest.raises(ValueError, match="a: "):
        paper_spec.Claim(**good | bad)


def test_figures_that_the_tables_share_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was typed twice: the same run on the same data has one published figure."""
    monkeypatch.chdir(ROOT)
    seen: dict[tuple, float] = {}
    for one in paper_spec.tables().values():
        for row in one.rows:
            for i, column in enumerate(one.columns):
                if row.cell(i) is not None:
                    key = (
                        row.cell(i),
                        column.data,
                        column.subset,
                        column.normaliser,
                        column.measure,
                    )
                    assert seen.setdefault(key, row.published[i]) == row.published[i], key


def test_a_bad_entry_is_one_line(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    bad = yaml.safe_load(paper_spec.TABLES.read_text(encoding="utf-8"))
    bad["table1"]["rows"][0]["published"] = [1.0, 2.0]
    path = tmp_path / "tables.yaml"
    path.write_text(yaml.safe_dump(bad), encoding="utf-8")
    monkeypatch.setattr(paper_spec, "TABLES", path)
    with pytest.raises(UserError, match=r"table1: CCL \(CVPR 2016\): one published figure"):
        paper_spec.tables()


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


def text_of(html: str) -> str:
    return " ".join(unescape(re.sub("<[^>]*>", " ", html)).split())


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
    assert f"Lowest: CNN-6 (Wing), 2.90 % ; next CNN-6 (L1), +0.10 ({low} to {high})." in said
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
    assert said.endswith(f"cnn6/none/l1 against cnn6/none/l2: {figures}")


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


def test_a_line_of_a_table_keeps_its_cells() -> None:
    assert table._cell("a | b\n<c>") == "a \\| b &lt;c>"


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


def test_a_deleted_table_comes_back_without_training(finished: Project) -> None:
    made = finished.trainings()
    path = finished.root / "results/synthetic/tables/table3.csv"
    before = path.read_bytes()
    path.unlink()
    said = finished.snakemake("table3")
    assert path.read_bytes() == before and finished.trainings() == made
    assert "(2 of 2 jobs done)" in said  # the table, and the name for it
