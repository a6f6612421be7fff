"""One annotated face, whatever raw format it was published in."""

import codecs
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from wingloss.datasets.names import is_utf8, printable
from wingloss.geometry import Array
from wingloss.protocol import CORNERS, Part

# The endings of pictures that can be read here, and of others that people bring.
PICTURES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".webp", ".tif", ".tiff"),
    *(".gif", ".ppm", ".pgm", ".pbm", ".pnm"),
)
OTHER_PICTURES = (
    *(".heic", ".heif", ".hif", ".avif", ".jxl", ".jp2", ".mpo", ".svg", ".psd", ".tga"),
    *(".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".raf", ".rw2", ".pef", ".srw"),
)
FARTHEST = 1e6  # px from a picture's corner, where no picture reaches
MOST_TEXT = 256 << 20  # bytes of a table: some 200,000 faces of 68 landmarks


class BadSample(ValueError):
    """A face or file that can't be used; the message names the file, where in it, and why.

    ``images`` are the pictures that are left out with it, paths in the raw data set.
    """

    def __init__(self, message: str, images: tuple[str, ...] = ()) -> None:
        super().__init__(printable(message))
        self.images = images


@dataclass(frozen=True)
class LeftOut:
    """What a raw data set holds beyond its faces, and nobody reads."""

    what: str
    count: int
    why: str


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
    box_source: str = ""  # the file, and the line or entry in it, of the box, if it isn't `source`
    box_fault: str = ""  # where and why the box can't be used


# What a reader gives: a face, why there is none, or what isn't read.
Found = Record | BadSample | LeftOut


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
        raise ValueError(f"'{word[:40]}' is no number")
    return float(word)


def inside(name: str) -> bool:
    """Whether a path that a raw file names stays in the data set's folder."""
    path = PurePosixPath(name)
    return (
        bool(path.name) and not path.is_absolute() and ".." not in path.parts and "\0" not in name
    )


def check_name(record: Record) -> None:
    """Whether the picture's path can be followed, and stand in a table.

    Raises:
        BadSample: it can't.
    """
    if not inside(record.image):
        raise BadSample(f"{record.source}: '{record.image}' leads out of the data set's folder")
    text = "".join((record.face, record.image, record.photograph, record.subsets))
    if not is_utf8(text):
        raise BadSample(
            f"{record.source}: the name '{record.image}' isn't UTF-8; rename the file",
            (record.image,),
        )
    if any(unicodedata.category(char) == "Cc" for char in text):
        raise BadSample(
            f"{record.source}: the name '{record.image}' holds a line break or the like; rename "
            "the file",
            (record.image,),
        )


@contextmanager
def opened(path: Path, most: int = MOST_TEXT, errors: str = "strict") -> Iterator[TextIO]:
    """A text file in UTF-8, or in UTF-16 if it says so with a byte order mark.

    Raises:
        BadSample: no such file, no text (also later, where the text is read), or more than ``most``
            bytes.
    """
    if path.exists() and not path.is_file():
        raise BadSample(f"{path}: not a file")
    try:
        with path.open("rb") as file:
            beginning = file.read(2)
            size = file.seek(0, 2)
        if size > most:
            raise BadSample(f"{path}: larger than {most >> 20} MiB, which no such file is")
        wide = beginning in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        encoding = "utf-16" if wide else "utf-8-sig"
        with path.open(newline="", encoding=encoding, errors=errors) as text:
            yield text
    except FileNotFoundError:
        raise BadSample(f"{path}: no such file") from None
    except UnicodeError as error:
        raise BadSample(f"{path}: not a text file in UTF-8 ({error})") from error
