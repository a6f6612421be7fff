"""The layout that 300W is published in: pictures with a .pts file beside each.

A ``.pts`` file holds 1-based pixel coordinates (the upper left pixel's centre is (1, 1)); here and
in all of this project pixel centres are 0-based. Boxes of a face detector stand in one
``detector_boxes.csv`` (image, x_min, y_min, x_max, y_max; 0-based pixels) or in the publishers'
``Bounding Boxes/bounding_boxes_*.mat`` (1-based), one a part; the table goes before them. A
``faces.csv`` (image, subsets, and perhaps yaw in degrees) may say more of each face; subsets stand
between spaces.
"""

import csv
import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from wingloss.datasets import matlab, tables
from wingloss.datasets.record import BadSample, Found, Record, corners, number, stem
from wingloss.geometry import Array
from wingloss.protocol import CORNERS, Part, Protocol

IMAGES = (".jpg", ".jpeg", ".png")
BOXES = "detector_boxes.csv"
BOX = ["x_min", "y_min", "x_max", "y_max"]
FACES = "faces.csv"
OFFICIAL_BOXES = "Bounding Boxes"


def read(root: Path, protocol: Protocol) -> Iterator[Found]:
    """All faces under ``root`` that the protocol knows of, in the order of parts and names.

    Raises:
        BadSample: a table can't be read as what it should be.
    """
    bad: dict[str, BadSample] = {}  # by picture
    boxes, official = _boxes(root / BOXES, bad), _official_boxes(root, protocol, bad)
    told = _told(root / FACES, bad)
    yield from bad.values()
    for part in protocol.parts:
        folder = root / part.path
        paths = sorted(folder.iterdir()) if folder.is_dir() else []
        pictures = [path for path in paths if path.suffix.lower() in IMAGES]
        described = {path.with_suffix(".pts") for path in pictures}
        for path in paths:
            if path.suffix.lower() == ".pts" and path not in described:
                yield BadSample(f"{path}: no picture of this name ({', '.join(IMAGES)}) beside it")
        for path in pictures:
            image = path.relative_to(root).as_posix()
            if _bare(image) in bad:
                continue
            source = path.with_suffix(".pts")
            try:
                points = read_pts(source, protocol.n_landmarks)
            except BadSample as error:
                yield error
                continue
            subsets, yaw = told.get(image, ("", None))
            yield Record(
                face=stem(image),
                image=image,
                photograph=_photograph(part, path),
                part=part,
                subsets=part.subset or subsets,
                points=points,
                box=boxes.get(image, official.get(_bare(image))),
                source=str(source),
                yaw=yaw,
            )


def write(root: Path, records: list[Record]) -> None:
    """Writes each face's .pts beside its picture, and tables of the boxes and subsets there are.

    Raises:
        ValueError: this layout can't say that two faces share a picture, or a photograph that
            their pictures' names don't tell. Nothing is written.
    """
    if len({record.image for record in records}) < len(records):
        raise ValueError("two faces share a picture, which .pts files can't say: write a CSV")
    read_as = {(r.photograph, _photograph(r.part, Path(r.image))) for r in records}
    if len({photograph for photograph, _ in read_as}) < len(read_as):
        raise ValueError("two pictures are of one photograph, which .pts files can't say")
    for record in records:
        write_pts((root / record.image).with_suffix(".pts"), record.points)
    boxes = [
        (record.image, *(f"{value:.6f}" for value in record.box))
        for record in records
        if record.box is not None
    ]
    subsets = [(record.image, record.subsets) for record in records if record.subsets]
    for file, columns, rows in ((BOXES, BOX, boxes), (FACES, ["subsets"], subsets)):
        if rows:
            with (root / file).open("w", newline="", encoding="utf-8") as opened:
                table = csv.writer(opened, lineterminator="\n")
                table.writerows([("image", *columns), *rows])


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
    said = re.search(r"n_points:\s*(\S+)", text[: body.start()])
    if said and said[1] != str(len(rows)):
        raise BadSample(f"{path}: n_points is {said[1]}, and there are {len(rows)} points")
    points = np.empty((n_landmarks, 2))
    for i, row in enumerate(rows):
        try:
            x, y = (number(word) for word in row)
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


def _bare(image: str) -> str:
    """A picture's path without spaces: IBUG's 'image_092 _01.jpg' has one too many."""
    return image.replace(" ", "")


def _boxes(path: Path, bad: dict[str, BadSample]) -> dict[str, Array]:
    """The boxes of a ``detector_boxes.csv``, by picture; none where there is no such file.

    What is wrong with a row joins ``bad``.
    """
    boxes: dict[str, Array] = {}
    for where, row in tables.rows(path, ("image", *BOX)) if path.exists() else []:
        image = row["image"]
        try:
            tables.check(row, ("image", *BOX), where)
            box = np.array(tables.numbers(row, BOX, where))
            if not np.isfinite(box).all() or (box[:2] >= box[2:]).any():
                raise BadSample(f"{where}: the box of '{image}' is empty or not finite")
            if image in boxes:
                raise BadSample(f"{where}: a second box of '{image}'; keep its face's")
            boxes[image] = box
        except BadSample as error:
            bad[_bare(image or where)] = error
    return boxes


def _official_boxes(root: Path, protocol: Protocol, bad: dict[str, BadSample]) -> dict[str, Array]:
    """The detector's boxes of the publishers' .mat files, in 0-based pixels, by bare picture."""
    boxes = {}
    for part in protocol.parts:
        path = root / OFFICIAL_BOXES / f"bounding_boxes_{part.path.replace('/', '_')}.mat"
        if not path.exists():
            continue
        (entries,) = matlab.variables(path, ("bounding_boxes",))
        for i, entry in enumerate(np.atleast_1d(entries).flat):
            image = where = f"{path}: entry {i + 1}"
            try:
                image = _bare(f"{part.path}/{entry.imgName}")
                values = np.asarray(entry.bb_detector, dtype=np.float64).ravel()
                boxes[image] = corners(values, CORNERS) - 1
            except (AttributeError, TypeError, ValueError):
                bad[image] = BadSample(f"{where}: no imgName and bb_detector of four numbers")
    return boxes


def _told(path: Path, bad: dict[str, BadSample]) -> dict[str, tuple[str, float | None]]:
    """The subsets and the yaw, if it has one, of each picture in a ``faces.csv``."""
    columns = ("image", "subsets")
    told = {}
    for where, row in tables.rows(path, columns) if path.exists() else []:
        try:
            tables.check(row, columns, where)
            (yaw,) = tables.numbers(row, ["yaw"], where) if row.get("yaw") else (None,)
            if yaw is not None and not math.isfinite(yaw):
                raise BadSample(f"{where}: the yaw of '{row['image']}' is not finite")
            told[row["image"]] = row["subsets"], yaw
        except BadSample as error:
            bad[_bare(row["image"] or where)] = error
    return told
