"""Trainings made side by side fill the run store, and both engines take them from there."""

import dataclasses
import json
import shutil
import signal
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from project import L2, WING, Project, wait_for

from commands import train_ensemble
from pipeline.config.params import load
from pipeline.config.paths import Run
from pipeline.trainings import ensemble_setup, runner, training_data
from pipeline.trainings.spec import TrainingSpec
from stages import train
from wingloss import losses


def forget(project: Project) -> None:
    """Deletes the project's CNN-6 and all that the store knows."""
    shutil.rmtree(project.root / ".runs")
    for model in (WING, L2):
        shutil.rmtree((project.root / model).parent)


@pytest.mark.usefixtures("tiny_networks")
def test_trainings_made_together_are_taken_from_the_store(
    finished: Project, done: Callable
) -> None:
    """Their bits are others than those of trainings made alone, and so are their keys."""

    def together(stage: int) -> str:
        return done(finished, train_ensemble, dataset="synthetic", stage=stage)

    def delivered(network: str, stage: int, balance: str) -> str:
        run = dict(
            dataset="synthetic",
            recipe="fast",
            network=network,
            balance=balance,
            loss="wing",
            seed=0,
        )
        return done(finished, train, **run, stage=stage)

    finished.set(
        **{"runs.resnet50.balance": ["pdb"], "runs.resnet50.loss": ["wing"]}
    )  # has no part in it
    alone = finished.trainings()
    together(1)
    assert finished.trainings() == alone
    forget(finished)
    assert "3 of 3 trainings to run" in together(1)  # Wing with none and pdb, and L2
    made = finished.trainings()
    assert len(made) == 3 and not set(alone) & set(made)
    assert "taking it from the run store" in delivered("cnn6", 1, "none")
    assert finished.trainings() == made
    manifest = json.loads(finished.read(WING.replace("model.safetensors", "manifest.json")))
    assert (manifest["status"], manifest["trained_together"]) == ("trained", 3)
    assert manifest["steps"] == 120 and manifest["inputs"]["objective"]["loss_kind"] == "wing"
    assert manifest["key"] in made and manifest["inputs"]["made"] == "together"
    assert "0 of 3 trainings to run" in together(1) and finished.trainings() == made
    assert "1 of 1 trainings to run" in together(2) and len(finished.trainings()) == 4
    assert "taking it from the run store" in delivered("cnn6_7", 2, "pdb")
    assert len(finished.trainings()) == 4


@pytest.fixture
def cnn7(finished: Project, monkeypatch: pytest.MonkeyPatch) -> TrainingSpec:
    """The project's stage two."""
    monkeypatch.chdir(finished.root)
    return TrainingSpec.of(load(), Run("synthetic", "fast", "cnn6_7", "pdb", "wing", 0), 2)


def test_each_member_sees_its_own_frames(cnn7: TrainingSpec) -> None:
    frames = pd.read_csv(cnn7.frames, dtype={"face": str})
    moved = cnn7.frames.with_name("moved.csv")
    frames.assign(x=frames.x + 9, angle=frames.angle + 0.3).to_csv(moved, index=False)
    specs = [cnn7, dataclasses.replace(cnn7, frames=moved), cnn7]
    trained, members, *_ = ensemble_setup.begin(specs, torch.device("cpu"))
    for spec, member in zip(specs, members, strict=True):
        assert np.array_equal(member.faces.to_unit, training_data.faces(spec, "train")[0].to_unit)
    first, other, again = (member.validate(trained.model.network(0)) for member in members)
    assert first == again != other


def test_what_stands_side_by_side_has_the_same_network_and_rates(cnn7: TrainingSpec) -> None:
    own = dataclasses.replace(cnn7.objective, loss_kind="l2", loss=losses.L2())
    l2 = dataclasses.replace(cnn7, objective=own)
    assert train_ensemble.alike(l2) == train_ensemble.alike(cnn7)
    slower = dataclasses.replace(cnn7.recipe, learning_rate_factor={"l2": 0.1})
    assert train_ensemble.alike(dataclasses.replace(l2, recipe=slower)) != train_ensemble.alike(
        cnn7
    )
    cnn6 = TrainingSpec.of(load(), Run("synthetic", "fast", "cnn6", "none", "wing", 0), 1)
    assert train_ensemble.alike(cnn6) != train_ensemble.alike(cnn7)


def test_sigterm_is_heard_within_a_block_of_slow_steps(finished: Project) -> None:
    """64 of these steps take longer than the 5 s that a training has to end in."""
    finished.set(**{
        "recipes.fast.cnn6.batch": 128,
        "recipes.fast.cnn6.samples.synthetic": 128 * 64 * 20,
    })  # fmt: skip
    forget(finished)
    running = finished.start("commands.train_ensemble", "--dataset", "synthetic", "--stage", "1")
    wait_for(finished.checkpoints, 60)
    running.send_signal(signal.SIGTERM)
    began = time.monotonic()
    said, _ = running.communicate()
    assert time.monotonic() - began < 5
    assert running.returncode == 128 + signal.SIGTERM, said
    assert "the next run resumes from there" in said and not finished.trainings()


@pytest.mark.slow
def test_broken_off_trainings_go_on_together(finished: Project) -> None:
    finished.set(**{"recipes.fast.cnn6.samples.synthetic": 1200})
    forget(finished)
    running = finished.start("commands.train_ensemble", "--dataset", "synthetic", "--stage", "1")
    wait_for(finished.checkpoints, 60)
    running.send_signal(signal.SIGTERM)
    said, _ = running.communicate()
    assert running.returncode == 128 + signal.SIGTERM, said
    said = finished.run("commands.train_ensemble", "--dataset", "synthetic", "--stage", "1")
    assert "resuming from the checkpoint at step" in said
    assert len(finished.trainings()) == 3 and not finished.checkpoints()


def test_what_is_too_much_for_memory_is_made_in_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def make(specs: tuple[str], entries: tuple[int], about: dict) -> None:
        if len(specs) > 2:
            raise torch.OutOfMemoryError
        made.append((specs, entries, about["trained_together"]))

    monkeypatch.setattr(runner, "train", make)
    train_ensemble._make(list(zip("abcde", range(5), strict=True)))
    assert made == [(("a", "b"), (0, 1), 2), (("c",), (2,), 1), (("d", "e"), (3, 4), 2)]


def test_a_training_too_large_by_itself_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(specs: tuple[str], entries: tuple[int], about: dict) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(runner, "train", make)
    with pytest.raises(torch.OutOfMemoryError):
        train_ensemble._make([("a", 0), ("b", 1)])


def test_what_comes_before_is_asked_for(finished: Project, call: Callable) -> None:
    for stage, made, rule in (
        ("1", "data/balance/synthetic/none.csv", "balance"),
        ("2", "results/synthetic/models/fast/cnn6_7/pdb/wing/seed0/frames.csv", "correct"),
    ):
        (finished.root / made).unlink()
        assert call(finished, train_ensemble, dataset="synthetic", stage=stage) == (
            1,
            f"error: {made}: no such file; run 'snakemake --cores all --until {rule}' first\n",
        )


def test_an_unknown_data_set_is_refused(finished: Project, call: Callable) -> None:
    assert call(finished, train_ensemble, dataset="300w", stage=1) == (
        1,
        "error: '300w' is not among the datasets in params.yaml\n",
    )
