"""Has DVC put its records in place as a whole: imported by each process of DVC in `.venv`.

DVC 3 empties `dvc.lock` and `.dvc/tmp/rwlock` and then writes them piece by piece. Interrupted
there, it leaves a corrupt file, over which its commands fail, or a shorter one that has silently
lost stages. It has neither a setting for that nor plug-ins, so this replaces its method that opens
both. `workflow/setup.py: PROTECTION` has this imported; a DVC of another environment isn't changed.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from dvc_objects.fs.local import FsspecLocalFileSystem

RECORDS = ("dvc.lock", "rwlock")
as_before = FsspecLocalFileSystem.open


@contextmanager
def whole_file(path: str, encoding: str | None) -> Iterator[TextIO]:
    """A text file beside ``path`` that takes its place when the block ends without error."""
    target = os.path.realpath(path)
    partial = os.path.join(os.path.dirname(target), f".{os.path.basename(target)}.partial")
    try:
        with open(partial, "w", encoding=encoding) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            shutil.copymode(target, partial)
        os.replace(partial, target)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(partial)


def open_file(
    self: FsspecLocalFileSystem,
    path: str,
    mode: str = "r",
    encoding: str | None = None,
    **more: Any,
) -> Any:
    """Opens a file as DVC's own method does; one of its records for writing, as a whole."""
    if mode.startswith("w") and os.path.basename(path) in RECORDS:
        return whole_file(path, encoding)
    return as_before(self, path, mode, encoding, **more)


FsspecLocalFileSystem.open = open_file  # type: ignore[method-assign]
