"""The run store: keys, checkpoints that are torn, results that appear whole."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from project import ROOT

from pipeline import files
from pipeline.runtime import code_hash as code_hash_module
from pipeline.runtime.code_hash import code_files, code_hash
from pipeline.trainings import run_store

INPUTS = {"network": "cnn6", "steps": 10, "data": {"train": "abc"}}


@pytest.fixture
def entry(tmp_path: Path) -> run_store.StoredTraining:
    return run_store.StoredTraining(tmp_path, INPUTS)


def step(entry: run_store.StoredTraining) -> int | None:
    return next((checkpoint["step"] for _, checkpoint in entry.checkpoints()), None)


def test_a_key_is_all_of_the_inputs(tmp_path: Path) -> None:
    same = run_store.StoredTraining(tmp_path, dict(reversed(INPUTS.items())))
    others = [
        run_store.StoredTraining(tmp_path, INPUTS | change)
        for change in ({"network": "cnn7"}, {"steps": 11}, {"data": {"train": "abd"}}, {"more": 0})
    ]
    folders = {
        run_store.StoredTraining(tmp_path, INPUTS).folder,
        same.folder,
        *(e.folder for e in others),
    }
    assert len(folders) == 1 + len(others)


def test_a_checkpoint_of_another_key_is_never_taken(tmp_path: Path) -> None:
    run_store.StoredTraining(tmp_path, INPUTS).save({"step": 3})
    assert step(run_store.StoredTraining(tmp_path, INPUTS | {"steps": 11})) is None


def test_the_newest_whole_checkpoint_is_taken(
    entry: run_store.StoredTraining, caplog: pytest.LogCaptureFixture
) -> None:
    assert step(entry) is None
    for number in (1, 2, 3):
        assert entry.save({"step": number, "tensor": torch.ones(1000)})
    assert step(entry) == 3
    newest, before = entry.folder / run_store.NEWEST, entry.folder / run_store.BEFORE
    newest.write_bytes(newest.read_bytes()[:-500])
    assert step(entry) == 2
    assert f"{newest} is corrupt" in caplog.text
    before.write_bytes(b"")
    assert step(entry) is None


def test_killed_between_two_renames_leaves_the_new_one(
    entry: run_store.StoredTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry.save({"step": 1})
    replace = os.replace

    def killed(source: Path, target: Path) -> None:
        if target.name == run_store.NEWEST:
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        entry.save({"step": 2})
    assert step(entry) == 2
    (entry.folder / run_store.NEW).unlink()
    assert step(entry) == 1


def test_a_finished_training_keeps_no_checkpoint(entry: run_store.StoredTraining) -> None:
    for name in run_store.CHECKPOINTS:
        entry.save({"step": 1})
        (entry.folder / run_store.NEWEST).rename(entry.folder / name)
    entry.discard()
    assert not list(entry.folder.glob("*.pt"))


def test_a_checkpoint_runs_no_code(entry: run_store.StoredTraining) -> None:
    class Harm:
        def __reduce__(self):
            return os.mkdir, (str(entry.folder / "harm"),)

    entry.folder.mkdir()
    torch.save({"step": Harm()}, entry.folder / run_store.NEWEST)
    assert step(entry) is None
    assert not (entry.folder / "harm").exists()


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), RuntimeError("write failed")])
def test_a_full_disk_costs_a_checkpoint_not_the_training(
    entry: run_store.StoredTraining,
    error: Exception,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    entry.save({"step": 1})

    def full(_: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise error

    monkeypatch.setattr(torch, "save", full)
    assert not entry.save({"step": 2})
    assert "training continues without it" in caplog.text
    assert step(entry) == 1
    assert not list(entry.folder.glob(".*"))


def test_a_disk_that_takes_no_more_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    """The same with the operating system's own refusal: no file may grow beyond 100 kB."""
    script = """if True:
        import resource, signal, sys, torch
        from pathlib import Path
        from pipeline.trainings.run_store import StoredTraining
        entry = StoredTraining(Path(sys.argv[1]), {})
        assert entry.save({"step": 1})
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        assert not entry.save({"step": 2, "tensor": torch.ones(100_000)})
        assert [checkpoint["step"] for _, checkpoint in entry.checkpoints()] == [1]
        assert not list(entry.folder.glob(".*"))
    """
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_a_finished_training_is_whole_and_delivered(
    entry: run_store.StoredTraining, tmp_path: Path
) -> None:
    entry.save({"step": 1})
    new = entry.folder / "result.new"
    new.mkdir()
    (new / "model").write_text("weights")
    assert not entry.result.exists()
    entry.finish(new)
    assert step(entry) is None
    assert entry.finished()
    entry.deliver(tmp_path / "out")
    assert (tmp_path / "out/model").read_text() == "weights"
    assert entry.result.exists()


@pytest.mark.parametrize(
    "harm, said",
    [
        (
            lambda entry: (entry.result / "model").write_text("weighst"),
            "model isn't what the training wrote",
        ),
        (lambda entry: (entry.result / "model").unlink(), "model is missing: training again"),
        (
            lambda entry: (entry.result / "more").touch(),
            "more isn't what the training wrote",
        ),
        (lambda entry: (entry.folder / run_store.HASHES).unlink(), "result can't be checked"),
        (
            lambda entry: (entry.folder / run_store.HASHES).write_text("{"),
            "result can't be checked",
        ),
    ],
)
def test_a_result_that_is_not_as_it_was_is_named_and_made_again(
    entry: run_store.StoredTraining, harm: Callable, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    def finish() -> None:
        new = entry.folder / "result.new"
        new.mkdir(parents=True)
        (new / "model").write_text("weights")
        entry.finish(new)

    finish()
    assert entry.finished()
    harm(entry)
    assert not entry.finished() and said in caplog.text
    finish()
    assert entry.finished()


def test_only_what_runs_changes_the_code_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code_hash_module, "ROOT", tmp_path)
    (tmp_path / "stages").mkdir()
    (tmp_path / "wingloss").mkdir()
    (tmp_path / "wingloss/inner.py").write_text("DEEP = 1\n")

    def hash_of(text: str) -> str:
        (tmp_path / "wingloss/science.py").write_text(text)
        return code_hash("wingloss.science")

    first = hash_of('"""Doc."""\nfrom wingloss.inner import DEEP\n\ndef f():\n    return DEEP\n')
    other_words = '"""Other."""\nfrom wingloss.inner import DEEP\n\ndef f():  # why\n'
    assert hash_of(other_words + '    """What."""\n    return DEEP\n') == first
    assert hash_of(other_words + "    return -DEEP\n") != first
    assert hash_of(other_words + "    return DEEP\n") == first
    (tmp_path / "wingloss/inner.py").write_text("DEEP = 2\n")
    assert code_hash("wingloss.science") != first


def test_code_files_follow_imports_but_not_plumbing() -> None:
    found = code_files("stages.balance")
    assert found == [
        "pipeline/files.py",
        "stages/balance.py",
        "wingloss/geometry.py",
        "wingloss/pose/balancing.py",
        "wingloss/protocol.py",
    ]


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "below/table.csv"
    with files.whole_file(path) as partial:
        partial.write_text("old")
    with pytest.raises(ZeroDivisionError), files.whole_file(path) as partial:
        partial.write_text("ne")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert [p.name for p in path.parent.iterdir()] == ["table.csv"]


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "raw"
    with files.whole_folder(path) as partial:
        (partial / "old").touch()
    with pytest.raises(ZeroDivisionError), files.whole_folder(path) as partial:
        (partial / "new").touch()
        raise ZeroDivisionError
    assert [p.name for p in path.iterdir()] == ["old"]
    with files.whole_folder(path) as partial:
        (partial / "new").touch()
    assert [p.name for p in path.iterdir()] == ["new"]
    assert [p.name for p in tmp_path.iterdir()] == ["raw"]
