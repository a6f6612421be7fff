"""Throw-away projects: this project's own files with tiny parameters, in a folder of their own."""

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import preloaded
import psutil
import pytest
import yaml

from pipeline.runtime import cli, code_hash
from wingloss.models.networks import ARCHITECTURES, Plain, Residual

ROOT = Path(__file__).parents[2]
SOURCES = (
    ".dvc/.gitignore",
    ".dvc/config",
    ".dvcignore",
    ".gitignore",
    "Snakefile",
    "docs/deviations.md",
    "dvc.yaml",
    "params.yaml",
    "paper",
    "profiles",
    "requirements.lock",
    "commands",
    "pipeline",
    "stages",
    "wingloss",
    "workflow",
)
TINY = {
    "runs.cnn6.balance": ["none"],
    "runs.cnn6.loss": ["l2", "wing"],
    "runs.cnn6_7.balance": ["pdb"],
    "runs.cnn6_7.loss": ["wing"],
    "tables": [3],
    "figures": [4],
    "raw.synthetic.train": 30,
    "raw.synthetic.test": 8,
    "context.size": 64,
    "ert.reduced.cascades": 2,
    "ert.reduced.trees": 2,
    "recipes.fast.cnn6.batch": 4,
    "recipes.fast.cnn6.precision": "float32",
    "recipes.fast.cnn6.samples.synthetic": 480,
    "recipes.fast.cnn7.batch": 2,
    "recipes.fast.cnn7.precision": "float32",
    "recipes.fast.cnn7.samples.synthetic": 20,
    "recipes.fast.resnet50.batch": 2,
    "recipes.fast.resnet50.precision": "float32",
    "recipes.fast.resnet50.samples.synthetic": 6,
}
WING = "results/synthetic/models/fast/cnn6/none/wing/seed0/stage1/model.safetensors"
L2 = "results/synthetic/models/fast/cnn6/none/l2/seed0/stage1/model.safetensors"
# An optimiser imports torch's compiler only to tell it to leave the optimiser alone.
NO_COMPILER = """import sys
import types

import torch

compiler = types.ModuleType("torch._dynamo")
compiler.disable = lambda function, *options, **more: function
compiler.graph_break = lambda: None
sys.modules[compiler.__name__] = compiler
"""
CELL = ["--balance", "none", "--loss", "wing", "--seed", "0"]
TRAIN_WING = [
    "stages.train",
    "--dataset",
    "synthetic",
    "--recipe",
    "fast",
    "--network",
    "cnn6",
    "--stage",
    "1",
    *CELL,
]


def wait_for(condition: Callable[[], object], seconds: float) -> float:
    """The seconds until ``condition`` held; fails after ``seconds``."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "waited in vain"
        time.sleep(0.03)
    return time.monotonic() - began


class Project:
    """A folder with the project's files, and what one does there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environment = os.environ | {
            "PATH": path,
            "OMP_NUM_THREADS": "1",
            "DVC_SITE_CACHE_DIR": str(root / ".dvc/tmp/site"),
        }
        self.environment.pop("WINGLOSS_MIRROR", None)
        self.environment.pop("PYTHONPATH", None)
        self.environment["PYTHONPATH"] = str(preloaded.HANDOVER)

    @classmethod
    def make(cls, root: Path) -> "Project":
        """The project's files as they stand here, with tiny parameters and no data."""
        for name in SOURCES:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, root / name)
            else:
                shutil.copy(ROOT / name, root / name)
        subprocess.run(["git", "init", "--quiet", root], check=True)
        project = cls(root)
        project.set(**TINY)
        # The engines care for neither a network's size nor how often a checkpoint is written.
        networks, train = "wingloss/models/networks.py", "pipeline/trainings/runner.py"
        project.replace("stages/speed.py", "SECONDS = 2, 5, 0.25", "SECONDS = 1, 1, 0.01")
        project.replace(networks, "(32, 64, 128, 256, 512), 1024", "5 * (4,), 16")
        project.replace(networks, "(64, 128, 256, 512, 512, 512), 1024", "6 * (4,), 16")
        project.replace(networks, "64, (3, 4, 6, 3)", "4, (1, 1, 1, 1)")
        project.replace(train, "CHECKPOINT_SECONDS = 20.0", "CHECKPOINT_SECONDS = 0.1")
        project.replace(train, "import torch\n", NO_COMPILER)  # a second of each training
        return project

    def in_own_processes(self, **variables: str) -> "Project":
        """This project, each of whose programs is a process of its own, with some variables set."""
        same = Project(self.root)
        del same.environment["PYTHONPATH"]
        same.environment |= variables
        return same

    def set(self, **values: Any) -> None:
        """Sets parameters by their dotted names."""
        params = self.params()
        for name, value in values.items():
            *above, last = name.split(".")
            table = params
            for key in above:
                table = table[key]
            assert last in table, f"params.yaml has no {name}"
            table[last] = value
        text = yaml.dump(params, Dumper=yaml.CSafeDumper, sort_keys=False)
        (self.root / "params.yaml").write_text(text)

    def params(self) -> dict[str, Any]:
        """The parameters as plain data."""
        return yaml.load(self.read("params.yaml"), yaml.CSafeLoader)

    def replace(self, file: str, old: str, new: str) -> None:
        """Replaces text that must stand in a file once."""
        text = (self.root / file).read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{file}: '{old}' stands there {text.count(old)} times"
        (self.root / file).write_text(text.replace(old, new), encoding="utf-8")

    def start(self, *words: str) -> subprocess.Popen:
        """Starts ``python -m words...`` here, in a session of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=self.root,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, *words: str, status: int = 0) -> str:
        """Runs ``python -m words...`` to its end; what it said. It must end with ``status``."""
        process = self.start(*words)
        said, _ = process.communicate(timeout=290)  # machines differ
        assert process.returncode == status, f"{' '.join(words)}: {process.returncode}\n{said}"
        return said

    def snakemake(self, *words: str, status: int = 0) -> str:
        return self.run("snakemake", "--cores", "2", *words, status=status)

    def dvc(self, *words: str, status: int = 0) -> str:
        return self.run("dvc", *words, status=status)

    def trainings(self) -> dict[str, int]:
        """When (ns) each finished training of the run store was made."""
        results = (self.root / ".runs").glob("*/result/model.safetensors")
        return {path.parts[-3]: path.stat().st_mtime_ns for path in results}

    def checkpoints(self) -> list[Path]:
        return list((self.root / ".runs").glob("*/checkpoint.pt"))

    def read(self, file: str) -> bytes:
        return (self.root / file).read_bytes()

    def log(self, file: str) -> str:
        return (self.root / "logs" / file).read_text(encoding="utf-8")

    def left_over(self) -> list[str]:
        """Half-written files and folders."""
        return [str(path) for path in self.root.rglob("*.partial")]

    def processes(self, word: str) -> list[psutil.Process]:
        """The running processes of this folder whose command holds ``word``."""
        found = []
        for process in psutil.process_iter(["cmdline", "cwd"]):
            info = process.info
            if info["cwd"] == str(self.root) and word in " ".join(info["cmdline"] or []):
                found.append(process)
        return found

    def remove(self) -> None:
        """Ends what a failed test left running here, and deletes the folder."""
        for process in self.processes(""):
            if process.pid != os.getpid():
                process.kill()
        shutil.rmtree(self.root)


def copy(project: Project, root: Path) -> Project:
    """Another project with the same files and the same times of change."""

    def copy_file(source: str, target: str) -> None:
        if "/.dvc/cache/files/" in source:  # DVC never changes what is there
            os.link(source, target)
        else:
            shutil.copy2(source, target, follow_symlinks=False)

    shutil.copytree(project.root, root, dirs_exist_ok=True, symlinks=True, copy_function=copy_file)
    return Project(root)


def pytest_configure(config: pytest.Config) -> None:
    """Has one process run the programs of all projects (preloaded.py)."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        until_the_end = contextlib.ExitStack()
        until_the_end.enter_context(preloaded.serving())
        config.add_cleanup(until_the_end.close)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project in which nothing has been run."""
    made = Project.make(tmp_path)
    yield made
    made.remove()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that Snakemake has made and DVC has recorded; for all tests, so left as it is."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # the workers share one
        base = base.parent
    root = base / "template"
    with (base / "template.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if root.exists():
            return Project(root)
        made = Project.make(base / "template.new")
        made.snakemake()
        made.run("workflow.sync")
        made.root.rename(root)
    return Project(root)


@pytest.fixture
def finished(template: Project, tmp_path: Path) -> Iterator[Project]:
    """A copy of the template, to be changed at will."""
    copied = copy(template, tmp_path)
    yield copied
    copied.remove()


@pytest.fixture
def untrained(finished: Project) -> Project:
    """The finished project without the run `cnn6 none wing` and without any training's memory."""
    shutil.rmtree(finished.root / ".runs")
    shutil.rmtree(finished.root / ".dvc/cache")
    shutil.rmtree((finished.root / WING).parent)
    return finished


@pytest.fixture
def tiny_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives this process the networks that a project has in its own files."""
    for name, size, widths in (("cnn6", 64, 5), ("cnn7", 128, 6)):
        monkeypatch.setitem(ARCHITECTURES, name, Plain(size, widths * (4,), 16))
    monkeypatch.setitem(ARCHITECTURES, "resnet50", Residual(224, 4, (1, 1, 1, 1)))


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    """Calls a stage in this process as ``python -m`` would: its exit status and its stderr."""

    monkeypatch.delenv("WINGLOSS_MIRROR", raising=False)
    # Nothing that stays with this process: the tests may outlive who started them.
    monkeypatch.setattr(cli, "die_with_parent", lambda: None)

    def call_stage(
        project: Project, stage: Any, /, *words: str, **arguments: object
    ) -> tuple[int, str]:
        monkeypatch.chdir(project.root)
        monkeypatch.setattr(code_hash, "ROOT", project.root)
        named = [word for name, value in arguments.items() for word in (f"--{name}", str(value))]
        monkeypatch.setattr(sys, "argv", [stage.__name__, *words, *named])
        with pytest.raises(SystemExit) as end:
            cli.main(stage.run)
        return int(end.value.code or 0), capsys.readouterr().err

    return call_stage


@pytest.fixture
def done(call: Callable[..., tuple[int, str]]) -> Callable[..., str]:
    """Calls a stage as `call` does; what it said. It must end well."""

    def call_stage(project: Project, stage: Any, /, *words: str, **arguments: object) -> str:
        status, said = call(project, stage, *words, **arguments)
        assert status == 0, said
        return said

    return call_stage
