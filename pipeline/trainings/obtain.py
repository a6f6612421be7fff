"""A training from the run store; where it isn't there, it is made.

On a GPU several small networks side by side take little longer than one. So the first training
that an engine asks for makes those too that it would ask for next; these then are in the store.
"""

import gc
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager

import torch

from pipeline.config import paths
from pipeline.config.params import Params
from pipeline.config.paths import STAGES, Run
from pipeline.errors import UserError
from pipeline.runtime import engines, gpus
from pipeline.runtime.cli import log
from pipeline.runtime.file_lock import locked
from pipeline.trainings import cache_key, run_store, runner, training_data
from pipeline.trainings.run_store import StoredTraining
from pipeline.trainings.spec import TrainingSpec
from wingloss.models import inference
from wingloss.models.networks import ARCHITECTURES, Plain

Pair = tuple[TrainingSpec, StoredTraining]


@contextmanager
def finished(
    spec: TrainingSpec, others: Callable[[], Iterable[TrainingSpec]]
) -> Iterator[StoredTraining]:
    """The finished training in the run store, made first where it isn't there yet.

    ``others`` gives what will be asked for too, where that has anything to do with it.
    """
    inputs = cache_key.inputs(spec)
    with StoredTraining(paths.RUN_STORE, inputs).locked() as alone:
        together = StoredTraining(paths.RUN_STORE, cache_key.ensemble_inputs(spec, inputs))
        entry = next((one for one in (alone, together) if one.finished()), None)
        if entry:
            log.info("this training is finished already: taking it from the run store")
        elif _side_by_side(spec):
            entry = together
            while not together.finished():
                _make_some(spec, together, others())
        else:
            entry = alone
            with gpus.one_alone(paths.RUN_STORE):
                runner.train([spec], [alone], {})
        if cache_key.code(spec) != inputs["code"]:
            raise UserError("the code was changed while the training ran; run again")
        yield entry


def of_other_runs(params: Params, one_run: Run, stage: int) -> Iterator[TrainingSpec]:
    """The same stage of the data set's other runs, where all that it needs is there."""
    needed = paths.REPEATS if stage == 1 else paths.FRAMES
    for run in paths.runs(params, one_run.dataset):
        if run != one_run and stage <= len(STAGES[run.network]) and run.path(needed).exists():
            yield TrainingSpec.of(params, run, stage)


def _side_by_side(spec: TrainingSpec) -> bool:
    """Whether its like are trained side by side: small networks on a GPU.

    Others keep a GPU busy by themselves, and a batch system's jobs each ask for their own.
    """
    on_gpu = inference.device().type == "cuda" and engines.BATCH_JOB not in os.environ
    return on_gpu and isinstance(ARCHITECTURES[spec.network], Plain)


def _make_some(spec: TrainingSpec, entry: StoredTraining, others: Iterable[TrainingSpec]) -> None:
    """Makes ``spec`` with its like, or some of these while another process makes it.

    Where nothing is left to make, waits for that process.
    """
    alike = {entry.key: (spec, entry)} | _alike(spec, others)
    with ExitStack() as stack:
        # one process after the other, so that none finds what another is about to give back taken
        with locked(paths.RUN_STORE / "shares.lock", "trainings are being shared out"):
            claimed = {
                key: stack.enter_context(lock)
                for key, (_, stored) in alike.items()
                if (lock := stored.claim())
            }
            made = {key for key in claimed if alike[key][1].finished()}
            # of several GPUs each has its share of all that is left, others' included
            share = -(-(len(alike) - len(made)) // max(1, torch.cuda.device_count()))
            left = [key for key in claimed if key not in made]
            chosen = _broken_off(set(left), made) or left[:share]
            for key in claimed.keys() - set(chosen):
                claimed[key].close()
        if chosen:
            trainings = [alike[key] for key in chosen]
            trainings.sort(key=lambda pair: (pair[0].objective.loss_kind, pair[1].key))
            with gpus.one_alone(paths.RUN_STORE):
                _train(trainings)
            return
    with entry.locked():
        pass


def _broken_off(left: set[str], made: set[str]) -> list[str]:
    """Keys of trainings that were broken off together, or of one alone; empty if there are none.

    They go on as they were, with those of them that are ``made``: another number of networks side
    by side has other bits.
    """
    for keys in run_store.broken_off(paths.RUN_STORE):
        if left & set(keys) and set(keys) <= left | made:
            return keys
    return []


def _alike(spec: TrainingSpec, others: Iterable[TrainingSpec]) -> dict[str, Pair]:
    """Those of ``others`` that fit beside ``spec`` and that nobody made alone, by their keys."""
    found: dict[str, Pair] = {}
    for other in others:
        try:
            if _shared(other) != _shared(spec):
                continue
            inputs = cache_key.inputs(other)
        except (UserError, OSError):  # of what it needs, something is being made anew
            continue
        if not StoredTraining(paths.RUN_STORE, inputs).finished():
            entry = StoredTraining(paths.RUN_STORE, cache_key.ensemble_inputs(other, inputs))
            found[entry.key] = other, entry
    return found


def _shared(spec: TrainingSpec) -> tuple[str, str, float, int]:
    """What trainings side by side share: network, recipe, factor of its rate, their crops' size."""
    factor = spec.recipe.learning_rate_factor.get(spec.objective.loss_kind, 1.0)
    return spec.network, spec.recipe_name, factor, training_data.crop_size(spec)


def _train(trainings: list[Pair]) -> None:
    """Makes trainings side by side, half of them after the other where memory asks for it."""
    try:
        specs, entries = zip(*trainings, strict=True)
        runner.train(specs, entries, {"trained_together": len(specs)})
        return
    except torch.OutOfMemoryError:
        if len(trainings) == 1:
            raise
    log.info("the GPU's memory is too small for %d trainings at once", len(trainings))
    run_store.group(paths.RUN_STORE, entries).discard()  # so that the halves' are gone on with
    # out of the handler, whose traceback holds tensors
    gc.collect()
    torch.cuda.empty_cache()
    left = [pair for pair in trainings if not pair[1].finished()]
    half = len(left) // 2
    for part in (left[:half], left[half:]):
        if part:
            _train(part)
