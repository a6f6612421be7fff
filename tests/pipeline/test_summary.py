"""The tidy table of all runs, from predictions files made by hand; and a run that diverged."""

import io
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from project import Project

from pipeline.config import paths
from pipeline.config.paths import Run
from pipeline.results import paper_spec
from stages import claims, evaluate, figure, report, summary, table, train

COLUMNS = (
    "dataset", "data_stamp", "recipe", "weights", "precision", "network", "balance", "loss",
    "loss_parameters", "seed", "status", "split", "subset", "n_faces", "nme_inter_pupil",
    "nme_inter_ocular", "nme_box", "nme_diag", "median", "auc", "failure_rate", "auc_normaliser",
    "auc_threshold", "train_seconds", "samples_seen", "commit",
)  # fmt: skip
ABOUT = {
    "data_stamp": "partial",
    "recipe": "fast",
    "weights": "none",
    "precision": "float32",
    "loss_parameters": "w=10 epsilon=2",
    "status": "trained",
    "train_seconds": 12.5,
    "samples_seen": 400,
    "commit": "0123456789ab",
}
FACES = [
    "val a ",
    "test b common",
    "test c common blur",
    "test d challenge blur",
]  # split, face, subsets
ERRORS = np.array([2.0, 3.0, 6.0, 12.0])  # pixels, of every point
LENGTHS = {"inter_pupil": 100.0, "inter_ocular": 150.0, "box": 200.0, "diag": 300.0}  # pixels


def write_predictions(project: Project, run: Run, errors: np.ndarray, **about: object) -> None:
    """Predictions that miss every point of face i by ``errors[i]`` pixels."""
    split, face, subsets = zip(*(name.split(" ", 2) for name in FACES), strict=True)
    true = np.full((len(FACES), 68, 2), 50.0)
    path = project.root / run.path(paths.PREDICTIONS)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        path,
        run=json.dumps(vars(run) | ABOUT | about),
        face=np.array(face),
        photograph=np.array(face),
        split=np.array(split),
        subsets=np.array(subsets),
        predicted=(true + errors[:, None, None] * (0.6, 0.8)).astype(np.float32),
        true=true.astype(np.float32),
        **{f"normaliser_{name}": np.full(len(FACES), v) for name, v in LENGTHS.items()},
    )


@pytest.fixture
def scored(project: Project) -> Project:
    """300W with two seeds of one run; the second misses twice as far."""
    project.set(**{
        "datasets": ["300w"], "seeds": [0, 7], "baselines": [],
        "runs.cnn6.balance": ["pdb"], "runs.cnn6.loss": ["wing"],
        "runs.cnn6_7.loss": [],
    })  # fmt: skip
    for seed, factor in ((0, 1), (7, 2)):
        write_predictions(
            project, Run("300w", "fast", "cnn6", "pdb", "wing", seed), factor * ERRORS
        )
    return project


def table_of(project: Project, dataset: str) -> pd.DataFrame:
    text = project.read(f"results/{dataset}/summary.csv").decode()
    return pd.read_csv(io.StringIO(text))


def test_columns_and_rows(scored: Project, call: Callable) -> None:
    status, said = call(scored, summary, dataset="300w")
    assert status == 0, said
    table = table_of(scored, "300w")
    assert tuple(table.columns) == COLUMNS
    rows = list(zip(table.seed, table.split, table.subset, table.n_faces, strict=True))
    assert rows == [
        (seed, *row)
        for seed in (0, 7)
        for row in (
            ("val", "full", 1),
            ("test", "full", 3),
            ("test", "blur", 2),
            ("test", "challenge", 1),
            ("test", "common", 2),
        )
    ]
    for name, value in (ABOUT | {"dataset": "300w", "network": "cnn6", "balance": "pdb"}).items():
        assert set(table[name]) == {value}


def test_values(scored: Project, call: Callable) -> None:
    """Test faces miss by 3, 6 and 12 pixels where the pupils are 100 apart."""
    assert call(scored, summary, dataset="300w")[0] == 0
    table = table_of(scored, "300w").set_index(["seed", "split", "subset"])
    full = table.loc[0, "test", "full"]
    assert full.nme_inter_pupil == pytest.approx(7.0, rel=1e-5)
    assert full.nme_inter_ocular == pytest.approx(7.0 / 1.5, rel=1e-5)
    assert full.nme_box == pytest.approx(3.5, rel=1e-5)
    assert full.nme_diag == pytest.approx(7.0 / 3, rel=1e-5)
    assert (full.auc_normaliser, full.auc_threshold) == ("inter_pupil", 0.08)
    assert full["median"] == pytest.approx(6.0, rel=1e-5)
    # under the CED up to 8 %: (8 - 3) + (8 - 6) + 0 of 3 * 8
    assert full.auc == pytest.approx(100 * 7 / 24, rel=1e-4)
    assert full.failure_rate == pytest.approx(100 / 3, rel=1e-5)
    assert table.loc[0, "test", "common"].nme_inter_pupil == pytest.approx(4.5, rel=1e-5)
    assert table.loc[0, "test", "blur"].nme_inter_pupil == pytest.approx(9.0, rel=1e-5)
    assert table.loc[0, "test", "challenge"].nme_inter_pupil == pytest.approx(12.0, rel=1e-5)
    assert table.loc[0, "val", "full"].nme_inter_pupil == pytest.approx(2.0, rel=1e-5)
    assert table.loc[7, "test", "full"].nme_inter_pupil == pytest.approx(14.0, rel=1e-5)
    means = json.loads(scored.read("results/300w/metrics/fast-cnn6-pdb-wing.json"))
    named = ("median", "auc", "failure_rate")
    scores = {f"{split}.{score}" for split in ("val", "test") for score in named}
    parts = {"val", "test", "test_blur", "test_common", "test_challenge"}
    assert means.keys() == scores | {f"{part}.nme" for part in parts}
    assert means["test.nme"] == pytest.approx(10.5, rel=1e-4)
    assert means["test.median"] == pytest.approx(9.0, rel=1e-4)
    assert means["test.failure_rate"] == pytest.approx(50.0, rel=1e-4)
    scores = json.loads(scored.read("results/300w/scores.json"))
    assert scores == {"fast-cnn6-pdb-wing": means["test.nme"]}


@pytest.mark.parametrize("error", [np.nan, 5.0])  # the last weights may be finite
def test_a_diverged_run_has_rows_that_say_so(scored: Project, call: Callable, error: float) -> None:
    run = Run("300w", "fast", "cnn6", "pdb", "wing", 7)
    write_predictions(scored, run, np.full(4, error), status="diverged")
    status, said = call(scored, summary, dataset="300w")
    assert status == 0, said
    row = table_of(scored, "300w").set_index(["seed", "split", "subset"]).loc[7, "test", "full"]
    assert (row.status, row.n_faces) == ("diverged", 3)
    assert row[[name for name in COLUMNS if name.startswith("nme_")]].isna().all()
    assert math.isnan(row["median"]) and math.isnan(row.auc) and math.isnan(row.failure_rate)
    means = json.loads(scored.read("results/300w/metrics/fast-cnn6-pdb-wing.json"))
    assert set(means.values()) == {"diverged"}  # one seed that diverged leaves no mean
    assert json.loads(scored.read("results/300w/scores.json")) == {"fast-cnn6-pdb-wing": "diverged"}
    (line,) = [line for line in said.splitlines() if "wing" in line]
    assert line.count("diverged") == 5  # one for val and one for each part of test
    assert "\\n" not in said  # a table has a line a run


def test_predictions_of_no_run_are_forgotten(scored: Project, call: Callable) -> None:
    others = scored.root / "results/300w/predictions/fast/cnn6/none/l1/seed0.npz"
    others.parent.mkdir(parents=True)
    others.write_bytes(b"")
    status, said = call(scored, summary, dataset="300w")
    assert status == 0, said
    assert not others.exists() and "belongs to no run" in said
    assert set(table_of(scored, "300w").seed) == {0, 7}


def test_missing_predictions_are_named(scored: Project, call: Callable) -> None:
    missing = Path("results/300w/predictions/fast/cnn6/pdb/wing/seed7.npz")
    (scored.root / missing).unlink()
    status, said = call(scored, summary, dataset="300w")
    assert (status, said.count("\n")) == (1, 1)
    assert said.startswith(f"error: {missing}: no such file; run ")
    assert not (scored.root / "results/300w/summary.csv").exists()


def test_tables_have_the_means_of_the_summary(finished: Project, call: Callable) -> None:
    """They are made by other code from the same predictions; here with a second, worse seed."""
    finished.set(seeds=[0, 1])
    for path in (finished.root / "results/synthetic/predictions").rglob("seed0.npz"):
        with np.load(path) as data:
            worse = dict(data)
        worse["run"] = json.dumps(json.loads(str(worse["run"])) | {"seed": 1})
        worse["predicted"] = worse["predicted"] + np.float32(3)
        np.savez_compressed(path.with_name("seed1.npz"), **worse)
    assert call(finished, summary, dataset="synthetic")[0] == 0
    rows = table_of(finished, "synthetic").query("split == 'test'")
    means = rows.groupby(["network", "balance", "loss", "subset"])[
        ["nme_box", "nme_inter_ocular"]
    ].mean()
    compared = set()
    for number, known in paper_spec.tables().items():
        if known.of_speeds:
            continue
        assert call(finished, table, dataset="synthetic", table=number)[0] == 0
        path = paths.TABLE.format(dataset="synthetic", table=number)
        cells = pd.read_csv(finished.root / path).set_index(["method", "column"])
        for row in known.rows:
            for i, column in enumerate(known.columns):
                found, of = cells.loc[row.method, column.name], row.cell(i)
                if found.status == "run" and column.measure == "nme":
                    own = means.loc[(of.network, of.balance, of.loss, column.subset)]
                    mean = own[f"nme_{column.normaliser or 'box'}"]
                    assert (found.here, found.seeds) == (pytest.approx(mean, rel=1e-5), 2)
                    compared.add(number)
    assert compared == {1, 2, 3, 4, 5, 8, 9}


@pytest.mark.usefixtures("tiny_networks")
def test_all_is_made_after_a_training_that_diverged(finished: Project, done: Callable) -> None:
    """Wing's trainings blow up; L2's result stays, and all tables are made."""
    before = finished.trainings()
    finished.set(**{
        "recipes.fast.cnn6.learning_rate_factor": {"wing": 1.0e30},
        "runs.cnn6_7.loss": [],
        "recipes.fast.cnn6.samples.synthetic": 40,
    })  # fmt: skip
    said = ""
    for loss in ("wing", "l2"):
        run = dict(recipe="fast", network="cnn6", balance="none", loss=loss, seed=0)
        said += done(finished, train, dataset="synthetic", **run, stage=1)
        done(finished, evaluate, dataset="synthetic", **run)
    for stage, number in (
        (summary, {}),
        (table, {"table": 3}),
        (claims, {}),
        (figure, {"figure": 4}),
        (report, {}),
    ):
        done(finished, stage, dataset="synthetic", **number)
    assert said.count("DIVERGED") == 1
    assert len(finished.trainings()) == len(before) + 2
    rows = table_of(finished, "synthetic")
    statuses = {(row.network, row.loss): row.status for row in rows.itertuples()}
    assert statuses == {
        ("cnn6", "l2"): "trained",
        ("cnn6", "wing"): "diverged",
        ("mean_shape", "none"): "trained",
        ("ert", "none"): "trained",
    }
    diverged = rows[rows.status == "diverged"]
    assert diverged[["nme_box", "failure_rate", "auc"]].isna().all(axis=None)
    assert rows[rows.status == "trained"].nme_box.notna().all()
    means = json.loads(finished.read("results/synthetic/metrics/fast-cnn6-none-wing.json"))
    assert set(means.values()) == {"diverged"}
    for loss, status in (("wing", "diverged"), ("l2", "trained")):
        curve = pd.read_csv(
            finished.root / f"results/synthetic/ced/fast-cnn6-none-{loss}-seed0.csv"
        )
        assert set(curve.status) == {status}
        assert curve.share.isna().all() if status == "diverged" else curve.share.notna().all()
    drawn = finished.read("results/synthetic/figures/figure4.svg").decode()
    assert "<!-- CNN-6 (Wing) (diverged) -->" in drawn
