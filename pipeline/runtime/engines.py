"""The engines seen from a stage: which processes they are, and that one at a time changes results.

An engine at work holds DVC's own lock, `.dvc/tmp/lock`. Snakemake takes it by this module when it
starts, so that `dvc repro`, `dvc checkout` and the like are refused before they touch anything. The
operating system takes the lock from a process that dies. DVC gives it away while it runs a stage,
and lists who works on what in `.dvc/tmp/rwlock`.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from pipeline.errors import UserError
from pipeline.runtime.processes import command_line, is_engine

LOCK = Path(".dvc/tmp/lock")
WORKING = Path(".dvc/tmp/rwlock")
# DVC's commands that hold its lock and change nothing: others wait for their end.
READING = {"status", "diff", "data", "list", "ls", "dag", "du", "metrics", "params", "plots"}
READING |= {"exp show", "exp list", "exp ls", "experiments show"}
BATCH_JOB = "WINGLOSS_BATCH_JOB"  # in the environment of stages that a batch system runs
UNKNOWN = 3  # seconds for the holder of the lock to say who it is
PATIENCE = 30  # seconds that stages have to end in once their engine is gone


@contextmanager
def alone() -> Iterator[None]:
    """Keeps both engines, and whoever else comes here, from starting until the block ends.

    Waits for commands of DVC that only read, and for stages whose engine is gone to end.

    Raises:
        UserError: an engine works in this folder, or a stage that doesn't end; or the lock's file
            can't be written.
    """
    file = hold()
    try:
        yield
    finally:
        file.close()


def hold() -> TextIO:
    """As `alone`, until the file that it returns is closed, or the process ends."""
    try:
        LOCK.parent.mkdir(parents=True, exist_ok=True)
        file = LOCK.open("a+", encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"{error.filename}: {error.strerror}; its owner must let you write"
        ) from None
    said, unknown_until = False, time.monotonic() + UNKNOWN
    while not locked(file):
        holder = _holder()
        words = command_line(holder)
        if words and not _only_reads(words):
            raise _busy(holder)
        if words and not said:
            print(f"waiting for process {holder}: {' '.join(words)}", flush=True)
            said = True
        if not words and time.monotonic() > unknown_until:
            raise UserError(
                f"{LOCK}: held by a process that isn't seen here, in a container or on another "
                "machine; wait for it, or end it"
            )
        time.sleep(0.1)
    file.truncate(0)
    file.write(f" {os.getpid()}\n")  # as DVC does
    file.flush()
    if worker := _at_work():
        raise _busy(worker)
    _wait_for_stages()
    return file


def locked(file: TextIO) -> bool:
    """Takes a file's lock, which ends with the file's last descriptor; not if another has it.

    Raises:
        UserError: the file is where there are no locks.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:  # some network disks
        raise UserError(
            f"{Path(file.name).absolute()}: {error.strerror}: this disk has no locks, which keep "
            "two processes from one result; move the project to another, or mount it with locks"
        ) from error
    return True


def _holder() -> int:
    """The process that has the lock; 0 in the moment before it has said so."""
    try:
        return int(LOCK.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0


def _only_reads(words: list[str]) -> bool:
    """Whether it is a command of DVC that changes nothing."""
    names = [Path(word).name for word in words[:3]]
    if "dvc" not in names:
        return False
    called = [word for word in words[names.index("dvc") + 1 :] if not word.startswith("-")]
    return not READING.isdisjoint({*called[:1], " ".join(called[:2])})


def _at_work() -> int | None:
    """A process of DVC that runs a stage. For who has the lock."""
    try:
        listed = json.loads(WORKING.read_text(encoding="utf-8"))
        entries = [*listed.get("write", {}).values(), *sum(listed.get("read", {}).values(), [])]
        workers = {int(entry["pid"]) for entry in entries}
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError):
        WORKING.unlink()  # corrupt: by a DVC without workflow/dvc_atomic.py; all would fail over it
        return None
    return next((worker for worker in workers if is_engine(worker)), None)


def _stage_here() -> int | None:
    """A running process of a stage of the graph in this folder."""
    for folder in Path("/proc").glob("[0-9]*"):
        words = command_line(int(folder.name))
        node = any(word.startswith("stages.") for word in words[1:3])
        try:
            if node and (folder / "cwd").samefile("."):
                return int(folder.name)
        except OSError:  # just gone, or another user's
            continue
    return None


def _wait_for_stages() -> None:
    """A training whose engine is gone first writes its checkpoint."""
    if stage := _stage_here():
        words = " ".join(command_line(stage))
        print(f"waiting up to {PATIENCE} s for the end of process {stage}: {words}", flush=True)
    deadline = time.monotonic() + PATIENCE
    while stage := _stage_here():
        if time.monotonic() > deadline:
            raise _busy(stage)
        time.sleep(0.1)


def _busy(process: int) -> UserError:
    words = " ".join(command_line(process))
    return UserError(f"process {process} works in this folder: {words}; wait for it, or end it")
