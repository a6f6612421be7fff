"""Mutated raw files and parsers that crash: each is named, and nothing else happens."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from mutants import FILES, outcomes

from wingloss.datasets import apart
from wingloss.datasets.face_record import BadSample


@pytest.mark.parametrize("kind", FILES)
def test_mutated_files_are_read_or_named(tmp_path: Path, kind: str) -> None:
    found = outcomes(kind, 40, tmp_path)
    assert found.total() == 40 and found["file refused"] + found["faces refused"] > 5


def crash() -> Iterator[int]:
    yield 1
    os.kill(os.getpid(), signal.SIGKILL)


def hang() -> Iterator[int]:
    yield 1
    while True:
        time.sleep(1)


def swell() -> Iterator[int]:
    yield 1
    yield len(np.ones(1 << 34, np.uint8))


def fail() -> Iterator[int]:
    yield 1
    raise ZeroDivisionError("by nothing")


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (crash, "not a whole file (its reader crashed)"),
        (hang, "reading it takes too long; is it whole?"),
        (swell, "not a whole file (Unable to allocate"),
        (fail, "not a whole file (by nothing)"),
    ],
)
def test_a_parser_that_crashes_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture,
    read: Callable[[], Iterator[int]],
    said: str,
) -> None:
    if read is hang:
        monkeypatch.setattr(apart, "PATIENCE", 1.0)
    found = apart.apart(Path("x.mat"), read)
    assert next(found) == 1
    with pytest.raises(BadSample) as error:
        next(found)
    assert str(error.value).startswith(f"x.mat: {said}")
    assert not any(capfd.readouterr())
