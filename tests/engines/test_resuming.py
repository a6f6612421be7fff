"""What lies in the run store and isn't the training's: said, left out, and made again."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from project import TRAIN_WING, WING, Project
from tiny_training import CROP, LANDMARKS, REPEATS, beginning, run, weights, whole_crops
from torch import Tensor

from pipeline.trainings import run_store, runner
from wingloss.augmentation.perturbation import Faces
from wingloss.training.loop import Training

JOB = SimpleNamespace(steps=20)


def first_weights(state: dict[str, Any]) -> str:
    return next(iter(state["model"]))


def set_moment(state: dict[str, Any], value: Tensor) -> None:
    state["optimiser"]["state"][0]["exp_avg"] = value


HARM: dict[str, Callable[[dict[str, Any]], object]] = {
    "wrong shapes": lambda s: s["model"].update({first_weights(s): torch.zeros(2, 3, 3, 3)}),
    "a missing key": lambda s: s.pop("courses"),
    "a missing layer": lambda s: s["model"].pop(first_weights(s)),
    "another optimiser's": lambda s: s["optimiser"].update(param_groups=[]),
    "wrong moments": lambda s: set_moment(s, torch.zeros(3)),
    "another decay": lambda s: s["optimiser"]["param_groups"][0].update(weight_decay=7.0),
    "a step beyond the last": lambda s: s.update(step=21),
    "no step": lambda s: s.update(step="x"),
    "other points": lambda s: s["courses"][0].update(curve=[{"x": 1}]),
    "no course": lambda s: s.update(courses=[]),
}


@pytest.fixture(scope="module")
def faces() -> Faces:
    count, rng = len(REPEATS), np.random.default_rng(0)
    pictures = rng.integers(0, 256, (count, CROP, CROP, 3), dtype=np.uint8)
    return whole_crops(pictures, rng.uniform(8, 24, (count, LANDMARKS, 2)))


@pytest.fixture
def entry(tmp_path: Path) -> run_store.StoredTraining:
    return run_store.StoredTraining(tmp_path, {})


@pytest.fixture(scope="module")
def state(faces: Faces) -> dict[str, Any]:
    """A checkpoint at the third step."""
    training = beginning(faces)
    run(training, faces, JOB.steps, until=3)
    return copy.deepcopy(training.checkpoint())


def resumed(faces: Faces, entry: run_store.StoredTraining) -> Training:
    training = beginning(faces)
    runner.resume(training, entry, JOB)
    return training


@pytest.mark.parametrize("harm", HARM)
def test_a_checkpoint_of_something_else_is_left_out(
    faces: Faces,
    entry: run_store.StoredTraining,
    state: dict[str, Any],
    harm: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    other = copy.deepcopy(state)
    HARM[harm](other)
    entry.save({"state": other, "seconds": 1.0})
    training, fresh = resumed(faces, entry), beginning(faces)
    assert f"{entry.folder / run_store.NEWEST} belongs to another training (" in caplog.text
    assert training.step == 0 and not training.courses[0].curve and not training.optimiser.state
    assert all(torch.equal(a, weights(fresh)[name]) for name, a in weights(training).items())
    assert run(training, faces, 2) == run(fresh, faces, 2)  # and goes on as one that begins


@pytest.mark.parametrize("checkpoint", [[], {}, {"state": None, "seconds": 1.0}, "x"])
def test_the_one_before_is_taken(
    faces: Faces, entry: run_store.StoredTraining, state: dict[str, Any], checkpoint: Any
) -> None:
    entry.save({"state": state, "seconds": 1.0})
    entry.save(checkpoint)
    assert resumed(faces, entry).step == 3


def test_a_flipped_bit_in_the_store_is_not_delivered(template: Project, finished: Project) -> None:
    manifest = WING.replace("model.safetensors", "manifest.json")
    result = finished.root / ".runs" / json.loads(finished.read(manifest))["key"] / "result"
    content = bytearray((result / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (result / "model.safetensors").write_bytes(content)
    said = finished.run(*TRAIN_WING)
    stored = result.relative_to(finished.root) / "model.safetensors"
    assert f"{stored} isn't what the training wrote: training again" in said
    assert finished.read(WING) == template.read(WING)
    assert "taking it from the run store" in finished.run(*TRAIN_WING)
