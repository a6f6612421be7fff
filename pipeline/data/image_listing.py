"""The files of a user's folder of pictures, and what became of each."""

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from pipeline.runtime.errors import UserError
from wingloss.datasets.face_record import OTHER_PICTURES, PICTURES
from wingloss.datasets.ibug import BOXES
from wingloss.datasets.names import printable

COLUMNS = ["file", "outcome", "faces", "why"]
HIDDEN = "hidden"


@dataclass
class Listing:
    """Every file below ``folder`` once, by its path there: a picture to be read, or left out."""

    folder: Path
    pictures: list[str] = field(default_factory=list)  # in order
    left_out: dict[str, str] = field(default_factory=dict)  # why
    unreadable: dict[str, str] = field(default_factory=dict)  # pictures, and why
    remarks: dict[str, str] = field(default_factory=dict)  # on pictures that were read

    def remark(self, name: str, what: str) -> None:
        """Notes something about a picture that was read."""
        self.remarks[name] = "; ".join(filter(None, [self.remarks.get(name), what]))

    @property
    def files(self) -> int:
        """How many there are."""
        return len(self.pictures) + len(self.left_out)

    @property
    def said_of_left_out(self) -> str:
        """What was left out, by ending and number, and what to do about it; may be empty."""
        kinds = Counter(_kind(name, why) for name, why in self.left_out.items())
        said = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
        convert = sorted(
            {ending for name in self.left_out if (ending := _ending(name)) in OTHER_PICTURES}
        )
        advice = f"; save {' and '.join(convert)} as JPEG to have them read" if convert else ""
        return printable(said + advice)

    def table(self, faces: Counter[str]) -> pd.DataFrame:
        """A row a file; ``faces`` are how many were found in each picture."""
        rows = [(name, "left out", 0, why) for name, why in self.left_out.items()]
        for name in self.pictures:
            if name in self.unreadable:
                rows.append((name, "unreadable", 0, self.unreadable[name]))
            else:
                outcome = "faces" if faces[name] else "no face"
                rows.append((name, outcome, faces[name], self.remarks.get(name, "")))
        table = pd.DataFrame(sorted(rows), columns=COLUMNS)
        table.file = [printable(name) for name in table.file]
        return table

    def summary(self, faces: Counter[str]) -> str:
        """How many files there are, and what became of them: the numbers add up."""
        read = len(self.pictures) - len(self.unreadable)
        with_faces = len(+faces)
        parts = [
            f"{with_faces} with faces",
            f"{read - with_faces} without",
            f"{len(self.unreadable)} unreadable",
            f"{len(self.left_out)} left out",
        ]
        said = f" ({self.said_of_left_out})" if self.left_out else ""
        return f"{said_count(self.files, 'file')} = {' + '.join(parts)}{said}"


def of(path: Path) -> Listing:
    """The files below a folder, or a single picture.

    Raises:
        UserError: there is no picture.
    """
    if path.is_dir():
        found = _walk(path)
    elif path.is_file():
        if path.suffix.lower() not in PICTURES:
            raise UserError(f"{path}: {_not_read(path.name)}")
        found = Listing(path.parent, [path.name])
    elif os.path.lexists(path):
        raise UserError(f"{path}: neither a folder nor a picture")
    else:
        raise UserError(f"{path}: no such folder or picture")
    if not found.files:
        raise UserError(f"{path}: the folder is empty; put pictures there ({', '.join(PICTURES)})")
    if not found.pictures:
        left = found.said_of_left_out
        raise UserError(f"{path}: no pictures there ({', '.join(PICTURES)}); left out: {left}")
    return found


def _walk(root: Path) -> Listing:
    """All files below a folder; links to folders are not followed, as they may lead round."""
    found = Listing(root)
    pictures = []

    def fail(error: OSError) -> None:
        if Path(error.filename) == root:
            raise UserError(f"{root}: the folder can't be opened ({error.strerror})")
        found.left_out[_below(root, error.filename)] = (
            f"the folder can't be opened ({error.strerror})"
        )

    for above, folders, names in os.walk(root, onerror=fail):
        links = [name for name in folders if Path(above, name).is_symlink()]
        for name in [*links, *names]:
            path = Path(above, name)
            below = _below(root, path)
            if below == BOXES:
                continue
            if any(part.startswith(".") for part in Path(below).parts):
                found.left_out[below] = HIDDEN
            elif os.path.isdir(path):
                found.left_out[below] = "a link to a folder, which is not followed"
            elif not os.path.isfile(path):
                lost = path.is_symlink() and not os.path.exists(path)
                found.left_out[below] = "a link to nothing" if lost else "not a file to be opened"
            elif path.suffix.lower() in PICTURES:
                pictures.append(below)
            else:
                found.left_out[below] = _not_read(name)
    found.pictures = sorted(pictures, key=Path)
    return found


def _below(root: Path, path: str | Path) -> str:
    return str(Path(path).relative_to(root))


def _ending(name: str) -> str:
    return Path(name).suffix.lower()


def _not_read(name: str) -> str:
    """Why a file is left out by its ending, and what to do."""
    ending = _ending(name)
    if ending in OTHER_PICTURES:
        return f"{ending} is not read here; save it as JPEG"
    return f"not a picture by its ending; read are {', '.join(PICTURES)}"


def _kind(name: str, why: str) -> str:
    """What to count a file as that was left out."""
    if why == HIDDEN:
        return HIDDEN
    if why == _not_read(name):
        return _ending(name) or "without an ending"
    return why


def said_count(number: int, what: str) -> str:
    """How many there are, in words."""
    return f"{number} {what}{'s' * (number != 1)}"
