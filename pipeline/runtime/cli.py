"""The command line of every stage: arguments, log, clean errors, threads, death with its engine."""

import argparse
import atexit
import contextlib
import ctypes
import errno
import gc
import hashlib
import inspect
import logging
import os
import platform
import re
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline import ENGINE
from pipeline.config import paths
from pipeline.config.arguments import check
from pipeline.errors import UserError
from pipeline.runtime import provenance
from wingloss.datasets import names

log = logging.getLogger("wingloss")

LONGEST_NAME = 200  # bytes of a log's name


def main(stage: Callable[..., None]) -> None:
    """Runs ``stage`` with ``--name value`` for each of its parameters and exits.

    Parameters before a ``/`` in its signature are given by position. One that is empty by default
    is a flag, whose value is its own name.

    Everything is logged under ``logs/``; the terminal gets the log's lines without tracebacks.
    An error that the user can fix is one line, and exit status 1.
    """
    die_with_parent()
    # Python's last search for garbage would take almost half a second where torch is loaded.
    atexit.register(gc.freeze)
    module = inspect.getmodule(stage).__spec__.name  # type: ignore[union-attr]
    name = module.rpartition(".")[2]
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}",
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
    path = paths.LOGS / name / f"{_log_name(arguments)}.log"
    terminal = logging.StreamHandler()
    terminal.setFormatter(_Plain(f"{name} " + " ".join(str(a) for a in arguments.values())))
    logging.basicConfig(level=logging.INFO, handlers=[terminal], force=True)
    logging.raiseExceptions = False  # a terminal that has gone must not end a stage
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        logging.getLogger().addHandler(_LogFile(path))
    except OSError as error:
        log.warning("%s: %s; continuing without a log", path, error.strerror)
    status = _status(module, stage, arguments, str(path))
    logging.shutdown()
    sys.exit(status)


def _log_name(arguments: dict[str, Any]) -> str:
    """The arguments in one word. Of one that is longer than a file's name can be, such as with a
    path in it, the end is kept, and a hash of the whole that tells it from others.
    """
    words = "-".join(str(value).replace("/", "_") for value in arguments.values())
    data = words.encode(errors="replace")
    if len(data) <= LONGEST_NAME:
        return data.decode()
    digest = hashlib.sha256(data).hexdigest()[:8]
    return f"{data[-LONGEST_NAME:].decode(errors='ignore')}-{digest}"


def threads() -> int:
    """The threads this process may use: what the engine says, or all cores.

    Snakemake sets OMP_NUM_THREADS for each job; DVC runs one stage at a time and sets nothing. Of a
    list, one for each level of OpenMP's, the first is meant; what is no number is as if unset.
    """
    said = re.match(r"\s*0*([1-9][0-9]{0,4})\s*(,|$)", os.environ.get("OMP_NUM_THREADS", ""))
    return int(said[1]) if said else len(os.sched_getaffinity(0))


def die_with_parent() -> None:
    """Has Linux send SIGTERM when the engine that started this stage is gone.

    A killed engine leaves its jobs running otherwise, and the next engine would wait for them. What
    a person has started may outlive the shell that it came from: `nohup`, `ssh`, batch systems.
    """
    if platform.system() != "Linux":
        return
    ask = ctypes.CDLL(None).prctl
    if ENGINE:
        ask(1, signal.SIGTERM)  # 1 is PR_SET_PDEATHSIG
        if os.getppid() != ENGINE:  # it was gone before it could send anything
            raise SystemExit(128 + signal.SIGTERM)
    # What a stage forks, such as the renderer's processes, dies with the stage in turn.
    os.register_at_fork(after_in_child=lambda: ask(1, signal.SIGTERM))


def printable(text: str) -> str:
    """``text`` as one line that is safe to show: without passwords, its control characters named.

    File names and the words of servers are in it, and may hold a terminal's commands.
    """
    return names.printable(without_passwords(text))


def without_passwords(text: str) -> str:
    """``text`` whose addresses have lost the names and passwords that they may hold."""
    return re.sub(r"(?<=\w://)[^\s/?#]*@", "***@", text)


class _LogFile(logging.FileHandler):
    """The log under ``logs/``. A full disk is told once, and ends nothing."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, mode="w", encoding="utf-8", errors="backslashreplace")
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        self.path = path

    def format(self, record: logging.LogRecord) -> str:
        said = super().format(record)
        return said if record.levelno >= logging.ERROR else printable(said)

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        logging.getLogger().removeHandler(self)
        log.warning(
            "%s: %s; continuing without a log", self.path, getattr(error, "strerror", error)
        )


class _Plain(logging.Formatter):
    """``error: message`` or ``[stage arguments] message``, never a traceback."""

    def __init__(self, job: str) -> None:
        super().__init__()
        self.job = job

    def format(self, record: logging.LogRecord) -> str:
        if record.levelno >= logging.ERROR:
            return f"error: {record.getMessage()}"  # as `_line` has it
        level = "warning: " if record.levelno == logging.WARNING else ""
        return printable(f"[{self.job}] {level}{record.getMessage()}")


def _status(module: str, stage: Callable[..., None], arguments: dict[str, Any], path: str) -> int:
    """Runs the stage; every way to fail becomes one line, its traceback goes to the log alone."""
    try:
        room, _, name = module.rpartition(".")
        if room in ("stages", "commands"):
            check(arguments)
        given = inspect.signature(stage).bind_partial()
        given.arguments.update(arguments)
        begun = provenance.begin() if room == "stages" else None
        stage(*given.args, **given.kwargs)
        if begun:
            try:
                provenance.finish(name, arguments, begun)
            except OSError as error:
                log.warning(
                    "%s: %s; 'make sync' won't record this", provenance.MADE, error.strerror
                )
        return 0
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        log.error(_line(error, path))
        words = "".join(traceback.format_exception(error)).splitlines()
        with (
            contextlib.suppress(OSError),
            open(path, "a", encoding="utf-8", errors="backslashreplace") as file,
        ):
            file.writelines(f"    {printable(line)}\n" for line in words)
        return 1


def _line(error: Exception, path: str) -> str:
    """What to tell the user of an error, fit to be shown; ``path`` is the log."""
    if isinstance(error, UserError):
        return "\n".join(printable(line) for line in str(error).split("\n"))
    return printable(_said(error, path))


def _said(error: Exception, path: str) -> str:
    """What to say of an error that no one has foreseen."""
    # libraries in other languages wrap the system's error in their own, and keep its words
    if any(os.strerror(number) in str(error) for number in (errno.ENOSPC, errno.EDQUOT)):
        # of two files the second is the one that was written
        full = getattr(error, "filename2", None) or getattr(error, "filename", None)
        return (
            f"{full or os.getcwd()}: no space left on the disk; free "
            "some and run again (nothing half-written was kept, finished work stays)"
        )
    if isinstance(error, OSError):
        return str(error) if error.filename is None else f"{error.filename}: {error.strerror}"
    return f"{type(error).__name__}: {error} (an error of this program; see {path})"
