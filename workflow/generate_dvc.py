"""Write `dvc.yaml` from the Snakemake rules: `python -m workflow.generate_dvc`.

The rules are the one description of the graph. A rule becomes a DVC stage with a matrix over its
wildcards. Only what Snakemake has no word for stands here: which key of `params.yaml` each wildcard
runs over, and which outputs are metrics or plots.
"""

import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from snakemake.api import SnakemakeApi
from snakemake.rules import Rule
from snakemake.settings.types import OutputSettings, Quietness, ResourceSettings

from pipeline.config import paths
from pipeline.config.params import Grid, load

FILE = Path("dvc.yaml")
HEADER = """\
# The Snakefile's graph, for `dvc repro`, `dvc metrics diff` and the like.
# Generated: change the rules under workflow/rules/, then run `python -m workflow.generate_dvc`.
"""
# What a wildcard runs over. Recipe, balance and loss run over a network's runs: in addition.
AXES = {
    "dataset": "${datasets}",
    "method": "${baselines}",
    "seed": "${seeds}",
    "table": "${tables}",
    "figure": "${figures}",
    "study": "${studies}",
}
METRICS = (paths.METRICS, paths.SCORES, paths.VERDICTS)
PLOTS = {
    paths.CURVE: {"x": "samples", "y": "val_nme", "title": "Validation NME (%)"},
    paths.CED: {"x": "error_percent", "y": "share", "title": "CED"},
}


def generate() -> str:
    """The text of `dvc.yaml` that belongs to the rules."""
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        workflow = api.workflow(resource_settings=ResourceSettings(cores=1))._workflow
        rules = [rule for rule in workflow.rules if rule.shellcmd]
    stages: dict[str, Any] = {}
    grids = load().runs
    for rule in rules:
        for key in _runs(rule, grids):
            if (name := _name(rule, key)) in stages:
                sys.exit(f"error: params.yaml: runs.{key}: two stages would be {name}; rename it")
            stages[name] = _stage(rule, key)
    text = yaml.safe_dump({"stages": stages}, sort_keys=False, width=10_000)
    return HEADER + "\n" + re.sub(r"^  (?=\w)", "\n  ", text, flags=re.M).replace(":\n\n", ":\n", 1)


def stale(grids: dict[str, Grid]) -> bool:
    """Whether `dvc.yaml` was generated for other keys of `runs`, or other networks of these."""
    with FILE.open(encoding="utf-8") as file:
        stages = yaml.load(file, yaml.CSafeLoader)["stages"].values()
    there = set()
    for stage in stages:
        for key in re.findall(r"\$\{runs\.(\w+)\.", str(stage.get("matrix"))):
            (network,) = re.findall(r"--network (\w+)", stage["cmd"])
            there.add((key, network))
    return there != {(key, grid.network) for key, grid in grids.items()}


def rule_of(stage: str, grids: dict[str, Grid]) -> str:
    """The rule that a stage of DVC's, such as ``cnn6_table2@synthetic-none``, is made of."""
    name = stage.partition("@")[0]
    for key, grid in grids.items():
        rules = rf"(evaluate_)?{grid.network}(_stage\d)?|correct"
        rule = name.removesuffix(f"_{key}")
        if rule != name and key != grid.network and re.fullmatch(rules, rule):
            return rule
    return name


def _network(rule: Rule) -> str | None:
    """The network whose runs a rule makes; None where it makes no runs."""
    return getattr(rule.params, "network", None)


def _runs(rule: Rule, grids: dict[str, Grid]) -> list[str | None]:
    """The keys of `runs` in `params.yaml` that ask for what a rule makes: a stage each."""
    if not (network := _network(rule)):
        return [None]
    return [key for key, grid in grids.items() if grid.network == network]


def _name(rule: Rule, runs: str | None) -> str:
    """A stage's name: the rule's, and the key of `runs` where that isn't the network's own."""
    return rule.name if runs == _network(rule) else f"{rule.name}_{runs}"


def _stage(rule: Rule, runs: str | None) -> dict[str, Any]:
    """A rule as a DVC stage, for the runs under one key."""
    grid = {axis: f"${{runs.{runs}.{axis}}}" for axis in ("recipe", "balance", "loss")}
    axes = ("dataset", "method", "recipe", "balance", "loss", "seed", "table", "figure", "study")
    stage: dict[str, Any] = {
        "matrix": {axis: (AXES | grid)[axis] for axis in axes if axis in rule.wildcard_names},
        "cmd": _command(rule),
        "deps": [file for given in rule.input for file in _inputs(given)],
    }
    if parameters := getattr(rule.params.get("science"), "recorded_as", ()):
        stage["params"] = [_templated(name) for name in parameters]
    files: dict[str, list[Any]] = {"outs": [], "metrics": [], "plots": []}
    for output in rule.output:
        file = re.sub(r"\{(\w+),[^}]*\}", r"{\1}", str(output))  # without wildcards' constraints
        plot = next((plot for pattern, plot in PLOTS.items() if _is_one_of(file, [pattern])), None)
        options: dict[str, Any] = {}
        if plot:
            options = plot | {"title": f"{plot['title']} of {_titled(rule, stage['matrix'])}"}
        kind = "plots" if plot else "metrics" if _is_one_of(file, METRICS) else "outs"
        files[kind].append({_templated(file): options} if options else _templated(file))
    return stage | {kind: entries for kind, entries in files.items() if entries}


def _titled(rule: Rule, axes: Iterable[str]) -> str:
    """What a plot's title calls a run of the rule."""
    named = [f"seed ${{item.{axis}}}" if axis == "seed" else f"${{item.{axis}}}" for axis in axes]
    what = [] if "method" in axes else [rule.name.removeprefix("evaluate_")]
    return ", ".join([*what, *named[1:]])  # its page is one data set's


def _command(rule: Rule) -> str:
    """A rule's command with DVC's placeholders."""
    filled = re.sub(
        r"\{params\.(\w+)\}", lambda found: str(getattr(rule.params, found[1])), rule.shellcmd
    )
    return _templated(filled.replace("{wildcards.", "{"))


def _inputs(given: Any) -> list[str]:
    """An input as DVC lists it: a file's pattern, or what stands there for a function's files."""
    if callable(given):
        return [_templated(pattern) for pattern in given.recorded_as]
    return [_templated(str(given))]


def _templated(pattern: str) -> str:
    """A pattern with Snakemake's wildcards as DVC's; the trees are no stage's wildcard."""
    pattern = pattern.replace("{trees}", "${trees}")
    return re.sub(r"(?<!\$)\{(\w+)\}", r"${item.\1}", pattern)


def _is_one_of(file: str, patterns: Any) -> bool:
    """Whether a file's pattern is one of ``patterns``, in which more wildcards may be open."""
    return any(
        re.fullmatch(re.sub(r"\\\{\w+\\\}", r"[^/]+", re.escape(pattern)), file)
        for pattern in patterns
    )


if __name__ == "__main__":
    FILE.write_text(generate(), encoding="utf-8")
