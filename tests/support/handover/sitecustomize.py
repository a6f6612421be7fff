"""Has a program run by a process that has its libraries (preloaded.py). Python starts with this."""

import json
import os
import signal
import socket
import sys

ENGINES = ("dvc", "snakemake")
PACKAGES = (*ENGINES, "commands", "graphs", "stages", "workflow")
passed_on: list[int] = []


def program() -> tuple[str, list[str]] | None:
    """The module that this Python was started to run, and the words that follow."""
    match sys.orig_argv[1:]:
        case ["-m", module, *words] if module.split(".")[0] in PACKAGES:
            return module, words
        case [script, *words] if os.path.basename(script) in ENGINES:
            return os.path.basename(script), words
    return None


def hand_over(path: str, module: str, words: list[str]) -> None:
    """Waits for the end of the program elsewhere, passes signals on, and ends as it does."""
    with socket.socket(socket.AF_UNIX) as running:
        running.connect(path)
        told = {"module": module, "words": words, "folder": os.getcwd()}
        text = json.dumps(told | {"environment": dict(os.environ)}).encode()
        socket.send_fds(running, [b"%8d" % len(text)], [0, 1, 2])
        running.sendall(text)
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: pass_on(running, number))
        status = running.recv(8)
    if status:
        os._exit(int(status))
    if not passed_on:  # somebody else has killed it
        os.kill(os.getpid(), signal.SIGKILL)
    signal.signal(passed_on[-1], signal.SIG_DFL)
    os.kill(os.getpid(), passed_on[-1])


def pass_on(running: socket.socket, number: int) -> None:
    passed_on.append(number)
    running.sendall(bytes([number]))


if (_path := os.environ.get("WINGLOSS_TESTS_PRELOADED")) and (_program := program()):
    hand_over(_path, *_program)
