"""Outputs that appear whole or not at all, and the tables that stages hand on."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.errors import UserError
from wingloss.geometry import Array
from wingloss.protocol import SPLITS

# The table of samples: these columns, YAW where the data set says it, and the landmarks'.
TEXT = ("face", "photograph", "split", "subsets", "image")
NUMBERS = (
    *("box_x0", "box_y0", "box_x1", "box_y1"),
    *("frame_x", "frame_y", "frame_side", "frame_angle"),
)
YAW = "yaw"  # degrees
MOST_COLUMNS, MOST_HEADER = 10_000, 1 << 20  # characters, of a header

NOT_CONTENT = {"__pycache__", ".snakemake_timestamp"}

# For the record of this process's stage: what it has put in place, and what it has read, by the
# SHA-256 that it then had. None is read where nobody keeps a record.
written: list[Path] = []
read: dict[str, str] | None = None


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
    """The JSON in ``path``; asking its tables for a key that isn't there is a UserError too."""
    with whole(path):
        text = existing(path).read_text(encoding="utf-8")
        return json.loads(text, object_hook=lambda table: _Table(path, table))


def read_arrays(path: Path) -> dict[str, Any]:
    """The arrays of an .npz file; asking for one that isn't there is a UserError too."""
    with whole(path), np.load(existing(path), allow_pickle=False) as data:
        return _Table(path, dict(data))


def read_array(path: Path) -> np.ndarray:
    """The array in an .npy file, mapped from disk."""
    with whole(path):
        with existing(path).open("rb") as file:
            np.lib.format.read_magic(file)
            empty = 0 in np.lib.format.read_array_header_1_0(file)[0]
        # The operating system can't map a file that holds nothing.
        array = np.load(path, mmap_mode=None if empty else "r", allow_pickle=False)
        rest = 0 if empty else path.stat().st_size - array.offset - array.nbytes
        if rest:
            raise ValueError(f"{rest} bytes too many")
        return array


class _Table(dict[str, Any]):
    """A table that a file held."""

    def __init__(self, path: Path, table: dict[str, Any]) -> None:
        super().__init__(table)
        self.path = path

    def __missing__(self, key: str) -> Any:
        raise broken(self.path, f"it has no '{key}'")


def broken(path: Path, fault: str) -> UserError:
    """What to say of a file that a stage has written and that isn't whole any more."""
    return UserError(
        f"{path}: {fault}; run 'snakemake --forcerun {path}' or 'dvc repro' to recreate it"
    )


@contextmanager
def whole(path: Path) -> Iterator[None]:
    """Turns what a reader raises for a corrupt or foreign file into a UserError that names it."""
    try:
        yield
    except (UserError, FileNotFoundError, PermissionError):
        raise
    except Exception as error:
        said = " ".join(str(error).split())
        raise broken(path, f"not a whole file ({said[:200]})") from error


def write_table(path: Path, table: pd.DataFrame, digits: int = 6) -> None:
    """``table`` as CSV without an index; floats keep ``digits`` significant digits or more."""
    with whole_file(path) as partial:
        table.to_csv(partial, index=False, float_format=f"%.{digits}g", lineterminator="\n")


def read_table(path: Path, *numbers: str, **text: type) -> pd.DataFrame:
    """The CSV in ``path``; cells of the columns named in ``text`` are taken as they stand.

    In the others, empty cells are missing values; words such as NA are so nowhere. Columns named in
    ``numbers`` must hold finite numbers.

    Raises:
        UserError: it isn't whole, or a column that is named isn't there.
    """
    with whole(path):
        with existing(path).open(encoding="utf-8") as file:
            if file.readline(MOST_HEADER).count(",") >= MOST_COLUMNS:
                raise broken(path, f"more than {MOST_COLUMNS} columns")
        columns = pd.read_csv(path, nrows=0).columns
        if missing := [name for name in (*text, *numbers) if name not in columns]:
            raise broken(path, f"no column {', '.join(missing)}")
        empty = {name: [""] for name in columns if name not in text}
        table = pd.read_csv(path, dtype=text or None, keep_default_na=False, na_values=empty)
        for name in numbers:
            if not np.isfinite(pd.to_numeric(table[name], errors="coerce")).all():
                raise broken(path, f"a {name} in it is missing or no finite number")
        return table


def read_by_face(path: Path, faces: pd.Series, *numbers: str) -> pd.DataFrame:
    """The rows of a table of ``faces``, in their order, with finite ``numbers``.

    Raises:
        UserError: it isn't whole, or tells nothing of a face.
    """
    table = read_table(path, *numbers, face=str).set_index("face")
    if table.index.has_duplicates or not faces.isin(table.index).all():
        raise broken(path, "it hasn't one row for each face")
    return table.loc[faces]


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
    raise broken(path, fault)


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
    """``path``, if it is there. All that a stage reads of others' is asked for here."""
    if not path.exists():
        raise UserError(f"{path}: no such file; run 'snakemake --cores all' to make it")
    if read is not None and path.as_posix() not in read:
        read.update(contents(path))
    return path


def contents(*paths: str | Path) -> dict[str, str]:
    """The SHA-256 of each file that is one of the paths, or below it."""
    found = sorted(file for path in paths for file in _files(Path(path)))
    return {file.as_posix(): _hash(file) for file in found}


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    for file in path.rglob("*"):
        if file.is_file() and NOT_CONTENT.isdisjoint(file.parts):
            yield file


def file_hash(path: Path) -> str:
    """The SHA-256 of a file."""
    return _hash(existing(path))


def _hash(path: Path) -> str:
    """The SHA-256 of a file, which isn't read twice for it."""
    now = path.stat()
    return _hash_of(path, now.st_ino, now.st_size, now.st_mtime_ns, now.st_ctime_ns)


@cache
def _hash_of(path: Path, *version: int) -> str:
    """``version`` tells a file from the one that was there before: nobody can set its ``ctime``."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
