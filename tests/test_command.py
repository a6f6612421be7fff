"""The command line of a stage: one line for every error, its traceback in the log alone."""

import errno
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from project import ROOT, Project

from stages import command
from stages.errors import UserError


def raising(error: BaseException) -> SimpleNamespace:
    """A stage that fails."""

    def run(dataset: str) -> None:
        raise error

    return SimpleNamespace(run=run, __name__="stage")


@pytest.mark.parametrize(
    "error, message",
    [
        (UserError("a.pts: 67 points; mend it"), "a.pts: 67 points; mend it"),
        (OSError(errno.ENOSPC, "No space left on device", "a.npy"), "a.npy: no space left on the"),
        (RuntimeError("I/O: No space left on device (os error 28)"), "{here}: no space left on"),
        (OSError(errno.EACCES, "Permission denied", "a.npy"), "a.npy: Permission denied"),
        (OSError(errno.EFBIG, "File too large"), "[Errno 27] File too large"),
        (ZeroDivisionError("by zero"), "ZeroDivisionError: by zero (an error of this program; see"),
    ],
)
def test_every_error_is_one_line(
    tmp_path: Path, call: Callable, error: Exception, message: str
) -> None:
    status, said = call(Project(tmp_path), raising(error), dataset="faces")
    assert status == 1
    assert said.startswith("error: " + message.format(here=tmp_path))
    assert said.count("\n") == 1
    log = (tmp_path / "logs/test_command/faces.log").read_text(encoding="utf-8")
    assert "Traceback" in log and f"{type(error).__name__}: " in log


def test_control_c_says_nothing(tmp_path: Path, call: Callable) -> None:
    status, said = call(Project(tmp_path), raising(KeyboardInterrupt()), dataset="faces")
    assert (status, said) == (130, "")


def test_no_place_for_the_log_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["stage", "--dataset", "faces"])
    monkeypatch.setattr(command, "die_with_parent", lambda: None)
    (tmp_path / "logs").touch()
    with pytest.raises(SystemExit, match=r"^error: logs/test_command/faces\.log: [^\n]*$"):
        command.main(raising(ZeroDivisionError()).run)


def test_arguments_are_checked(tmp_path: Path, call: Callable) -> None:
    status, said = call(Project(tmp_path), raising(ZeroDivisionError()), data="faces")
    assert status == 2
    assert "--dataset" in said


def test_threads_are_the_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert command.threads() == 3
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert command.threads() >= 1


def test_stages_that_only_read_tables_do_without_torch() -> None:
    """Its import would take longer than they do, in every run of every stage."""
    read = "download, prepare, pose, balance, baseline, summary"
    stages = f"{read}, table, claims, figure, report, paper"
    script = f"import sys; from stages import {stages}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


def test_an_interpreter_without_the_packages_says_so() -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-m", "stages.pose", "--dataset", "synthetic"],
        cwd=ROOT,
        env={},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {sys.executable} has no package '")
    assert "run 'make setup' once" in done.stderr
    assert done.stderr.count("\n") == 1
