"""Trainings from their newest checkpoint, or their start, to finished entries of the run store."""

import copy
import dataclasses
import platform
import resource
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from pipeline import files
from pipeline.config import paths
from pipeline.runtime.cli import log
from pipeline.runtime.host import describe_commit, keep_freed_memory, processor
from pipeline.runtime.progress import Progress
from pipeline.trainings import ensemble_setup, run_store, single_setup
from pipeline.trainings.spec import TrainingSpec
from wingloss import protocol
from wingloss.models import inference, model_file
from wingloss.training import loop
from wingloss.training.loop import Trained, Training

LOCK = Path("requirements.lock")  # the versions of all packages
CHECKPOINT_SECONDS = 20.0
PATIENCE = 2.0  # seconds that a training has to its next checkpoint once it is told to stop


def train(
    specs: Sequence[TrainingSpec],
    entries: Sequence[run_store.StoredTraining],
    about: dict[str, Any],
) -> None:
    """One training, or several side by side; ``about`` goes into their manifests.

    The checkpoint of several is one, in an entry that the store has for them.
    """
    keep_freed_memory()
    commit = describe_commit()
    one, on = specs[0], inference.device()  # `one` for what is the same for all
    inference.be_deterministic(on)
    alone_here = len(specs) == 1 and on.type == "cpu"
    begun = single_setup.begin(one) if alone_here else ensemble_setup.begin(specs, on)
    trained, members, *_ = begun
    title = one.network if len(specs) == 1 else f"{len(specs)} × {one.network}"
    repeats = members[0].repeats
    with ExitStack() as stack:
        shared = entries[0]
        if len(specs) > 1:
            shared = stack.enter_context(run_store.group(paths.RUN_STORE, entries).locked())
        before = resume(trained, shared, one)
        log.info(
            "%s: %d faces (%d after balancing), %d steps of %d, %s on %s",
            title,
            (repeats > 0).sum(),
            repeats.sum(),
            one.steps,
            one.recipe.batch,
            one.recipe.precision,
            _hardware() if on.type == "cuda" else f"{torch.get_num_threads()} threads",
        )
        seconds = run_steps(loop.train(*begun), trained, shared, one, before, title)
        about = about | {"train_seconds": round(seconds / len(specs), 1), "commit": commit}
        for index, (spec, entry) in enumerate(zip(specs, entries, strict=True)):
            if not entry.finished():  # some are where the process was killed in this loop
                finish(entry, spec, trained.member(index), about)
        shared.discard()


def resume(trained: Training, entry: run_store.StoredTraining, spec: TrainingSpec) -> float:
    """Resumes from the newest checkpoint that fits, if any does; the seconds trained before it."""
    beginning = None
    for path, checkpoint in entry.checkpoints():
        beginning = beginning or copy.deepcopy(trained.checkpoint())
        try:
            trained.restore(checkpoint["state"])
            seconds = float(checkpoint["seconds"])
            _check(trained, beginning, spec)
        except (KeyError, IndexError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            trained.restore(beginning)
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            log.warning("%s belongs to another training (%s): ignoring it", path, reason)
            continue
        log.info("resuming from the checkpoint at step %d of %d", trained.step, spec.steps)
        return seconds
    return 0.0


def _check(trained: Training, beginning: dict, spec: TrainingSpec) -> None:
    """What restoring a checkpoint doesn't look at by itself.

    Raises:
        ValueError: it isn't one of this training.
    """
    trained.report()
    if not 0 <= trained.step <= spec.steps:
        raise ValueError(f"step {trained.step} of {spec.steps}")
    for parameter, kept in trained.optimiser.state.items():
        for name, value in kept.items():
            if value.ndim and value.shape != parameter.shape:
                raise ValueError(f"{name} is {[*value.shape]}, not {[*parameter.shape]}")
    settings = [
        [
            {name: value for name, value in group.items() if name not in ("lr", "capturable")}
            for group in optimiser["param_groups"]
        ]
        for optimiser in (trained.optimiser.state_dict(), beginning["optimiser"])
    ]
    if settings[0] != settings[1]:
        raise ValueError("the optimiser has other settings")


def run_steps(
    steps: Iterator[Any],
    trained: Training,
    entry: run_store.StoredTraining,
    spec: TrainingSpec,
    before: float,
    title: str,
) -> float:
    """Has ``trained`` take its steps; the seconds it took in all, ``before`` of them earlier.

    Writes checkpoints, shows progress, and on SIGTERM or SIGINT ends the process.
    """
    batch = spec.recipe.batch
    began = now = saved = time.monotonic()
    progress = Progress(title, spec.steps * batch, "samples", trained.step * batch)
    with _Stopping() as stopping, progress:
        for _ in steps:
            now = time.monotonic()
            if stopping.asked or now - saved > CHECKPOINT_SECONDS:
                kept = entry.save({"state": trained.checkpoint(), "seconds": before + now - began})
                saved = now
            if stopping.asked:
                break
            progress.tell(trained.step * batch, _described(*trained.report()))
        else:
            return round(before + now - began, 1)
    log.warning(  # once the bar is gone
        "stopped at step %d; the next run resumes from %s",
        trained.step,
        "there" if kept else "the last checkpoint that could be written",
    )
    raise SystemExit(128 + stopping.asked)


def _described(loss: float, nme: float | None) -> str:
    """The last loss and, where it is known, the last validation NME (percent), in words."""
    return f"loss {loss:.3g}" + ("" if nme is None else f", validation NME {nme:.2f} %")


def finish(
    entry: run_store.StoredTraining, spec: TrainingSpec, state: Trained, about: dict[str, Any]
) -> None:
    """Puts a training that has ended into the store; ``about`` goes into its manifest."""
    if state.diverged:
        log.warning(
            "%s DIVERGED at step %d, learning rate %.2g: its results say so; other runs continue",
            spec.title,
            state.step,
            state.curve[-1].learning_rate,
        )
    result = entry.folder / "result.new"
    shutil.rmtree(result, ignore_errors=True)
    with files.whole_file(result / "model.safetensors") as partial:
        count = protocol.load(spec.dataset).n_landmarks
        model_file.save(partial, state.network, spec.network, count)
    curve = pd.DataFrame([dataclasses.asdict(point) for point in state.curve])
    files.write_table(result / "curve.csv", curve)
    files.write_json(
        result / "manifest.json",
        _manifest(spec, state) | {"key": entry.key, "inputs": entry.inputs} | about,
    )
    entry.finish(result)
    last = state.curve[-1]
    log.info("%s: %s", spec.title, _described(last.loss, last.val_nme))


def _manifest(spec: TrainingSpec, state: Trained) -> dict[str, Any]:
    """What was trained, and where."""
    return {
        "status": "diverged" if state.diverged else "trained",
        "network": spec.network,
        "dataset": spec.dataset,
        "recipe": spec.recipe_name,
        "steps": state.step,
        "last_loss": state.curve[-1].loss,
        "last_learning_rate": state.curve[-1].learning_rate,
        "samples_seen": state.step * spec.recipe.batch,
        "precision": spec.recipe.precision,
        "threads": torch.get_num_threads(),
        "hardware": _hardware(),
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "lock": files.file_hash(LOCK),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _hardware() -> str:
    """What trains here: the GPU, or else the processor."""
    cuda = inference.device().type == "cuda"
    return torch.cuda.get_device_name() if cuda else processor()


class _Stopping:
    """Notes SIGTERM, SIGINT and SIGHUP: the training stops after its step with a checkpoint.

    Where that takes longer than ``PATIENCE``, by a large validation part or many trainings side by
    side, the process ends with the checkpoint before. Once the training is over, the signals are
    again what they were: other work may come after. SIGHUP, which comes when a terminal is closed,
    stays ignored where it is: `nohup` has it so.
    """

    def __enter__(self) -> "_Stopping":
        self.asked = 0
        own = {
            signal.SIGTERM: self._note,
            signal.SIGINT: self._note,
            signal.SIGALRM: self._give_up,
        }
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            own[signal.SIGHUP] = self._note
        self.before = {number: signal.signal(number, handler) for number, handler in own.items()}
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: object) -> None:
        self.asked = number
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)

    def _give_up(self, number: int, frame: object) -> None:
        log.warning("stopped within a step; the next run resumes from the last checkpoint")
        raise SystemExit(128 + self.asked)
