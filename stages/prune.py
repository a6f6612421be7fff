"""Forgets the trainings in the run store that no run under ``results`` stems from."""

import fcntl
import shutil
from pathlib import Path

from stages import command, files, layout
from stages.command import log


def run() -> None:
    """Deletes unused entries of .runs; a training that is running keeps its own."""
    manifests = Path("results").glob("*/models/**/manifest.json")
    used = {files.read_json(path)["key"] for path in manifests}
    entries = [path for path in layout.RUN_STORE.glob("*") if path.is_dir()]
    for folder in entries:
        if folder.name in used:
            continue
        with (folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(folder)
            log.info("%s deleted", folder)
    log.info("%d trainings are in use", len(used))


if __name__ == "__main__":
    command.main(run)
