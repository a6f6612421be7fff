"""Where a data set is published: one file a data set under ``pipeline/acquire/catalogue``.

The files say where bytes come from, not what they are, so neither engine takes them for an input.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field

from pipeline.errors import UserError
from wingloss import yaml_files
from wingloss.validation import Refused, build

FOLDER = Path(__file__).with_name("catalogue")


@dataclass(frozen=True)
class Archive:
    """A published file, and what is known of it."""

    file: str
    into: str  # the folder of the raw data set that it is unpacked into
    urls: list[str] = field(default_factory=list)  # of the file, or of ``{piece}`` of it
    pieces: Annotated[int, Field(ge=1)] = 1  # file.001, file.002, ... if several
    bytes: int | None = None
    sha256: str | None = None  # where it is unknown, the first download's is recorded


@dataclass(frozen=True)
class Source:
    """A data set's publishers and what they publish."""

    home: str
    licence: str
    ask: str | None  # what to do where a program may not fetch it
    archives: list[Archive]


def load(dataset: str) -> Source | None:
    """The source of a data set; None for one's own.

    Raises:
        UserError: its file says something impossible.
    """
    path = FOLDER / f"{dataset}.yaml"
    if not path.is_file():
        return None
    try:
        return build(Source, yaml_files.read(path))
    except (yaml_files.BadYaml, Refused) as error:
        raise UserError(f"{os.path.relpath(path)}: {error}") from error
