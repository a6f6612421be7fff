"""Proof by content that results are what their stages made from the present code and parameters."""

import re
from pathlib import Path
from typing import Any

from dvc.dependency.param import ParamsDependency
from dvc.repo import Repo

from pipeline.runtime import provenance


def unproven(names: list[str]) -> dict[str, str]:
    """Of DVC's stages ``names``, those whose results can't be proven, and why.

    A stage's own record has to hold its parameters, its code, its outputs and what it read as they
    are now. Where a file that it read is another stage's that can't be proven, that one is told.
    """
    records = [provenance.read(path) for path in provenance.MADE.glob("*/*.json")]
    found: dict[str, str] = {}
    doubtful: list[str] = []
    with Repo() as repo:
        stages = [stage for stage in repo.index.stages if stage.addressing in names]
        for stage in stages:
            if reason := _doubt(stage, records):
                found[stage.addressing] = reason
                doubtful += map(_relative, stage.outs)
        for stage in stages:
            known = stage.addressing in found
            if not known and (reason := _stale_input(stage, records, doubtful)):
                found[stage.addressing] = reason
    return found


def _doubt(stage: Any, records: list[dict]) -> str | None:
    """Why a stage's results aren't what its code makes with its parameters; None where they are."""
    newest = newest_of(stage, records)
    if not newest:
        return f"there is no record of the making of {_relative(stage.outs[0])}"
    now = provenance.parameters()
    static = provenance.read(provenance.MADE / newest["static"])
    for dep in stage.deps:
        if isinstance(dep, ParamsDependency):
            for key in dep.params:
                if _look_up(static.get("parameters"), key) != _look_up(now, key):
                    return f"params.yaml: {key} was changed after results were made with it"
        elif _relative(dep).startswith(provenance.STATIC):
            for file, content in provenance.contents(_relative(dep)).items():
                if static.get("with", {}).get(file) != content:
                    return f"{file} was changed after results were made with it"
    for path in map(_relative, stage.outs):
        made = {file: content for file, content in newest["made"].items() if inside(file, path)}
        for file, _ in sorted(made.items() ^ provenance.contents(path).items()):
            return f"{file} is not as it was made"
    return None


def _stale_input(stage: Any, records: list[dict], doubtful: list[str]) -> str | None:
    """Which file isn't what the stage's results were made of; None where all are, or doubtful."""
    inputs = declared(stage)
    for file, content in newest_of(stage, records)["read"].items():
        # What no engine knows is the run store's, which checks what is taken from it.
        known = any(inside(file, path) for path in inputs)
        if not known or any(inside(file, path) for path in doubtful):
            continue
        if provenance.contents(file) != {file: content}:
            return f"{file} was another when {_relative(stage.outs[0])} was made of it"
    return None


def newest_of(stage: Any, records: list[dict]) -> dict:
    """The record of a stage's last run; empty where there is none."""
    arguments = dict(re.findall(r"--(\S+) (\S+)", stage.cmd))
    own = [one for one in records if one.get("arguments") == arguments and _makes(one, stage)]
    return max(own, key=lambda one: one["started"], default={})


def declared(stage: Any) -> list[str]:
    """The files and folders that a stage is made of, by the graph."""
    return [_relative(dep) for dep in stage.deps if not isinstance(dep, ParamsDependency)]


def _makes(one: dict, stage: Any) -> bool:
    """Whether a record is of a stage's outputs; records of other stages may have its arguments."""
    return any(inside(file, _relative(stage.outs[0])) for file in one["made"])


def inside(file: str, path: str) -> bool:
    """Whether a file is the path, or below it."""
    return file == path or file.startswith(f"{path}/")


def _look_up(values: Any, key: str) -> Any:
    for name in key.split("."):
        values = values.get(name) if isinstance(values, dict) else None
    return values


def _relative(file: Any) -> str:
    return Path(file.fs_path).relative_to(Path.cwd()).as_posix()
