"""Unpacking archives of strangers: nothing lands outside the folder, and nothing without bounds."""

import bz2
import errno
import gzip
import io
import lzma
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from pipeline.errors import UserError
from pipeline.runtime.progress import Progress

MOST_FILES = 500_000  # and folders
MOST_BYTES = 64 << 30
HIGHEST_RATIO = 200  # of unpacked to packed bytes; pictures don't shrink by more than a few
ROOM = 64 << 20  # bytes that even the smallest archive may unpack to
CHUNK = 1 << 20
PACKED: dict[bytes, Callable[[Path], io.BufferedIOBase]] = {  # by how files begin
    b"\x1f\x8b": gzip.GzipFile, b"BZ": bz2.BZ2File, b"\xfd7": lzma.LZMAFile,
}  # fmt: skip
# gzip and zipfile have no number for files that are none; the others are of names that can't be
BROKEN = (None, errno.EINVAL, errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG)


class _Refused(Exception):
    """An archive that would do something it mustn't."""


def unpack(archive: Path, target: Path) -> None:
    """Unpacks a .zip or .tar (.gz, .bz2, .xz) into ``target``.

    A top folder of the archive that has the name of ``target`` isn't doubled. Hidden files and what
    macOS adds are left out.

    Raises:
        UserError: it is no whole archive, leads out of ``target``, holds links or devices, or
            unpacks to more than it may.
    """
    bound = min(MOST_BYTES, max(ROOM, HIGHEST_RATIO * archive.stat().st_size))
    try:
        title = f"unpacking {archive.name}"
        with _members(archive, bound) as members, Progress(title, None, "MB") as progress:
            written = 0
            for number, (name, file) in enumerate(members, start=1):
                if number > MOST_FILES:
                    raise _Refused(f"more than {MOST_FILES} files")
                path = _place(name, target) if file else None
                if file is None or path is None:
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as out:
                    while chunk := file.read(CHUNK):
                        written += len(chunk)
                        if written > bound:
                            raise _too_large(bound)
                        out.write(chunk)
                        progress.tell(written / 1e6)
    except _Refused as error:
        raise UserError(f"{archive}: {error}; it isn't unpacked") from error
    except OSError as error:
        if error.errno in BROKEN:
            raise UserError(f"{archive}: not a whole archive ({error})") from error
        raise
    except Exception as error:  # whatever a broken archive makes the libraries raise
        raise UserError(f"{archive}: not a whole archive ({error})") from error


def join(pieces: list[Path], target: Path) -> None:
    """Writes the pieces of a split file one after the other."""
    total = sum(piece.stat().st_size for piece in pieces) / 1e6
    with target.open("wb") as out, Progress(f"joining {target.name}", total, "MB") as progress:
        for piece in pieces:
            with piece.open("rb") as file:
                while chunk := file.read(CHUNK):
                    out.write(chunk)
                    progress.tell(out.tell() / 1e6)


def is_archive(path: Path) -> bool:
    """Whether a file is to be unpacked, by its name."""
    return path.name.lower().endswith((".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"))


def _too_large(bound: int) -> _Refused:
    return _Refused(f"it unpacks to more than {bound >> 20} MiB")


class _Bounded(io.BufferedIOBase):
    """The contents of a packed file, refused beyond ``bound`` bytes.

    What is no file of a .tar (headers, folders) can swell too, and tarfile reads it into memory.
    """

    def __init__(self, file: io.BufferedIOBase, bound: int) -> None:
        self.file, self.bound, self.done = file, bound, 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = self.file.read(size)
        self.done += len(data)
        if self.done > self.bound:
            raise _too_large(self.bound)
        return data


@contextmanager
def _members(archive: Path, bound: int) -> Iterator[Iterator[tuple[str, IO[bytes] | None]]]:
    """Names and contents of an archive's files; folders have none."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            yield _zip_members(opened)
    else:
        with archive.open("rb") as packed:
            unpacked = PACKED.get(packed.read(2))
        with unpacked(archive) if unpacked else archive.open("rb") as file:
            content = _Bounded(file, bound)
            with tarfile.open(fileobj=content, mode="r|") as stream:  # nothing is read ahead
                yield _tar_members(stream)
            while content.read(CHUNK):  # to the end, where the checksum stands
                pass


def _zip_members(opened: zipfile.ZipFile) -> Iterator[tuple[str, IO[bytes] | None]]:
    for member in opened.infolist():
        if stat.S_ISLNK(member.external_attr >> 16):
            raise _Refused(f"{member.filename!r} is a link")
        if member.is_dir():
            yield member.filename, None
        else:
            with opened.open(member) as file:
                yield member.filename, file


def _tar_members(opened: tarfile.TarFile) -> Iterator[tuple[str, IO[bytes] | None]]:
    for member in opened:
        if not (member.isreg() or member.isdir()):
            raise _Refused(f"{member.name!r} is a link or a device")
        yield member.name, opened.extractfile(member)  # None for a folder


def _place(name: str, target: Path) -> Path | None:
    """Where a member belongs; None for what nobody needs."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]:
        raise _Refused(f"{name!r} leads out of the folder")
    if any(part.startswith(".") or part == "__MACOSX" for part in parts):
        return None
    if len(parts) > 1 and parts[0] == target.name:
        parts = parts[1:]
    return target / os.path.join(*parts)
