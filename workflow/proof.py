"""Proof by content that results are what their stages made from the present code and parameters."""

import re
from pathlib import Path
from typing import Any

from dvc.dependency.param import ParamsDependency
from dvc.repo import Repo

from pipeline.runtime import provenance


def unproven(names: list[str]) -> dict[str, str]:
    """Of DVC's stages ``names``, those whose results can't be proven, and why.

    A stage's own record has to hold its parameters, its code and its outputs as they are now. What
    it read is other stages' outputs, and that these aren't older is for Snakemake to see.
    """
    records = [provenance.read(path) for path in provenance.MADE.glob("*/*.json")]
    found = {}
    with Repo() as repo:
        for stage in repo.index.stages:
            if stage.addressing in names and (reason := _doubt(stage, records)):
                found[stage.addressing] = reason
    return found


def _doubt(stage: Any, records: list[dict]) -> str | None:
    """Why a stage's results aren't proven; None where they are."""
    arguments = dict(re.findall(r"--(\S+) (\S+)", stage.cmd))
    own = [one for one in records if one.get("arguments") == arguments and _makes(one, stage)]
    if not own:
        return f"there is no record of the making of {_relative(stage.outs[0])}"
    newest = max(own, key=lambda one: one["started"])
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
        made = {file: content for file, content in newest["made"].items() if _inside(file, path)}
        for file, _ in sorted(made.items() ^ provenance.contents(path).items()):
            return f"{file} is not as it was made"
    return None


def _makes(one: dict, stage: Any) -> bool:
    """Whether a record is of a stage's outputs; records of other stages may have its arguments."""
    return any(_inside(file, _relative(stage.outs[0])) for file in one["made"])


def _inside(file: str, path: str) -> bool:
    return file == path or file.startswith(f"{path}/")


def _look_up(values: Any, key: str) -> Any:
    for name in key.split("."):
        values = values.get(name) if isinstance(values, dict) else None
    return values


def _relative(file: Any) -> str:
    return Path(file.fs_path).relative_to(Path.cwd()).as_posix()
