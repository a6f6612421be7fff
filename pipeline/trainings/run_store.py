"""The run store: checkpoints and finished trainings, outside all declared outputs.

A training's folder is named by a hash of everything that its result depends on, so a killed
training resumes, a finished one isn't repeated, and a checkpoint of other parameters is never used.
Both engines delete declared outputs as they please; only its user deletes this store. A finished
training whose files have changed is trained again.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import torch

from pipeline import files
from pipeline.runtime.cli import log
from pipeline.runtime.file_lock import claimed, locked

NEW, NEWEST, BEFORE = "checkpoint.new.pt", "checkpoint.pt", "checkpoint.before.pt"
CHECKPOINTS = (NEW, NEWEST, BEFORE)  # a kill may leave a whole new one
INPUTS = "inputs.json"  # what a key stands for
HASHES = "result.json"  # of the result's files, as the training left them
LOCK = "lock"
MEMBERS = "members"  # the keys of trainings side by side, whose checkpoint is one


class StoredTraining:
    """One training's folder in the store."""

    def __init__(self, store: Path, inputs: dict[str, Any]) -> None:
        """``inputs`` is everything the result depends on, as plain data."""
        text = json.dumps(inputs, sort_keys=True)
        self.key = hashlib.sha256(text.encode()).hexdigest()[:24]
        self.folder = store / self.key
        self.result = self.folder / "result"
        self.inputs = inputs

    @contextmanager
    def locked(self) -> Iterator["StoredTraining"]:
        """Keeps every other process out of the folder; waits for the one that is in it."""
        with locked(self.folder / LOCK, "the same training is running"):
            files.write_json(self.folder / INPUTS, self.inputs)
            yield self

    def claim(self) -> TextIO | None:
        """As `locked`, until the file that it returns is closed; None if another is in it."""
        file = claimed(self.folder / LOCK)
        if file:
            files.write_json(self.folder / INPUTS, self.inputs)
        return file

    def save(self, checkpoint: dict[str, Any]) -> bool:
        """Keeps a checkpoint and the previous one. A full disk is reported, and survived."""
        new, newest, before = (self.folder / name for name in CHECKPOINTS)
        try:
            with files.whole_file(new) as partial:
                torch.save(checkpoint, partial)
            if newest.exists():
                os.replace(newest, before)
            os.replace(new, newest)
        except (
            OSError,
            RuntimeError,
        ) as error:  # torch says RuntimeError for a full disk
            log.warning("can't write a checkpoint (%s): training continues without it", error)
            return False
        return True

    def checkpoints(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        """The checkpoints that can be read, the newest first, with their files."""
        for name in CHECKPOINTS:
            path = self.folder / name
            if path.exists():
                try:
                    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
                except Exception as error:  # whatever a corrupt file makes torch raise
                    reason = " ".join(str(error).split())
                    log.warning("%s is corrupt (%s): ignoring it", path, reason)
                    continue
                yield path, checkpoint

    def finished(self) -> bool:
        """Whether the training has ended, and its files are as it left them; if not, says so."""
        if not self.result.exists():
            return False
        path = self.folder / HASHES
        try:
            written = dict(json.loads(path.read_text(encoding="utf-8")))
            there = {file.name: files.file_hash(file) for file in self.result.iterdir()}
        except (OSError, TypeError, ValueError) as error:
            log.warning("%s can't be checked (%s): training again", self.result, error)
            return False
        changed = sorted(
            name for name in {*written, *there} if written.get(name) != there.get(name)
        )
        for name in changed:
            what = "isn't what the training wrote" if name in there else "is missing"
            log.warning("%s %s: training again", self.result / name, what)
        return not changed

    def finish(self, result: Path) -> None:
        """Takes the folder ``result`` as the finished training; its checkpoints go."""
        shutil.rmtree(self.result, ignore_errors=True)  # of before, if it isn't as it was
        hashes = {file.name: files.file_hash(file) for file in result.iterdir()}
        files.write_json(self.folder / HASHES, hashes)
        os.replace(result, self.result)
        self.discard()

    def discard(self) -> None:
        """Deletes the checkpoints."""
        for name in CHECKPOINTS:
            (self.folder / name).unlink(missing_ok=True)

    def deliver(self, target: Path) -> None:
        """Copies the finished training's files to the declared outputs."""
        for source in sorted(self.result.iterdir()):
            with files.whole_file(target / source.name) as partial:
                shutil.copyfile(source, partial)


def group(store: Path, entries: Sequence[StoredTraining]) -> StoredTraining:
    """The folder for the one checkpoint of trainings side by side."""
    return StoredTraining(store, {MEMBERS: [entry.key for entry in entries]})


def described(folder: Path) -> dict[str, Any]:
    """What the key of a folder in the store stands for; empty where nobody can say any more."""
    try:
        return dict(json.loads((folder / INPUTS).read_text(encoding="utf-8")))
    except (OSError, TypeError, ValueError):
        return {}


def broken_off(store: Path) -> Iterator[list[str]]:
    """The keys of each that was broken off with a checkpoint: a training, or several together."""
    for folder in sorted({file.parent for one in CHECKPOINTS for file in store.glob(f"*/{one}")}):
        yield described(folder).get(MEMBERS) or [folder.name]
