"""Where raw data were copied from: what messages call their files, and what has changed since.

``data/raw/DATASET`` is a copy that the user never sees. A note beside it says what was copied, for
both engines delete the copy itself as they please. DVC may have brought another copy back since
then, of which the note tells nothing.
"""

import filecmp
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pipeline import files
from pipeline.config import paths
from pipeline.errors import UserError
from wingloss.datasets.names import printable, some

DEEPEST = 20  # folders within folders: more are a link to a folder that it is in
PATH_ENDS = " ,:;'\")"  # what may follow a path in a message


@dataclass
class Origin:
    """What was copied or unpacked into a raw folder. Paths are relative to the two folders."""

    dataset: str
    place: str  # the folder that it came from; empty where nobody knows
    fetched: bool = False  # by this program, from the publishers
    files: dict[str, list[int]] = field(default_factory=dict)  # bytes and time (ns) of change
    members: dict[str, str] = field(default_factory=dict)  # what was unpacked, and from which file
    raw: dict[str, list[int]] = field(default_factory=dict)  # the same of the raw folder's
    replaced: bool = False  # the raw folder isn't what was copied: DVC has brought another back

    @property
    def folder(self) -> Path:
        """The raw folder."""
        return Path(paths.RAW.format(dataset=self.dataset))

    @property
    def again(self) -> str:
        """The commands that recreate the raw folder."""
        return (
            f"run 'snakemake --forcerun {self.folder}', or 'dvc repro --force --single-item "
            f"download@{self.dataset}' and then 'dvc repro'"
        )

    def write(self) -> None:
        """Notes this beside the raw folder that stands there."""
        self.raw = _times(self.folder)
        files.write_json(_note(self.dataset), asdict(self))

    def changed(self) -> str | None:
        """One line, if what the user has put there has changed since it was copied."""
        if self.fetched or self.replaced or not self.place or not Path(self.place).is_dir():
            return None
        now = _times(Path(self.place))
        both = now.keys() & self.files.keys()
        kinds = {
            "added": now.keys() - self.files.keys(),
            "removed": self.files.keys() - now.keys(),
            "changed": {name for name in both if self._differs(name, now[name])},
        }
        said = [
            f"{len(found)} {kind}: {printable(some(sorted(found)))}"
            for kind, found in kinds.items()
            if found
        ]
        if not said:
            return None
        return (
            f"{self.place} has changed since it was copied ({'; '.join(said)}); to take it as it "
            f"is now, {self.again}"
        )

    def named(self, message: str) -> str:
        """The message, in which files of the raw folder have the names that the user knows."""
        if self.replaced or not self.place:
            return message
        begin, *rest = message.split(f"{self.folder}/")
        said = begin + "".join(self._named(text) for text in rest)
        return said.replace(str(self.folder), self.place)

    def _differs(self, name: str, now: list[int]) -> bool:
        """Whether a file isn't what it was when it was copied; a new time alone doesn't count."""
        if now == self.files[name]:
            return False
        copy = self.folder / name
        return not copy.exists() or not filecmp.cmp(copy, Path(self.place, name), shallow=False)

    def _is_other(self, name: str, now: list[int]) -> bool:
        """Whether a raw file isn't what was copied; a new time alone doesn't count."""
        if now == self.raw[name]:
            return False
        own = Path(self.place, name)
        if now[0] != self.raw[name][0] or not own.is_file():
            return now[0] != self.raw[name][0]
        stat = own.stat()
        same = [stat.st_size, stat.st_mtime_ns] == self.files.get(name)
        return same and not filecmp.cmp(self.folder / name, own, shallow=False)

    def _named(self, text: str) -> str:
        """What follows the raw folder in a message, led by the user's file."""
        ends = [i for i, char in enumerate(text) if char in PATH_ENDS] + [len(text)]
        known = [text[:end] for end in ends if text[:end] in self.raw]
        path = max(known, key=len) if known else text[: ends[0]]
        if path in self.members:
            return f"{self.place}/{self.members[path]}: {text}"
        if path in self.files or (Path(self.place) / path).parent.is_dir():
            return f"{self.place}/{text}"
        return f"{self.place}: {text}"


def read(dataset: str) -> Origin:
    """The origin of the raw folder that stands there."""
    try:
        found = Origin(**json.loads(_note(dataset).read_text(encoding="utf-8")))
        present = _times(found.folder)
    except (OSError, ValueError, TypeError, UserError):
        return Origin(dataset, "")
    found.replaced = found.raw.keys() != present.keys() or any(
        found._is_other(name, present[name]) for name in present
    )
    return found


def changed(dataset: str) -> str | None:
    """One line, if what the user has put there has changed since it was copied, or can't be copied.

    None if not, or if nobody knows.
    """
    try:
        return read(dataset).changed()
    except UserError as error:
        return str(error)


def forget(dataset: str) -> None:
    """Deletes the note, before the raw folder is changed."""
    _note(dataset).unlink(missing_ok=True)


def listed(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """The files below a folder that are brought in, in order: those that aren't hidden.

    Raises:
        UserError: a folder can't be read or holds itself, or something there is no file.
    """

    def refuse(error: OSError) -> None:
        raise UserError(f"{error.filename}: {error.strerror}")

    for folder, folders, names in os.walk(root, followlinks=True, onerror=refuse):
        folders[:] = sorted(name for name in folders if not hidden(name))
        if len(Path(folder).relative_to(root).parts) > DEEPEST:
            raise UserError(
                f"{folder}: folders within folders without end; is there a link to itself?"
            )
        for name in sorted(names):
            if hidden(name):
                continue
            path = Path(folder, name)
            if not path.exists():
                raise UserError(f"{path}: a link to nothing; remove it")
            if not path.is_file():
                raise UserError(f"{path}: neither a file nor a folder; remove it")
            yield path.relative_to(root).as_posix(), path.stat()


def hidden(name: str) -> bool:
    """Whether a file or folder is left where it is: hidden, or the record of a hash."""
    return name.startswith(".") or name.endswith(".sha256")


def _times(root: Path) -> dict[str, list[int]]:
    """Bytes and time of change (ns) of the files of a folder."""
    return {name: [stat.st_size, stat.st_mtime_ns] for name, stat in listed(root)}


def _note(dataset: str) -> Path:
    return Path(paths.ORIGIN.format(dataset=dataset))
