"""Frees what nothing uses: results that params.yaml doesn't request, trainings without a result."""

import dataclasses
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.config import paths
from pipeline.config.params import Params, load
from pipeline.config.paths import Run
from pipeline.errors import UserError
from pipeline.results.predictions_file import Predictions
from pipeline.runtime import cli, engines
from pipeline.runtime.cli import log
from pipeline.runtime.file_lock import claimed
from pipeline.trainings import cache_key, run_store
from pipeline.trainings.cache_key import ensemble_inputs
from pipeline.trainings.spec import TrainingSpec

TRAINING, TREES = ("network", "objective"), ("trees", "seed")  # what tells those alike


def run(delete: str = "") -> None:
    """Shows files of runs that params.yaml doesn't request, and entries of .runs without a result.

    With --delete it deletes them. Results of data sets that the parameters don't name stay, with
    their trainings, and what has been trained of the runs that they ask for.
    """
    params = load()
    with engines.alone():
        unasked = list(_unasked_files(params))
        unused = list(_unused_entries(params, set(unasked)))
        freed = 0
        for path in [*unasked, *unused]:
            size = _size(path)
            if delete and not (_deleted(path)):
                log.info("%s is being trained: it stays", path)
                continue
            freed += size
            log.info("%s%s, %s", path, " deleted" if delete else "", _text(size))
    if delete:
        log.info("%s freed", _text(freed))
    elif unasked or unused:
        log.info("%s in all; `python -m commands.prune --delete` deletes it", _text(freed))
    else:
        log.info("nothing to delete: everything is used")


def _unasked_files(params: Params) -> Iterator[Path]:
    """The results of runs that the parameters don't ask for, on the data sets that they name."""
    for dataset in params.datasets:
        wanted = {path for run in paths.scored(params, dataset) for path in paths.outputs(run)}
        for kind in ("models", "predictions", "ced"):
            for file in sorted(Path("results", dataset, kind).rglob("*")):
                if file.is_file() and file not in wanted and not file.name.startswith("."):
                    yield file


def _unused_entries(params: Params, unasked: set[Path]) -> Iterator[Path]:
    """The run store's folders that no result comes from, and that no requested run would resume."""
    used = set()
    for path in set(Path("results").glob("*/models/**/manifest.json")) - unasked:
        used.add(files.read_json(path)["key"])
    for path in set(Path("results").glob("*/models/**/frames.csv")) - unasked:
        used |= set(files.read_table(path, boxed_by=str).boxed_by) - {""}
    for path in set(Path("results").glob("*/predictions/none/ert/**/*.npz")) - unasked:
        used.add(Predictions.read(path).about.get("key"))  # none in older ones
    asked = [run for dataset in params.datasets for run in paths.runs(params, dataset)]
    alike = []
    for one in asked:
        for stage in range(1, len(paths.STAGES[one.network]) + 1):
            keys = _keys(params, one, stage)
            used |= keys
            folds = params.correction.training_crops == "out_of_fold" and stage == 1
            if folds or not keys:
                alike.append(_described(TrainingSpec.of(params, one, stage)))
    folders = {folder: run_store.described(folder) for folder in paths.RUN_STORE.glob("*")}
    used |= {folder.name for folder, inputs in folders.items() if _part_of(inputs) in alike}
    if "ert" in params.baselines:
        recipe = dataclasses.asdict(params.regression_trees)
        grown = [{"trees": recipe, "seed": seed} for seed in params.seeds]
        used |= {one.name for one, inputs in folders.items() if _part_of(inputs, TREES) in grown}
    for folder, inputs in sorted(folders.items()):
        there = any(file.name != run_store.LOCK for file in folder.glob("*"))
        # a checkpoint of several trainings serves each of them
        if there and not used & {folder.name, *inputs.get(run_store.MEMBERS, ())}:
            yield folder


def _keys(params: Params, run: Run, stage: int) -> set[str]:
    """The keys in the run store that one of an asked run's trainings may have.

    None where what it is trained on isn't there, so that nobody can say.
    """
    spec = TrainingSpec.of(params, run, stage)
    try:
        inputs = cache_key.inputs(spec)
    except UserError:
        return set()
    both = (inputs, ensemble_inputs(spec, inputs))
    return {run_store.StoredTraining(paths.RUN_STORE, one).key for one in both}


def _described(spec: TrainingSpec) -> dict[str, Any]:
    """What a training's key says of it, but for its data and its code."""
    return {"network": spec.network, "objective": dataclasses.asdict(spec.objective)}


def _part_of(inputs: dict[str, Any], names: Sequence[str] = TRAINING) -> dict[str, Any]:
    """What an entry's key in the run store says by these ``names``, of all that it says."""
    return {name: inputs.get(name) for name in names}


def _deleted(path: Path) -> bool:
    """Deletes a file, or a folder of the run store that no process has locked; whether it did.

    A folder's lock stays: another process may wait for it.
    """
    if path.is_file():
        path.unlink()
        return True
    lock = claimed(path / run_store.LOCK)
    if lock is None:
        return False
    with lock:
        for inside in path.iterdir():
            if inside.is_dir():
                shutil.rmtree(inside)
            elif inside.name != run_store.LOCK:
                inside.unlink()
    return True


def _size(path: Path) -> int:
    """The bytes of a file, or of all files below a folder."""
    inside = [path, *path.rglob("*")]
    return sum(one.stat().st_size for one in inside if one.is_file())


def _text(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"


if __name__ == "__main__":
    cli.main(run)
