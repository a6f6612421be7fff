"""Names of files and columns as people write them, and how messages show them."""

import os
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path, PurePosixPath


def printable(text: str) -> str:
    """``text`` on one line: what can't be shown is escaped, bytes of no UTF-8 name as ``\\xe9``."""
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    if "\udc80" <= char <= "\udcff":  # how Python holds a byte that isn't UTF-8
        return f"\\x{ord(char) - 0xDC00:02x}"
    return char.encode("unicode_escape").decode()


def is_utf8(name: str) -> bool:
    """Whether a file's name can stand in a table."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def some(names: Iterable[object], shown: int = 3) -> str:
    """The first few of many names."""
    words = [str(name) for name in names]
    more = f" and {len(words) - shown} more" if len(words) > shown else ""
    return f"{', '.join(words[:shown])}{more}"


def fold(name: str) -> str:
    """What names have in common that differ in capitals, Unicode form or slashes alone."""
    slashed = unicodedata.normalize("NFC", name).replace("\\", "/").strip()
    return unicodedata.normalize("NFC", str(PurePosixPath(slashed)).casefold())


def differs_in(name: str, other: str) -> str:
    """In what two names differ that :func:`fold` takes for one."""
    kinds = {
        "accents' Unicode form": lambda text: unicodedata.normalize("NFC", text),
        "capitals": str.casefold,
        "slashes or blanks": fold,
    }
    for kind, common in kinds.items():
        if common(name) == common(other):
            return kind
    return "capitals, accents' Unicode form or slashes"


def hint(name: str, others: Iterable[str]) -> str:
    """``; there is 'Other', which differs in capitals``, or nothing."""
    for other in others:
        if other != name and fold(other) == fold(name):
            return f"; there is '{other}', which differs in {differs_in(name, other)}"
    return ""


def alike(root: Path, name: str) -> str:
    """The :func:`hint` at files below ``root``, for one of this name isn't there.

    Where none has nearly the same path, it is those in other folders, or with another ending.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    folder = root
    for part in path.parts:
        if part == ".." or part.startswith("/"):  # that leads out
            break
        if not (folder / part).exists():
            found = _folded(folder, folder.stat().st_mtime_ns).get(fold(part))
            if found is None:
                break
            part = found
        folder = folder / part
        if not folder.is_dir():
            break
    if folder.is_file() and (said := hint(name, [folder.relative_to(root).as_posix()])):
        return said
    everywhere = _everywhere(root, root.stat().st_mtime_ns)
    others = everywhere.get(fold(path.name)) or everywhere.get(fold(path.stem))
    return f"; there is {some(others)}" if others else ""


@lru_cache(maxsize=16)
def _folded(folder: Path, _changed: int) -> dict[str, str]:
    """The names in a folder by what is common to all that are written alike."""
    return {fold(path.name): path.name for path in sorted(folder.iterdir())}


@lru_cache(maxsize=4)
def _everywhere(root: Path, _changed: int) -> dict[str, list[str]]:
    """The paths of all files below ``root`` by what is common to their names, or to these without
    the ending.
    """
    found: dict[str, list[str]] = {}
    for folder, folders, files in os.walk(root):
        folders.sort()
        for name in sorted(files):
            path = Path(folder, name)
            for key in {fold(path.name), fold(path.stem)}:
                found.setdefault(key, []).append(path.relative_to(root).as_posix())
    return found
