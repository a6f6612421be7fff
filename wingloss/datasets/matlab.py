"""MATLAB's .mat files up to version 7.2."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import matfile_version

from wingloss.datasets.apart import apart
from wingloss.datasets.face_record import BadSample

MOST_BYTES = 64 << 20  # of all variables, unpacked: AFLW's have some 15 MB
COMPRESSED = 15  # the type of a packed variable


def variables(path: Path, names: tuple[str, ...]) -> list[Any]:
    """The variables ``names`` of a .mat file, cells and structs squeezed.

    Raises:
        BadSample: no such file, not one of MATLAB's, one that unpacks to more than it may, or a
            variable is missing.
    """
    (found,) = apart(path, lambda: iter([_variables(path, names)]))
    return found


def _variables(path: Path, names: tuple[str, ...]) -> list[Any]:
    if path.exists() and not path.is_file():
        raise BadSample(f"{path}: not a file")
    try:
        _bound(path)
        found = loadmat(path, variable_names=names, squeeze_me=True, struct_as_record=False)
    except FileNotFoundError:
        raise BadSample(f"{path}: no such file") from None
    except BadSample:
        raise
    except NotImplementedError:
        raise BadSample(f"{path}: of MATLAB 7.3, and the published one is older (-v7)") from None
    except Exception as error:  # whatever a broken file makes SciPy raise
        raise BadSample(f"{path}: not a whole .mat file ({error})") from error
    missing = [name for name in names if name not in found]
    if missing:
        raise BadSample(f"{path}: no variable {', '.join(missing)}")
    return [found[name] for name in names]


def matrix(value: Any, columns: int, what: str) -> np.ndarray:
    """A variable as a matrix of floats ``(N, columns)``; one row of it may have been squeezed.

    Raises:
        BadSample: it isn't one.
    """
    try:
        table = np.atleast_2d(np.asarray(value, dtype=np.float64))
    except (TypeError, ValueError):
        raise BadSample(f"{what}: not a matrix of numbers") from None
    if table.ndim != 2 or table.shape[1] != columns:
        raise BadSample(f"{what}: its size is {np.shape(value)}, not N x {columns}")
    return table


def _bound(path: Path) -> None:
    """Refuses a packed bomb before SciPy unpacks it; cells hide theirs from ``scipy.io.whosmat``.

    Raises:
        BadSample: the packed variables are larger than ``MOST_BYTES``.
    """
    if matfile_version(path)[0] != 1:  # older ones don't pack
        return
    room = MOST_BYTES
    with path.open("rb") as file:
        order = "<" if file.read(128).endswith(b"IM") else ">"
        while len(tag := file.read(8)) == 8:
            kind, length = struct.unpack(f"{order}II", tag)
            if kind != COMPRESSED:
                file.seek(length, 1)
                continue
            unpacker, packed = zlib.decompressobj(), file.read(length)
            while packed and not unpacker.eof:
                room -= len(unpacker.decompress(packed, 1 << 20))
                packed = unpacker.unconsumed_tail
                if room < 0:
                    raise BadSample(f"{path}: it unpacks to more than {MOST_BYTES >> 20} MiB")
