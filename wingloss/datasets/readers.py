"""The readers of raw formats by the names that protocols call them."""

import dataclasses
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from wingloss.datasets import aflw, coco, csv_faces, ibug, plausible, wflw
from wingloss.datasets.face_record import (
    PICTURES,
    BadSample,
    Found,
    LeftOut,
    Record,
    check_name,
)
from wingloss.datasets.names import printable
from wingloss.protocol import CORNERS, Protocol


def _read_cofw(root: Path, protocol: Protocol) -> Iterator[Found]:
    from wingloss.datasets import cofw  # which needs h5py

    return cofw.read(root, protocol)


def _extract_cofw(root: Path, protocol: Protocol) -> Iterator[Path | BadSample]:
    from wingloss.datasets import cofw

    return cofw.extract(root, protocol)


READERS: dict[str, Callable[[Path, Protocol], Iterator[Found]]] = {
    "ibug": ibug.read,
    "aflw": aflw.read,
    "cofw": _read_cofw,
    "wflw": wflw.read,
    "csv": csv_faces.read,
    "coco": coco.read,
}
EXTRACTORS = {"cofw": _extract_cofw}  # of formats whose annotations hold the pictures
BOXES = {
    "ibug": CORNERS,
    "csv": CORNERS,
    "coco": coco.COLUMNS,
}  # in what order, where that is fixed
DEEPEST = 2  # folders by which files that nobody reads are counted


class Reading(NamedTuple):
    """What a raw data set holds."""

    records: list[Record]
    bad: list[BadSample]  # what is wrong with faces that can't be used
    left_out: list[LeftOut]  # what nobody reads
    files: int  # that lie there
    used: int  # of them


def extract(root: Path, protocol: Protocol) -> Iterator[Path | BadSample]:
    """Writes the pictures that annotation files under ``root`` hold, if the format's do.

    Gives each picture's path, or why it has none.

    Raises:
        BadSample: a file can't be read as what it should be.
    """
    if protocol.reader in EXTRACTORS:
        yield from EXTRACTORS[protocol.reader](root, protocol)


def box_columns(protocol: Protocol) -> tuple[str, ...]:
    """The order in which the raw format has a box's numbers."""
    return BOXES.get(protocol.reader, protocol.boxes.columns)


def read(root: Path, protocol: Protocol) -> Reading:
    """All faces of the data set under ``root``, and what is wrong with those left out.

    A box that can't be used is said in its record, since it may not be needed.

    Raises:
        BadSample: a file that tells of many faces can't be read at all.
    """
    records: dict[str, Record] = {}
    bad, left_out = [], []
    for found in READERS[protocol.reader](root, protocol):
        if isinstance(found, LeftOut):
            left_out.append(found)
        elif isinstance(found, BadSample):
            bad.append(found)
        else:
            try:
                record = _checked(found, protocol)
                if record.face in records:
                    twin = records[record.face]
                    raise BadSample(
                        f"{record.source}: '{record.face}' is the name of {twin.source} too",
                        (record.image,),
                    )
                records[record.face] = record
            except BadSample as error:
                bad.append(error)
    used = {record.image for record in records.values()}
    used |= {image for error in bad for image in error.images}
    files, others = _others(root, protocol, used)
    return Reading(list(records.values()), bad, left_out + others, files, files - _count(others))


def _checked(record: Record, protocol: Protocol) -> Record:
    """The record, and in it what is wrong with its box.

    Raises:
        BadSample: the face can't be used.
    """
    check_name(record)
    found = record.points.shape[0]
    if record.points.shape != (protocol.n_landmarks, 2):
        raise BadSample(
            f"{record.source}: {found} points where {protocol.n_landmarks} are expected",
            (record.image,),
        )
    if fault := plausible.points_fault(record.points):
        raise BadSample(f"{record.source}: {fault}", (record.image,))
    eyes = {"inter_pupil": protocol.pupils, "inter_ocular": protocol.outer_eye_corners}
    ends = eyes.get(protocol.headline)
    if ends and plausible.coincide(record.points, *ends):
        raise BadSample(
            f"{record.source}: its eyes coincide, and errors are divided by their distance",
            (record.image,),
        )
    if record.box is None or record.box_fault:
        return record
    if fault := plausible.box_fault(record.box, record.points):
        where = record.box_source or record.source
        said = f"{where}: the box of '{record.image}' {fault}"
        return dataclasses.replace(record, box_fault=printable(said))
    return record


def _annotations(root: Path, protocol: Protocol) -> Iterable[str]:
    """The paths below ``root`` of the files that the reader opens, pictures aside."""
    if protocol.reader == "ibug":
        return ibug.annotations(root, protocol)
    return [part.path for part in protocol.parts]


def _others(root: Path, protocol: Protocol, used: set[str]) -> tuple[int, list[LeftOut]]:
    """How many files there are, and those that neither a reader nor a face needs."""
    read = {*used, *_annotations(root, protocol)}
    files, counted = 0, Counter[tuple[str, str]]()
    for folder, _, names in os.walk(root, followlinks=True):
        below = PurePosixPath(Path(folder).relative_to(root).as_posix())
        for name in names:
            if name.startswith(
                "."
            ):  # an engine's, for those of the user's folder aren't brought in
                continue
            files += 1
            path = str(below / name)
            if path not in read and not any(fnmatch(path, one) for one in protocol.other_files):
                ending = PurePosixPath(name).suffix.lower()
                counted["/".join(below.parts[:DEEPEST]), ending] += 1
    left_out = []
    for (place, ending), count in sorted(counted.items()):
        if ending in PICTURES:
            why = "no face is in them"
        elif ending == ".pts" and protocol.reader == "ibug":
            why = "they lie beside the parts' folders: " + ", ".join(
                part.path for part in protocol.parts
            )
        else:
            why = "nothing reads them"
        what = root / place / (f"*{ending}" if ending else "(no ending)")
        left_out.append(LeftOut(printable(str(what)), count, why))
    return files, left_out


def _count(left_out: list[LeftOut]) -> int:
    return sum(one.count for one in left_out)
