"""The command line of every stage: arguments, log, clean errors, threads, death with its engine."""

import argparse
import contextlib
import ctypes
import errno
import inspect
import logging
import os
import platform
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

from stages import PARENT, layout
from stages.arguments import check
from stages.errors import UserError

log = logging.getLogger("wingloss")


def main(stage: Callable[..., None]) -> None:
    """Runs ``stage`` with ``--name value`` for each of its parameters and exits.

    Parameters before a ``/`` in its signature are given by position. One that is empty by default
    is a flag, whose value is its own name.

    Everything is logged under ``logs/``; the terminal gets the log's lines without tracebacks.
    An error that the user can mend is one line, and exit status 1.
    """
    die_with_parent()
    name = inspect.getmodule(stage).__spec__.name.rpartition(".")[2]  # type: ignore[union-attr]
    parser = argparse.ArgumentParser(
        prog=f"python -m stages.{name}",
        description=inspect.getdoc(stage),
        allow_abbrev=False,
    )
    for parameter in inspect.signature(stage).parameters.values():
        if parameter.kind is parameter.POSITIONAL_ONLY:
            parser.add_argument(parameter.name, type=parameter.annotation)
        elif parameter.default == "":
            flag = f"--{parameter.name}"
            parser.add_argument(flag, action="store_const", const=flag, default="")
        else:
            parser.add_argument(f"--{parameter.name}", type=parameter.annotation, required=True)
    arguments = vars(parser.parse_args())
    # a path may be among them, and is longer than a file's name can be
    words = "-".join(str(a).replace("/", "_") for a in arguments.values()).encode()
    path = layout.LOGS / name / f"{words[-200:].decode(errors='ignore')}.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = logging.FileHandler(path, mode="w", encoding="utf-8", delay=True)
    except OSError as error:
        sys.exit(f"error: {path}: {error.strerror}")
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    terminal = logging.StreamHandler()
    terminal.setFormatter(_Plain(f"{name} " + " ".join(str(a) for a in arguments.values())))
    logging.basicConfig(level=logging.INFO, handlers=[file, terminal], force=True)
    logging.raiseExceptions = False  # a full disk must not turn every log line into a traceback
    status = _status(stage, arguments, str(path))
    logging.shutdown()
    sys.exit(status)


def threads() -> int:
    """The threads this process may use: what the engine says, or all cores.

    Snakemake sets OMP_NUM_THREADS for each job; DVC runs one stage at a time and sets nothing.
    """
    return int(os.environ.get("OMP_NUM_THREADS", 0)) or len(os.sched_getaffinity(0))


def die_with_parent() -> None:
    """Has Linux send SIGTERM when the engine that started this stage is gone.

    A killed engine leaves its jobs running otherwise, and the next engine would wait for them.
    """
    if platform.system() != "Linux":
        return
    ask = ctypes.CDLL(None).prctl
    ask(1, signal.SIGTERM)  # 1 is PR_SET_PDEATHSIG
    if os.getppid() != PARENT:  # it was gone before it could send anything
        raise SystemExit(128 + signal.SIGTERM)
    # What a stage forks, such as the renderer's processes, dies with the stage in turn.
    os.register_at_fork(after_in_child=lambda: ask(1, signal.SIGTERM))


class _Plain(logging.Formatter):
    """``error: message`` or ``[stage arguments] message``, never a traceback."""

    def __init__(self, job: str) -> None:
        super().__init__()
        self.job = job

    def format(self, record: logging.LogRecord) -> str:
        if record.levelno >= logging.ERROR:
            return f"error: {record.getMessage()}"
        level = "warning: " if record.levelno == logging.WARNING else ""
        return f"[{self.job}] {level}{record.getMessage()}"


def _status(stage: Callable[..., None], arguments: dict[str, Any], path: str) -> int:
    """Runs the stage; every way to fail becomes one line, its traceback goes to the log alone."""
    try:
        if inspect.getmodule(stage).__spec__.name.startswith("stages."):  # type: ignore[union-attr]
            check(arguments)
        given = inspect.signature(stage).bind_partial()
        given.arguments.update(arguments)
        stage(*given.args, **given.kwargs)
        return 0
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        log.error(_line(error, path))
        with contextlib.suppress(OSError), open(path, "a", encoding="utf-8") as file:
            traceback.print_exc(file=file)
        return 1


def _line(error: Exception, path: str) -> str:
    """What to tell the user of an error; ``path`` is the log."""
    if isinstance(error, UserError):
        return str(error)
    # libraries in other languages wrap the system's error in their own, and keep its words
    if any(os.strerror(number) in str(error) for number in (errno.ENOSPC, errno.EDQUOT)):
        return (
            f"{getattr(error, 'filename', None) or os.getcwd()}: no space left on the disk; free "
            "some and run again (nothing half-written was kept, finished work stays)"
        )
    if isinstance(error, OSError):
        return str(error) if error.filename is None else f"{error.filename}: {error.strerror}"
    return f"{type(error).__name__}: {error} (an error of this program; see {path})"
