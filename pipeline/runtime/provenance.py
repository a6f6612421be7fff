"""What a stage was run with and what it made, by content: `.made/<stage>/<arguments>.json`.

Both engines go by times of change or by what lies there now, and neither tells a result from one
that was edited, nor the code that made it from code edited since. `make sync` proves by these
records what it has DVC record.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

import pipeline.data.files
from pipeline.config.params import PARAMS

MADE = Path(".made")
STATIC = (
    "stages",
    "pipeline",
    "wingloss",
    "paper",
    "docs/deviations.md",
)  # what results depend on but data
NOT_CONTENT = {"__pycache__", ".snakemake_timestamp"}


def contents(*paths: str | Path) -> dict[str, str]:
    """The SHA-256 of each file that is one of the paths, or below it."""
    found = {}
    for file in sorted(file for path in paths for file in _files(Path(path))):
        with file.open("rb") as opened:
            found[file.as_posix()] = hashlib.file_digest(opened, "sha256").hexdigest()
    return found


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    for file in path.rglob("*"):
        if file.is_file() and NOT_CONTENT.isdisjoint(file.parts):
            yield file


def begin() -> dict[str, Any]:
    """What a stage that starts now is run with."""

    pipeline.data.files.written.clear()
    return {"started": time.time(), "with": contents(*STATIC), "parameters": parameters()}


def parameters() -> Any:
    """The parameters as plain data; None where params.yaml is none, which stages say themselves."""
    try:
        return yaml.safe_load(PARAMS.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return None


def finish(stage: str, arguments: dict[str, Any], begun: dict[str, Any]) -> None:
    """Writes the record of a stage that has ended well."""

    named = {name: str(value) for name, value in arguments.items()}
    path = MADE / stage / f"{'-'.join(named.values())}.json"
    made = contents(*pipeline.data.files.written)
    static = _shared({"with": begun["with"], "parameters": begun["parameters"]})
    _write(
        path, {"arguments": named, "started": begun["started"], "static": static.name, "made": made}
    )


def read(path: Path) -> dict[str, Any]:
    """A record, or nothing where there is none that is whole."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _shared(value: dict[str, Any]) -> Path:
    """The file of what most records have in common; named by its content."""
    text = json.dumps(value, sort_keys=True)
    path = MADE / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.json"
    if not path.exists():
        _write(path, value)
    return path


def _write(path: Path, value: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.write_text(json.dumps(value, indent=1), encoding="utf-8")
    os.replace(partial, path)
