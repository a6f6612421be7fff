"""The readers of raw formats by the names that protocols call them."""

from collections.abc import Iterator
from pathlib import Path

from wingloss.datasets import aflw, coco, cofw, csvs, ibug, wflw
from wingloss.datasets.record import BadSample, Record, check
from wingloss.protocol import Protocol

READERS = {
    "ibug": ibug.read,
    "aflw": aflw.read,
    "cofw": cofw.read,
    "wflw": wflw.read,
    "csv": csvs.read,
    "coco": coco.read,
}


EXTRACTORS = {"cofw": cofw.extract}  # of formats whose annotations hold the pictures


def extract(root: Path, protocol: Protocol) -> Iterator[Path | BadSample]:
    """Writes the pictures that annotation files under ``root`` hold, if the format's do.

    Gives each picture's path, or why it has none.

    Raises:
        BadSample: a file can't be read as what it should be.
    """
    if protocol.reader in EXTRACTORS:
        yield from EXTRACTORS[protocol.reader](root, protocol)


def read(root: Path, protocol: Protocol) -> tuple[list[Record], list[BadSample]]:
    """All faces of the data set under ``root``, and what is wrong with those left out.

    Raises:
        BadSample: a file that tells of many faces can't be read at all.
    """
    records: dict[str, Record] = {}
    bad = []
    for found in READERS[protocol.reader](root, protocol):
        if isinstance(found, BadSample):
            bad.append(found)
            continue
        try:
            check(found, protocol.n_landmarks)
            if found.face in records:
                twin = records[found.face].source
                raise BadSample(f"{found.source}: '{found.face}' is the name of {twin} too")
        except BadSample as error:
            bad.append(error)
            continue
        records[found.face] = found
    return list(records.values()), bad
