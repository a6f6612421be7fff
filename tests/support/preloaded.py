"""Runs `python -m` for throw-away projects without the seconds that importing libraries takes.

Importing torch, Snakemake or DVC takes longer than most stages take to run. So one process imports
the libraries once, and forks for each program; a fork imports the project's own modules. A Python
that a project starts hands its program over to a fork, with its standard streams
(handover/sitecustomize.py). It then passes signals on, waits, and ends with the fork's status.

A fork differs from a program that runs by itself: its parent is no engine, its number is not that
of the Python that waits for it, and it looks for no garbage. Tests of these start
`project.in_own_processes()`.
"""

import ast
import atexit
import contextlib
import copy
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
HANDOVER = Path(__file__).with_name("handover")
VARIABLE = "WINGLOSS_TESTS_PRELOADED"  # the path of the socket that takes programs
LIBRARIES = (
    *("cv2", "dlib", "h5py", "jinja2", "markdown_it", "matplotlib.backends.backend_svg"),
    *("matplotlib.figure", "pandas", "pydantic", "requests", "rich.live", "safetensors.torch"),
    *("scipy.stats", "sklearn", "torch", "dvc.cli", "dvc.commands.repro", "dvc.repo.reproduce"),
    *("snakemake.api", "snakemake.cli", "snakemake.workflow"),
)


@contextlib.contextmanager
def serving() -> Iterator[None]:
    """Programs are taken over until the block ends. The first one has the libraries imported."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = f"{folder}/socket"
        listener.bind(path)
        listener.listen(64)
        with subprocess.Popen(
            [sys.executable, __file__, str(listener.fileno())],
            stdin=subprocess.PIPE,  # it ends with the block, or with this process
            pass_fds=[listener.fileno()],
            start_new_session=True,
            env=os.environ | {"MPLCONFIGDIR": folder},
        ):
            os.environ[VARIABLE] = path
            try:
                yield
            finally:
                del os.environ[VARIABLE]


def serve(listener: socket.socket) -> None:
    """Forks for each program that comes, until standard input ends."""
    while sys.stdin not in select.select([sys.stdin, listener], [], [])[0]:
        if LIBRARIES[0] not in sys.modules:
            for library in LIBRARIES:
                importlib.import_module(library)
            set_dvc_up()
            parse_sources()
            gc.disable()  # a sixth of an engine's time, and forks end soon
        waiting, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            become(waiting)
        waiting.close()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def set_dvc_up() -> None:
    """As the project's set-up does; and has it parse params.yaml once, not for each stage."""
    from dvc.utils.serialize import _yaml

    sys.path.append(str(ROOT))
    importlib.import_module("workflow.dvc_atomic")
    sys.path.pop()
    del sys.modules["workflow"], sys.modules["workflow.dvc_atomic"]  # a fork has its project's
    parse = _yaml.parse_yaml
    parsed = functools.cache(parse)

    def parse_yaml(text: str, path: str, typ: str = "safe") -> Any:
        return copy.deepcopy(parsed(text, path)) if typ == "safe" else parse(text, path, typ)

    _yaml.parse_yaml = parse_yaml


def parse_sources() -> None:
    """Snakemake, and each training, has the project's files parsed: here once for all forks."""
    parse = ast.parse
    folders = [ROOT / name for name in ("commands", "pipeline", "stages", "wingloss")]
    texts = [path.read_text("utf-8") for folder in folders for path in folder.rglob("*.py")]
    trees = {text: parse(text) for text in texts}

    def parsed(source: Any, *rest: Any, **more: Any) -> Any:
        taken = None if rest or more else trees.pop(source, None)  # who gets a tree may alter it
        return taken or parse(source, *rest, **more)

    ast.parse = parsed


def become(waiting: socket.socket) -> None:
    """Runs in this process what another Python was started for, and tells that one its status.

    Ends without clearing up, which would take longer than most programs.
    """
    size, streams, *_ = socket.recv_fds(waiting, 8, 3)
    if not size:  # it was killed before it had said anything
        os._exit(1)
    program = json.loads(waiting.recv(int(size), socket.MSG_WAITALL))
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(program["folder"])
    os.environ.clear()
    os.environ.update(program["environment"])
    sys.path[0] = program["folder"]
    sys.argv[1:] = program["words"]
    threading.Thread(target=obey, args=[waiting], daemon=True).start()
    status: Any = 0
    try:
        runpy.run_module(program["module"], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        status = end.code or 0
        if not isinstance(status, int):
            print(status, file=sys.stderr)
            status = 1
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        status = 1
    threading._shutdown()  # waits for the program's threads
    atexit._run_exitfuncs()
    sys.stdout.flush()
    waiting.sendall(b"%d" % status)
    os._exit(status)


def obey(waiting: socket.socket) -> None:
    """Passes signals on from the Python that waits; where that was killed, so is this process."""
    while said := waiting.recv(1):
        os.kill(os.getpid(), said[0])
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
