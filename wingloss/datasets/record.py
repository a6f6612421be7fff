"""One annotated face, whatever raw format it was published in."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from wingloss.geometry import Array
from wingloss.protocol import CORNERS, Part

FARTHEST = 1e6  # px from a picture's corner, where no picture reaches


class BadSample(ValueError):
    """A face or file that can't be used; the message names the file, where in it, and why."""


@dataclass(frozen=True)
class Record:
    """One annotated face as the raw data set has it."""

    face: str  # its name, no other face's
    image: str  # path in the raw data set
    photograph: str  # faces of one photograph share it
    part: Part
    subsets: str  # their names, between spaces
    points: Array  # (L, 2) image pixels, 0-based
    box: Array | None  # (4,) x_min, y_min, x_max, y_max, image pixels, 0-based
    source: str  # the file, and the line or entry in it, that says all this
    visible: NDArray[np.bool_] | None = None  # (L,), where the data set says so
    yaw: float | None = None  # degrees, where the data set says so


# What a reader gives for a face: the face, or why there is none.
Found = Record | BadSample


def corners(values: Iterable[float], columns: tuple[str, ...]) -> Array:
    """The box ``(4,)`` x_min, y_min, x_max, y_max of numbers that mean ``columns``."""
    box = dict(zip(columns, (float(value) for value in values), strict=True))
    box.setdefault("right", box["left"] + box.get("width", 0))
    box.setdefault("bottom", box["top"] + box.get("height", 0))
    return np.array([box[name] for name in CORNERS])


def stem(image: str) -> str:
    """A picture's path without its ending."""
    return image.removesuffix(PurePosixPath(image).suffix)


def number(word: str) -> float:
    """A number as files write it. Raises ValueError, for what Python alone takes (1_0) too."""
    if "_" in word or not word.isascii():
        raise ValueError(f"'{word}' is no number")
    return float(word)


def inside(name: str) -> bool:
    """Whether a path that a raw file names stays in the data set's folder."""
    path = PurePosixPath(name)
    return (
        bool(path.name) and not path.is_absolute() and ".." not in path.parts and "\0" not in name
    )


def check(record: Record, n_landmarks: int) -> None:
    """The conditions that every face must meet, picture aside.

    Raises:
        BadSample: one of them isn't met.
    """
    if record.points.shape != (n_landmarks, 2):
        found = record.points.shape[0]
        raise BadSample(f"{record.source}: {found} points where {n_landmarks} are expected")
    finite = np.isfinite(record.points).all(axis=1)
    if not finite.all():
        raise BadSample(f"{record.source}: point {int(finite.argmin()) + 1} is not finite")
    far = (abs(record.points) > FARTHEST).any(axis=1)
    if far.any():
        raise BadSample(f"{record.source}: point {int(far.argmax()) + 1} is in no picture")
    if (np.ptp(record.points, axis=0) <= 0).any():
        raise BadSample(f"{record.source}: its points lie on one line or on one another")
    box = record.box
    if box is not None and (not np.isfinite(box).all() or (box[:2] >= box[2:]).any()):
        raise BadSample(f"{record.source}: the box of '{record.image}' is empty or not finite")
    low, high = record.points.min(axis=0), record.points.max(axis=0)
    if box is not None and ((high < box[:2]) | (low > box[2:])).any():
        raise BadSample(f"{record.source}: the box of '{record.image}' lies beside its points")
    if not inside(record.image):
        raise BadSample(f"{record.source}: '{record.image}' leads out of the data set's folder")


def lines_of(path: Path) -> list[str]:
    """The lines of a text file in UTF-8.

    Raises:
        BadSample: no such file, or no text.
    """
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise BadSample(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise BadSample(f"{path}: not a text file in UTF-8 ({error})") from error
