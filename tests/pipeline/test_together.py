"""On a GPU one job makes side by side what others would make after it; here so on a processor."""

import dataclasses
import json
import shutil
import signal
import time
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from project import L2, WING, Project, wait_for

from pipeline import files
from pipeline.config import paths
from pipeline.config.params import load
from pipeline.config.paths import Run
from pipeline.runtime import engines
from pipeline.trainings import ensemble_setup, obtain, run_store, runner, training_data
from pipeline.trainings.run_store import StoredTraining
from pipeline.trainings.spec import TrainingSpec
from stages import correct, train
from wingloss import losses
from workflow import plan

RUN = dict(dataset="synthetic", recipe="fast", loss="wing", seed=0)
TAKEN = "taking it from the run store"
CNN6 = ["stages.train", "--stage", "1", "--network", "cnn6", "--balance", "none"]
CNN6 += [word for name, value in RUN.items() for word in (f"--{name}", str(value))]


def forget(project: Project) -> None:
    """Deletes the project's CNN-6 and all that the store knows."""
    shutil.rmtree(project.root / ".runs")
    for model in (WING, L2):
        shutil.rmtree((project.root / model).parent)


@pytest.fixture
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small networks are trained side by side in this process."""
    monkeypatch.setattr(obtain, "_side_by_side", lambda spec: spec.network in ("cnn6", "cnn7"))


@pytest.fixture
def gpu_project(finished: Project) -> Project:
    """A project in whose processes they are."""
    finished.replace("pipeline/trainings/obtain.py", 'inference.device().type == "cuda" and ', "")
    return finished


@pytest.mark.usefixtures("tiny_networks", "as_on_a_gpu")
def test_the_first_job_makes_what_the_others_ask_for(finished: Project, done: Callable) -> None:
    """Their bits are others than those of trainings made alone, and so are their keys."""

    def trained(network: str, stage: int, balance: str) -> str:
        return done(finished, train, **RUN, network=network, stage=stage, balance=balance)

    finished.set(
        **{"runs.resnet50.balance": ["pdb"], "runs.resnet50.loss": ["wing"]}
    )  # has no part in it
    alone = finished.trainings()
    assert TAKEN in trained("cnn6", 1, "none") and finished.trainings() == alone
    forget(finished)
    (finished.root / "data/balance/synthetic/pdb.csv").rename(finished.root / "later.csv")
    assert "2 × cnn6" in trained("cnn6", 1, "none")  # Wing and L2
    made = finished.trainings()
    assert len(made) == 2 and not set(alone) & set(made)
    (finished.root / "later.csv").rename(finished.root / "data/balance/synthetic/pdb.csv")
    assert "× cnn6" not in trained("cnn6_7", 1, "pdb") and len(finished.trainings()) == 3
    manifest = json.loads(finished.read(WING.replace("model.safetensors", "manifest.json")))
    assert (manifest["status"], manifest["trained_together"]) == ("trained", 2)
    assert manifest["steps"] == 120 and manifest["inputs"]["objective"]["loss_kind"] == "wing"
    assert manifest["key"] in made and manifest["inputs"]["made"] == "together"
    made = finished.trainings()
    said = done(finished, train, **RUN | {"loss": "l2"}, network="cnn6", stage=1, balance="none")
    assert TAKEN in said and finished.trainings() == made
    assert TAKEN not in trained("cnn6_7", 2, "pdb") and len(finished.trainings()) == 4


@pytest.mark.usefixtures("tiny_networks", "as_on_a_gpu")
def test_folds_are_made_side_by_side(finished: Project, done: Callable) -> None:
    finished.set(**{"correction.training_crops": "out_of_fold", "correction.folds": 3})
    before = len(finished.trainings())
    said = done(finished, correct, **RUN, network="cnn6_7", balance="pdb")
    assert said.count("3 × cnn6: ") == 1 and said.count(TAKEN) == 2
    assert len(finished.trainings()) == before + 3


def test_nothing_is_made_beside_it_on_a_processor_or_in_a_clusters_job(
    monkeypatch: pytest.MonkeyPatch, cnn7: TrainingSpec
) -> None:
    monkeypatch.delenv(engines.BATCH_JOB, raising=False)
    assert not obtain._side_by_side(cnn7)
    monkeypatch.setattr(obtain.inference, "device", lambda: torch.device("cuda"))
    assert obtain._side_by_side(cnn7)
    assert not obtain._side_by_side(dataclasses.replace(cnn7, network="resnet50"))
    monkeypatch.setenv(engines.BATCH_JOB, "1")
    assert not obtain._side_by_side(cnn7)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The losses of what `obtain` had trained side by side, instead of trainings."""
    made: list[list[str]] = []

    def train(
        specs: tuple[TrainingSpec, ...], entries: tuple[StoredTraining, ...], about: dict
    ) -> None:
        made.append([spec.objective.loss_kind for spec in specs])
        assert about == {"trained_together": len(specs)}
        for entry in entries:
            result = entry.folder / "new"
            result.mkdir()
            entry.finish(result)

    monkeypatch.setattr(runner, "train", train)
    return made


def alike(spec: TrainingSpec) -> list[TrainingSpec]:
    """It, and others like it."""
    kinds = {"wing": losses.Wing(10, 2), "l1": losses.L1(), "l2": losses.L2()}
    kinds |= {"smooth_l1": losses.SmoothL1()}
    return [
        dataclasses.replace(
            spec, objective=dataclasses.replace(spec.objective, loss_kind=kind, loss=loss)
        )
        for kind, loss in kinds.items()
    ]


def stored(spec: TrainingSpec) -> StoredTraining:
    """Its entry among those side by side."""
    alone = obtain.cache_key.inputs(spec)
    return StoredTraining(paths.RUN_STORE, obtain.cache_key.ensemble_inputs(spec, alone))


def claim(specs: list[TrainingSpec]) -> list[StoredTraining]:
    """Their entries, as another process holds them."""
    entries = [stored(spec) for spec in specs]
    for entry in entries:
        entry.held = entry.claim()
        assert entry.held
    return entries


def test_of_several_gpus_each_has_its_share(
    cnn7: TrainingSpec, trained: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(obtain, "_side_by_side", lambda spec: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda index: None)
    wing, *others = alike(cnn7)
    with obtain.finished(wing, lambda: others):
        assert trained == [["l1", "wing"]]
    with obtain.finished(others[1], lambda: [wing, *others]):
        assert trained == [["l1", "wing"], ["l2"]]


def test_a_share_is_of_what_other_gpus_make_too(
    cnn7: TrainingSpec, trained: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one GPU makes its half, the other takes the whole of the rest, not half of it."""
    monkeypatch.setattr(obtain, "_side_by_side", lambda spec: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda index: None)
    wing, l1, l2, smooth = alike(cnn7)
    theirs = claim([wing, l1])
    with obtain.finished(l2, lambda: [wing, l1, smooth]):
        assert trained == [["l2", "smooth_l1"]]
    assert all(entry.held for entry in theirs)


def test_what_another_process_makes_is_waited_for_or_left(
    cnn7: TrainingSpec, trained: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it makes Wing's and L1's, this one makes the rest; then it has no more to do."""
    monkeypatch.setattr(obtain, "_side_by_side", lambda spec: True)
    wing, l1, l2, smooth = alike(cnn7)
    theirs = claim([wing, l1])
    locked = StoredTraining.locked

    def wait(entry: StoredTraining) -> AbstractContextManager[StoredTraining]:
        if entry.key == theirs[0].key:
            assert trained == [["l2", "smooth_l1"]]
            for one in theirs:
                (one.folder / "new").mkdir()
                one.finish(one.folder / "new")
                one.held.close()
        return locked(entry)

    monkeypatch.setattr(StoredTraining, "locked", wait)
    with obtain.finished(wing, lambda: [l1, l2, smooth]) as entry:
        assert entry.key == theirs[0].key and len(trained) == 1


@pytest.mark.parametrize("checkpoint", run_store.CHECKPOINTS)
def test_what_was_broken_off_goes_on_with_the_same_beside_it(
    checkpoint: str,
    cnn7: TrainingSpec,
    trained: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whichever of its checkpoints a kill has left alone."""
    monkeypatch.setattr(obtain, "_side_by_side", lambda spec: True)
    wing, l1, l2, smooth = alike(cnn7)
    group = run_store.group(paths.RUN_STORE, [stored(l2), stored(wing)])
    with group.locked():
        group.save({"seconds": 1.0})
    (group.folder / run_store.NEWEST).rename(group.folder / checkpoint)
    with obtain.finished(l1, lambda: [wing, l2, smooth]):
        assert trained == [["l2", "wing"], ["l1", "smooth_l1"]]


def test_what_was_killed_while_it_was_stored_goes_on(
    finished: Project, tiny_networks: None, cnn7: TrainingSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two trainings one is in the store when the disk is full: the other isn't made anew."""
    monkeypatch.setattr(obtain, "_side_by_side", lambda spec: True)
    monkeypatch.setattr(runner, "CHECKPOINT_SECONDS", 0)
    wing, l1, *_ = alike(cnn7)
    stored_here: list[str] = []
    finish = StoredTraining.finish

    def full(entry: StoredTraining, result: Path) -> None:
        if stored_here:
            raise OSError("no space left")
        stored_here.append(entry.key)
        finish(entry, result)

    with monkeypatch.context() as patched:
        patched.setattr(StoredTraining, "finish", full)
        with pytest.raises(OSError, match="no space"), obtain.finished(wing, lambda: [l1]):
            pass
    (first,) = stored_here
    before = (paths.RUN_STORE / first / "result/manifest.json").stat().st_mtime_ns
    steps = []
    taken = runner.run_steps
    monkeypatch.setattr(
        runner,
        "run_steps",
        lambda run, now, *rest: (steps.append(now.step), taken(run, now, *rest))[1],
    )
    for spec in (wing, l1):
        with obtain.finished(spec, lambda: [wing, l1]) as entry:
            assert json.loads((entry.result / "manifest.json").read_text())["trained_together"] == 2
    assert len(steps) == 1 and steps[0] > 0
    assert (paths.RUN_STORE / first / "result/manifest.json").stat().st_mtime_ns == before
    assert not [*paths.RUN_STORE.glob("*/checkpoint*")]


@pytest.mark.parametrize("inputs", [None, "", "[1]", '{"members": ["another"]}'])
def test_checkpoints_of_other_trainings_are_let_be(
    cnn7: TrainingSpec,
    trained: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    inputs: str | None,
) -> None:
    """Whether or not anyone can say whose they are."""
    monkeypatch.setattr(obtain, "_side_by_side", lambda spec: True)
    other = paths.RUN_STORE / "0other"
    other.mkdir()
    (other / "checkpoint.pt").touch()
    if inputs is not None:
        (other / "inputs.json").write_text(inputs)
    with obtain.finished(cnn7, list):
        assert trained == [["wing"]]


def test_a_plan_counts_what_a_checkpoint_of_several_holds(cnn7: TrainingSpec) -> None:
    """Not what was only claimed."""
    wing, l1, l2, _ = alike(cnn7)
    for entry in claim([wing, l1, l2]):
        entry.held.close()
    group = run_store.group(paths.RUN_STORE, [stored(l2), stored(wing)])
    with group.locked():
        group.save({"seconds": 1.0})
    assert [plan._stored(spec) for spec in (wing, l1, l2)] == [(0, 1), (0, 0), (0, 1)]


def test_what_vanishes_while_it_is_read_has_no_part(
    cnn7: TrainingSpec, trained: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine deletes another run's frames to make them anew."""
    monkeypatch.setattr(obtain, "_side_by_side", lambda spec: True)
    wing, l1, *_ = alike(cnn7)
    there, read = cnn7.frames.with_name("vanishing.csv"), files.existing
    shutil.copy(cnn7.frames, there)

    def existing(path: Path) -> Path:
        found = read(path)
        if path == there:
            path.unlink()
        return found

    monkeypatch.setattr(files, "existing", existing)
    with obtain.finished(wing, lambda: [dataclasses.replace(l1, frames=there)]):
        assert trained == [["wing"]] and not there.exists()


def test_what_is_about_to_be_made_anew_has_no_part(
    cnn7: TrainingSpec, trained: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run's repeats of before its faces were prepared again."""
    monkeypatch.setattr(obtain, "_side_by_side", lambda spec: True)
    wing, l1, *_ = alike(cnn7)
    stale = cnn7.repeats.with_name("stale.csv")
    stale.write_text("face,repeats\nanother,1\n")
    with obtain.finished(wing, lambda: [dataclasses.replace(l1, repeats=stale)]):
        assert trained == [["wing"]]


@pytest.fixture
def cnn7(finished: Project, monkeypatch: pytest.MonkeyPatch) -> TrainingSpec:
    """The project's stage two."""
    monkeypatch.chdir(finished.root)
    return TrainingSpec.of(load(), Run("synthetic", "fast", "cnn6_7", "pdb", "wing", 0), 2)


def test_each_member_sees_its_own_frames(
    cnn7: TrainingSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = pd.read_csv(cnn7.frames, dtype={"face": str})
    moved = cnn7.frames.with_name("moved.csv")
    frames.assign(x=frames.x + 9, angle=frames.angle + 0.3).to_csv(moved, index=False)
    specs = [cnn7, dataclasses.replace(cnn7, frames=moved), cnn7]
    read, faces = [], training_data.faces
    with monkeypatch.context() as patched:
        patched.setattr(training_data, "faces", lambda *one: (read.append(one), faces(*one))[1])
        trained, members, *_ = ensemble_setup.begin(specs, torch.device("cpu"))
    assert len(read) == 4  # the frames of two, once for each split
    for spec, member in zip(specs, members, strict=True):
        assert np.array_equal(member.faces.to_unit, training_data.faces(spec, "train")[0].to_unit)
    first, other, again = (member.validate(trained.model.network(0)) for member in members)
    assert first == again != other


def test_what_stands_side_by_side_has_the_same_network_and_rates(cnn7: TrainingSpec) -> None:
    own = dataclasses.replace(cnn7.objective, loss_kind="l2", loss=losses.L2())
    l2 = dataclasses.replace(cnn7, objective=own)
    assert obtain._shared(l2) == obtain._shared(cnn7)
    slower = dataclasses.replace(cnn7.recipe, learning_rate_factor={"l2": 0.1})
    assert obtain._shared(dataclasses.replace(l2, recipe=slower)) != obtain._shared(cnn7)
    cnn6 = TrainingSpec.of(load(), Run("synthetic", "fast", "cnn6", "none", "wing", 0), 1)
    assert obtain._shared(cnn6) != obtain._shared(cnn7)


def test_sigterm_is_heard_within_a_block_of_slow_steps(gpu_project: Project) -> None:
    """64 of these steps take longer than the 5 s that a training has to end in."""
    gpu_project.set(**{
        "recipes.fast.cnn6.batch": 128,
        "recipes.fast.cnn6.samples.synthetic": 128 * 64 * 20,
    })  # fmt: skip
    forget(gpu_project)
    running = gpu_project.start(*CNN6)
    wait_for(gpu_project.checkpoints, 60)
    running.send_signal(signal.SIGTERM)
    began = time.monotonic()
    said, _ = running.communicate()
    assert time.monotonic() - began < 5
    assert running.returncode == 128 + signal.SIGTERM, said
    assert "the next run resumes from there" in said and not gpu_project.trainings()


@pytest.mark.slow
def test_broken_off_trainings_go_on_together(gpu_project: Project) -> None:
    gpu_project.set(**{"recipes.fast.cnn6.samples.synthetic": 1200})
    forget(gpu_project)
    running = gpu_project.start(*CNN6)
    wait_for(gpu_project.checkpoints, 60)
    running.send_signal(signal.SIGTERM)
    said, _ = running.communicate()
    assert running.returncode == 128 + signal.SIGTERM, said
    said = gpu_project.run(*CNN6)
    assert "resuming from the checkpoint at step" in said
    assert len(gpu_project.trainings()) == 3 and not gpu_project.checkpoints()


class Entry(StoredTraining):
    """A training's folder; what it was made with stands in its result."""

    def make(self, together: int) -> None:
        files.write_json(self.folder / "new" / "together.json", together)
        self.finish(self.folder / "new")

    def made(self) -> int:
        return json.loads((self.result / "together.json").read_text())


def test_what_is_too_much_for_memory_is_made_in_halves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second is made already, and the checkpoint of all of them is of no use any more."""
    monkeypatch.chdir(tmp_path)
    entries = [Entry(paths.RUN_STORE, {"letter": letter}) for letter in "abcdef"]
    entries[1].make(6)
    group = run_store.group(paths.RUN_STORE, entries)
    group.folder.mkdir()
    group.save({})
    tensors: list[weakref.ref] = []

    class Held:
        """A tensor on the GPU that stands in a circle."""

        def __init__(self) -> None:
            self.itself = self

    def train(specs: tuple[str], entries: tuple[Entry], about: dict) -> None:
        assert not any(tensor() for tensor in tensors)
        if len(specs) > 2:
            held = Held()
            tensors.append(weakref.ref(held))
            raise torch.OutOfMemoryError
        for entry in entries:
            entry.make(about["trained_together"])

    monkeypatch.setattr(runner, "train", train)
    obtain._train(list(zip("abcdef", entries, strict=True)))
    assert [entry.made() for entry in entries] == [2, 6, 2, 1, 2, 2]
    assert not [*paths.RUN_STORE.glob("*/checkpoint*")]


def test_a_training_too_large_by_itself_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(*_: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runner, "train", train)
    entries = [Entry(paths.RUN_STORE, {"letter": letter}) for letter in "ab"]
    with pytest.raises(torch.OutOfMemoryError):
        obtain._train(list(zip("ab", entries, strict=True)))
