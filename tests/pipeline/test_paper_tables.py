"""The paper's tables and the studies', from predictions made by hand."""

import io
import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from paper_runs import LOSSES, N_FACES, read_table, verdicts, write_predictions
from project import ROOT, Project

import pipeline.runtime.cli
from pipeline.config import paths
from pipeline.config.params import Grid, load
from pipeline.config.paths import Cell, Run
from pipeline.errors import UserError
from pipeline.results import paper_spec, words
from pipeline.results.run_results import Results, Scored
from stages import figure, speed, study, table


def test_a_table_stands_beside_the_published_one(table1: Project, call: Callable) -> None:
    status, said = call(table1, table, dataset="synthetic", table=1)
    assert status == 0, said
    cells = read_table(table1, "table1")
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
    own = read_table(table1, "table9").loc["One hourglass (Adaptive Wing)"]
    assert own.here["NME"] == pytest.approx(4, abs=1e-4)
    assert own.here["failures"] == pytest.approx(100 * (errors > 7).mean())
    assert own.here["AUC"] == pytest.approx(100 * np.maximum(0, 1 - errors / 7).mean(), abs=1e-3)
    assert own.status["pose"] == "no pose faces"
    assert call(table1, table, dataset="synthetic", table=8)[0] == 0
    own = read_table(table1, "table8").loc["One hourglass (Adaptive Wing)"]
    assert own.here["Full, inter-pupil"] == pytest.approx(4, abs=1e-4)
    assert own.here["Full, inter-ocular"] == pytest.approx(4 / 1.6, abs=1e-4)
    # as of AFLW's landmarks, which have no corners of eyes
    path = table1.root / run.path(paths.PREDICTIONS)
    data = dict(np.load(path)) | {"normaliser_inter_ocular": np.full(N_FACES, np.nan)}
    np.savez_compressed(path, **data)
    assert call(table1, table, dataset="synthetic", table=8)[0] == 0
    own = read_table(table1, "table8").loc["One hourglass (Adaptive Wing)"]
    assert own.status["Full, inter-ocular"] == "no inter-ocular distance"
    assert own.status["Full, inter-pupil"] == "run" and own.seeds["Full, inter-ocular"] == 0


def test_cells_that_did_not_run_say_how_to(table1: Project, call: Callable) -> None:
    assert call(table1, table, dataset="synthetic", table=3)[0] == 0
    cells = read_table(table1, "table3")
    assert cells.loc["CNN-6", "L2"].here == pytest.approx(4.0, abs=1e-4)
    assert set(cells.loc["CNN-6 + PDB"].status) == {"not run"}
    text = table1.read("results/synthetic/tables/table3.md").decode()
    grid = "network: cnn6, recipe: [fast], balance: [none, pdb], loss: [l2, l1, smooth_l1, wing]"
    advice = f"`runs.cnn6: {{{grid}}}`"
    assert advice in text
    assert "about 24 minutes" in text  # four cells of three seeds that take two minutes each
    # CNN-6/7 has no run to tell: 24 of 1813 / 123 + 1353 / 14 seconds, by half of the rates
    # measured elsewhere, as in float32, and with 1333 samples' worth of validation each
    assert "24 runs, about 45 minutes more, estimated from rates measured elsewhere" in text


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
    assert set(read_table(table1, "table2").status) == {"run", "not run"}
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
    full = read_table(table1, "table4").loc["ERT", "Full"]
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
    cells = read_table(table1, "table5").loc["CNN-6/7 + PDB (Wing)"]
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
    assert read_table(table1, "table5").loc[
        "ResNet-50 + PDB (Wing)", "300W Full"
    ].here == pytest.approx(2)
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
    cells = read_table(table1, "table7").loc["CNN-6"]
    assert cells.loc["frames/s on CPU"].here == pytest.approx(123.4)
    assert cells.loc["frames/s on GPU"].status == "no GPU"
    assert cells.loc["size (MiB)"].here == pytest.approx(14.52, abs=0.01)
    text = table1.read("results/synthetic/tables/table7.md").decode()
    assert "on 1 thread of" in text and "other work took" in text
    # the paper's figures as they are printed there
    assert "| CNN-6 | paper | 3.8 | 14 | 400 | 150 |" in text
    assert "| ResNet-50 | paper | 25 | 99 | 30 | 8 |" in text


@pytest.mark.parametrize("nme", [np.nan, 3.0])  # the last weights may be finite
def test_a_diverged_seed_leaves_no_mean(table1: Project, call: Callable, nme: float) -> None:
    run = Run("synthetic", "fast", "cnn6", "none", "wing", 1)
    write_predictions(table1, run, nme, status="diverged")
    assert call(table1, table, dataset="synthetic", table=1)[0] == 0
    wing = read_table(table1, "table1").loc["CNN-6 (Wing loss)", "NME"]
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


CURVE = {"samples": [5, 10], "val_nme": [9.0, 4.0]}


PAIR = ("fast/cnn6/none/wing", "fast/cnn6/none/l1")


def read_study(project: Project, call: Callable, name: str) -> tuple[pd.DataFrame, str]:
    """A study's table by its rows' names, and its text."""
    status, said = call(project, study, dataset="synthetic", study=name)
    assert status == 0, said
    table = project.read(f"results/synthetic/tables/study_{name}.csv").decode()
    text = project.read(f"results/synthetic/tables/study_{name}.md").decode()
    return pd.read_csv(io.StringIO(table)).set_index("name"), text


def test_a_study_states_its_effects_over_recipes(
    table1: Project, call: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By `fast` Wing errs as L1 does, with more samples by a third less."""
    shown, draw = [], study.figures.study
    more = table1.params()["runs"]["cnn6"] | {"recipe": ["fast_600k"]}
    table1.set(runs=table1.params()["runs"] | {"more": more})
    for recipe, wing in (("fast", 3.0), ("fast_600k", 2.0)):
        for loss, nme in zip(LOSSES, (4.0, 3.0, 3.1, wing), strict=True):
            for seed in (0, 1, 2):
                run = Run("synthetic", recipe, "cnn6", "none", loss, seed)
                write_predictions(table1, run, nme + 0.1 * (seed - 1), curve=CURVE)
    monkeypatch.setattr(
        study.figures, "study", lambda *drawn: (shown.append(drawn), draw(*drawn))[1]
    )
    rows, text = read_study(table1, call, "budget")
    *_, setting, lines = shown[0]
    assert setting == "samples seen"
    assert {name: [*line] for name, line in lines.items()} == dict.fromkeys(
        ("L1", "smooth L1", "Wing"), [120_000, 600_000]
    )
    assert lines["Wing"][600_000] == pytest.approx([1.9, 2.0, 2.1], abs=1e-4)
    assert rows.loc["fast_600k/cnn6/none/wing"].value == pytest.approx(2.0, abs=1e-4)
    assert rows.loc["fast_600k/cnn6/none/wing"]["std"] == pytest.approx(0.1, abs=1e-4)
    effects = rows[rows.what == "effect"]
    for name in ("Wing against L1, 600,000 samples", "Wing, 600,000 samples against fast"):
        assert effects.loc[name].value == pytest.approx(-100 / 3, abs=1e-3)
    assert effects.loc["Wing against L1, fast"].value == pytest.approx(0, abs=1e-3)
    assert ((effects.low < effects.value) & (effects.value < effects.high)).all()
    assert re.search(
        r"\| fast/cnn6/none/wing \| 3\.00 ± 0\.10 \| [\d.]+ \| [\d.]+ \| 0\.0 \| 3 \|", text
    )
    assert "Not run" not in text
    assert effects.verdict.to_dict() == {
        "Wing against L1, fast": "equivalent",
        "Wing against L1, 600,000 samples": "lower",
        "Wing against smooth L1, fast": "lower",
        "Wing against smooth L1, 600,000 samples": "lower",
        "Wing, 600,000 samples against fast": "lower",
    }
    assert effects.p_adjusted["Wing against L1, fast"] > 0.05
    # the recipes' own seeds tell of chance, not the other one's
    both = effects.loc["Wing against L1, fast"], effects.loc["Wing against L1, 600,000 samples"]
    assert both[0].high - both[0].low != pytest.approx(both[1].high - both[1].low, rel=0.01)


def test_what_balancing_changes_by_pose(
    table1: Project, call: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With both losses the most turned fifth errs by half less, all others by a tenth more."""
    turned = np.arange(N_FACES)[::-1] + 1.0
    shown, draw = [], figure.figures.by_pose
    monkeypatch.setattr(figure, "_turned", lambda *_: (turned, "yaw's size (degrees)"))
    monkeypatch.setattr(
        figure.figures, "by_pose", lambda *drawn: (shown.append(drawn), draw(*drawn))[1]
    )
    table1.set(**{"runs.cnn6.loss": ["l1", "wing"]})
    assert call(table1, figure, dataset="synthetic", figure=7)[0] == 0
    assert not shown  # nothing is balanced
    table1.set(**{"runs.cnn6.balance": ["none", "pdb"]})
    for loss in ("l1", "wing"):
        for seed in (0, 1, 2):
            plain, balanced = (
                table1.root
                / Run("synthetic", "fast", "cnn6", name, loss, seed).path(paths.PREDICTIONS)
                for name in ("none", "pdb")
            )
            with np.load(plain) as data:
                own = dict(data)
            own["run"] = json.dumps(json.loads(str(own["run"])) | {"balance": "pdb"})
            factor = np.where(turned > 48, 0.5, 1.1)[:, None, None]
            own["predicted"] = own["true"] + factor * (own["predicted"] - own["true"])
            balanced.parent.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(balanced, **own)
    assert call(table1, figure, dataset="synthetic", figure=7)[0] == 0
    ((lines, edges, pose),) = shown
    assert edges == pytest.approx([1, 12.8, 24.6, 36.4, 48.2, 60]) and pose.startswith("yaw")
    value, low, high = lines["fast"]
    assert value == pytest.approx([10, 10, 10, 10, -50], abs=1e-6)
    assert (low <= value).all() and (value <= high).all()
    # of faces turned alike there are fewer groups, or none
    monkeypatch.setattr(figure, "_turned", lambda *_: (np.maximum(turned, 25), "yaw"))
    assert call(table1, figure, dataset="synthetic", figure=7)[0] == 0
    assert shown[1][1] == pytest.approx([25, 36.4, 48.2, 60])
    assert shown[1][0]["fast"][0] == pytest.approx([10, 10, -50], abs=1e-6)
    monkeypatch.setattr(figure, "_turned", lambda *_: (0 * turned, "yaw"))
    assert call(table1, figure, dataset="synthetic", figure=7)[0] == 0
    assert len(shown) == 2
    svg = table1.read("results/synthetic/figures/figure7.svg").decode()
    assert "too few photographs of faces that are turned less and more" in svg


def test_one_photograph_tells_no_change_by_pose() -> None:
    one = SimpleNamespace(
        photographs=np.array(["a", "a", "b"]), errors=np.ones((1, 3)), diverged=[]
    )
    cells = {"pdb": [one], "none": [one]}
    assert np.isnan(figure._change(cells, np.array([True, True, False]))).all()
    assert np.isnan(figure._change(cells, np.zeros(3, bool))).all()
    assert figure._change(cells, np.ones(3, bool)) == [0, 0, 0]


def test_losses_that_share_their_seeds_luck_add_no_certainty() -> None:
    rng = np.random.default_rng(0)
    photographs = np.arange(40).astype(str)
    plain, balanced = (
        SimpleNamespace(photographs=photographs, errors=rng.uniform(2, 4, (3, 40)), diverged=[])
        for _ in range(2)
    )
    one, four = (
        figure._change({"pdb": losses * [balanced], "none": losses * [plain]}, np.ones(40, bool))
        for losses in (1, 4)
    )
    assert four == pytest.approx(one) and one[1] < one[0] < one[2]


def test_a_line_of_which_runs_are_missing_is_no_line_all_the_way(
    table1: Project, call: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown, draw = [], study.figures.study
    for loss in LOSSES:
        for seed in (0, 1, 2):
            run = Run("synthetic", "fast", "cnn6", "none", loss, seed)
            write_predictions(table1, run, 3.0 + 0.1 * seed, curve=CURVE)
    monkeypatch.setattr(
        study.figures, "study", lambda *drawn: (shown.append(drawn), draw(*drawn))[1]
    )
    read_study(table1, call, "budget")
    for line in shown[0][-1].values():
        assert line[120_000] == pytest.approx([3.0, 3.1, 3.2], abs=1e-4)
        assert np.isnan(line[600_000]).all()


def test_a_study_needs_no_validation_faces(table1: Project, call: Callable) -> None:
    """With `validation: {share: 0}` a learning curve has no errors."""
    without = {"samples": [5, 10], "val_nme": [float("nan")] * 2}
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


def test_a_run_on_both_sides_of_an_effect_cancels_out() -> None:
    runs = {"a": Grid("cnn6", ["fast"], ["none"], ["l1", "l2", "wing"])}
    pairs = (PAIR, ("fast/cnn6/none/l2", PAIR[1]))
    own = paper_spec.Study("?", 1, runs, {"pair": PAIR, "pairs": pairs})
    assert own.weights("pair") == {PAIR[0]: 1, PAIR[1]: -1}
    assert own.weights("pairs") == {PAIR[0]: 1, "fast/cnn6/none/l2": -1}


def test_a_second_stages_curve_begins_where_the_first_ended() -> None:
    about = {"curve": CURVE, "samples_seen": 30}
    one = Scored([0], [about], "val", "box", np.array([]), [], np.zeros((1, 0)), {})
    samples, errors = study._curves(one)
    assert (samples.tolist(), errors.tolist()) == ([25, 30], [[9, 4]])


def test_a_study_states_how_an_effect_changes(table1: Project, call: Callable) -> None:
    """Wing is 40 % ahead of L1 with the one decay and 20 % with the other: 0.8 / 0.6 is 4/3."""
    decays = ["quarter", "quarter_linear"]
    more = {"network": "cnn6", "recipe": decays, "balance": ["none"], "loss": ["l1", "wing"]}
    table1.set(runs={"decay": more})
    for recipe, l1, wing in (("quarter", 5.0, 3.0), ("quarter_linear", 4.0, 3.2)):
        for loss, nme in (("l1", l1), ("wing", wing)):
            for seed in (0, 1, 2):
                run = Run("synthetic", recipe, "cnn6", "none", loss, seed)
                write_predictions(table1, run, nme + 0.01 * (seed - 1), curve=CURVE)
    rows, text = read_study(table1, call, "decay")
    effect = rows[rows.what == "effect"].iloc[0]
    assert effect.value == pytest.approx(100 / 3, abs=0.01)
    assert (effect.verdict, effect.seeds) == ("higher", 3)
    assert effect.second == "quarter/cnn6/none/wing against quarter/cnn6/none/l1"
    assert f"({effect['first']}, {effect.second}) | +33.3 |" in text


def test_a_studys_lines_have_their_setting_and_its_runs() -> None:
    """And runs that are the study's."""
    runs = {"a": Grid("cnn6", ["fast"], ["none"], ["l1"])}
    own, foreign = "fast/cnn6/none/l1", "fast/cnn6/none/wing"
    paper_spec.Study("?", 1, runs, {}, "rate", {"L1": [(1.0, own)]})
    with pytest.raises(ValueError, match="both or neither"):
        paper_spec.Study("?", 1, runs, {}, lines={"L1": [(1.0, own)]})
    with pytest.raises(ValueError, match="lines.L1: fast/cnn6/none/wing is none of the study's"):
        paper_spec.Study("?", 1, runs, {}, "rate", {"L1": [(1.0, foreign)]})


def test_a_recipe_that_a_person_asks_for_is_no_studys(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where studies happen to have all of its runs."""
    mine = {"network": "cnn6", "recipe": ["fast"], "balance": ["none"], "loss": ["l1", "wing"]}
    project.set(runs={"mine": mine})
    project.run("workflow.paper", "precision")
    monkeypatch.chdir(project.root)
    params = load()
    assert list(params.runs) == ["mine", "precision_cnn6_fast_float32_none"]
    studied = {r: Results("synthetic", r, params, {}).studied for r in ("fast", "fast_float32")}
    assert studied == {"fast": False, "fast_float32": True}


@pytest.mark.parametrize(
    "changed, said",
    [
        ({"runs": {}}, "runs: it has none"),
        ({"runs": {"a": Grid("cnn6", [], ["none"], ["l1"])}}, "runs: it has none"),
        (
            {"runs": dict.fromkeys("ab", Grid("cnn6", ["fast"], ["none"], ["l1"]))},
            "fast/cnn6/none/l1 stands there twice",
        ),
        ({"effects": {"x": ("fast/cnn6/none/l1",) * 2}}, "effects.x: .* compared with itself"),
        ({"effects": {"x": (PAIR, PAIR)}}, "effects.x: .* compared with itself"),
        ({"effects": {"x": (PAIR, ("fast/cnn6/none/l2", PAIR[0]))}}, "l2 is none of the study's"),
    ],
)
def test_a_study_that_makes_no_sense_is_refused(changed: dict[str, Any], said: str) -> None:
    runs = {"a": Grid("cnn6", ["fast"], ["none"], ["l1", "wing"])}
    good: dict[str, Any] = {"question": "?", "seeds": 1, "runs": runs, "effects": {"x": PAIR}}
    paper_spec.Study(**good)
    paper_spec.Study(**good | {"effects": {"x": (PAIR, PAIR[::-1])}})
    with pytest.raises(ValueError, match=said):
        paper_spec.Study(**good | changed)


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


@pytest.mark.parametrize(
    "file, read, name",
    [("TABLES", paper_spec.tables, "Table-1"), ("STUDIES", paper_spec.studies, "Bad-Name")],
)
def test_a_name_of_another_form_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, read: Callable, name: str
) -> None:
    monkeypatch.chdir(ROOT)
    known = yaml.safe_load(getattr(paper_spec, file).read_text(encoding="utf-8"))
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump({name: next(iter(known.values()))}), encoding="utf-8")
    monkeypatch.setattr(paper_spec, file, path)
    with pytest.raises(UserError, match=rf"own\.yaml: {name}: '{name}' should look like [^\n]*$"):
        read()


def test_a_line_of_a_table_keeps_its_cells() -> None:
    assert words.table_cell("a | b\n<c>") == "a \\| b &lt;c>"


def test_a_deleted_table_comes_back_without_training(finished: Project) -> None:
    made = finished.trainings()
    path = finished.root / "results/synthetic/tables/table3.csv"
    before = path.read_bytes()
    path.unlink()
    said = finished.snakemake("table3")
    assert path.read_bytes() == before and finished.trainings() == made
    assert "(2 of 2 jobs done)" in said  # the table, and the name for it
