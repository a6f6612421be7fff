"""Outputs that appear whole or not at all, and the tables that stages hand on."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stages.errors import UserError
from wingloss.geometry import Array


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place when the block ends without error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A temporary folder that takes the place of ``path`` when the block ends without error."""
    partial = path.with_name(f".{path.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        yield partial
        shutil.rmtree(path, ignore_errors=True)
        os.replace(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_json(path: Path, value: Any) -> None:
    """``value`` as readable JSON."""
    with whole_file(path) as partial:
        partial.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """The JSON in ``path``."""
    return json.loads(existing(path).read_text(encoding="utf-8"))


def write_table(path: Path, table: pd.DataFrame, digits: int = 6) -> None:
    """``table`` as CSV without an index; floats keep ``digits`` significant digits or more."""
    with whole_file(path) as partial:
        table.to_csv(partial, index=False, float_format=f"%.{digits}g", lineterminator="\n")


def read_table(path: Path, **text: type) -> pd.DataFrame:
    """The CSV in ``path``; empty cells of the columns named in ``text`` are empty text."""
    table = pd.read_csv(existing(path), dtype=text or None)
    return table.fillna({name: "" for name, kind in text.items() if kind is str})


def read_samples(path: Path) -> pd.DataFrame:
    """The table of samples that ``stages.prepare`` writes."""
    return read_table(path, face=str, photograph=str, image=str, subsets=str)


def points(samples: pd.DataFrame, n_landmarks: int) -> Array:
    """The landmarks ``(N, L, 2)`` of a table of samples, in image pixels."""
    axes = [
        samples[[f"{axis}{i}" for i in range(n_landmarks)]].to_numpy(np.float64) for axis in "xy"
    ]
    return np.stack(axes, axis=-1)


def point_columns(landmarks: Array) -> dict[str, Array]:
    """The columns x0.., y0.. (Section 3's order) of landmarks ``(N, L, 2)``."""
    return {
        f"{axis}{i}": landmarks[:, i, k]
        for k, axis in enumerate("xy")
        for i in range(landmarks.shape[1])
    }


def existing(path: Path) -> Path:
    """``path``, if it is there."""
    if not path.exists():
        raise UserError(f"{path}: no such file; run 'snakemake --cores all' to make it")
    return path
