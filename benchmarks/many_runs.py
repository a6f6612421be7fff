"""What the two engines take to look at a graph of many runs, of which nothing is to be computed.

``python -m benchmarks.many_runs N...`` makes a project with N runs or a few more (the committed
ones, with as many seeds as it takes) in a temporary folder, with empty files for all outputs, which
both engines take as up to date. It trains nothing. Printed are each command's seconds by the clock
and of the processor, which other work changes less, its most memory and its exit status.
"""

import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from benchmarks import arguments

COMMANDS = {
    "snakemake -n": ["snakemake", "-n", "--quiet"],
    "snakemake --summary": ["snakemake", "--summary"],
    "dvc status": ["dvc", "status"],
    "dvc repro --dry": ["dvc", "repro", "--dry"],
    "dvc commit, one stage": ["dvc", "commit", "--force", "summary@synthetic"],
    "dvc dag": ["dvc", "dag", "--dot"],
    "make sync": ["workflow.sync"],
}
OUTPUTS = """
from pathlib import Path
from dvc.repo import Repo
with Repo() as repo:
    for path in (Path(out.fs_path) for stage in repo.index.stages for out in stage.outs):
        (path.parent if path.suffix else path).mkdir(parents=True, exist_ok=True)
        if path.suffix:
            path.touch()
"""


def main() -> None:
    """Prints a table for the numbers of runs on the command line."""
    counts = [int(one) for one in arguments(__doc__)]
    print(
        "runs", "stages", "command", "seconds", "cpu_seconds", "peak_memory_mib", "status", sep=","
    )
    for least in counts:
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder), least)


def measure(root: Path, least: int) -> None:
    """The rows of a project with ``least`` runs or a few more, in the empty folder ``root``."""
    tracked = subprocess.run(["git", "ls-files", "-z"], capture_output=True, check=True).stdout
    for name in filter(None, tracked.decode().split("\0")):
        if not name.startswith(("docs/results/", "results/", "dvc.lock")):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(name, root / name)
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    grids = params["runs"].values()
    cells = [len(grid["recipe"]) * len(grid["balance"]) * len(grid["loss"]) for grid in grids]
    each = sum(cells) + len(params["baselines"])
    params["seeds"] = list(range(math.ceil(least / each)))
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    subprocess.run(["git", "init", "--quiet", root], check=True)
    environment = os.environ | {"DVC_SITE_CACHE_DIR": str(root / ".dvc/tmp/site")}
    environment.pop("PYTHONPATH", None)

    def call(*words: str) -> tuple[float, float, int, int]:
        """Seconds by the clock and of the processor, the most memory in MiB, the exit status."""
        began = time.perf_counter()
        with (root / "said.txt").open("w") as said:
            process = subprocess.Popen(
                [sys.executable, *words], cwd=root, env=environment, stdout=said, stderr=said
            )
            _, status, usage = os.wait4(process.pid, 0)
        seconds, worked = time.perf_counter() - began, usage.ru_utime + usage.ru_stime
        return seconds, worked, usage.ru_maxrss // 1024, os.waitstatus_to_exitcode(status)

    touch = ["snakemake", "--touch", "--forceall", "--cores", "1", "--quiet"]
    for words in (["-c", OUTPUTS], ["-m", "dvc", "commit", "--force"], ["-m", *touch]):
        if call(*words)[-1]:
            sys.exit((root / "said.txt").read_text())
    lock = yaml.load((root / "dvc.lock").read_text(encoding="utf-8"), yaml.CSafeLoader)
    for name, command in COMMANDS.items():
        seconds, worked, memory, status = call("-m", *command)
        row = (each * len(params["seeds"]), len(lock["stages"]), name)
        print(*row, f"{seconds:.1f}", f"{worked:.1f}", memory, status, sep=",", flush=True)


if __name__ == "__main__":
    main()
