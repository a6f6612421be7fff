"""The files that a user names, and what became of each."""

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from wingloss.datasets import csv_table
from wingloss.datasets.csv_faces import BOX
from wingloss.datasets.face_record import OTHER_PICTURES, PICTURES, BadSample
from wingloss.datasets.names import is_utf8, printable
from wingloss.geometry import Array

COLUMNS = ["file", "outcome", "faces", "why"]
VIDEOS = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm")
RESULTS = ("overlay", "pts")  # folders of results, where these lie among the sources
HIDDEN = "hidden"
LONGEST_NAME = 200  # bytes: names of results are longer, and files' have at most 255


@dataclass
class Listing:
    """Every file once, by its path below ``root``: a picture or video to be read, or not."""

    root: Path
    readable: list[str] = field(default_factory=list)  # in order
    left_out: dict[str, str] = field(default_factory=dict)  # why
    unreadable: dict[str, str] = field(default_factory=dict)  # why
    remarks: dict[str, str] = field(default_factory=dict)  # on files that were read
    faces: Counter[str] = field(default_factory=Counter)  # found in each

    def rows(self) -> list[tuple[str, str, int, str]]:
        """A row of ``COLUMNS`` a file."""
        rows = [(name, "left out", 0, why) for name, why in self.left_out.items()]
        rows += [(name, "unreadable", 0, why) for name, why in self.unreadable.items()]
        for name in self.readable:
            if name not in self.unreadable:
                outcome = "faces" if self.faces[name] else "no face"
                rows.append((name, outcome, self.faces[name], self.remarks.get(name, "")))
        return [(printable(name), *others) for name, *others in sorted(rows)]  # type: ignore[misc]

    def summary(self) -> str:
        """How many files there are, and what became of them: the numbers add up."""
        outcomes = Counter(outcome for _, outcome, _, _ in self.rows())
        said = ", ".join(
            f"{outcomes[outcome]} {words}"
            for outcome, words in {
                "faces": "with faces",
                "no face": "without",
                "unreadable": "unreadable",
                "left out": "left out",
            }.items()
        )
        kinds = f" ({self._left_out_by_kind()})" if self.left_out else ""
        faces = said_count(self.faces.total(), "face")
        return f"{faces} in {said_count(outcomes.total(), 'file')}: {said}{kinds}"

    def _left_out_by_kind(self) -> str:
        """What was left out, by ending and number, and what to do about it."""
        kinds = Counter(_kind(name, why) for name, why in self.left_out.items())
        said = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
        convert = sorted(
            {one for name in self.left_out if (one := _ending(name)) in OTHER_PICTURES}
        )
        advice = f"; save {' and '.join(convert)} as JPEG to have them read" if convert else ""
        return printable(said + advice)


def of(paths: Iterable[Path], out: Path | None = None) -> Listing:
    """The pictures and videos that ``paths`` name, and all below those that are folders.

    ``out``, where results go, is none of them. Names are below the one folder that is named, or
    else below the deepest that holds everything.

    Raises:
        BadSample: none of them exists.
    """
    given = list(dict.fromkeys(Path(os.path.abspath(path)) for path in paths))
    if not any(map(os.path.lexists, given)):
        raise BadSample(f"{given[0]}: no such file or folder")
    only = len(given) == 1 and given[0].is_dir()
    above = given if only else [path.parent for path in given]
    found = Listing(Path(os.path.commonpath(above)))
    readable = set()
    for path in given:
        if path.is_dir():
            readable.update(_walk(found, path, out))
        elif fault := _fault(path, path.name):
            found.unreadable[_below(found.root, path)] = fault
        else:
            readable.add(_below(found.root, path))
    found.readable = sorted(readable, key=Path)
    return found


def boxes(path: Path, found: Listing) -> dict[str, Array]:
    """The boxes ``(N, 4)`` of a table, by picture; its names are below the table's folder.

    Raises:
        BadSample: it is no such table, or names a picture that isn't to be read.
    """
    held: dict[str, list[list[float]]] = {}
    readable = {name for name in found.readable if Path(name).suffix.lower() not in VIDEOS}
    for where, row in csv_table.rows(path, ("image", *BOX)):
        csv_table.check(row, ("image", *BOX), where)
        name = os.path.relpath(Path(os.path.abspath(path)).parent / row["image"], found.root)
        if name not in readable:
            raise BadSample(f"{where}: '{row['image']}' is none of the pictures that are read")
        held.setdefault(name, []).append(csv_table.numbers(row, BOX, where))
    return {image: np.array(own) for image, own in held.items()}


def _walk(found: Listing, folder: Path, out: Path | None) -> list[str]:
    """All files below a folder; links to folders are not followed, as they may lead round."""
    readable = []
    results = set()
    if out is not None:
        above_all = Path(os.path.abspath(out))
        results = {above_all, *(above_all / name for name in RESULTS)}

    def fail(error: OSError) -> None:
        name = _below(found.root, error.filename)
        found.unreadable[name] = f"the folder can't be opened ({error.strerror})"

    for above, folders, names in os.walk(folder, onerror=fail):
        folders[:] = sorted(name for name in folders if Path(above, name) not in results)
        links = [name for name in folders if Path(above, name).is_symlink()]
        for name in [*links, *names]:
            path = Path(above, name)
            below = _below(found.root, path)
            if any(part.startswith(".") for part in path.relative_to(folder).parts):
                found.left_out[below] = HIDDEN
            elif path.is_dir():
                found.left_out[below] = "a link to a folder, which is not followed"
            elif fault := _fault(path, name):
                found.left_out[below] = fault
            else:
                readable.append(below)
    return readable


def _fault(path: Path, name: str) -> str | None:
    """Why a file isn't read, by its name and kind."""
    if not path.is_file():
        if path.is_symlink() and not path.exists():
            return "a link to nothing"
        return "not a file to be opened" if os.path.lexists(path) else "no such file"
    if _ending(name) not in (*PICTURES, *VIDEOS):
        return _not_read(name)
    return None


def unnameable(name: str) -> str | None:
    """Why results can't name a file."""
    if not is_utf8(name):
        return "its name is not UTF-8; rename it"
    if any(len(part.encode()) > LONGEST_NAME for part in Path(name).parts):
        return "its name is too long; shorten it"
    return None


def _below(root: Path, path: str | Path) -> str:
    return os.path.relpath(path, root)


def _ending(name: str) -> str:
    return Path(name).suffix.lower()


def _not_read(name: str) -> str:
    """Why a file is left out by its ending, and what to do."""
    ending = _ending(name)
    if ending in OTHER_PICTURES:
        return f"{ending} is not read here; save it as JPEG"
    return (
        f"by its ending neither a picture ({', '.join(PICTURES)}) nor a video ({', '.join(VIDEOS)})"
    )


def _kind(name: str, why: str) -> str:
    """What to count a file as that was left out."""
    if why == _not_read(name):
        return _ending(name) or "without an ending"
    return why


def said_count(number: int, what: str) -> str:
    """How many there are, in words."""
    return f"{number} {what}{'s' * (number != 1)}"
