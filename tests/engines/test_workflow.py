"""What runs beside the engines, and what they do when a parameter changes and changes back."""

import hashlib
import json
import re
import shutil
import tomllib
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from project import L2, ROOT, WING, Project
from safetensors.numpy import load_file

from stages import correct, train

ENGINES = {
    "snakemake": ("snakemake", "--cores", "1", WING, L2),
    "dvc": ("dvc", "repro", "cnn6@synthetic-fast-none-wing-0", "cnn6@synthetic-fast-none-l2-0"),
}


def weights(path: Path) -> dict[str, bytes]:
    return {name: tensor.tobytes() for name, tensor in load_file(path).items()}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_change_trains_what_it_touches_and_back_trains_nothing(
    finished: Project, engine: str
) -> None:
    committed = finished.read("params.yaml").decode()
    first, made, untouched = weights(finished.root / WING), finished.trainings(), finished.read(L2)

    finished.set(**{"loss.wing.cnn6": {"w": 5, "epsilon": 2}})
    said = finished.run(*ENGINES[engine])
    assert "taking it from the run store" not in said
    assert len(finished.trainings()) == len(made) + 1
    assert weights(finished.root / WING) != first
    assert "cnn6 1 none l2 0]" not in said and finished.read(L2) == untouched

    (finished.root / "params.yaml").write_text(committed, encoding="utf-8")
    # DVC remembers runs too; here only the run store is to
    shutil.rmtree(finished.root / ".dvc/cache/runs")
    both = finished.trainings()
    said = finished.run(*ENGINES[engine])
    assert said.count("taking it from the run store") == 1
    assert finished.trainings() == both
    assert made.items() <= both.items()
    assert weights(finished.root / WING) == first


@pytest.mark.usefixtures("tiny_networks")
def test_the_papers_recipe_runs_through_both_stages(finished: Project, done: Callable) -> None:
    """Section 7.1's, with but the budget cut: what a GPU is for, proven to start anywhere."""
    budgets = {f"recipes.paper.{network}.samples.synthetic": 40 for network in ("cnn6", "cnn7")}
    finished.set(**budgets)
    run = dict(
        dataset="synthetic", recipe="paper", network="cnn6_7", balance="pdb", loss="wing", seed=0
    )
    for stage, more in ((train, {"stage": 1}), (correct, {}), (train, {"stage": 2})):
        done(finished, stage, **run, **more)
    stages = "results/synthetic/models/paper/cnn6_7/pdb/wing/seed0"
    lock = hashlib.sha256(finished.read("requirements.lock")).hexdigest()
    for stage, rate in ((1, 3e-5), (2, 1e-5)):
        manifest = json.loads(finished.read(f"{stages}/stage{stage}/manifest.json"))
        assert manifest["status"] == "trained" and manifest["recipe"] == "paper"
        assert manifest["lock"] == lock
        assert manifest["steps"] == 5 and manifest["precision"] == "float32"
        assert manifest["inputs"]["recipe"]["learning_rate"] == rate


def test_sync_brings_the_engines_level_or_refuses(finished: Project) -> None:
    """After Snakemake, which made the project; and where both have work left.

    After DVC: test_everyday.py.
    """
    said = finished.dvc("repro")
    assert "Running stage" not in said and "Data and pipelines are up to date" in said

    page = finished.read("results/synthetic/report.html")
    finished.set(**{"dataset.synthetic.bins": 5})
    said = finished.run("workflow.sync", status=1)
    assert said.startswith("error: neither engine is up to date")
    assert "Snakemake wants to make" in said and "DVC sees changes in balance@synthetic" in said
    assert finished.read("results/synthetic/report.html") == page


def test_the_rules_environment_is_the_projects() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    given = yaml.safe_load((ROOT / "workflow/environment.yaml").read_text(encoding="utf-8"))
    (packages,) = [one["pip"] for one in given["dependencies"] if isinstance(one, dict)]
    both = project["dependencies"] + project["optional-dependencies"]["pipeline"]
    needed = {Requirement(one).name: one for one in both}  # the pipeline pins some of the library's
    assert sorted(packages) == sorted(needed.values()), "mend workflow/environment.yaml"
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    locked = dict(re.findall(r"^([a-z0-9.-]+)==([^ ;]+)", lock, flags=re.M))
    asked = [one for one in map(Requirement, packages) if one.name != "torch"]  # it has no hash
    assert all(one.specifier.contains(locked[canonicalize_name(one.name)]) for one in asked)


class Addresses(HTMLParser):
    """What a page loads from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.found += [value for name, value in attrs if name in ("src", "href")]


def test_plots_open_without_a_network(finished: Project) -> None:
    """With the page that the set-up makes, in the way it makes it."""
    finished.run("workflow.plots_template")
    finished.dvc("config", "--local", "plots.html_template", "plots.html")
    finished.dvc("plots", "show", "--out", "shown")
    html = finished.read("shown/index.html").decode()
    page = Addresses()
    page.feed(html)
    assert page.found == []
    assert "_wing_seed0_stage1_curve_csv" in html and "_ced_fast-cnn6-none-wing-seed0_csv" in html
    assert "window.vegaEmbed=" in html and "vegaEmbed(" in html  # what draws them
    finished.dvc("config", "--local", "--unset", "plots.html_template")
    finished.dvc("plots", "show", "--out", "without")
    page.feed(finished.read("without/index.html").decode())
    assert page.found, "DVC's own page has no addresses either: the project's isn't needed"


def test_finished_jobs_leave_snakemake_nothing_to_do(project: Project) -> None:
    """Its timers, each of which would start another, as long as there are jobs."""
    (project.root / "look.py").write_text(
        "import threading\n"
        "from snakemake.cli import main\n"
        "try:\n"
        "    main(['--cores', '2', 'figure1', 'figure2', 'figure3'])\n"
        "except SystemExit as end:\n"
        "    timers = [isinstance(one, threading.Timer) for one in threading.enumerate()]\n"
        "    print('status', end.code, 'timers', sum(timers))\n"
    )
    assert project.run("look").endswith("status 0 timers 0\n")
