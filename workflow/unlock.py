"""Clear the lock that a killed Snakemake left behind: `python -m workflow.unlock`.

Snakemake's lock is files that outlive it. They are stale when no process of this folder is left
that could have written them; while one lives, this stops with its process id and touches nothing.
"""

import os
import sys
import time
from pathlib import Path

import psutil

LOCKS = Path(".snakemake/locks")
PATIENCE = 30  # seconds that stages have to end in once their engine is gone


def busy(*names: str) -> str | None:
    """What runs in this folder, on this machine, of the programs ``names``, if anything does."""
    here = os.getcwd()
    for process in psutil.process_iter(["pid", "cmdline", "cwd"]):
        command = process.info["cmdline"] or []  # none: another user's, or just gone
        if process.info["cwd"] != here or "python" not in "".join(command[:1]):
            continue
        # `python /path/to/snakemake ...`, `python -m dvc ...`, `python -m stages.train ...`
        called = {Path(word).name.split(".")[0] for word in command[1:3]}
        if called.intersection(names):
            return f"process {process.info['pid']} still runs here: {' '.join(command)}"
    return None


def stop_if_busy() -> None:
    """Exit with one line where an engine or a stage is at work.

    A stage without an engine is about to end: a training first writes its checkpoint.
    """
    reason = busy("snakemake", "dvc")
    if not reason and (reason := busy("stages")):
        print(f"{reason}; waiting up to {PATIENCE} s for its end", flush=True)
        deadline = time.monotonic() + PATIENCE
        while (reason := busy("stages")) and time.monotonic() < deadline:
            time.sleep(0.1)
    if reason:
        sys.exit(f"error: {reason}; wait for it or end it")


if __name__ == "__main__":
    # Listed first: the lock of a Snakemake that starts only now is not among them.
    stale = list(LOCKS.glob("*.lock"))
    stop_if_busy()
    for lock in stale:
        lock.unlink(missing_ok=True)
        print(f"cleared the stale lock {lock}")
