"""MATLAB's .mat files up to version 7.2."""

from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat

from wingloss.datasets.record import BadSample


def variables(path: Path, names: tuple[str, ...]) -> list[Any]:
    """The variables ``names`` of a .mat file, cells and structs squeezed.

    Raises:
        BadSample: no such file, not one of MATLAB's, or a variable is missing.
    """
    try:
        found = loadmat(path, variable_names=names, squeeze_me=True, struct_as_record=False)
    except FileNotFoundError:
        raise BadSample(f"{path}: no such file") from None
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
