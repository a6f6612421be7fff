"""`make paper`: the parameters ask for all that the paper's tables and claims have, and no more."""

import re
import shutil
from pathlib import Path

import pytest
from project import ROOT, Project

from pipeline.config import paths
from pipeline.config.params import load
from pipeline.config.paths import Cell
from pipeline.errors import UserError
from pipeline.results import paper_spec
from workflow import paper as make_paper


def test_the_parameters_then_ask_for_every_cell(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    shutil.copytree(ROOT / "paper", tmp_path / "paper")
    before = load()
    make_paper.main()
    after, text = load(), (tmp_path / "params.yaml").read_text(encoding="utf-8")
    asked = {run.cell for run in paths.scored(after, "synthetic")}
    every = [*paper_spec.tables().values(), *paper_spec.families().families]
    cells = {cell for one in every if not one.study for cell in one.cells}
    cells -= {Cell("cnn6", "none", "wing_10_tiny")}  # shows nothing under the recipe fast
    cells |= {Cell("mean_shape", "none", "none")}  # Figure 6 alone has it
    assert cells == asked and after.seeds == [0, 1, 2]
    # all else stands as it stood, comments too
    assert after.regression_trees.reduced == ""
    own = dict.fromkeys(("seeds", "runs", "trees"))
    assert vars(before) | own == vars(after) | own
    ours = re.sub(r"(?ms)^(seeds|runs|trees):.*?(?=^\w)", "", text)
    theirs = (ROOT / "params.yaml").read_text(encoding="utf-8")
    assert ours == re.sub(r"(?ms)^(seeds|runs|trees):.*?(?=^\w)", "", theirs)
    assert re.findall("#.*", text) == re.findall("#.*", (ROOT / "params.yaml").read_text("utf-8"))
    make_paper.main()  # once more changes nothing
    assert (tmp_path / "params.yaml").read_text(encoding="utf-8") == text


@pytest.fixture
def parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The committed `params.yaml`, in a folder with what `make paper` reads."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(make_paper.generate_dvc, "stale", lambda runs: False)
    shutil.copytree(ROOT / "paper", tmp_path / "paper")
    return Path(shutil.copy(ROOT / "params.yaml", tmp_path))


CNN6 = (
    "    balance: [none, pdb]     # none, pdb, pdb_authors\n    loss: [l2, l1, smooth_l1, wing]\n"
)
TREES = re.compile("trees: reduced .*\n")


@pytest.mark.parametrize(
    "old, new",
    {
        "an empty line within the runs": ("  table2:", "\n  table2:"),
        "a comment by the margin": ("  table2:", "# here is Table 2\n  table2:"),
        "a comment before an entry": ("  table2:", "  # here is Table 2\n  table2:"),
        "a comment at their end": ("baselines:", "  # all runs\n\n# and now\nbaselines:"),
        "lists item by item": (
            CNN6,
            "    balance:\n      - none  # as is\n      # more\n    loss:\n    # first\n"
            "    - l1\n    # last\n",
        ),
        "a list by the margin": ("seeds: [0]\n", "seeds:  # of\n- 0  # one\n# end\n\n# runs\n"),
        "a list's end by the margin": ("seeds: [0]", "seeds: [0,\n3\n]"),
        "quotes": ("seeds: [0]", '"seeds" : [0]'),
        "a byte order mark": ("# The science", "\ufeff# The science"),
    }.values(),
)
def test_however_the_parameters_are_written(parameters: Path, old: str, new: str) -> None:
    """Every comment stays, in its place among the others."""
    text = parameters.read_text(encoding="utf-8")
    assert old in text
    text = text.replace(old, new, 1)
    parameters.write_text(text, encoding="utf-8")
    make_paper.main()
    after = load()
    assert len(after.seeds) == 3 and after.seeds[0] == 0 and after.trees == "published"
    assert set(after.runs["cnn6"].balance) == {"none", "pdb"} and len(after.runs["table2"].loss) > 9
    assert set(after.runs["cnn6_7"].loss) == {"l2", "l1", "smooth_l1", "wing"}
    assert re.findall("#.*", parameters.read_text(encoding="utf-8")) == re.findall("#.*", text)


def test_a_last_line_without_an_end(parameters: Path) -> None:
    text = TREES.sub("", parameters.read_text(encoding="utf-8"))
    parameters.write_text(text + "trees: reduced  # few", encoding="utf-8")
    make_paper.main()
    assert load().trees == "published"
    assert parameters.read_text(encoding="utf-8").endswith(" # few\n")


def test_ends_of_lines_stay(parameters: Path) -> None:
    parameters.write_bytes(parameters.read_bytes().replace(b"\n", b"\r\n"))
    make_paper.main()
    after = parameters.read_bytes()
    assert after.count(b"\r\n") == after.count(b"\n") and load().seeds == [0, 1, 2]


@pytest.mark.parametrize(
    "changes, said",
    [
        (
            {"seeds: [0]": "seeds:\n  - 7  # lucky"},
            "the comment '# lucky' can't stay where it is; move it, or delete it",
        ),
        (
            {"datasets: [": "datasets: &two [", "loss: []": "loss: *two"},
            "runs: it has an alias of what stands elsewhere; write it out",
        ),
        (
            {"[none, pdb]     #": "&two [none]  #", "balance: [none]": "balance: *two"},
            "the comment '# none, pdb, pdb_authors' can't stay where it is; move it, or delete it",
        ),
    ],
)
def test_what_it_cannot_keep_stays(
    parameters: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], said: str
) -> None:
    before, text = load(), parameters.read_text(encoding="utf-8")
    monkeypatch.setattr(make_paper, "load", lambda: before)
    for old, new in changes.items():
        text = text.replace(old, new, 1)
    parameters.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as error:
        make_paper.main()
    assert str(error.value) == f"params.yaml: {said}"
    assert parameters.read_text(encoding="utf-8") == text


def test_studies_are_asked_for_beside_what_is(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every committed one, each run once; the tables' runs then leave them as they are."""
    monkeypatch.chdir(project.root)
    studies = paper_spec.studies()
    before = set(map(str, paths.runs(load(), "synthetic")))
    said = project.run("workflow.paper", *studies)
    assert "dvc.yaml has the stages of these runs." in said
    wanted = {f"synthetic/{cell}/seed{i}" for one in studies.values() for cell in one.cells
              for i in range(4)}  # fmt: skip
    asked = [str(run) for run in paths.runs(load(), "synthetic")]
    assert before | wanted <= set(asked) and len(asked) == len(set(asked))
    assert load().seeds == [0, 1, 2, 3] and load().studies == list(studies)
    before_tables = project.read("dvc.yaml")
    project.run("workflow.paper")
    assert wanted <= {str(run) for run in paths.runs(load(), "synthetic")}
    generated = project.read("dvc.yaml")
    assert generated != before_tables  # runs that are the tables' now are no study's any more
    project.run("workflow.generate_dvc")
    assert project.read("dvc.yaml") == generated
    said = project.run("workflow.paper", "step", status=1)
    assert said == (
        f"error: step: no such study; did you mean 'steps'? there are {', '.join(studies)}\n"
    )


def test_what_is_asked_for_already_stays(parameters: Path) -> None:
    """A person's own runs, whatever their key, and seeds; each run once."""
    text = parameters.read_text(encoding="utf-8")
    text = text.replace("seeds: [0]", "seeds: [0, 7, 8, 9]")
    text = text.replace("balance: [none, pdb]  ", "balance: [pdb_authors]  ")
    text = text.replace(
        "  cnn6: ", "  none_yet: {network: cnn6, recipe: [], balance: [], loss: []}\n  cnn6: ", 1
    )
    text = text.replace(
        "  hourglass:",
        "  resnet: {network: cnn6, recipe: [long], balance: [none], loss: [l1]}\n  hourglass:",
        1,
    )
    parameters.write_text(text, encoding="utf-8")
    before = {str(run) for run in paths.runs(load(), "synthetic")}
    make_paper.main()
    asked = [str(run) for run in paths.runs(load(), "synthetic")]
    assert before <= set(asked) and len(set(asked)) == len(asked) and load().seeds == [0, 7, 8, 9]
    assert load().runs["cnn6_fast_pdb_authors"].loss == ["l2", "l1", "smooth_l1", "wing"]
    assert "synthetic/fast/cnn6/pdb/wing/seed0" in asked


def test_a_study_that_grew_keeps_its_runs(
    parameters: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_paper.main("epsilon")
    before = {str(run) for run in paths.runs(load(), "synthetic")}
    file = parameters.parent / "paper/studies.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("wing_10_16]}", "wing_10_16, wing_12_2]}"), encoding="utf-8")
    make_paper.main("epsilon")
    more = {f"synthetic/fast/cnn6/none/wing_12_2/seed{i}" for i in range(3)}
    assert {str(run) for run in paths.runs(load(), "synthetic")} == before | more


def test_recipes_ask_for_their_own_networks_alone(project: Project) -> None:
    """A recipe may leave out networks; with none for CNN-6/7, `params.yaml` stays as it was."""
    one = {"network": "cnn6", "recipe": ["quarter"], "balance": ["none"], "loss": ["l1"]}
    project.set(runs={"mine": one})
    before = project.read("params.yaml")
    assert project.run("workflow.paper", status=1) == (
        "error: params.yaml: runs: its first entry has the recipe quarter, which has no cnn7; add "
        "one that has all networks, such as fast\n"
    )
    assert project.read("params.yaml") == before
    project.set(runs={"mine": one | {"recipe": ["quarter", "fast"]}})
    project.run("workflow.paper")
    runs = project.params()["runs"]
    assert runs["cnn6"]["recipe"] == ["quarter", "fast"] and runs["cnn6_7"]["recipe"] == ["fast"]


@pytest.mark.parametrize(
    "file, right, wrong, said",
    [
        (
            "claims",
            "cnn6/none/l1,",
            "cnn6/none/l11,",
            "claims.yaml: cnn6/none/l11: {} loss 'l11'; ",
        ),
        (
            "studies",
            "recipe: [fast, fast_600k]",
            "recipe: [fast, fast_60k]",
            "budget: lines.L1: fast_600k",
        ),
        ("studies", "recipe: [fast_20k, fast]", "recipe: [fast_2k, fast]", "effects.Boundary maps"),
        (
            "studies",
            "loss: [l2, l1, wing]}",
            "loss: [l2, l1, wing, wingg]}",
            "data: {} loss 'wingg'; ",
        ),
        (
            "claims",
            "study: heat_maps",
            "study: heat_mapz",
            "study: 'heat_mapz' is none of paper/studi",
        ),
        (
            "tables",
            "study: heat_maps",
            "study: heat_mapz",
            "study: 'heat_mapz' is none of paper/studi",
        ),
    ],
)
def test_a_slip_in_the_papers_files_is_told_of_the_file(
    project: Project, file: str, right: str, wrong: str, said: str
) -> None:
    text = project.read(f"paper/{file}.yaml").decode()
    assert right in text
    (project.root / f"paper/{file}.yaml").write_text(text.replace(right, wrong), encoding="utf-8")
    before = project.read("params.yaml")
    found = project.run("workflow.paper", *(["data"] if file == "studies" else []), status=1)
    assert said.format("params.yaml has no") in found and f"paper/{file}.yaml" in found
    assert found.startswith("error: ") and found.count("\n") == 1
    assert project.read("params.yaml") == before


def test_bad_parameters_are_one_line(project: Project) -> None:
    project.replace("params.yaml", "seeds:", "sedes:")
    said = project.run("workflow.paper", status=1)
    assert said.startswith("error: params.yaml: sedes: no such key") and said.count("\n") == 1
