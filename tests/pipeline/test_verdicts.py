"""The verdicts on the paper's claims, from predictions made by hand."""

import dataclasses
import io
import itertools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from paper_runs import BEST, LOSSES, N_FACES, verdicts, write_predictions, write_speeds
from project import ROOT, Project

from pipeline.config import paths
from pipeline.config.params import load
from pipeline.config.paths import Cell, Run
from pipeline.results import paper_spec, run_results, scoring
from stages import claims


def test_verdicts(table1: Project, call: Callable) -> None:
    found = verdicts(table1, call)
    better = found["L1 makes CNN-6 more accurate than L2"]
    assert better["verdict"] == "reproduced" and better["family"] == "Losses"
    assert better["claim"].endswith("(claimed of aflw, tested on synthetic)")
    (pair,) = better["comparisons"]
    assert pair["of"] == "CNN-6 (L1) against CNN-6 (L2)"
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


def test_where_one_of_several_methods_changes_nothing_they_are_not_equivalent(
    table1: Project, call: Callable
) -> None:
    """PDB takes 5 to 7 % off with three losses and nothing with the fourth."""
    table1.set(**{"runs.cnn6.balance": ["none", "pdb"], "runs.cnn6.loss": LOSSES})
    changes = dict(zip(LOSSES, (-0.07, -0.055, -0.055, 0.0), strict=True))
    for (loss, change), seed in itertools.product(changes.items(), (0, 1, 2)):
        for balance, nme in (("none", 3.0), ("pdb", 3 + 3 * change)):
            run = Run("synthetic", "fast", "cnn6", balance, loss, seed)
            write_predictions(table1, run, nme * (1 + 0.001 * seed))
    one = verdicts(table1, call)["PDB lowers CNN-6's error for every loss"]
    assert [pair["effect"] for pair in one["comparisons"]] == pytest.approx(
        [-7, -5.5, -5.5, 0], abs=0.1
    )
    assert one["verdict"] == "undecided" and one["p_equivalent"] > 0.9


def test_equivalence_is_corrected_over_the_family(
    table1: Project, call: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims.significance, "equivalent", lambda *_: 0.02)
    one = verdicts(table1, call)[BEST]
    assert one["verdict"] == "undecided" and one["p_equivalent"] == pytest.approx(11 * 0.02)


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
    assert one["comparisons"][0]["effect"] == pytest.approx(100 * (3 / 4 - 1), abs=0.1)


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


@pytest.mark.parametrize("photographs, said", [(0, "no"), (1, "too few photographs with")])
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


def test_one_thread_is_one_place(table1: Project, call: Callable) -> None:
    path = table1.root / paths.SPEED.format(dataset="synthetic")
    about = json.loads(path.read_text())
    about["machine"]["threads"] = 1
    path.write_text(json.dumps(about))
    one = verdicts(table1, call)["On a CPU, CNN-6/7 is at least 2.5 times as fast as ResNet-50"]
    (pair,) = one["comparisons"]
    assert (pair["here"], pair["effect"]) == ([60, 20], 3)
    assert one["why"].startswith("3.0 times on 1 CPU thread (")


def test_too_few_seeds_become_enough(table1: Project, call: Callable) -> None:
    table1.set(seeds=[5, 2])
    for loss, seed in itertools.product(LOSSES, (5, 2)):
        write_predictions(table1, Run("synthetic", "fast", "cnn6", "none", loss, seed), 3.0)
    assert "set `seeds: [5, 2, 0]` in" in verdicts(table1, call)[BEST]["why"]


@pytest.mark.parametrize("gpu", [None, "a GPU"])
def test_speeds_are_claims_too(table1: Project, call: Callable, gpu: str | None) -> None:
    write_speeds(table1, gpu=gpu)
    found = verdicts(table1, call)
    one = found["On a CPU, CNN-6/7 is at least 2.5 times as fast as ResNet-50"]
    assert one["verdict"] == "reproduced" and one["claim"].endswith("ResNet-50")
    assert one["why"].startswith("4.0 times on 1 CPU thread, 3.0 times on 2 CPU threads (")
    assert "meanwhile other work took 0.1 of 2 cores" in one["why"]
    alone, both = one["comparisons"]
    assert (alone["paper"], alone["here"], alone["effect"]) == (None, [40, 10], 4)
    assert (both["paper"], both["here"], both["effect"]) == ([20, 8], [60, 20], 3)
    assert (both["paper_effect"], both["bound"], both["low"]) == (2.5, 2.5, None)
    assert alone["of"] == "CNN-6/7 against ResNet-50, on 1 CPU thread"
    ten = found["On a GPU, CNN-6/7 is at least 5 times as fast as ResNet-50"]
    if gpu is None:
        assert (ten["verdict"], ten["why"]) == ("not run", "No GPU was there to measure it.")
    else:
        assert ten["verdict"] == "contradicted"
        assert ten["why"].startswith("2.0 times on a GPU (")
        assert ten["comparisons"][0]["paper"] == [170, 30]


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
    found = scoring._subsets("300w", samples)
    assert found[0] == "common large_pose" and (found[[28, 29]] == "large_pose").all()
    assert (found == "").sum() == 27
    samples.loc[4, "subsets"] = "large_pose"
    assert scoring._subsets("300w", samples).tolist() == samples.subsets.tolist()


def test_predictions_name_each_faces_photograph(finished: Project) -> None:
    samples = pd.read_csv(io.BytesIO(finished.read("data/prepared/synthetic/samples.csv")))
    photographs = samples.set_index("face").photograph
    assert samples.photograph.nunique() > 8
    for path in (finished.root / "results/synthetic/predictions").rglob("*.npz"):
        data = np.load(path)
        assert data["photograph"].tolist() == photographs[data["face"]].tolist()


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
    "bad",
    [
        {"margin": 1},
        {"factor": 0.9, "measure": "large_errors"},
        {"diverges": ["cnn6/none/c"]},
        {"lower": [["cnn6/none", "ert/none/none"]]},
        {"lower": [["cnn7_6/none/b", "ert/none/none"]]},
        {"lower": [["cnn6/pbd/b", "ert/none/none"]]},
        {"lower": [], "faster": ["cnn6", "cnn5"], "device": "cpu"},
        {"lower": [], "faster": ["cnn6", "cnn6_7"]},
        {"device": "gpu"},
    ],
)
def test_a_claim_is_of_one_kind(bad: dict) -> None:
    good = {"claim": "a", "place": "b", "data": "c", "lower": [["cnn6/none/f", "ert/none/none"]]}
    assert paper_spec.Claim(**good).plain
    with pytest.raises(ValueError, match="a: "):
        paper_spec.Claim(**good | bad)
