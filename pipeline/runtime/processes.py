"""Which running processes are engines. For the standard library alone: stages begin with it."""

import os
from pathlib import Path

ENGINES = {"snakemake", "dvc"}


def command_line(process: int) -> list[str]:
    """The words of a running process; none where it can't be told."""
    try:
        words = Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return []
    return [os.fsdecode(word) for word in words.split(b"\0")[:-1]]


def is_engine(process: int) -> bool:
    """Whether it is Snakemake or DVC, however called: by name, by path, by `python -m`."""
    words = command_line(process)[:3]
    return not ENGINES.isdisjoint(Path(word).name.split(".")[0] for word in words)
