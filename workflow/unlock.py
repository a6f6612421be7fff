"""Clear the lock that a killed Snakemake left behind: `python -m workflow.unlock`.

Snakemake's lock is files that outlive it. They are stale when no process of this folder is left
that could have written them; while one lives, this stops with its process id and touches nothing.
"""

import os
import sys
from pathlib import Path

import psutil

LOCKS = Path(".snakemake/locks")


def busy() -> str | None:
    """The Snakemake, DVC or stage that runs in this folder, on this machine, if there is one."""
    here = os.getcwd()
    for process in psutil.process_iter(["pid", "cmdline", "cwd"]):
        command = process.info["cmdline"] or []  # none: another user's, or just gone
        if process.info["cwd"] != here or "python" not in "".join(command[:1]):
            continue
        # `python /path/to/snakemake ...`, `python -m dvc ...`, `python -m stages.train ...`
        called = {Path(word).name.split(".")[0] for word in command[1:3]}
        if called & {"snakemake", "dvc", "stages"}:
            return f"process {process.info['pid']} still runs here: {' '.join(command)}"
    return None


def stop_if_busy() -> None:
    """Exit with one line where an engine or a stage is at work."""
    if reason := busy():
        sys.exit(f"error: {reason}; wait for it or end it")


if __name__ == "__main__":
    # Listed first: the lock of a Snakemake that starts only now is not among them.
    stale = list(LOCKS.glob("*.lock"))
    stop_if_busy()
    for lock in stale:
        lock.unlink(missing_ok=True)
        print(f"cleared the stale lock {lock}")
