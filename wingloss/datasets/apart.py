"""Parsers in libraries of other languages, run in a process of their own.

A crafted file can crash them, hang them or have them take all memory; that is then one line about
the file.
"""

import multiprocessing
import resource
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from wingloss.datasets.face_record import BadSample

ROOM = 4 << 30  # bytes of address space beyond what the process has
PATIENCE = 300.0  # seconds without a word

T = TypeVar("T")


def apart(path: Path, read: Callable[[], Iterator[T]]) -> Iterator[T]:
    """What ``read`` gives of the file ``path``, made in another process.

    Raises:
        BadSample: what ``read`` raises; or it crashed, was silent for long or took too much memory.
    """
    # A fork costs milliseconds; a new interpreter would import everything again.
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_run, args=(theirs, path, read), daemon=True)
    child.start()
    theirs.close()
    try:
        while True:
            if not ours.poll(PATIENCE):
                raise BadSample(f"{path}: reading it takes too long; is it whole?")
            kind, value = ours.recv()
            if kind == "end":
                return
            if kind == "bad":
                raise BadSample(value)
            yield value
    except EOFError:
        child.join()
        raise BadSample(f"{path}: not a whole file (its reader crashed)") from None
    finally:
        child.kill()
        child.join()
        ours.close()


def _run(pipe: Connection, path: Path, read: Callable[[], Iterator[Any]]) -> None:
    try:
        _bound_memory()
        for value in read():
            pipe.send(("one", value))
        pipe.send(("end", None))
    except BadSample as error:
        pipe.send(("bad", str(error)))
    except Exception as error:  # such as a MemoryError
        pipe.send(("bad", f"{path}: not a whole file ({error or type(error).__name__})"))


def _bound_memory() -> None:
    """Has Linux refuse this process more than ``ROOM``."""
    sizes = Path("/proc/self/statm")  # in pages; the first is the address space
    if sizes.exists():
        size = int(sizes.read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        if hard == resource.RLIM_INFINITY or size + ROOM < hard:
            resource.setrlimit(resource.RLIMIT_AS, (size + ROOM, hard))
