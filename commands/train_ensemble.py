"""Many trainings in one process, side by side on one GPU, before either engine asks for them."""

from contextlib import ExitStack

import torch

from pipeline.config import paths
from pipeline.config.params import load
from pipeline.runtime import cli
from pipeline.runtime.cli import log
from pipeline.runtime.errors import UserError
from pipeline.trainings import cache_key, run_store, runner, training_data
from pipeline.trainings.cache_key import ensemble_inputs
from pipeline.trainings.spec import TrainingSpec
from wingloss.models.networks import ARCHITECTURES, Plain


def run(dataset: str, stage: int) -> None:
    """Trains stage STAGE (1 or 2) of DATASET's runs of CNN-6 and CNN-6/7 into the run store.

    They are one vectorised model, whatever their losses, balances, seeds and frames, or several
    where the GPU's memory is too small for one. `snakemake` and `dvc repro` then find them there.
    Needs the data prepared, and for stage 2 the corrections too (`snakemake --until correct`).
    """
    torch.set_num_threads(cli.threads())
    params = load()
    if dataset not in params.datasets:
        raise UserError(f"'{dataset}' is not among the datasets in params.yaml")
    specs: dict[
        str, TrainingSpec
    ] = {}  # those that nobody has made alone, by the key they have together
    entries: dict[str, run_store.StoredTraining] = {}
    cells = paths.runs(params, dataset)
    _check_prepared(cells, stage)
    for cell in cells:
        if stage > len(paths.STAGES[cell.network]):
            continue
        spec = TrainingSpec.of(params, cell, stage)
        if not isinstance(ARCHITECTURES[spec.network], Plain):  # it keeps a GPU busy by itself
            continue
        inputs = cache_key.inputs(spec)
        entry = run_store.StoredTraining(paths.RUN_STORE, ensemble_inputs(spec, inputs))
        if not run_store.StoredTraining(paths.RUN_STORE, inputs).finished():
            specs[entry.key], entries[entry.key] = spec, entry
    groups = {key: alike(spec) for key, spec in specs.items()}
    for group in sorted(set(groups.values())):
        keys = sorted(key for key in specs if groups[key] == group)
        with ExitStack() as stack:  # by key, so that two such processes can't wait for each other
            for key in keys:
                stack.enter_context(entries[key].locked())
            missing = [key for key in keys if not entries[key].finished()]
            log.info("%d of %d trainings to run", len(missing), len(keys))
            missing.sort(key=lambda key: (specs[key].objective.loss_kind, key))
            _make([(specs[key], entries[key]) for key in missing])


def _check_prepared(cells: list[paths.Run], stage: int) -> None:
    """Refuses to begin without what the engines make before, and says how to have it made.

    To say `snakemake` as other stages do would have it train all that is to be made here.
    """
    needed, rule = (paths.REPEATS, "balance") if stage == 1 else (paths.FRAMES, "correct")
    for cell in cells:
        path = cell.path(needed)
        if stage <= len(paths.STAGES[cell.network]) and not path.exists():
            raise UserError(
                f"{path}: no such file; run 'snakemake --cores all --until {rule}' first"
            )


def alike(spec: TrainingSpec) -> tuple[str, str, float, int]:
    """What trainings side by side share: network, recipe, factor of its rate, their crops' size."""
    factor = spec.recipe.learning_rate_factor.get(spec.objective.loss_kind, 1.0)
    return spec.network, spec.recipe_name, factor, training_data.crop_size(spec)


def _make(trainings: list[tuple[TrainingSpec, run_store.StoredTraining]]) -> None:
    """Makes trainings side by side, half of them after the other where memory asks for it."""
    if not trainings:
        return
    try:
        specs, entries = zip(*trainings, strict=True)
        runner.train(specs, entries, {"trained_together": len(specs)})
        return
    except torch.OutOfMemoryError:
        if len(trainings) == 1:
            raise
    log.info("the GPU's memory is too small for %d trainings at once", len(trainings))
    torch.cuda.empty_cache()  # out of the handler, whose traceback holds tensors
    half = len(trainings) // 2
    for part in (trainings[:half], trainings[half:]):
        _make(part)


if __name__ == "__main__":
    cli.main(run)
