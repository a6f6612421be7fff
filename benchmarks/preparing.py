"""Time and memory of ``stages.prepare`` against the number of faces.

``python -m benchmarks.preparing SIDE COUNT...`` renders a few faces of SIDE x SIDE pixels, repeats
them under new names (hard links) to each COUNT in a temporary folder, and prints what preparing
them takes. COUNTs must grow: faces are only ever added.
"""

import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from benchmarks import arguments

RENDERED = 250  # different faces
RAW = Path("data/raw/synthetic")


def main() -> None:
    """Prints the table for the picture size and the counts on the command line."""
    side, *counts = map(int, arguments(__doc__, 2))
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    rendered = params["raw"]["synthetic"]
    rendered |= {"train": RENDERED, "test": 1}
    rendered["faces"]["image_size"] = side
    environment = os.environ | {"PYTHONPATH": os.getcwd()}
    print("faces", "seconds", "faces_per_second", "peak_memory_mib", sep=",")
    with tempfile.TemporaryDirectory(dir=".") as folder:
        root = Path(folder)
        (root / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")

        def stage(verb: str) -> tuple[float, int]:
            """Seconds and the most memory (MiB) that a stage takes; what it says is shown."""
            began = time.perf_counter()
            words = [sys.executable, "-m", f"stages.{verb}", "--dataset", "synthetic"]
            process = subprocess.Popen(words, cwd=root, env=environment)
            _, status, usage = os.wait4(process.pid, 0)  # of this process alone
            if status:
                sys.exit(f"error: stages.{verb} failed")
            return time.perf_counter() - began, usage.ru_maxrss // 1024

        stage("download")
        for count in counts:
            repeat(root / RAW, count)
            seconds, memory = stage("prepare")
            print(count, f"{seconds:.1f}", f"{count / seconds:.0f}", memory, sep=",", flush=True)


def repeat(raw: Path, count: int) -> None:
    """Brings the training part to ``count`` faces, and its boxes with it."""
    boxes = raw / "detector_boxes.csv"
    with boxes.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    known = {row[0]: row[1:] for row in rows}
    for number in range(RENDERED, count):
        source, target = f"train/{number % RENDERED:06d}", f"train/{number:06d}"
        if f"{target}.jpg" not in known:
            known[f"{target}.jpg"] = known[f"{source}.jpg"]
            for suffix in (".jpg", ".pts"):
                os.link(raw / f"{source}{suffix}", raw / f"{target}{suffix}")
    with boxes.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *([name, *box] for name, box in known.items())])


if __name__ == "__main__":
    main()
