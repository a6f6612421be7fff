"""The machine that a result comes from: its processor, its commit of the code, its allocator."""

import ctypes
import platform
import subprocess
from functools import cache
from pathlib import Path

from pipeline.runtime.cli import log


def processor() -> str:
    """The processor's name, where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.machine()


def keep_freed_memory() -> None:
    """Has glibc keep what is freed for the next time, in place of giving it back to the system.

    A training's steps take and free the same tens of megabytes over and over; fresh pages for them,
    which the system must clear, cost a sixth of CNN-6's time.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(-4, 0)  # M_MMAP_MAX: no mappings of their own for large pieces
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD


@cache
def describe_commit(folder: Path = Path(__file__).parent) -> str:
    """The commit of the code, with '-dirty' where the code differs from it.

    What the code makes, and the parameters, which every result names for itself, don't count.
    Without git, and where git doesn't have this code or distrusts its owner, it is 'unknown', and
    the log says why.
    """

    def git(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["git", *words], capture_output=True, text=True, cwd=folder)

    apart = [f":(top,exclude){name}" for name in ("results", "dvc.lock", "params.yaml")]
    try:
        shown = git("rev-parse", "--short=12", "HEAD")
        changed = git("diff", "--quiet", "HEAD", "--", ":(top)", *apart).returncode
        here = git("ls-files").stdout  # none in a repository that the project was unpacked into
    except OSError as error:
        log.info("the commit of the code is unknown: git: %s", error.strerror)
        return "unknown"
    if shown.returncode or not here:
        reason = shown.stderr.partition("\n")[0] or "the git repository here doesn't have it"
        log.info("the commit of the code is unknown: %s", reason)
        return "unknown"
    return shown.stdout.strip() + "-dirty" * bool(changed)
