"""The layout that 300W is published in: pictures with a .pts file beside each.

A ``.pts`` file holds 1-based pixel coordinates (the upper left pixel's centre is (1, 1)); here and
in all of this project pixel centres are 0-based. Boxes of a face detector stand in one
``detector_boxes.csv`` (image, x_min, y_min, x_max, y_max; 0-based pixels) or in the publishers'
``Bounding Boxes/bounding_boxes_*.mat`` (1-based), one a part; the table goes before them. A
``faces.csv`` (image, yaw, pitch, roll, subsets) may say more of each face; subsets stand between
spaces.
"""

import csv
import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from wingloss.datasets import matlab, tables
from wingloss.datasets.record import BadSample, Found, Record, corners, stem
from wingloss.geometry import Array
from wingloss.protocol import CORNERS, Part, Protocol

IMAGES = (".jpg", ".jpeg", ".png")
BOXES = "detector_boxes.csv"
FACES = "faces.csv"
OFFICIAL_BOXES = "Bounding Boxes"


def read(root: Path, protocol: Protocol) -> Iterator[Found]:
    """All faces under ``root`` that the protocol knows of, in the order of parts and names.

    Raises:
        BadSample: a table can't be read as what it should be.
    """
    boxes = _official_boxes(root, protocol) | _boxes(root / BOXES)
    subsets = _subsets(root / FACES)
    for part in protocol.parts:
        folder = root / part.path
        for path in sorted(folder.iterdir()) if folder.is_dir() else []:
            if path.suffix.lower() not in IMAGES:
                continue
            image = path.relative_to(root).as_posix()
            source = path.with_suffix(".pts")
            try:
                points = read_pts(source, protocol.n_landmarks)
            except BadSample as error:
                yield error
                continue
            yield Record(
                face=stem(image),
                image=image,
                photograph=_photograph(part, path),
                part=part,
                subsets=part.subset or subsets.get(image, ""),
                points=points,
                box=boxes.get(image),
                source=str(source),
            )


def write(root: Path, records: list[Record]) -> None:
    """Writes each face's .pts beside its picture, and the boxes of those that have one."""
    for record in records:
        write_pts((root / record.image).with_suffix(".pts"), record.points)
    boxes = [(record.image, record.box) for record in records if record.box is not None]
    if boxes:
        with (root / BOXES).open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(("image", "x_min", "y_min", "x_max", "y_max"))
            table.writerows((image, *(f"{value:.6f}" for value in box)) for image, box in boxes)


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


def _photograph(part: Part, path: Path) -> str:
    name = path.stem.rpartition("_")[0] if part.faces_share_photographs else path.stem
    return f"{part.path}/{name or path.stem}"


def _boxes(path: Path) -> dict[str, Array]:
    """The boxes of a ``detector_boxes.csv``, by picture; none where there is no such file."""
    columns = ["x_min", "y_min", "x_max", "y_max"]
    boxes = {}
    for line, row in tables.rows(path, ("image", *columns)) if path.exists() else []:
        box = np.array(tables.numbers(row, columns, f"{path}:{line}"))
        if not np.isfinite(box).all() or (box[:2] >= box[2:]).any():
            raise BadSample(f"{path}:{line}: the box of '{row['image']}' is empty or not finite")
        if row["image"] in boxes:
            raise BadSample(f"{path}:{line}: a second box of '{row['image']}'; keep its face's")
        boxes[row["image"]] = box
    return boxes


def _official_boxes(root: Path, protocol: Protocol) -> dict[str, Array]:
    """The detector's boxes of the publishers' .mat files, by picture, in 0-based pixels."""
    boxes = {}
    for part in protocol.parts:
        path = root / OFFICIAL_BOXES / f"bounding_boxes_{part.path.replace('/', '_')}.mat"
        if not path.exists():
            continue
        (entries,) = matlab.variables(path, ("bounding_boxes",))
        for i, entry in enumerate(np.atleast_1d(entries).flat):
            where = f"{path}: entry {i + 1}"
            try:
                name = str(entry.imgName).strip()  # some names end in a space
                values = np.asarray(entry.bb_detector, dtype=np.float64).ravel()
                boxes[f"{part.path}/{name}"] = corners(values, CORNERS) - 1
            except (AttributeError, TypeError, ValueError):
                raise BadSample(f"{where}: no imgName and bb_detector of four numbers") from None
    return boxes


def _subsets(path: Path) -> dict[str, str]:
    columns = ("image", "subsets")
    rows = tables.rows(path, columns) if path.exists() else []
    return {row["image"]: row["subsets"] for _, row in rows}
