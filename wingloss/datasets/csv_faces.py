"""One's own faces as CSV: a table a part, a face a row.

Columns: ``image`` (path in the data set's folder), ``x0, y0, x1, y1, ...`` (0-based pixels) and, if
you like, the face box ``x_min, y_min, x_max, y_max``, ``photograph`` (faces of one photograph share
it; otherwise the picture is meant), ``subsets`` (names between spaces) and ``yaw`` (degrees).
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from wingloss.datasets import csv_table
from wingloss.datasets.face_record import BadSample, Found, Record, stem
from wingloss.protocol import Part, Protocol

BOX = ["x_min", "y_min", "x_max", "y_max"]


def read(root: Path, protocol: Protocol) -> Iterator[Found]:
    """All faces, part by part, in the tables' order. A part that isn't there has none.

    Raises:
        BadSample: a table has no such columns, or those of more landmarks, or is none.
    """
    axes = _columns(protocol.n_landmarks)
    for part in protocol.parts:
        path = root / part.path
        for where, row in csv_table.rows(path, ("image", *axes)) if path.exists() else []:
            if more := {f"x{protocol.n_landmarks}", f"y{protocol.n_landmarks}"} & row.keys():
                said = f"a column {min(more)}, where {protocol.n_landmarks} landmarks are expected"
                raise BadSample(f"{path}: {said}")
            try:
                yield _record(row, where, part, axes)
            except BadSample as error:
                yield error


def write(path: Path, records: list[Record]) -> None:
    """Writes faces as one table; a face without a box leaves its cells empty."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        n_landmarks = len(records[0].points) if records else 0
        table.writerow(["image", "photograph", "subsets", *BOX, *_columns(n_landmarks)])
        for record in records:
            box = [""] * 4 if record.box is None else [f"{value:.6f}" for value in record.box]
            points = [f"{value:.6f}" for value in record.points.ravel()]
            table.writerow([record.image, record.photograph, record.subsets, *box, *points])


def _columns(n_landmarks: int) -> list[str]:
    return [f"{axis}{i}" for i in range(n_landmarks) for axis in "xy"]


def _record(row: csv_table.Row, where: str, part: Part, axes: list[str]) -> Record:
    image = row.get("image", "")
    if not image.strip():
        raise BadSample(f"{where}: no image is named")
    try:
        csv_table.check(row, ("image", *axes), where)
        points = np.array(csv_table.numbers(row, axes, where)).reshape(-1, 2)
        yaw = csv_table.yaw(row, where)
    except BadSample as error:
        raise BadSample(str(error), (image,)) from None
    box, fault = None, ""
    if any(row.get(name) for name in BOX):
        missing = [name for name in BOX if not row.get(name)]
        try:
            if missing:
                raise BadSample(f"{where}: a box without {', '.join(missing)}")
            box = np.array(csv_table.numbers(row, BOX, where))
        except BadSample as error:
            fault = str(error)
    return Record(
        face=f"{stem(image)}-{part.name}{where.rpartition(':')[2]}" if image else "",
        image=image,
        photograph=row.get("photograph") or image,
        part=part,
        subsets=row.get("subsets") or part.subset or "",
        points=points,
        box=box,
        source=where,
        yaw=yaw,
        box_fault=fault,
    )
