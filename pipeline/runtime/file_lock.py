"""A file lock: one process at a time, the others wait."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from pipeline.runtime import engines
from pipeline.runtime.cli import log


@contextmanager
def locked(path: Path, work: str) -> Iterator[None]:
    """Keeps every other process out until the block ends; waits for the one that is in it.

    ``path`` is the lock's file, which stays; ``work`` says what the other process is doing. The
    operating system takes the lock from a process that dies.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        if not engines.locked(file):
            log.info("%s in another process: waiting for it", work)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def claimed(path: Path) -> TextIO | None:
    """The lock's file, which holds the lock until it is closed; None if another process has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("w")
    if engines.locked(file):
        return file
    file.close()
    return None
