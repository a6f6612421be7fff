"""The engines beside each other: one works, the other waits or is refused in one line."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from project import Project, wait_for

from pipeline.errors import UserError
from pipeline.runtime import engines


@pytest.fixture
def here(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project in which nothing has been run, as this process's folder."""
    monkeypatch.chdir(project.root)
    return project


def test_while_snakemake_works_dvc_and_other_snakemakes_are_refused(finished: Project) -> None:
    """Before they touch anything; what only reads works on."""
    page = finished.root / "results/synthetic/report.html"
    figure = finished.root / "results/synthetic/figures/figure4.svg"
    figure.unlink()
    # the job waits to be let on
    finished.replace("stages/figure.py", "def run(", "print(open('gate').read())\n\n\ndef run(")
    os.mkfifo(finished.root / "gate")
    running = finished.in_own_processes().start("snakemake", "--cores", "1", "figure4")
    wait_for(lambda: finished.processes("stages.figure"), 60)
    before = page.read_bytes()
    for words in (["checkout"], ["repro", "--force", "--single-item", "report_page@synthetic"]):
        said = finished.dvc(*words, status=255)
        assert "Unable to acquire lock" in said and said.count("ERROR") == 1
    assert page.read_bytes() == before and not figure.exists()
    assert "test.nme" in finished.dvc("metrics", "show")
    said = finished.snakemake("--forcerun", "table", status=1)
    assert f"error: process {running.pid} works in this folder: " in said.splitlines()[-1]
    assert "Traceback" not in said
    finished.snakemake("--dry-run", "--forcerun", "table")
    (finished.root / "gate").write_text("")
    said, _ = running.communicate(timeout=60)
    assert running.returncode == 0 and figure.exists(), said


def test_while_dvc_runs_a_stage_snakemake_is_refused(finished: Project) -> None:
    """DVC then doesn't hold its lock, and its list of who works on what tells."""
    figure = finished.root / "results/synthetic/figures/figure4.svg"
    finished.replace("stages/figure.py", "def run(", "print(open('gate').read())\n\n\ndef run(")
    os.mkfifo(finished.root / "gate")
    running = finished.in_own_processes().start(
        "dvc", "repro", "--single-item", "figure@synthetic-4"
    )
    wait_for(lambda: finished.processes("stages.figure"), 60)
    said = finished.snakemake("--forcerun", "table", status=1)
    assert f"error: process {running.pid} works in this folder: " in said.splitlines()[-1]
    (finished.root / "gate").write_text("")
    said, _ = running.communicate(timeout=60)
    assert running.returncode == 0 and figure.exists(), said


def test_a_killed_engine_leaves_no_lock(here: Project) -> None:
    here.set(**{"raw.synthetic.train": 5000})
    killed = here.in_own_processes().start("snakemake", "--cores", "2", "data/raw/synthetic")
    wait_for(lambda: len(here.processes("-m stages.download")) >= 3, 60)
    with pytest.raises(UserError, match=f"^process {killed.pid} works in this folder: .*snakemake"):
        engines.hold()
    killed.kill()
    killed.communicate()
    with engines.alone():  # waits for the rendering's end
        assert not here.processes("stages.download")


@pytest.mark.parametrize(
    "command, reads",
    [
        ("dvc status", True),
        ("dvc -q data status --json", True),
        ("dvc exp show", True),
        ("dvc checkout data", False),
        ("dvc exp run", False),
        ("dvc push", False),
        ("dvc", False),
        ("snakemake status", False),
    ],
)
def test_what_only_reads(command: str, reads: bool) -> None:
    engine, *words = command.split()
    for how in ([engine], ["python3", f"/a/bin/{engine}"], ["python3", "-m", engine]):
        assert engines._only_reads([*how, *words]) is reads


@pytest.mark.parametrize("command", ["status", "checkout"])
def test_a_command_of_dvc_that_reads_is_waited_for(here: Project, command: str) -> None:
    """And one that changes files is not."""
    Path(".dvc/tmp").mkdir()
    Path(command).write_text(
        "import sys, zc.lockfile\n"
        "lock = zc.lockfile.LockFile('.dvc/tmp/lock')\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        ["dvc", command], executable=sys.executable, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout.readline() == b"held\n"
    second = here.start("workflow.sync")
    said = second.stdout.readline()
    holder.communicate(b"")
    second.communicate()
    waiting = "waiting for" if command == "status" else "error:"
    assert said.startswith(f"{waiting} process {holder.pid}") and f"dvc {command}" in said


def test_a_holder_from_elsewhere_is_told(here: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container, or on another machine: its number means nothing here."""
    monkeypatch.setattr(engines, "UNKNOWN", 0)
    with engines.alone():
        engines.LOCK.write_text(" 4194305\n")
        with pytest.raises(UserError, match=r"^\.dvc/tmp/lock: held by a process that isn't seen"):
            engines.hold()


def test_a_torn_list_of_workers_is_removed(here: Project) -> None:
    """DVC would fail over it."""
    listed = Path(".dvc/tmp/rwlock")
    listed.parent.mkdir()
    listed.write_text('{"write": {"results": {"pid"')
    with engines.alone():
        assert not listed.exists()
    # of processes that are gone, or are no engines, too
    workers = [{"pid": 2**22 + 1, "cmd": "dvc"}, {"pid": os.getpid(), "cmd": "dvc"}]
    listed.write_text(json.dumps({"write": {}, "read": {"data": workers}}))
    with engines.alone():
        pass


def test_a_stage_that_does_not_end_is_told(here: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "PATIENCE", 0.2)
    stage = here.start("stages.train")
    stage.send_signal(signal.SIGSTOP)
    other = here.start("commands.prune")
    other.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(UserError, match=f"^process {stage.pid} works in this folder: "):
            engines.hold()
    finally:
        stage.kill()
        stage.communicate()
    with engines.alone():  # what is no node of the graph is no hindrance
        assert other.poll() is None
    other.kill()
    other.communicate()


@pytest.mark.parametrize(
    "command", [["snakemake", "--cores", "1", "figure1"], ["workflow.sync"]], ids=" ".join
)
def test_who_comes_second_gets_one_line(here: Project, command: list[str]) -> None:
    with engines.alone():
        said = here.run(*command, status=1)
    last = said.splitlines()[-1]
    assert last.startswith(f"error: process {os.getpid()} works in this folder: ")
    assert "Traceback" not in said
