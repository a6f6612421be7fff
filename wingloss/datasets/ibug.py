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
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from wingloss.datasets import csv_table
from wingloss.datasets.csv_faces import BOX
from wingloss.datasets.face_record import (
    OTHER_PICTURES,
    PICTURES,
    BadSample,
    Found,
    LeftOut,
    Record,
    corners,
    number,
    opened,
    stem,
)
from wingloss.datasets.names import hint, printable
from wingloss.geometry import Array
from wingloss.protocol import CORNERS, Part, Protocol

BOXES = "detector_boxes.csv"
FACES = "faces.csv"
OFFICIAL_BOXES = "Bounding Boxes"
POINTS = ".pts"
MOST_BYTES = 1 << 20  # of a .pts file, which has some 30 a point

Row = TypeVar("Row")


@dataclass(frozen=True)
class _Box:
    """A face's box, and where it stands; ``fault`` is why it can't be used."""

    box: Array | None
    where: str
    fault: str = ""


def read(root: Path, protocol: Protocol) -> Iterator[Found]:
    """All faces under ``root`` that the protocol knows of, in the order of parts and names.

    Raises:
        BadSample: a table of faces can't be read as what it should be.
    """
    boxes = _boxes(root / BOXES)
    told = _told(root / FACES)
    images: list[str] = []
    for part in protocol.parts:
        official = _official_boxes(root, part)
        for found in _pairs(root, part):
            if isinstance(found, BadSample):
                images += found.images
                yield found
                continue
            path, source = found
            image = path.relative_to(root).as_posix()
            images.append(image)
            said = told.rows.get(image, ("", None))
            try:
                if isinstance(said, BadSample):
                    raise said
                points = read_pts(source, protocol.n_landmarks)
            except BadSample as error:
                yield BadSample(str(error), (image,))
                continue
            box = boxes.find(image) or official.find(_bare(image)) or _Box(None, "")
            subsets, yaw = said
            yield Record(
                face=stem(image),
                image=image,
                photograph=_photograph(part, path),
                part=part,
                subsets=part.subset or subsets,
                points=points,
                box=box.box,
                source=str(source),
                yaw=yaw,
                box_source=box.where,
                box_fault=printable(box.fault),
            )
        yield from official.left_over([_bare(image) for image in images])
    yield from boxes.left_over(images)
    yield from told.left_over(images)


def annotations(root: Path, protocol: Protocol) -> Iterator[str]:
    """The paths below ``root`` of the tables and .pts files that :func:`read` opens."""
    yield from (BOXES, FACES)
    for part in protocol.parts:
        yield _official(part)
        for path in _files(root / part.path):
            if path.suffix.lower() == POINTS:
                yield path.relative_to(root).as_posix()


def _files(folder: Path) -> list[Path]:
    """A part's files; links to nothing too."""
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in paths if not path.is_dir()]


def _pairs(root: Path, part: Part) -> Iterator[tuple[Path, Path] | BadSample]:
    """A part's pictures and their .pts files, or why one of the two is alone."""
    files = _files(root / part.path)
    pictures, points = defaultdict[str, list[Path]](list), defaultdict[str, list[Path]](list)
    for path in files:
        ending = path.suffix.lower()
        if ending in PICTURES or ending == POINTS:
            (points if ending == POINTS else pictures)[path.stem].append(path)
    for name, found in points.items():
        if name not in pictures:
            yield BadSample(f"{found[0]}: {_without_picture(name, files, pictures)}")
    for name, found in pictures.items():
        images = tuple(path.relative_to(root).as_posix() for path in found)
        own = points.get(name, [])
        if len(found) > 1:
            shared = f"share {own[0].name}" if own else "have one name"
            yield BadSample(
                f"{found[0]} and {_names(found[1:])} {shared}; remove or rename all but one", images
            )
        elif len(own) > 1:
            yield BadSample(
                f"{own[0]} and {_names(own[1:])} are both of {found[0].name}; remove all but one",
                images,
            )
        elif not own:
            alike = hint(f"{name}{POINTS}", [p.name for some in points.values() for p in some])
            yield BadSample(
                f"{found[0].with_suffix(POINTS)}: no such file; every picture needs its .pts "
                f"beside it{alike}",
                images,
            )
        else:
            yield found[0], own[0]


def _names(paths: list[Path]) -> str:
    return " and ".join(path.name for path in paths)


def _without_picture(name: str, files: list[Path], pictures: dict[str, list[Path]]) -> str:
    """What to say of a .pts file of this name, to which there is no picture."""
    for path in files:
        if path.stem == name and path.suffix.lower() in OTHER_PICTURES:
            return f"its picture {path.name} can't be read; save it as {name}.jpg or {name}.png"
    others = [path for path in files if path.stem == name and path.suffix.lower() != POINTS]
    if others:
        return f"{others[0].name} beside it is none of the pictures that can be read"
    return f"no picture of this name beside it{hint(name, pictures)}"


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
    with opened(path, MOST_BYTES, errors="replace") as file:
        text = file.read()
    body = re.search(r"\{(.*?)\}", text, re.DOTALL)
    if not body:
        raise BadSample(f"{path}: no points between braces; is this a .pts file?")
    first = len(f"{text[: body.start()]}{{".splitlines())
    rows = [
        (f"{path}:{first + i}", line.strip())
        for i, line in enumerate(body[1].splitlines())
        if line.strip()
    ]
    points = [_point(row, place, i + 1) for i, (place, row) in enumerate(rows)]
    if len(rows) != n_landmarks:
        raise BadSample(f"{path}: {len(rows)} points where {n_landmarks} are expected")
    said = re.search(r"n_points:\s*(\S+)", text[: body.start()])
    if said and said[1] != str(len(rows)):
        raise BadSample(f"{path}: n_points is {said[1][:40]}, and there are {len(rows)} points")
    return np.array(points) - 1


def _point(row: str, place: str, index: int) -> tuple[float, float]:
    """x and y of a line, in the file's pixels."""
    said = f"{place}: point {index} is '{row[:60]}'"
    try:
        x, y = (number(word) for word in row.split())
    except ValueError:
        commas = "; decimals need a point, and blanks part x and y" if "," in row else ""
        raise BadSample(f"{said}, not x and y{commas}") from None
    if not (math.isfinite(x) and math.isfinite(y)):
        raise BadSample(f"{said}, not finite")
    return x, y


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


class _Table(Generic[Row]):
    """What a table says of pictures, by their names; ``fault`` is why nothing of it can be used."""

    def __init__(self, path: Path, fault: str = "") -> None:
        self.path, self.fault = path, fault
        self.rows: dict[str, Row] = {}

    def left_over(self, images: list[str]) -> Iterator[LeftOut]:
        """How many rows name none of the pictures ``images``."""
        unknown = sorted(self.rows.keys() - set(images))
        if unknown:
            why = f"they name no picture of a part, such as '{unknown[0]}'"
            alike = hint(unknown[0], set(images) - self.rows.keys())
            yield LeftOut(printable(f"{self.path}: rows"), len(unknown), printable(why + alike))


class _Boxes(_Table[_Box]):
    def find(self, image: str) -> _Box | None:
        """The picture's box; what is wrong with the table is so with each."""
        return _Box(None, "", self.fault) if self.fault else self.rows.get(image)

    def add(self, image: str, box: _Box) -> None:
        if image in self.rows:
            box = _Box(None, box.where, f"{box.where}: a second box of '{image}'; keep its face's")
        self.rows[image] = box


def _boxes(path: Path) -> _Boxes:
    """The boxes of a ``detector_boxes.csv``, by picture; none where there is no such file."""
    boxes = _Boxes(path)
    try:
        for where, row in csv_table.rows(path, ("image", *BOX)) if path.exists() else []:
            image = row.get("image", where)
            try:
                csv_table.check(row, ("image", *BOX), where)
                boxes.add(image, _Box(np.array(csv_table.numbers(row, BOX, where)), where))
            except BadSample as error:
                boxes.add(image, _Box(None, where, str(error)))
    except BadSample as error:
        return _Boxes(path, str(error))
    return boxes


def _official(part: Part) -> str:
    return f"{OFFICIAL_BOXES}/bounding_boxes_{part.path.replace('/', '_')}.mat"


def _official_boxes(root: Path, part: Part) -> _Boxes:
    """The detector's boxes of a part's published .mat file, in 0-based pixels, by bare picture."""
    path = root / _official(part)
    boxes = _Boxes(path)
    if not path.exists():
        return boxes
    from wingloss.datasets import matlab  # which needs SciPy

    try:
        (entries,) = matlab.variables(path, ("bounding_boxes",))
    except BadSample as error:
        return _Boxes(path, str(error))
    for i, entry in enumerate(np.atleast_1d(entries).flat):
        image = where = f"{path}: entry {i + 1}"
        try:
            image = _bare(f"{part.path}/{entry.imgName}")
            values = np.asarray(entry.bb_detector, dtype=np.float64).ravel()
            boxes.add(image, _Box(corners(values, CORNERS) - 1, where))
        except (AttributeError, TypeError, ValueError):
            fault = f"{where}: no imgName and bb_detector of four numbers"
            boxes.add(image, _Box(None, where, fault))
    return boxes


def _told(path: Path) -> _Table[tuple[str, float | None] | BadSample]:
    """The subsets and the yaw, if it has one, of each picture in a ``faces.csv``.

    Raises:
        BadSample: it isn't such a table.
    """
    columns = ("image", "subsets")
    told = _Table[tuple[str, float | None] | BadSample](path)
    for where, row in csv_table.rows(path, columns) if path.exists() else []:
        image = row.get("image", where)
        try:
            csv_table.check(row, columns, where)
            yaw = csv_table.yaw(row, where)
            if image in told.rows:
                raise BadSample(f"{where}: a second row of '{image}'")
            told.rows[image] = row["subsets"], yaw
        except BadSample as error:
            told.rows[image] = error
    return told
