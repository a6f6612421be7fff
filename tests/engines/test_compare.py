"""The default runs' errors beside the documented ones: what is said, and when nothing is."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import yaml
from project import ROOT

from benchmarks import spread
from pipeline.config.params import load
from workflow import compare


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """What is said of a summary with these errors, with these parameters changed."""

    def say(errors: dict[str, float] | None, **changed: object) -> list[str]:
        monkeypatch.chdir(ROOT)
        params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8")) | changed
        monkeypatch.chdir(tmp_path)
        shutil.copytree(ROOT / "docs/results", "docs/results", dirs_exist_ok=True)
        Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
        if errors is not None:
            write_summary(Path("results/synthetic/summary.csv"), errors)
        return compare.compare(load())

    return say


def write_summary(path: Path, errors: dict[str, float], recipe: str = "fast") -> None:
    rows = [
        [recipe, *name.replace("seed", "").split("/"), split, subset, nme + more]
        for name, nme in errors.items()
        for split, subset, more in (("val", "full", 9), ("test", "full", 0), ("test", "blur", 5))
    ]
    columns = ["recipe", "network", "balance", "loss", "seed", "split", "subset", "nme_box"]
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows, columns=columns).to_csv(path, index=False)


def known() -> dict[str, dict[str, float]]:
    return json.loads((ROOT / compare.REFERENCE).read_text(encoding="utf-8"))["runs"]


def test_the_reference_is_of_the_committed_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    reference = json.loads(compare.REFERENCE.read_text(encoding="utf-8"))
    assert compare.settings(load(), reference["runs"]) == reference["settings"], (
        "the parameters were changed: make the runs and docs/results/default.json anew"
    )


def test_runs_as_near_as_processors_differ(said: Callable) -> None:
    *table, sentence = said({name: one["nme"] + one["spread"] for name, one in known().items()})
    assert len(table) == 1 + len(known()) and all(line.endswith("yes") for line in table[1:])
    assert sentence == f"All {len(known())} runs are as near to the reference as processors differ."


def test_a_run_further_away_is_named_and_no_failure(said: Callable) -> None:
    name, one = next(iter(known().items()))
    head, line, sentence = said({name: one["nme"] + one["spread"] + 0.01, "other/x/y/seed0": 1.0})
    assert line.startswith(name) and line.endswith("no")
    assert sentence.startswith("1 of 1 runs are further from the reference than")


def test_other_parameters_have_nothing_to_be_compared_with(said: Callable) -> None:
    errors = {name: one["nme"] for name, one in known().items()}
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    slow = params["recipes"] | {"fast": params["recipes"]["long"]}
    gone = {"recipes": {"mine": params["recipes"]["fast"]}, "runs": {
        "cnn6": params["runs"]["cnn6"] | {"recipe": ["mine"]}}}  # fmt: skip
    for changed in ({"recipes": slow}, {"context": params["context"] | {"size": 200}}, gone):
        (line,) = said(errors, **changed)
        assert line.startswith("params.yaml has other settings")
    # what these runs don't depend on
    more = {
        "loss": params["loss"] | {"l3": {"kind": "l1"}},
        "seeds": [0, 1],
        "on_bad_sample": "stop",
    }
    assert len(said(errors, **more)) == 2 + len(errors)


def test_without_runs_there_is_nothing_to_compare(said: Callable) -> None:
    (line,) = said(None)
    assert line.startswith("No runs of synthetic by fast here")
    errors = {name: one["nme"] for name, one in known().items()}
    write_summary(Path("results/synthetic/summary.csv"), errors, recipe="long")
    (line,) = said(None)
    assert line.startswith("No runs of synthetic by fast here")
    (line,) = said(errors, datasets=["300w"])
    assert line.startswith("No runs of synthetic by fast here")


def test_the_spread_is_the_largest_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "REFERENCE", tmp_path / "default.json")
    monkeypatch.setattr(spread, "REFERENCE", tmp_path / "default.json")
    paths = [tmp_path / f"{i}.csv" for i in range(3)]
    for path, nme in zip(paths, (5.5, 5.25, 5.625), strict=True):
        write_summary(path, {"cnn6/pdb/l1/seed0": nme})
    monkeypatch.chdir(ROOT)
    spread.main(paths[0], paths[1:])
    runs = json.loads((tmp_path / "default.json").read_text())["runs"]
    assert runs == {"cnn6/pdb/l1/seed0": {"nme": 5.5, "spread": 0.25}}
