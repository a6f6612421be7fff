"""Snakemake and DVC have the same graph, and see the same first stages when something changes."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
import yaml
from project import ROOT, Project

from pipeline.config.params import Grid, load
from pipeline.runtime.code_hash import code_files
from workflow import generate_dvc

# Stages that read what their number says. A list in dvc.yaml can't depend on it, so there each of
# them has what all of them read.
COARSER = ("table@", "figure@", "study@", "package@")
MADE = ("data/", "results/")

# Parameters to lay the graphs out for, by name; the committed ones are the first.
VARIANTS = {
    "as committed": {},
    "two data sets": {"datasets": ["synthetic", "300w"]},
    "every data set": {"datasets": ["synthetic", "300w", "aflw", "cofw", "wflw"]},
    "two seeds": {"seeds": [0, 3]},
    "other grids": {
        "runs.cnn6.balance": ["pdb_authors"],
        "runs.cnn6.loss": ["wing"],
        "runs.table2.balance": ["none"],
        "runs.table2.loss": ["wing_4_half", "wing_14_3"],
        "runs.cnn6_7.balance": ["none", "pdb"],
        "runs.cnn6_7.loss": ["l1", "wing"],
        "runs.resnet50.balance": ["pdb"],
        "runs.resnet50.loss": ["l2", "wing"],
        "stage_one": {"balance": "none", "loss": "l2"},
    },
    "two recipes": {"runs.cnn6.recipe": ["paper", "fast"]},
    "one table": {"tables": [2], "figures": [1, 5]},
    "no baseline": {"baselines": []},
    "a study": {"studies": ["precision"]},
}


def look(project: Project, changes: list[dict[str, str]]) -> list[dict]:
    """What tests/support/graphs.py sees of the project after each change."""
    output = project.root / "graphs.json"
    shutil.copy(ROOT / "tests/support/graphs.py", project.root)
    seen = subprocess.run(
        [sys.executable, "-m", "graphs", output],
        cwd=project.root,
        env=project.environment,
        input=json.dumps(changes),
        text=True,
        capture_output=True,
    )
    assert seen.returncode == 0, seen.stdout + seen.stderr
    return json.loads(output.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    """Both graphs for each of VARIANTS."""
    project = Project.make(tmp_path_factory.mktemp("graphs"))
    shutil.copy(ROOT / "params.yaml", project.root)
    committed = project.read("params.yaml").decode()
    changes = []
    for values in VARIANTS.values():
        project.set(**values)
        changes.append({"params.yaml": project.read("params.yaml").decode()})
        (project.root / "params.yaml").write_text(committed, encoding="utf-8")
    changes[0] = {}
    return dict(zip(VARIANTS, look(project, changes), strict=True))


@pytest.mark.parametrize("variant", VARIANTS)
def test_both_engines_have_the_same_graph(graphs: dict[str, dict], variant: str) -> None:
    snakemake, dvc = graphs[variant]["snakemake"], graphs[variant]["dvc"]
    differences = [
        f"{name}: only {'dvc.yaml' if name in dvc else 'workflow/rules'} has this stage"
        for name in sorted(snakemake.keys() ^ dvc.keys())
    ]
    for name in sorted(snakemake.keys() & dvc.keys()):
        for part, ours in snakemake[name].items():
            theirs = dvc[name][part]
            if part == "inputs" and name.startswith(COARSER):
                theirs = [file for file in theirs if file in ours or not file.startswith(MADE)]
            if ours != theirs:
                differences += [f"{name}: {part} differ", *differing(ours, theirs)]
    assert not differences, "mend the file that is wrong:\n" + "\n".join(differences)


def test_no_shell_stands_between_a_stage_and_its_engine() -> None:
    """Most shells stay until a command ends that isn't begun with `exec`; not all are killed."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    assert {stage["cmd"].partition(" python ")[0] for stage in stages.values()} == {"exec"}


def test_the_graph_is_what_the_parameters_ask_for(graphs: dict[str, dict]) -> None:
    """Counted by hand, so that equal graphs can't be equally empty."""
    data, cnn6, resnet50, cnn6_7 = 4, 2, 2, 4  # stages a data set, and a run of each network
    baselines = 2
    asked = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))["runs"]["cnn6"]
    runs = len(asked["balance"]) * len(asked["loss"]) * cnn6 + cnn6_7 + baselines
    # a data set: speed, summary, detectors, tables, claims, figures, report
    results = 1 + 1 + 1 + 7 + 1 + 7 + 1
    counts = {variant: len(graph["snakemake"]) for variant, graph in graphs.items()}
    assert counts == {
        "as committed": data + runs + results,
        "two data sets": 2 * (data + runs + results),
        "every data set": 5 * (data + runs + results),
        "two seeds": data + 2 * runs + results,
        "other grids": data + 3 * cnn6 + 2 * resnet50 + 4 * cnn6_7 + baselines + results,
        "two recipes": data + runs + len(asked["balance"]) * len(asked["loss"]) * cnn6 + results,
        "one table": data + runs + 1 + 1 + 1 + 1 + 1 + 2 + 1,
        "no baseline": data + runs - baselines + results,
        "a study": data + runs + results + 1,
    }


@pytest.mark.parametrize(
    "stage, made",
    [
        ("table@synthetic-2", ["predictions/fast/cnn6/none/wing/seed0.npz"]),  # of 24 cells
        ("table@synthetic-4", ["predictions/fast/cnn6_7/pdb/wing/seed0.npz",
                               "predictions/none/ert/none/none/seed0.npz"]),
        ("table@synthetic-6", []),
        ("table@synthetic-7", ["speed.json"]),
        ("figure@synthetic-1", []),
        ("figure@synthetic-4", [f"predictions/fast/cnn6/none/{loss}/seed0.npz"
                                for loss in ("l1", "l2", "smooth_l1", "wing")]),
        ("figure@synthetic-6", [f"predictions/{cell}/seed0.npz"
                                for cell in ("fast/cnn6/pdb/wing", "fast/cnn6_7/pdb/wing",
                                             "none/ert/none/none", "none/mean_shape/none/none")]),
    ],
)  # fmt: skip
def test_a_table_or_figure_needs_its_own_runs_alone(
    graphs: dict[str, dict], stage: str, made: list[str]
) -> None:
    inputs = graphs["as committed"]["snakemake"][stage]["inputs"]
    found = [file for file in inputs if file.startswith(MADE)]
    assert found == [f"results/synthetic/{file}" for file in made]


def test_the_figure_of_poses_needs_no_run(graphs: dict[str, dict]) -> None:
    inputs = graphs["as committed"]["snakemake"]["figure@synthetic-5"]["inputs"]
    assert [file for file in inputs if file.startswith(MADE)] == [
        "data/balance/synthetic/histogram.csv",
        "data/pose/synthetic/coefficients.csv",
        "data/pose/synthetic/model.json",
        "data/prepared/synthetic/samples.csv",
    ]


@pytest.mark.parametrize("parameters", ["as committed", "other grids"])
def test_dvc_yaml_is_generated(project: Project, parameters: str) -> None:
    """Whatever the parameters ask for: DVC lays the graph out from params.yaml by itself."""
    committed = project.read("dvc.yaml")
    project.set(**VARIANTS[parameters])
    project.run("workflow.generate_dvc")
    assert project.read("dvc.yaml") == committed, (
        "dvc.yaml is stale: run `python -m workflow.generate_dvc`"
    )


def test_dvc_yaml_follows_the_keys_of_runs_and_their_networks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    grids = load().runs
    assert not generate_dvc.stale(grids)
    assert generate_dvc.stale({key: grid for key, grid in grids.items() if key != "table2"})
    other = replace(grids["table2"], network="resnet50")
    assert generate_dvc.stale(grids | {"table2": other})


def test_a_stages_name_tells_its_rule() -> None:
    """Whatever the keys of `runs` are, of which one may end as another does."""
    names = ("cnn6", "wing", "adaptive_wing", "page", "stage1")
    grids = {name: Grid("cnn6", [], [], []) for name in names} | {"two": Grid("cnn6_7", [], [], [])}
    for stage, rule in {
        "cnn6@synthetic": "cnn6",
        "cnn6_adaptive_wing@synthetic": "cnn6",
        "evaluate_cnn6_wing@synthetic": "evaluate_cnn6",
        "cnn6_7_stage1@synthetic": "cnn6_7_stage1",
        "cnn6_7_stage2_two@synthetic": "cnn6_7_stage2",
        "correct_two@synthetic": "correct",
        "report_page@synthetic": "report_page",
    }.items():
        assert generate_dvc.rule_of(stage, grids) == rule


STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]


def test_what_reads_the_paper_depends_on_it() -> None:
    files = {
        "tables": ["table", "claims", "report_page"],
        "claims": ["claims", "study", "report_page"],
        "studies": ["table", "claims", "study", "report_page"],
    }
    for file, stages in files.items():
        found = [name for name, stage in STAGES.items() if f"paper/{file}.yaml" in stage["deps"]]
        assert found == stages


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_all_of_its_code(stage: str) -> None:
    module = re.search(r"python -m (\S+)", STAGES[stage]["cmd"])[1]
    listed = [file for file in STAGES[stage]["deps"] if file.endswith(".py")]
    assert listed == code_files(module), f"mend the rule of {stage}: code_files('{module}')"


@pytest.mark.slow
def test_the_first_stages_that_a_change_touches_are_the_same(finished: Project) -> None:
    committed = finished.read("params.yaml").decode()
    changes = {}
    for name, values in {
        "Wing's w": {"loss.wing.cnn6": {"w": 5, "epsilon": 2}},
        "bins": {"dataset.synthetic.bins": 7},
        "folds": {"correction.folds": 4},
        "another loss": {"loss.l1.kind": "smooth_l1"},
        "trees": {"ert.reduced.trees": 3},
        "the other trees": {"trees": "published"},
        "trees that are not taken": {"ert.published.depth": 4},
        "one run less": {"runs.cnn6.loss": ["wing"]},
    }.items():
        finished.set(**values)
        changes[name] = {"params.yaml": finished.read("params.yaml").decode()}
        (finished.root / "params.yaml").write_text(committed, encoding="utf-8")
    for file in (
        "wingloss/evaluation/metrics.py",
        "wingloss/models/correction.py",
        "wingloss/protocols/300w.yaml",
    ):
        changes[file] = {file: finished.read(file).decode() + "\n# changed\n"}
    expected = {
        "Wing's w": ["cnn6@synthetic-fast-none-wing-0", "cnn6_7_stage1@synthetic-fast-pdb-wing-0"],
        "bins": ["balance@synthetic"],
        "folds": ["correct@synthetic-fast-pdb-wing-0"],
        # CNN-6 before CNN-7 may have any of the losses
        "another loss": ["cnn6_7_stage1@synthetic-fast-pdb-wing-0"],
        "trees": ["baseline@synthetic-ert-0", "baseline@synthetic-mean_shape-0"],
        "the other trees": ["baseline@synthetic-ert-0", "baseline@synthetic-mean_shape-0"],
        "trees that are not taken": [],
        "one run less": [
            "claims@synthetic",
            "figure@synthetic-4",
            "package@synthetic",
            "summary@synthetic",
            "table@synthetic-3",
        ],
        "wingloss/evaluation/metrics.py": [
            "baseline@synthetic-ert-0",
            "baseline@synthetic-mean_shape-0",
            "cnn6@synthetic-fast-none-l2-0",
            "cnn6@synthetic-fast-none-wing-0",
            "cnn6_7_stage1@synthetic-fast-pdb-wing-0",
        ],
        "wingloss/models/correction.py": ["correct@synthetic-fast-pdb-wing-0", "speed@synthetic"],
        "wingloss/protocols/300w.yaml": [],
    }
    seen = dict(zip(changes, look(finished, list(changes.values())), strict=True))
    assert {name: one["snakemake_first"] for name, one in seen.items()} == expected
    assert {name: one["dvc_first"] for name, one in seen.items()} == expected


def differing(snakemake, dvc) -> list[str]:
    """Lines that say what only one of the engines has."""
    if isinstance(snakemake, dict):
        snakemake, dvc = ([f"{k} = {v}" for k, v in d.items()] for d in (snakemake, dvc))
    elif isinstance(snakemake, str):
        snakemake, dvc = [snakemake], [dvc]
    return [
        *(f"    only in workflow/rules: {item}" for item in snakemake if item not in dvc),
        *(f"    only in dvc.yaml: {item}" for item in dvc if item not in snakemake),
    ]
