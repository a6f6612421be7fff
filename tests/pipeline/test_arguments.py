"""Stages called by hand: a name that doesn't exist is one line that says which there are."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from project import ROOT, Project

from stages import balance, baseline, claims, correct, evaluate, figure, table, train

DATA = {"dataset": "synthetic"}
RUN = {"recipe": "fast", "network": "cnn6", "balance": "pdb", "loss": "wing", "seed": 0}
CELL = DATA | RUN
LAST = "there is none of this name; "
CASES = {
    "loss": (train, {"stage": 1, "loss": "wingg"}, f"--loss wingg: {LAST}did you mean 'wing'?"),
    "recipe": (train, {"stage": 1, "recipe": "fats"}, f"--recipe fats: {LAST}did you mean 'fast'?"),
    "dataset": (train, {"stage": 1, "dataset": "sinthetic"}, "did you mean 'synthetic'?"),
    "network": (
        evaluate,
        {"network": "cnn7"},
        "did you mean 'cnn6_7'? there are cnn6, cnn6_7, resnet50, hourglass, hourglass_plain, "
        "hourglass4",
    ),
    "stage": (train, {"stage": 2}, f"--stage 2: {LAST}there are 1"),
    "balance": (train, {"stage": 1, "balance": "pbd"}, "did you mean 'pdb'? there are none, pdb"),
    "seed": (train, {"stage": 1, "seed": -1}, "--seed -1: it is a whole number of at least 0"),
    "shape": (
        train,
        {"stage": 1, "network": "resnet50", "loss": "wing_4_1"},
        "params.yaml: loss.wing_4_1.resnet50: this key is missing",
    ),
    "one stage": (correct, {}, f"--network cnn6: {LAST}did you mean 'cnn6_7'? there are cnn6_7"),
}
OTHERS = {
    "method": (baseline, {"method": "tree", "seed": 0}, "there are mean_shape, ert"),
    "table": (
        table,
        {"table": 11},
        f"--table 11: {LAST}did you mean '1'? there are 1, 2, 3, 4, 5, 6, 7, 8, 9, 10",
    ),
    "figure": (figure, {"figure": 0}, f"--figure 0: {LAST}there are 1, 2, 3, 4, 5, 6, 7"),
    "dataset": (balance, {"dataset": "wlfw"}, f"--dataset wlfw: {LAST}did you mean 'wflw'?"),
    "claims": (claims, {"dataset": "celeba"}, f"--dataset celeba: {LAST}there are 300w, aflw"),
}


@pytest.mark.parametrize(
    "stage, given, message",
    [
        *((one, CELL | given, message) for one, given, message in CASES.values()),
        *((one, DATA | given, message) for one, given, message in OTHERS.values()),
    ],
    ids=[*CASES, *(f"other {name}" for name in OTHERS)],
)
def test_what_there_is_not_is_refused_in_one_line(
    tmp_path: Path, call: Callable, stage: ModuleType, given: dict[str, Any], message: str
) -> None:
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    (tmp_path / "paper").symlink_to(ROOT / "paper")
    status, said = call(Project(tmp_path), stage, **given)
    assert (status, said.count("\n")) == (1, 1)
    assert said.startswith("error: ") and message in said
    assert list(tmp_path.iterdir()) and not (tmp_path / "results").exists()


def test_a_data_set_needs_its_entries(tmp_path: Path, call: Callable) -> None:
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    project = Project(tmp_path)
    params = project.params()
    del params["recipes"]["fast"]["cnn6"]["samples"]["aflw"], params["dataset"]["wflw"]
    project.set(recipes=params["recipes"], dataset=params["dataset"])
    status, said = call(project, train, **CELL | {"dataset": "aflw"}, stage=1)
    key = "params.yaml: recipes.fast.cnn6.samples.aflw: this key is missing"
    assert (status, said) == (1, f"error: {key}\n")
    status, said = call(project, balance, dataset="wflw")
    assert (status, said) == (1, "error: params.yaml: dataset.wflw: this key is missing\n")
