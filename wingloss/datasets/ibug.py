"""The layout that 300W is published in: pictures with a .pts file beside each.

A ``.pts`` file holds 1-based pixel coordinates (the upper left pixel's centre is (1, 1)); here and
in all of this project pixel centres are 0-based. Boxes of a face detector stand in one
``detector_boxes.csv`` (image, x_min, y_min, x_max, y_max; 0-based pixels). A ``faces.csv``
(image, yaw, pitch, roll, subsets) may say more of each face; subsets stand between spaces.
"""

import csv
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wingloss.geometry import Array
from wingloss.protocol import Part, Protocol

IMAGES = (".jpg", ".jpeg", ".png")
BOXES = "detector_boxes.csv"
FACES = "faces.csv"


class BadSample(ValueError):
    """A file that can't be used; the message names it and the reason."""


@dataclass(frozen=True)
class Record:
    """One annotated face as the raw data set has it."""

    image: str  # path in the raw data set
    photograph: str  # faces of one photograph share it
    part: Part
    subsets: str  # their names, between spaces
    points: Array  # (L, 2) image pixels, 0-based
    detector_box: Array | None  # (4,) x_min, y_min, x_max, y_max, image pixels, 0-based


def read(root: Path, protocol: Protocol) -> list[Record]:
    """All faces under ``root`` that the protocol knows of, in the order of parts and names.

    Raises:
        BadSample: a file can't be read as what it should be.
    """
    boxes = _read_boxes(root / BOXES)
    subsets = _read_subsets(root / FACES)
    records = []
    for part in protocol.parts:
        folder = root / part.folder
        for path in sorted(folder.iterdir()) if folder.is_dir() else []:
            if path.suffix.lower() not in IMAGES:
                continue
            image = path.relative_to(root).as_posix()
            stem = path.stem.rpartition("_")[0] if part.faces_share_photographs else path.stem
            records.append(
                Record(
                    image=image,
                    photograph=f"{part.folder}/{stem or path.stem}",
                    part=part,
                    subsets=part.subset or subsets.get(image, ""),
                    points=read_pts(path.with_suffix(".pts"), protocol.n_landmarks),
                    detector_box=boxes.get(image),
                )
            )
    return records


def read_pts(path: Path, n_landmarks: int) -> Array:
    """The landmarks ``(L, 2)`` of a .pts file, turned to 0-based pixels.

    Raises:
        BadSample: no such file, another number of points, or something that is no finite number.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        raise BadSample(f"{path}: no such file; every picture needs its .pts beside it") from None
    body = re.search(r"\{(.*?)\}", text, re.DOTALL)
    if not body:
        raise BadSample(f"{path}: no points between braces; is this a .pts file?")
    rows = [line.split() for line in body[1].strip().splitlines() if line.strip()]
    if len(rows) != n_landmarks:
        raise BadSample(f"{path}: {len(rows)} points where {n_landmarks} are expected")
    points = np.empty((n_landmarks, 2))
    for i, row in enumerate(rows):
        try:
            x, y = (float(word) for word in row)
        except ValueError:
            raise BadSample(f"{path}: point {i + 1} is '{' '.join(row)}', not x and y") from None
        if not (math.isfinite(x) and math.isfinite(y)):
            raise BadSample(f"{path}: point {i + 1} is '{' '.join(row)}', not finite")
        points[i] = x - 1, y - 1
    return points


def write_pts(path: Path, points: Array) -> None:
    """Writes landmarks ``(L, 2)`` in 0-based pixels as a 1-based .pts file."""
    rows = "".join(f"{x + 1:.6f} {y + 1:.6f}\n" for x, y in points)
    path.write_text(f"version: 1\nn_points: {len(points)}\n{{\n{rows}}}\n", encoding="utf-8")


def _read_boxes(path: Path) -> dict[str, Array]:
    boxes = {}
    columns = ("x_min", "y_min", "x_max", "y_max")
    for line, row in _rows(path, ("image", *columns)):
        try:
            box = np.array([float(row[name]) for name in columns])
        except ValueError:
            raise BadSample(f"{path}:{line}: a box of '{row['image']}' is no number") from None
        if not np.isfinite(box).all() or (box[:2] >= box[2:]).any():
            raise BadSample(f"{path}:{line}: the box of '{row['image']}' is empty or not finite")
        boxes[row["image"]] = box
    return boxes


def _read_subsets(path: Path) -> dict[str, str]:
    return {row["image"]: row["subsets"] for _, row in _rows(path, ("image", "subsets"))}


def _rows(path: Path, columns: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    """The rows of an optional CSV file with their line numbers."""
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [name for name in columns if name not in (reader.fieldnames or [])]
            if missing:
                raise BadSample(f"{path}: no column {', '.join(missing)}")
            rows = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadSample(f"{path}: not a CSV file in UTF-8 ({error})") from error
    for line, row in rows:
        if any(row[name] is None for name in columns):
            raise BadSample(f"{path}:{line}: too few columns")
    return rows
