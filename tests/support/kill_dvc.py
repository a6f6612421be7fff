"""`dvc repro`, ended again and again while it writes its records: the same command must go on.

``python tests/support/kill_dvc.py [KILLS] [SEED]`` makes a tiny project and does that first
with DVC as it is by itself, then as the set-up has it (workflow/dvc_atomic.py).
"""

import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml
from project import ROOT, Project

REPRO = ("repro", "--force", "--single-item", "table@synthetic-3")
RECORDS = "dvc.lock", ".dvc/tmp/rwlock"
BARE, WHOLE = "dvc.cli", "workflow.dvc_atomic"  # DVC as it is, and as the set-up has it
# DVC that writes in pieces, and tells the file after each. Its first argument is what to import.
SLOW = """
import importlib, io, json, sys, time
importlib.import_module(sys.argv[1])
from dvc.cli import main
from dvc.utils.serialize import _yaml

def slowly(dump):
    def write(data, file):
        whole = io.StringIO()
        dump(data, whole)
        text, size = whole.getvalue(), len(whole.getvalue()) // 4 + 1
        for begin in range(0, len(text), size):
            file.write(text[begin : begin + size])
            file.flush()
            print("written to", file.name, flush=True)
            time.sleep(0.05)
    return write

_yaml._dump, json.dump = slowly(_yaml._dump), slowly(json.dump)
sys.exit(main(sys.argv[2:]))
"""


def start(project: Project, module: str, *words: str) -> subprocess.Popen:
    """Starts such a DVC, with ``module`` imported first."""
    return subprocess.Popen(
        [sys.executable, "-c", SLOW, module, *words],
        cwd=project.root,
        env=project.environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def end_amid(
    project: Project, module: str, record: str, piece: int, number: signal.Signals
) -> None:
    """Sends ``dvc repro`` a signal when it has written so many pieces to the record, over all."""
    process = start(project, module, *REPRO)
    assert process.stdout
    for line in process.stdout:
        piece -= is_piece(line, record)
        if piece == 0:
            process.send_signal(number)
            break
    process.communicate()
    assert piece == 0


def is_piece(line: str, record: str) -> bool:
    """Whether the line tells of a piece written to the record."""
    return line.startswith("written to") and Path(record).name in line


def is_whole(project: Project, stages: int) -> bool:
    """Whether both records can be read, and DVC's has all its stages."""
    lock, workers = (project.root / record for record in RECORDS)
    try:
        json.loads(workers.read_text())
        return len(yaml.load(lock.read_text(), yaml.CSafeLoader)["stages"]) == stages
    except (ValueError, TypeError, KeyError, yaml.YAMLError):
        return False


def main(kills: int = 20, seed: int = 0) -> None:
    """Prints what came of the kills, with DVC as it is and as the set-up has it."""
    with tempfile.TemporaryDirectory() as folder:
        project = Project.make(Path(folder))
        project.snakemake("table3")
        shutil.copy(ROOT / "dvc.lock", project.root)  # of a whole project, so as long as they get
        project.dvc(*REPRO)
        said, _ = start(project, BARE, *REPRO).communicate()
        pieces = {
            record: sum(is_piece(line, record) for line in said.splitlines()) for record in RECORDS
        }
        before = [project.read(record) for record in RECORDS]
        stages = len(yaml.load(before[0], yaml.CSafeLoader)["stages"])
        for module in (BARE, WHOLE):
            moments, torn, failed = random.Random(seed), 0, 0
            for number in range(kills):
                for record, content in zip(RECORDS, before, strict=True):
                    (project.root / record).write_bytes(content)
                record = RECORDS[number % 2]
                piece = moments.randint(1, pieces[record])
                end_amid(project, module, record, piece, signal.SIGKILL)
                torn += not is_whole(project, stages)
                again = start(project, module, *REPRO)
                again.communicate()
                failed += again.returncode != 0 or not is_whole(project, stages)
            print(
                f"{module}: {kills} kills, {torn} left a record torn or short, "
                f"after {failed} the same command failed",
                flush=True,
            )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
