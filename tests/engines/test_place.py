"""Where the project stands, and how it is set up and started there."""

import errno
import fcntl
import os
import re
import shutil
import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path

import pytest
from dvc.repo import Repo
from project import ROOT, Project

import pipeline
from pipeline.errors import UserError
from pipeline.runtime import engines
from pipeline.runtime.file_lock import locked
from workflow import setup


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the set-up reads, in a folder that has been set up, but for the packages."""
    for name in ("pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").symlink_to(sys.executable)
    setup.STAMP.write_text("\n".join(setup.stamp()))
    return tmp_path


def test_a_finished_set_up_is_left_alone(folder: Path) -> None:
    assert setup.unfinished() is None
    os.utime("requirements.lock")  # a clone's files are as old as the clone
    assert setup.unfinished() is None


def test_changed_packages_are_set_up(folder: Path) -> None:
    with open("requirements.lock", "a") as file:
        file.write("six==1.17.0\n")
    assert setup.unfinished() == "the required packages have changed"


@pytest.mark.parametrize("how", [shutil.copytree, shutil.move])
def test_a_copied_or_moved_project_is_set_up_anew(folder: Path, how, monkeypatch) -> None:
    there = folder / "there"
    shutil.copytree(folder, folder / "here", symlinks=True)
    monkeypatch.chdir(folder / "here")
    setup.STAMP.write_text("\n".join(setup.stamp()))
    how("../here", there, **({"symlinks": True} if how is shutil.copytree else {}))
    monkeypatch.chdir(there)
    assert setup.unfinished() == f".venv was made in {folder}/here: recreating it in {there}"
    # what its programs say until then
    told = f"{there}/.venv was made in {folder}/here; run 'make setup' in {there} once"
    assert pipeline.misplaced(there / ".venv") == told
    setup.STAMP.write_text("\n".join(setup.stamp()))
    assert pipeline.misplaced(there / ".venv") is None
    setup.STAMP.unlink()  # somebody else's environment
    assert pipeline.misplaced(there / ".venv") is None


@pytest.mark.parametrize("missing", [".venv/bin/python", ".venv/.complete", ".venv"])
def test_half_a_set_up_is_begun_again(folder: Path, missing: str) -> None:
    path = folder / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert setup.unfinished() == "making .venv"


def test_a_stage_and_snakemake_refuse_a_copied_environment(project: Project) -> None:
    copied = project.root / ".venv"
    venv.create(copied, symlinks=True)
    (copied / ".complete").write_text("/elsewhere\n")
    path = f"{copied}/bin:{project.environment['PATH']}"
    project = project.in_own_processes(PATH=path)
    told = f"error: {copied} was made in /elsewhere; run 'make setup' in {project.root} once\n"
    done = subprocess.run(
        ["python", "-m", "stages.pose", "--dataset", "synthetic"],
        cwd=project.root,
        env=project.environment,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (1, told)
    assert project.snakemake("--dry-run", status=1).endswith(told)


def test_a_second_set_up_waits(folder: Path) -> None:
    (folder / "workflow").mkdir()
    shutil.copy(ROOT / "workflow/setup.py", folder / "workflow")
    (folder / ".git").mkdir()
    with setup.LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second = subprocess.Popen(
            [sys.executable, "-I", folder / "workflow/setup.py"],
            env=os.environ | {"DVC_SITE_CACHE_DIR": str(folder)},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert second.stdout.readline() == "another set-up is running here: waiting for it\n"
    said, _ = second.communicate(timeout=60)
    assert (second.returncode, said) == (0, "")


def test_settings_that_lead_elsewhere_do_not_reach_pip(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But those that say where packages come from do, the environment's before a file's."""
    (folder / "pip.conf").write_text(
        "[global]\nuser = true\ntarget = /t\nrequire-virtualenv = true\nproxy = http://file:1\n"
        "find-links = /one\n    /two\n[install]\nprefix = /p\nno-deps = true\ntimeout = 7\n"
    )
    for name in os.environ:
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    elsewhere = {"PIP_USER": "1", "PIP_TARGET": "/t", "PIP_PYTHON": "/p", "PIP_NO_DEPS": "1"}
    elsewhere |= {"PYTHONPATH": "/p", "PYTHONHOME": "/p", "PYTHONUSERBASE": "/p"}
    elsewhere |= {"VIRTUAL_ENV": "/p", "CONDA_PREFIX": "/p", "PIP_REQUIRE_VIRTUALENV": "1"}
    own = {"PIP_CONFIG_FILE": str(folder / "pip.conf"), "PIP_PROXY": "http://variable:2"}
    for name, value in (elsewhere | own).items():
        monkeypatch.setenv(name, value)
    assert not elsewhere.keys() & setup.clean().keys()
    monkeypatch.setattr(setup, "PYTHON", sys.executable)
    settings = setup.sources()
    kept = {"PIP_PROXY": "http://variable:2", "PIP_TIMEOUT": "7", "PIP_CONFIG_FILE": os.devnull}
    assert kept.items() <= settings.items()
    assert settings["PIP_FIND_LINKS"].split() == ["/one", "/two"]
    assert not elsewhere.keys() & settings.keys() and "PIP_PREFIX" not in settings


def test_torch_needs_nothing_more_without_a_hash() -> None:
    """Its set-up comes after the lock's, which has all of its own requirements but CUDA's."""
    locked = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    hashed = re.findall(r"^([a-z0-9-]+)==.* \\\n    --hash=sha256:", locked, re.MULTILINE)
    needed = [one for one in metadata.requires("torch") or [] if "extra ==" not in one]
    names = {re.match(r"[\w.-]+", one)[0].lower().replace("_", "-") for one in needed}
    cuda = {name for name in names if name.startswith(("nvidia-", "cuda-", "triton"))}
    assert names - cuda <= set(hashed) and "sympy" in hashed


def test_dvc_does_without_git_where_there_is_none(
    project: Project, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    """Or where data lie behind a link, and only as long."""
    monkeypatch.chdir(project.root)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(project.root / ".dvc/tmp/site"))
    config = project.root / ".dvc/config.local"
    away = project.root.parent / f"{project.root.name}-disk"
    away.mkdir()
    Path("data").symlink_to(away)
    for obstacle in ("data is a link out of the project", None, "no git repository here"):
        if obstacle and "git" in obstacle:
            shutil.rmtree(".git")
            project.dvc("params", "diff", status=255)
        setup.configure_dvc()
        told = f"{obstacle}: DVC works without git, so it compares no revisions\n"
        assert capfd.readouterr().out == (told if obstacle else "")
        assert ("no_scm = true" in config.read_text()) == bool(obstacle)
        if obstacle:
            project.dvc("status", "pose@synthetic")
            setup.configure_dvc()
            assert capfd.readouterr().out == ""  # told once
        Path("data").unlink(missing_ok=True)
    away.rmdir()


def test_a_folder_of_any_name_is_dvcs_too(project: Project, monkeypatch) -> None:
    """`dvc config` itself writes nothing that isn't ASCII."""
    strange = project.root / 'O\'Hara "&" Söhne #2, 100% (1) [x] $y'
    shutil.copytree(project.root / ".dvc", strange / ".dvc")
    monkeypatch.chdir(strange)
    monkeypatch.delenv("DVC_SITE_CACHE_DIR", raising=False)
    Path(".dvc/config.local").write_text("['remote \"own\"']\n    url = /elsewhere\n")
    setup.configure_dvc()
    written = Path(".dvc/config.local").stat()
    setup.configure_dvc()
    assert Path(".dvc/config.local").stat() == written
    with Repo() as repo:
        assert repo.config["core"]["site_cache_dir"] == f"{strange}/.cache/dvc"
        assert repo.config["remote"]["own"]["url"] == "/elsewhere"
        assert repo.config["core"]["no_scm"] is False


def test_a_torn_configuration_of_dvc_is_one_line(folder: Path) -> None:
    (folder / ".dvc").mkdir()
    (folder / ".dvc/config.local").write_text("<<<<<<< HEAD\n")
    with pytest.raises(SystemExit) as error:
        setup.configure_dvc()
    said = "error: .dvc/config.local: not a configuration of DVC's; fix or delete it"
    assert error.value.code == said


def test_git_leaves_line_ends_as_they_are(tmp_path: Path) -> None:
    """With CRLF all code would count as changed."""
    git = ["git", "-c", "core.autocrlf=true", "-c", "user.name=a", "-c", "user.email=a"]
    subprocess.run([*git, "init", "--quiet", tmp_path], check=True)
    shutil.copy(ROOT / ".gitattributes", tmp_path)
    for name in ("Makefile", "params.yaml", "stages.py"):
        (tmp_path / name).write_bytes(b"one\ntwo\n")
    for words in (["add", "."], ["commit", "--quiet", "-m", "-"]):
        subprocess.run([*git, *words], cwd=tmp_path, check=True)
    (tmp_path / "Makefile").unlink()
    subprocess.run([*git, "checkout", "--quiet", "."], cwd=tmp_path, check=True)
    assert (tmp_path / "Makefile").read_bytes() == b"one\ntwo\n"


def test_links_to_other_disks_are_left_to_git(tmp_path: Path) -> None:
    """A link is no folder, so a pattern for folders would not ignore it."""
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    shutil.copy(ROOT / ".gitignore", tmp_path)
    for name in ("data", ".runs", ".snakemake", "logs", ".venv"):
        (tmp_path / name).symlink_to("/tmp")
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/cache").symlink_to("/tmp")
    shown = subprocess.run(
        ["git", "status", "--porcelain"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert shown.stdout == "?? .gitignore\n"


def test_what_snakemake_cannot_write_is_one_line(project: Project) -> None:
    log = project.root / "logs/figure/synthetic-figure1.log"
    log.parent.mkdir(parents=True)
    log.symlink_to("/nowhere/else")
    said = project.snakemake("figure1", status=1)
    assert said.splitlines()[-1] == (
        f"error: {log}: can't be written; its owner must let you, or delete it"
    )
    assert "Traceback" not in said


def test_a_stage_that_stops_has_the_last_word(project: Project) -> None:
    """Snakemake's own account of it, a command of many words, would bury the error."""
    said = project.snakemake("data/prepared/aflw/samples.csv", status=1)
    _, error, after = said.partition("\nerror: ")
    assert error and "data/incoming/aflw" in after
    assert "CalledProcessError" not in said
    assert after.splitlines()[-3:] == [
        "failed download aflw; its log: logs/download/aflw.log",
        "WorkflowError:",
        "At least one job did not complete successfully.",
    ]


def test_records_of_another_user_are_one_line(project: Project) -> None:
    record = project.root / ".snakemake/metadata/ZmFjZXM="
    record.parent.mkdir(parents=True)
    record.symlink_to("/nowhere/else")  # what isn't there can't be read by root either
    assert project.snakemake("--dry-run", status=1).splitlines()[-1] == (
        f"error: {record}: can't be read; its owner must let you, or work in a clone of your own"
    )


def test_a_disk_without_locks_is_one_line(tmp_path: Path, monkeypatch) -> None:
    def refuse(*_) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(UserError, match="dvc/tmp/lock: No locks available: this disk has no locks"):
        engines.hold()
    with (
        pytest.raises(UserError, match=f"{tmp_path}/one: No locks available: this disk has no"),
        locked(Path("one"), "another one works"),
    ):
        pass


def test_make_shows_its_targets() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (targets,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    for words in ([], ["help"]):
        said = subprocess.run(
            ["make", "--no-print-directory", *words],  # it may itself be run by make
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        told = {line.split()[1] for line in said.stdout.splitlines()}
        assert told == set(targets.split()) - {"help"}
