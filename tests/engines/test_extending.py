"""docs/guide/extending.md's steps for a network, one by one."""

import json
import re
import subprocess
from collections.abc import Callable

import pytest
from project import ROOT, Project

PAGE = (ROOT / "docs/guide/extending.md").read_text(encoding="utf-8")
STEPS = PAGE.partition("## A network\n")[2].partition("\nA test performs these steps")[0]
NAMED = re.findall(r"`([\w/]+\.(?:py|yaml))`", STEPS)
COMMANDS = re.findall(r"`python -m (\S+)`", STEPS)


def add_layers(project: Project, file: str) -> None:
    table = "ARCHITECTURES: dict[str, Architecture] = {\n"
    project.replace(file, table, f'{table}    "cnn2": Plain(32, (4, 4), 16),\n')


def add_names(project: Project, file: str) -> None:
    project.replace(file, "STAGES = {", 'STAGES = {"cnn2": ("cnn2",), ')
    project.replace(file, "TITLES = {", 'TITLES = {"cnn2": "CNN-2", ')
    project.replace(file, "SAMPLES_A_SECOND = {", 'SAMPLES_A_SECOND = {"cnn2": 5000, ')


def add_fields(project: Project, file: str) -> None:
    for last, own in (
        ("    resnet50: Recipe | None = None\n", "    cnn2: Recipe | None = None\n"),
        ("    resnet50: Augmentation\n", "    cnn2: Augmentation\n"),
    ):
        project.replace(file, last, last + own)


def set_parameters(project: Project, file: str) -> None:
    params = project.params()
    for one in (params["recipes"]["fast"], params["augmentation"]):
        one["cnn2"] = one["cnn6"]
    params["loss"]["wing"]["cnn2"] = {"w": 5, "epsilon": 1}
    params["runs"] |= {
        "cnn2": params["runs"]["cnn6"] | {"network": "cnn2", "balance": ["pdb"], "loss": ["wing"]}
    }
    project.set(**params)


EDITS: dict[str, Callable[[Project, str], None]] = {
    "wingloss/models/networks.py": add_layers,
    "pipeline/config/networks.py": add_names,
    "pipeline/config/params.py": add_fields,
    "params.yaml": set_parameters,
}


def changed(project: Project) -> set[str]:
    """The files of the project that aren't as git's index has them."""
    listing = ["git", "ls-files", "--modified", "--others", "--exclude-standard"]
    said = subprocess.run(listing, cwd=project.root, check=True, capture_output=True, text=True)
    return set(said.stdout.splitlines())


@pytest.mark.slow
def test_a_network_takes_four_files(finished: Project) -> None:
    """And nothing else knows of it: it is trained, scored and summed up as the others are."""
    none = {"runs.cnn6.loss": [], "runs.cnn6_7.loss": []}
    finished.set(baselines=[], **none)  # what isn't looked at
    subprocess.run(["git", "add", "--all"], cwd=finished.root, check=True)
    assert list(EDITS) == NAMED
    for file, edit in EDITS.items():
        edit(finished, file)
    assert changed(finished) == set(NAMED)
    for command in COMMANDS:
        finished.run(command)
    assert changed(finished) == {*NAMED, "workflow/schemas/params.schema.json", "dvc.yaml"}
    finished.snakemake("results/synthetic/summary.csv")
    scores = json.loads(finished.read("results/synthetic/metrics/fast-cnn2-pdb-wing.json"))
    assert 1 < scores["test.nme"] < 1000
    assert changed(finished) == {*NAMED, "workflow/schemas/params.schema.json", "dvc.yaml"}
