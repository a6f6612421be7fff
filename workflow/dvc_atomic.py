"""Has DVC put its records in place as a whole: imported by each process of DVC in `.venv`.

DVC 3 empties `dvc.lock` and `.dvc/tmp/rwlock` and then writes them piece by piece. Interrupted
there, it leaves a corrupt file, over which its commands fail, or a shorter one that has silently
lost stages. It has neither a setting for that nor plug-ins, so this replaces its method that opens
both. `workflow/setup.py: PROTECTION` has this imported; a DVC of another environment isn't changed.

For each stage that DVC records, it also reads `dvc.lock` anew, with a parser that keeps comments.
The record has none, so this has DVC's other parser read it, which takes a fifth of the time.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from dvc.utils.serialize import _yaml
from dvc_objects.fs.local import FsspecLocalFileSystem

RECORD = "dvc.lock"
RECORDS = (RECORD, "rwlock")
as_before = FsspecLocalFileSystem.open
with_comments = _yaml.parse_yaml_for_update


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


def parse(text: str, path: str) -> Any:
    """A YAML file that DVC is to change: with its comments, but for the record, which has none."""
    if os.path.basename(path) == RECORD:
        return _yaml.parse_yaml(text, path)
    return with_comments(text, path)


FsspecLocalFileSystem.open = open_file  # type: ignore[method-assign]
_yaml.parse_yaml_for_update = parse
