"""Each engine, killed again and again amid the whole graph: it must end with the same bits.

``python tests/support/kill_engines.py [KILLS] [SEED]`` kills Snakemake, then `dvc repro`, so many
times in a tiny project: half the time the engine alone, whose stages must then end by themselves,
and half the time all its processes at once. Whenever the graph is finished before its next kill,
its results are compared with those of a run that nobody disturbed, and it begins again from
nothing.
"""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from project import Project, copy, wait_for

ENGINES = {"Snakemake": ("snakemake", "--cores", "2"), "DVC": ("dvc", "repro")}
LONGEST = 12.0  # seconds that an engine lives at most
ALONE = 10.0  # seconds in which the stages of a killed engine must end
# what the same work gives the same bytes of: neither times of day nor durations
KEPT = ("**/model.safetensors", "**/curve.csv", "**/frames.csv", "metrics/**/*.json")


def bits(project: Project) -> dict[str, str]:
    """The hashes of all results that don't tell when, or how fast, they were made."""
    results = project.root / "results/synthetic"
    return {
        str(path.relative_to(results)): hashlib.sha256(path.read_bytes()).hexdigest()
        for pattern in KEPT
        for path in sorted(results.glob(pattern))
    }


def finish(project: Project, words: tuple[str, ...]) -> None:
    """Runs the engine to its end, however long that takes."""
    process = project.start(*words)
    said, _ = process.communicate()
    assert process.returncode == 0, said


def kill_engine(project: Project, words: tuple[str, ...], kills: int, seed: int) -> int:
    """Kills the engine that often; fails if bits differ. How often the graph was finished."""
    finish(copy(project, project.root.with_name("undisturbed")), words)
    undisturbed = bits(Project(project.root.with_name("undisturbed")))
    assert undisturbed
    chance, finished, killed = random.Random(seed), 0, 0

    def compare() -> None:
        found = bits(project)
        other = [path for path in undisturbed | found if found.get(path) != undisturbed.get(path)]
        assert not other, f"other bits after {killed} kills: {', '.join(other)}"
        assert not project.left_over()

    while killed < kills:
        process = project.start(*words)
        try:
            said, _ = process.communicate(timeout=chance.uniform(0, LONGEST))
        except subprocess.TimeoutExpired:
            if chance.random() < 0.5:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
            process.communicate()
            killed += 1
            wait_for(lambda: not project.processes("stages."), ALONE)
            continue
        assert process.returncode == 0, said
        compare()
        finished += 1
        for folder in ("results", ".runs", "data", ".snakemake", ".dvc/cache"):
            shutil.rmtree(project.root / folder, ignore_errors=True)
        (project.root / "dvc.lock").unlink(missing_ok=True)
    finish(project, words)
    compare()
    return finished + 1


def main(kills: int = 50, seed: int = 0) -> None:
    """Makes a tiny project for each engine in a temporary folder, and kills it there."""
    for name, words in ENGINES.items():
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            project = Project.make(Path(folder) / "project")
            finished = kill_engine(project, words, kills, seed)
        minutes = (time.monotonic() - began) / 60
        print(
            f"{name}: {kills} kills, the graph finished {finished} times, "
            f"the same bits: {minutes:.0f} min",
            flush=True,
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
