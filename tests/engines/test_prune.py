"""What is deleted of runs that nobody asks for: shown first, and nothing that is asked for."""

import dataclasses
import fcntl
import json
import logging
import os
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from project import L2, ROOT, TRAIN_WING, WING, Project, wait_for

from commands import prune
from pipeline import files
from pipeline.config import paths
from pipeline.config.params import load
from pipeline.errors import UserError
from pipeline.runtime import engines
from pipeline.trainings.spec import TrainingSpec


@pytest.fixture
def pruned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Callable[..., str]:
    """Prunes in ``tmp_path``, with the committed parameters; what was said."""
    caplog.set_level(logging.INFO)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)

    def run(delete: str = "") -> str:
        caplog.clear()
        prune.run(delete)
        return caplog.text

    return run


def everything() -> list[str]:
    return sorted(str(path) for path in Path(".").rglob("*") if path.is_file())


def test_what_nothing_uses_is_shown_and_then_deleted(pruned: Callable[..., str]) -> None:
    asked, other = (
        paths.Run("synthetic", "fast", "cnn6", balance, "wing", 0)
        for balance in ("pdb", "pdb_authors")
    )
    elsewhere = paths.Run("elsewhere", "fast", "cnn6", "pdb", "wing", 0)
    kept, gone = [], []
    for run in (asked, other, elsewhere):
        key = str(run).replace("/", "-")
        entry = paths.RUN_STORE / key / "result/model.safetensors"
        for path in (*paths.outputs(run), entry):
            files.write_json(path, {"key": key})
            (gone if run is other else kept).append(str(path))
        (paths.RUN_STORE / key / "lock").touch()  # another process may wait for it
        kept.append(str(paths.RUN_STORE / key / "lock"))
    before = everything()
    said = pruned()
    assert everything() == sorted({*before, ".dvc/tmp/lock"})
    folder = str(paths.RUN_STORE / str(other).replace("/", "-"))
    for path in (*gone[:-1], folder):
        assert re.search(rf"{re.escape(path)}, 0\.0 MiB", said)
    assert "`python -m commands.prune --delete` deletes it" in said
    assert not [path for path in kept if re.search(rf"{re.escape(path)}\b", said)]

    assert "freed" in pruned("--delete")
    assert everything() == sorted([*kept, "params.yaml", ".dvc/tmp/lock"])
    assert "everything is used" in pruned()


def test_what_would_go_on_side_by_side_stays(pruned: Callable[..., str]) -> None:
    """The folds of an asked run, whose keys nobody knows yet; a folder says what it was for."""
    asked = TrainingSpec.of(load(), paths.Run("synthetic", "fast", "cnn6", "pdb", "wing", 0), 1)
    l3 = dataclasses.replace(asked.objective, loss_kind="l3")
    for spec, name in ((asked, "asked"), (dataclasses.replace(asked, objective=l3), "other")):
        files.write_json(paths.RUN_STORE / name / "inputs.json", prune._described(spec))
        group = {"members": [name, "one more"]}
        files.write_json(paths.RUN_STORE / f"0{name}s" / "inputs.json", group)
        (paths.RUN_STORE / f"0{name}s" / "checkpoint.pt").touch()
    (paths.RUN_STORE / "unknown").mkdir()
    (paths.RUN_STORE / "unknown" / "inputs.json").write_text("{")
    (paths.RUN_STORE / "shares.lock").touch()
    pruned("--delete")
    assert [str(path) for path in everything() if path.startswith(".runs")] == [
        ".runs/0askeds/checkpoint.pt",
        *(f".runs/{name}" for name in ("0askeds/inputs.json", "0others/lock")),
        *(f".runs/{name}" for name in ("asked/inputs.json", "other/lock")),
        *(f".runs/{name}" for name in ("shares.lock", "unknown/lock")),
    ]


def test_an_entry_that_is_being_trained_stays(pruned: Callable[..., str]) -> None:
    files.write_json(Path(".runs/a/checkpoint.pt"), {})
    with Path(".runs/a/lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert ".runs/a is being trained: it stays" in pruned("--delete")
    assert Path(".runs/a/checkpoint.pt").exists()


def test_it_refuses_beside_an_engine(pruned: Callable[..., str]) -> None:
    Path(".dvc/tmp").mkdir(parents=True)
    with engines.LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        with pytest.raises(UserError, match=r"^process \d+ works in this folder: [^\n]*$"):
            pruned("--delete")


def test_checkpoints_of_asked_runs_stay(finished: Project, done: Callable) -> None:
    """Whether or not what they are trained on is there; other runs' go."""
    finished.replace(
        "pipeline/trainings/runner.py", "CHECKPOINT_SECONDS = 0.1", "CHECKPOINT_SECONDS = 0"
    )
    finished.set(**{"recipes.fast.cnn6.samples.synthetic": 40_000})
    shutil.rmtree(finished.root / ".runs")
    for path in (WING, L2):
        shutil.rmtree((finished.root / path).parent)
    training = finished.start(*TRAIN_WING)
    wait_for(finished.checkpoints, 60)
    training.send_signal(signal.SIGTERM)
    training.communicate()
    (kept,) = finished.checkpoints()
    said = done(finished, prune, "--delete")
    assert kept.exists(), said
    shutil.move(finished.root / "data/prepared", finished.root / "data/away")
    said = done(finished, prune, "--delete")
    assert kept.exists(), said
    finished.set(**{"loss.wing.cnn6": {"w": 6, "epsilon": 2}})
    said = done(finished, prune)
    assert str(kept.parent.relative_to(finished.root)) in said and kept.exists()
    done(finished, prune, "--delete")
    assert not kept.exists() and (kept.parent / "lock").exists()
    assert json.loads(finished.read("results/synthetic/verdicts.json"))
