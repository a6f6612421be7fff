"""Has DVC put its records in place as a whole: imported by each process of DVC in `.venv`.

DVC 3 empties `dvc.lock` and `.dvc/tmp/rwlock` and then writes them piece by piece. Interrupted
there, it leaves a corrupt file, over which its commands fail, or a shorter one that has silently
lost stages. It has neither a setting for that nor plug-ins, so this replaces its method that opens
both. `workflow/setup.py: PROTECTION` has this imported; a DVC of another environment isn't changed.

For each stage that DVC records, it also reads `dvc.lock` anew, with a parser that keeps comments,
and writes all of it. The record has no comments, so this has DVC's other parser read it, which
takes a fifth of the time. Lines of stages that haven't changed are neither parsed nor made again.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from io import StringIO
from typing import Any, TextIO

from dvc.utils.serialize import _yaml
from dvc_objects.fs.local import FsspecLocalFileSystem

RECORD = "dvc.lock"
RECORDS = (RECORD, "rwlock")
HEAD = "schema: '2.0'\nstages:\n"  # of DVC's record, before its stages
as_before = FsspecLocalFileSystem.open
with_comments = _yaml.parse_yaml_for_update
dump_all = _yaml._dump


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


class Record(dict):
    """What `dvc.lock` held when it was read."""

    lines: dict[str, str]  # each stage's, by its name and content


def parse(text: str, path: str) -> Any:
    """A YAML file that DVC is to change: with its comments, but for the record, which has none."""
    if os.path.basename(path) != RECORD:
        return with_comments(text, path)
    head, *lines = re.split(r"(?m)^(?=  \S)", text)
    rest = "".join(lines)
    by_dvc = head == HEAD and rest.endswith("\n") and not re.search(r"(?m)^[^ \n]", rest)
    if not by_dvc or any(map(refers, lines)):
        return _yaml.parse_yaml(text, path)
    parsed = [unshared(parse_stage(one)) for one in lines]
    stages = {name: stage for one in parsed for name, stage in one.items()}
    if len(stages) != len(lines):
        return _yaml.parse_yaml(text, path)
    record = Record(schema="2.0", stages=stages)
    record.lines = dict(zip(map(repr, stages.items()), lines, strict=True))
    return record


@cache
def parse_stage(lines: str) -> Any:
    """A stage of the record by its name, parsed once: the others' lines stay as they are."""
    return _yaml.parse_yaml(f"stages:\n{lines}", RECORD)["stages"]


def refers(lines: str) -> bool:
    """Whether a stage's lines take something from another stage's, by an alias of YAML."""
    return not set(re.findall(r" \*(\w+)", lines)) <= set(re.findall(r" &(\w+)", lines))


def dump(data: Any, file: TextIO) -> None:
    """Writes what DVC has changed as DVC itself does; of the record, what hasn't as it was."""
    if not isinstance(data, Record) or list(data) != ["schema", "stages"]:
        dump_all(dict(data) if isinstance(data, Record) else data, file)
        return
    file.write(HEAD)
    for name, stage in unshared(data["stages"]).items():
        lines = data.lines.get(repr((name, stage)))
        if lines is None:
            dumped = StringIO()
            dump_all({"stages": {name: stage}}, dumped)
            _, lines = dumped.getvalue().split("\n", 1)
        file.write(lines)


def unshared(value: Any) -> Any:
    """Plain tables and lists, each once, so that none is written as an alias of another."""
    if isinstance(value, dict):
        return {key: unshared(item) for key, item in value.items()}
    return [unshared(item) for item in value] if isinstance(value, list) else value


FsspecLocalFileSystem.open = open_file  # type: ignore[method-assign]
_yaml.parse_yaml_for_update, _yaml._dump = parse, dump
