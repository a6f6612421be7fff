"""Outputs that appear whole or not at all, and the tables that stages hand on."""

import hashlib
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
from wingloss.protocol import SPLITS

# The table of samples: these columns, YAW where the data set says it, and the landmarks'.
TEXT = ("face", "photograph", "split", "subsets", "image")
NUMBERS = (
    *("box_x0", "box_y0", "box_x1", "box_y1"),
    *("frame_x", "frame_y", "frame_side", "frame_angle"),
)
YAW = "yaw"  # degrees

written: list[Path] = []  # what this process has put in place, for the record of its stage


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
        written.append(path)
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
        written.append(path)
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
    """The CSV in ``path``; cells of the columns named in ``text`` are taken as they stand.

    In the others, empty cells are missing values; words such as NA are so nowhere.
    """
    columns = pd.read_csv(existing(path), nrows=0).columns
    empty = {name: [""] for name in columns if name not in text}
    return pd.read_csv(path, dtype=text or None, keep_default_na=False, na_values=empty)


def read_samples(path: Path) -> pd.DataFrame:
    """The table of samples that ``stages.prepare`` writes."""
    table = read_table(path, **dict.fromkeys(TEXT, str))
    _check_samples(path, table)
    return table


def write_samples(path: Path, table: pd.DataFrame) -> None:
    """Writes the table of samples, a face a row."""
    _check_samples(path, table)
    write_table(path, table, digits=10)


def _check_samples(path: Path, table: pd.DataFrame) -> None:
    """The schema of the table of samples: its columns, and what may stand in them.

    Raises:
        UserError: it is another table.
    """
    points = [name for name in table if name not in (*TEXT, *NUMBERS, YAW)]
    numbers = table.drop(columns=list(TEXT), errors="ignore").apply(pd.to_numeric, errors="coerce")
    if not {*TEXT, *NUMBERS} <= set(table):
        fault = f"no column {', '.join(sorted({*TEXT, *NUMBERS} - set(table)))}"
    elif points != [f"{axis}{i}" for axis in "xy" for i in range(len(points) // 2)]:
        fault = "its landmarks' columns aren't x0, x1, ..., y0, y1, ..."
    elif not np.isfinite(numbers.to_numpy(np.float64)).all():
        fault = "a number in it is missing or not finite"
    elif not table.split.isin(SPLITS).all():
        fault = f"a split is none of {', '.join(SPLITS)}"
    elif table.face.duplicated().any():
        fault = f"two faces are called '{table.face[table.face.duplicated()].iloc[0]}'"
    else:
        return
    raise UserError(f"{path}: {fault}; run 'snakemake --forcerun prepare' to make it anew")


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


def file_hash(path: Path) -> str:
    """The SHA-256 of a file."""
    with existing(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
