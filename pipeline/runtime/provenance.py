"""What a stage was run with, read and made, by content: `.made/<stage>/<arguments>.json`.

Both engines go by times of change or by what lies there now, and neither tells a result from one
that was edited, nor the code and the files that it was made of from others in their place. `make
sync` proves by these records what it has DVC record.
"""

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import yaml

from pipeline import files
from pipeline.config.params import PARAMS
from pipeline.files import contents

MADE = Path(".made")
STATIC = (
    "stages",
    "pipeline",
    "wingloss",
    "paper",
    "docs/deviations.md",
)  # what results depend on but data


def begin() -> dict[str, Any]:
    """What a stage that starts now is run with. What it reads and writes is noted from here on."""
    files.written.clear()
    files.read = {}
    return {"started": time.time(), "with": contents(*STATIC), "parameters": parameters()}


def parameters() -> Any:
    """The parameters as plain data; None where params.yaml is none, which stages say themselves."""
    try:
        return yaml.load(PARAMS.read_text(encoding="utf-8"), yaml.CSafeLoader)
    except (OSError, ValueError, yaml.YAMLError):
        return None


def finish(stage: str, arguments: dict[str, Any], begun: dict[str, Any]) -> None:
    """Writes the record of a stage that has ended well."""
    named = {name: str(value) for name, value in arguments.items()}
    path = MADE / stage / f"{'-'.join(named.values())}.json"
    static = _shared({"with": begun["with"], "parameters": begun["parameters"]})
    record = {"arguments": named, "started": begun["started"], "static": static.name}
    _write(path, record | {"read": files.read, "made": contents(*files.written)})


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
