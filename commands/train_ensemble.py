"""Many trainings in one process, side by side on one GPU, before either engine asks for them."""

from contextlib import ExitStack

import torch

from pipeline.config import paths
from pipeline.config.params import load
from pipeline.runtime import cli
from pipeline.runtime.cli import log
from pipeline.runtime.errors import UserError
from pipeline.trainings import run_store, runner
from pipeline.trainings.runner import together_inputs
from pipeline.trainings.spec import Job
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
    jobs: dict[str, Job] = {}  # those that nobody has made alone, by the key they have together
    entries: dict[str, run_store.Entry] = {}
    cells = paths.runs(params, dataset)
    _check_prepared(cells, stage)
    for cell in cells:
        if stage > len(paths.STAGES[cell.network]):
            continue
        job = Job.of(params, cell, stage)
        if not isinstance(ARCHITECTURES[job.network], Plain):  # it keeps a GPU busy by itself
            continue
        inputs = job.inputs()
        entry = run_store.Entry(paths.RUN_STORE, together_inputs(job, inputs))
        if not run_store.Entry(paths.RUN_STORE, inputs).finished():
            jobs[entry.key], entries[entry.key] = job, entry
    groups = {key: alike(job) for key, job in jobs.items()}
    for group in sorted(set(groups.values())):
        keys = sorted(key for key in jobs if groups[key] == group)
        with ExitStack() as stack:  # by key, so that two such processes can't wait for each other
            for key in keys:
                stack.enter_context(entries[key].locked())
            missing = [key for key in keys if not entries[key].finished()]
            log.info("%d of %d trainings are to be made", len(missing), len(keys))
            missing.sort(key=lambda key: (jobs[key].objective.loss_kind, key))
            _make([(jobs[key], entries[key]) for key in missing])


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


def alike(job: Job) -> tuple[str, float, int]:
    """What trainings side by side have in common: the network, the rates, their crops' size."""
    factor = job.recipe.learning_rate_factor.get(job.objective.loss_kind, 1.0)
    return job.network, factor, job.crop_size()


def _make(trainings: list[tuple[Job, run_store.Entry]]) -> None:
    """Makes trainings side by side, half of them after the other where memory asks for it."""
    if not trainings:
        return
    try:
        jobs, entries = zip(*trainings, strict=True)
        runner.make(jobs, entries, {"trained_together": len(jobs)})
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
