"""Frees what nothing uses: results that params.yaml doesn't ask for, trainings without a result."""

import fcntl
import shutil
from pathlib import Path

from stages import command, files, layout
from stages.command import log
from stages.params import load


def run() -> None:
    """Deletes files of other runs than the parameters', then entries of .runs without a result.

    Results of data sets that the parameters don't name stay, and a running training's entry.
    """
    params = load()
    for dataset in params.datasets:
        wanted = {path for run in layout.scored(params, dataset) for path in layout.outputs(run)}
        for kind in ("models", "predictions", "ced"):
            for file in Path("results", dataset, kind).rglob("*"):
                if file.is_file() and file not in wanted and not file.name.startswith("."):
                    file.unlink()
                    log.info("%s deleted", file)
    manifests = Path("results").glob("*/models/**/manifest.json")
    used = {files.read_json(path)["key"] for path in manifests}
    for path in Path("results").glob("*/models/**/frames.csv"):
        used |= set(files.read_table(path, boxed_by=str).boxed_by) - {""}
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
