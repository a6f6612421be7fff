"""Training of one stage of a run: CNN-6 on the face boxes, or CNN-7 on the corrected ones."""

import ctypes
import dataclasses
import os
import platform
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from stages import PARENT, command, files, layout, store
from stages.command import log
from stages.faces import context_maps, frames_of, read_faces, read_frames
from stages.layout import Run
from stages.params import Params, load
from wingloss import model, networks, protocol, training
from wingloss.augmentation import Faces, shrink
from wingloss.metrics import normalisers

CHECKPOINT_SECONDS = 20.0
LOG_SECONDS = 30.0


def run(dataset: str, network: str, stage: int, balance: str, loss: str, seed: int) -> None:
    """Writes stage STAGE of the run: model.safetensors, curve.csv and manifest.json."""
    _die_with_parent()
    torch.set_num_threads(command.threads())
    params = load()
    cell = Run(dataset, network, balance, loss, seed)
    job = _Job.of(params, cell, stage)
    entry = store.Entry(layout.RUN_STORE, job.inputs())
    with entry.locked():
        if entry.result.exists():
            log.info("this training was made before: taking it from the run store")
        else:
            _train(job, entry)
        entry.deliver(cell.path(layout.TRAINED, stage=stage))


@dataclasses.dataclass(frozen=True)
class _Job:
    """One training, resolved: nothing in it is left to the parameters' file."""

    name: str  # the network that is trained, cnn6 or cnn7
    dataset: str
    objective: training.Objective
    recipe: training.Recipe
    steps: int
    repeats: Path
    frames: Path | None  # stage two's frames; None for the face boxes
    params: Params
    device: torch.device

    @classmethod
    def of(cls, params: Params, cell: Run, stage: int) -> "_Job":
        """Stage ``stage`` (from 1) of the run ``cell``."""
        name = layout.STAGES[cell.network][stage - 1]
        two_stage = len(layout.STAGES[cell.network]) == 2
        if two_stage and stage == 1:  # the parameters may give it another loss and balance
            own = params.stage_one
            cell = dataclasses.replace(
                cell,
                loss=cell.loss if own.loss == "same" else own.loss,
                balance=cell.balance if own.balance == "same" else own.balance,
            )
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        recipe = getattr(params.recipes[params.recipe], name)
        precision = training.available_precision(recipe.precision, device)
        loss = params.loss[cell.loss]
        return cls(
            name=name,
            dataset=cell.dataset,
            objective=training.Objective(
                loss=loss.kind,
                wing=getattr(loss, name),
                augmentation=getattr(params.augmentation, name),
                seed=cell.seed,
            ),
            recipe=dataclasses.replace(recipe, precision=precision),
            steps=training.total_steps(recipe, cell.dataset),
            repeats=cell.path(layout.REPEATS),
            frames=cell.path(layout.FRAMES) if stage == 2 else None,
            params=params,
            device=device,
        )

    def inputs(self) -> dict[str, Any]:
        """All that the result depends on, as plain data: the run store's key."""
        data = {
            "protocol": protocol.path(self.dataset),
            "samples": Path(layout.SAMPLES.format(dataset=self.dataset)),
            "repeats": self.repeats,
        }
        for split in ("train", "val"):
            data[split] = Path(layout.CROPS.format(dataset=self.dataset, split=split))
        if self.frames:
            data["frames"] = self.frames
        recipe = dataclasses.asdict(self.recipe)
        del recipe["samples"]  # the steps say what counts
        return {
            "network": self.name,
            "objective": dataclasses.asdict(self.objective),
            "recipe": recipe,
            "steps": self.steps,
            "context": dataclasses.asdict(self.params.context),
            "data": {name: store.file_hash(path) for name, path in data.items()},
            "code": store.code_hash("wingloss.training"),
        }


def _train(job: _Job, entry: store.Entry) -> None:
    """Trains from the newest checkpoint, or from the start, to the finished entry."""
    rules = protocol.load(job.dataset)
    samples = files.read_samples(Path(layout.SAMPLES.format(dataset=job.dataset)))
    fitting, _ = _faces(job, samples, "train")
    validating, lengths = _faces(job, samples, "val")
    repeats = files.read_table(job.repeats, face=str).repeats.to_numpy(np.int64)
    network = networks.build(job.name, rules.n_landmarks, job.objective.seed)
    network = network.to(job.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    state = training.start(network, job.name, fitting, job.recipe)
    seconds = 0.0
    if checkpoint := entry.newest():
        state.restore(checkpoint["state"])
        seconds = checkpoint["seconds"]
        log.info("going on from the checkpoint at step %d of %d", state.step, job.steps)
    validate = training.validation(job.name, validating, lengths, job.recipe.precision, job.device)
    log.info(
        "%s: %d faces (%d after balancing), %d steps of %d, %s on %d threads",
        job.name,
        len(fitting),
        repeats.sum(),
        job.steps,
        job.recipe.batch,
        job.recipe.precision,
        torch.get_num_threads(),
    )
    stopping = _Stopping()
    began = now = saved = logged = time.monotonic()
    first = state.step
    for _ in training.train(
        state,
        job.name,
        fitting,
        repeats,
        validate,
        job.objective,
        job.recipe,
        job.steps,
        rules.flip_permutation,
        job.device,
    ):
        now = time.monotonic()
        if stopping.asked or now - saved > CHECKPOINT_SECONDS:
            entry.save({"state": state.checkpoint(), "seconds": seconds + now - began})
            saved = now
        if stopping.asked:
            log.warning("stopped at step %d; the next run goes on from there", state.step)
            raise SystemExit(128 + stopping.asked)
        if now - logged > LOG_SECONDS:
            _log_progress(state, job, (state.step - first) / (now - began))
            logged = now
    if state.diverged:
        log.warning("DIVERGED at step %d: the outputs say so, and the graph goes on", state.step)
    result = entry.folder / "result.new"
    shutil.rmtree(result, ignore_errors=True)
    result.mkdir()
    model.save(result / "model.safetensors", state.network, job.name, rules.n_landmarks)
    curve = pd.DataFrame([dataclasses.asdict(point) for point in state.curve])
    files.write_table(result / "curve.csv", curve)
    files.write_json(result / "manifest.json", _manifest(job, entry, state, seconds + now - began))
    entry.finish(result)
    log.info("validation NME %.2f %%", state.curve[-1].val_nme)


def _faces(job: _Job, samples: pd.DataFrame, split: str) -> tuple[Faces, np.ndarray]:
    """A split's faces, and their headline normalisers ``(N,)`` in pixels of the faces' crops."""
    rules = protocol.load(job.dataset)
    rows = samples[samples.split == split]
    frames = read_frames(job.frames, rows) if job.frames else frames_of(rows)
    faces = read_faces(job.dataset, split, rows, frames, job.params.context, rules)
    small = shrink(faces, networks.ARCHITECTURES[job.name].input_size)
    boxes = rows[["box_x0", "box_y0", "box_x1", "box_y1"]].to_numpy(np.float64)
    points = files.points(rows, rules.n_landmarks)
    scale = np.sqrt(np.linalg.det(context_maps(rows, job.params.context)[:, :, :2]))
    scale = scale * small.crops.shape[1] / faces.crops.shape[1]
    return small, scale * normalisers(points, boxes, rules)[rules.headline]


def _log_progress(state: training.State, job: _Job, rate: float) -> None:
    left = (job.steps - state.step) / rate
    log.info(
        "%d of %d samples, loss %.2f, validation NME %s, %.0f samples/s, %d:%02d left",
        state.step * job.recipe.batch,
        job.steps * job.recipe.batch,
        state.losses[-1] if state.losses else state.curve[-1].loss,
        f"{state.curve[-1].val_nme:.2f} %" if state.curve else "not yet known",
        rate * job.recipe.batch,
        left // 60,
        left % 60,
    )


def _manifest(
    job: _Job, entry: store.Entry, state: training.State, seconds: float
) -> dict[str, Any]:
    """What made this model, where and how long it took."""
    cuda = job.device.type == "cuda"
    return {
        "status": "diverged" if state.diverged else "trained",
        "network": job.name,
        "dataset": job.dataset,
        "recipe": job.params.recipe,
        "steps": state.step,
        "samples_seen": state.step * job.recipe.batch,
        "train_seconds": round(seconds, 1),
        "precision": job.recipe.precision,
        "threads": torch.get_num_threads(),
        "hardware": torch.cuda.get_device_name() if cuda else _processor(),
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "commit": _commit(),
        "key": entry.key,
        "inputs": job.inputs(),
    }


def _processor() -> str:
    """The processor's name, where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.machine()


def _commit() -> str:
    """The commit of the code, with '-dirty' where files differ from it; 'unknown' without git."""
    try:
        shown = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parent,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return shown.stdout.strip()


class _Stopping:
    """Notes SIGTERM and SIGINT, so that the training stops after its step with a checkpoint."""

    def __init__(self) -> None:
        self.asked = 0
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def _note(self, number: int, frame: object) -> None:
        self.asked = number


def _die_with_parent() -> None:
    """Has Linux send SIGTERM when the engine that started this training is gone.

    A killed engine leaves its jobs running otherwise, and the next engine would wait for them.
    """
    if platform.system() == "Linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # 1 is PR_SET_PDEATHSIG
        if os.getppid() != PARENT:  # it was gone before it could send anything
            raise SystemExit(128 + signal.SIGTERM)


if __name__ == "__main__":
    command.main(run)
