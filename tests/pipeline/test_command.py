"""The command line of a stage: one line for every error, its traceback in the log alone."""

import errno
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from project import ROOT, Project

from pipeline.errors import UserError
from pipeline.runtime import cli


def raising(error: BaseException) -> SimpleNamespace:
    """A stage that fails."""

    def run(name: str) -> None:
        raise error

    return SimpleNamespace(run=run, __name__="stage")


@pytest.mark.parametrize(
    "error, message",
    [
        (UserError("a.pts: 67 points; mend it"), "a.pts: 67 points; mend it"),
        (OSError(errno.ENOSPC, "No space left on device", "a.npy"), "a.npy: no space left on the"),
        (
            OSError(errno.ENOSPC, "No space left on device", "from", None, "to"),
            "to: no space left on the",
        ),
        (RuntimeError("I/O: No space left on device (os error 28)"), "{here}: no space left on"),
        (OSError(errno.EACCES, "Permission denied", "a.npy"), "a.npy: Permission denied"),
        (OSError(errno.EFBIG, "File too large"), "[Errno 27] File too large"),
        (ZeroDivisionError("by zero"), "ZeroDivisionError: by zero (an error of this program; see"),
    ],
)
def test_every_error_is_one_line(
    tmp_path: Path, call: Callable, error: Exception, message: str
) -> None:
    status, said = call(Project(tmp_path), raising(error), name="faces")
    assert status == 1
    assert said.startswith("error: " + message.format(here=tmp_path))
    assert said.count("\n") == 1
    log = (tmp_path / "logs/test_command/faces.log").read_text(encoding="utf-8")
    assert "Traceback" in log and f"{type(error).__name__}: " in log


def test_control_c_says_nothing(tmp_path: Path, call: Callable) -> None:
    status, said = call(Project(tmp_path), raising(KeyboardInterrupt()), name="faces")
    assert (status, said) == (130, "")


def test_no_place_for_the_log_is_one_warning(tmp_path: Path, call: Callable) -> None:
    """Another user's file, a read-only folder: what was asked for is done all the same."""
    done = []

    def run(name: str) -> None:
        done.append(name)

    stage = SimpleNamespace(run=run, __name__="stage")
    (tmp_path / "logs").touch()
    status, said = call(Project(tmp_path), stage, name="faces")
    assert (status, done) == (0, ["faces"])
    assert said == (
        "[test_command faces] warning: logs/test_command/faces.log: Not a directory; continuing "
        "without a log\n"
    )


def test_a_full_disk_for_the_log_is_one_warning(tmp_path: Path, call: Callable) -> None:
    def run(name: str) -> None:
        for _ in range(3):
            cli.log.info("at work")

    path = tmp_path / "logs/test_command/faces.log"
    path.parent.mkdir(parents=True)
    path.symlink_to("/dev/full")
    status, said = call(Project(tmp_path), SimpleNamespace(run=run, __name__="stage"), name="faces")
    assert status == 0
    assert said.count("at work") == 3 and said.count("\n") == 4
    assert "faces.log: No space left on device; continuing without a log" in said


def test_passwords_and_control_characters_are_not_shown(tmp_path: Path, call: Callable) -> None:
    """Of mirrors' addresses; of file names and servers' words, which could steer a terminal."""
    name = "a\x1b]0;title\x07\nerror: forged\r\x9b2J\u202e.jpg"
    error = UserError(f"{name}: HTTP 404 from https://anna:s3cr:e@t@host/~a/b and ftp://c@d/e@f")
    for raised in (error, ValueError(str(error))):
        status, said = call(Project(tmp_path), raising(raised), name="faces")
        assert status == 1
        log = (tmp_path / "logs/test_command/faces.log").read_text(encoding="utf-8")
        for text in (said, log):
            assert "s3cr" not in text and "https://***@host/~a/b and ftp://***@d/e@f" in text
            assert "a\\x1b]0;title\\x07\\nerror: forged\\r\\x9b2J\\u202e.jpg: HTTP" in text
            assert all(line.isprintable() for line in text.splitlines())
            assert not any(line.startswith("error: forged") for line in text.splitlines())
        assert said.count("\n") == 1


def test_long_arguments_do_not_share_a_log() -> None:
    long = "/home/anna/" + 300 * "é"
    names = {cli._log_name({"run": "a", "folder": f"/{above}{long}"}) for above in "xy"}
    assert len(names) == 2 and all(len(f"{name}.log".encode()) < 255 for name in names)
    assert cli._log_name({"run": "a/b", "folder": "c"}) == "a_b-c"


def test_arguments_are_checked(tmp_path: Path, call: Callable) -> None:
    status, said = call(Project(tmp_path), raising(ZeroDivisionError()), data="faces")
    assert status == 2
    assert "--name" in said


def test_threads_are_the_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert cli.threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "3,1")  # of nested levels
    assert cli.threads() == 3
    monkeypatch.delenv("OMP_NUM_THREADS")
    everything = cli.threads()
    assert everything >= 1
    for value in ("", "0", "-1", "all", "1.5"):
        monkeypatch.setenv("OMP_NUM_THREADS", value)
        assert cli.threads() == everything


def test_stages_that_only_read_tables_do_without_torch() -> None:
    """Its import would take longer than they do, in every run of every stage."""
    read = "download, prepare, pose, balance, baseline, summary"
    stages = f"{read}, table, claims, figure, report"
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
