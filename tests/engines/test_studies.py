"""A study of paper/studies.yaml: asked for by its name, made, recorded, sharing trainings."""

import io
import re

import pandas as pd
import pytest
from project import Project

STUDY = "results/synthetic/tables/study_precision"


@pytest.mark.slow
def test_a_study_is_asked_for_made_and_recorded(finished: Project) -> None:
    """Its second recipe is the first by another name here, so it trains nothing of its own."""
    finished.set(**{
        "recipes.fast_float32": finished.params()["recipes"]["fast"],
        "runs.cnn6.loss": ["wing"], "runs.cnn6_7.loss": [],
        "baselines": [],
    })  # fmt: skip
    said = finished.snakemake("study_precision", status=1)
    assert "studies: precision isn't asked for; run `python -m workflow.paper precision`" in said
    finished.run("workflow.paper", "precision")
    params = finished.params()
    assert params["seeds"] == [0, 1, 2] and params["studies"] == ["precision"]
    # of the runs of the recipe `fast` the project asks for Wing's already
    assert {name: grid for name, grid in params["runs"].items() if "precision" in name} == {
        f"precision_cnn6_{recipe}_none": {
            "network": "cnn6", "recipe": [recipe], "balance": ["none"], "loss": losses,
        }
        for recipe, losses in {"fast": ["l1"], "fast_float32": ["l1", "wing"]}.items()
    }  # fmt: skip
    before = finished.trainings()
    finished.snakemake("study_precision")
    assert len(finished.trainings()) - len(before) == 5  # L1 with three seeds, Wing with two more
    table = pd.read_csv(io.StringIO(finished.read(f"{STUDY}.csv").decode()))
    assert (table.status == "run").all() and (table.seeds == 3).all()
    values = table.set_index("name").value
    assert values["Wing, float32 against bfloat16"] == 0  # the same training
    ratio = values["fast/cnn6/none/wing"] / values["fast/cnn6/none/l1"]
    effect = table.set_index("name").loc["Wing against L1, bfloat16"]
    assert effect.value == pytest.approx(100 * (ratio - 1), abs=0.01 * abs(ratio))
    assert effect.low < effect.value < effect.high
    assert b"<svg" in finished.read("results/synthetic/figures/study_precision.svg")
    finished.snakemake()
    assert "DVC has recorded" in finished.run("workflow.sync")
    page = finished.read("results/synthetic/report.html").decode()
    assert re.search(r"Wing against L1, float32 \(.*?\)</td>", page)
    # another key of `runs`, for which DVC would have no stage
    params["runs"]["mine"] = params["runs"].pop("precision_cnn6_fast_none")
    finished.set(runs=params["runs"])
    said = finished.run("workflow.sync", status=1)
    assert said.endswith("run `python -m workflow.generate_dvc`, and then `make sync`\n")
