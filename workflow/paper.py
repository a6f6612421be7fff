"""Have `params.yaml` ask for every run of the paper's tables and claims: `make paper`.

It sets `seeds`, `runs` and `trees` there and nothing else, because that file is the only switch of
both engines; seeds and runs that are asked for already stay. `python -m workflow.paper STUDY...`
adds studies of paper/studies.yaml to what is asked for. `dvc.yaml` follows the keys of `runs`;
`git checkout params.yaml dvc.yaml` sets both back.
"""

import argparse
import dataclasses
import re
import sys
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError

from pipeline.config import grids, paths
from pipeline.config.networks import STAGES
from pipeline.config.params import PARAMS, Grid, Params, load
from pipeline.errors import UserError
from pipeline.results import paper_spec
from pipeline.results.effects import SEEDS
from pipeline.trainings import cost
from wingloss.validation import meant
from workflow import generate_dvc

TREES = "published"  # no verdict is on weaker ones


def asked(params: Params) -> dict[str, Grid]:
    """What `runs` is to be for all tables and testable claims, by the recipes that it names.

    Other runs that are asked for stay, some of them under other keys.
    """
    first = next(grid.recipe for grid in params.runs.values() if grid.cells)
    tables = [table for table in paper_spec.tables().values() if not table.study]
    every = [cell for table in tables for cell in table.cells]
    every += [
        cell
        for family in paper_spec.families().families
        if not family.study
        for claim in family.claims
        if any(claim.testable(params.recipes[name]) for name in first)
        for cell in claim.cells
    ]
    own: dict[str, Grid] = {}
    for cell in every:
        if cell.network in STAGES:
            _check(params, f"{paper_spec.TABLES} or {paper_spec.CLAIMS}: {cell}", vars(cell))
            key = params.key(cell.network, cell.loss)
            # not recipes that leave out its network, such as the studies'
            able = [r for r in first if params.recipes[r].own.keys() >= {*STAGES[cell.network]}]
            there = params.runs.get(key)
            recipe = (there.recipe if there and there.network == cell.network else []) or able
            if not recipe:
                raise UserError(
                    f"{PARAMS}: runs: its first entry has the recipe {first[0]}, which has no "
                    f"{STAGES[cell.network][-1]}; add one that has all networks, such as fast"
                )
            grid = own.setdefault(key, Grid(cell.network, recipe, [], []))
            for axis, name in ((grid.balance, cell.balance), (grid.loss, cell.loss)):
                axis += [] if name in axis else [name]
    return merged(own, params.runs)


def _check(params: Params, where: str, run: Mapping[str, Any]) -> None:
    """Refuses what a file of the paper's asks for, and params.yaml hasn't."""
    there: dict[str, Collection[str]] = {
        "network": STAGES,
        "recipe": params.recipes,
        "balance": paths.BALANCES,
        "loss": params.loss,
    }
    for what, known in there.items():
        names = run.get(what, [])
        for name in [names] if isinstance(names, str) else names:
            if name not in known:
                raise UserError(
                    f"{where}: {PARAMS} has no {what} {name!r}; {meant(name, known)}"
                    f"there are {', '.join(known)}"
                )


def merged(first: dict[str, Grid], others: dict[str, Grid]) -> dict[str, Grid]:
    """``first``, and of ``others`` the runs that aren't among it; params.yaml has each run once."""
    there = {(grid.network, *cell) for grid in first.values() for cell in grid.cells}
    found = dict(first)
    for key, grid in others.items():
        left = [cell for cell in grid.cells if (grid.network, *cell) not in there]
        there |= {(grid.network, *cell) for cell in left}
        if key not in found and len(left) == len(grid.cells):
            found[key] = grid
        else:
            grids.add(found, key, grid.network, left)
    return found


def with_studies(params: Params, names: Sequence[str]) -> dict[str, Any]:
    """The parameters that change where these studies are asked for too."""
    known = paper_spec.studies()
    for name in names:
        if name not in known:
            there = f"{meant(name, known)}there are {', '.join(known)}"
            raise UserError(f"{name}: no such study; {there}")
        for grid in known[name].runs.values():
            _check(params, f"{paper_spec.STUDIES}: {name}", vars(grid))
    own = {
        paper_spec.study_key(name, key): grid
        for name in names
        for key, grid in known[name].runs.items()
    }
    return {
        "seeds": grids.at_least(max(known[name].seeds for name in names), params.seeds),
        "runs": merged(params.runs, own),
        "studies": list(dict.fromkeys([*params.studies, *names])),
    }


def main(*studies: str) -> None:
    before = load()
    seeds = grids.at_least(SEEDS, before.seeds)
    changes: dict[str, Any] = {"seeds": seeds, "runs": asked(before), "trees": TREES}
    if studies:
        changes = with_studies(before, studies)
    params = _replaced(changes)
    if generate_dvc.stale(params.runs):
        generate_dvc.FILE.write_text(generate_dvc.generate(), encoding="utf-8")
        print(f"{generate_dvc.FILE} has the stages of these runs.")
    for dataset in params.datasets:
        every, seconds = paths.runs(params, dataset), cost.all_seconds(params, dataset)
        print(
            f"{PARAMS} now asks for {len(every)} runs of {dataset}; training them takes one core "
            f"about {seconds / 3600:.1f} hours, by rates measured elsewhere (all jobs: `python -m "
            "workflow.plan`)."
        )


def _replaced(changes: dict[str, Any]) -> Params:
    """The parameters with these ``changes``, which are ``params.yaml`` from now on.

    Raises:
        UserError: that isn't possible; then the file stays as it was.
    """
    before = PARAMS.read_bytes()
    text = before.decode().replace("\r\n", "\n")
    text += "" if text.endswith("\n") else "\n"
    now = _changed(text, changes)
    were, are = (Counter(re.findall("#.*", one)) for one in (text, now))
    if odd := (were - are) + (are - were):
        raise UserError(
            f"{PARAMS}: the comment '{min(odd)}' can't stay where it is; move it, or delete it"
        )
    PARAMS.write_text(now, encoding="utf-8", newline="\r\n" if b"\r\n" in before else "\n")
    try:
        return load()
    except UserError:
        PARAMS.write_bytes(before)
        raise


def _changed(text: str, changes: dict[str, Any]) -> str:
    """The text of `params.yaml` with other values of these keys; the rest is left as it stands."""
    starts = {key.value: key.start_mark.index for key, _ in YAML().compose(text).value}
    ends = dict(zip(starts, [*[*starts.values()][1:], len(text)], strict=True))
    for key in reversed(starts):
        if key in changes:
            block = text[starts[key] : ends[key]]
            # comments by the margin belong to what comes after them
            own = len(re.sub(r"(?:\s*\n|#.*\n)*\Z", "", block, count=1))
            own = block.find("\n", own) + 1
            try:
                block = _written(block[:own], changes[key]) + block[own:]
            except YAMLError:
                raise UserError(
                    f"{PARAMS}: {key}: it has an alias of what stands elsewhere; write it out"
                ) from None
            text = text[: starts[key]] + block + text[ends[key] :]
    return text


def _written(block: str, value: Any) -> str:
    """A key of `params.yaml` and what stands below it, with another value and its comments."""
    written = YAML()
    written.width = 110
    data = written.load(block)
    (key,) = data
    if isinstance(value, dict):
        runs = data[key]
        for name in runs.keys() - value.keys():
            del runs[name]
        for name, grid in value.items():
            own = runs.setdefault(name, CommentedMap())
            for part, now in dataclasses.asdict(grid).items():
                own[part] = _updated(own.get(part), now)
    else:
        data[key] = _updated(data[key], value)
    out = StringIO()
    written.dump(data, out)
    return out.getvalue()


def _updated(before: Any, value: Any) -> Any:
    """What stands for a value: as before if it is the same, or else a list in brackets.

    One with comments in it stays as it is written, but for items that go or come.
    """
    if before == value:
        return before
    if not isinstance(value, list):
        return value
    if isinstance(before, CommentedSeq) and before.ca.items and not before.anchor.value:
        for item in [one for one in before if one not in value]:
            before.remove(item)
        before.extend(one for one in value if one not in before)
        return before
    items = CommentedSeq(value)
    items.fa.set_flow_style()
    return items


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m workflow.paper", description="Have params.yaml ask for more runs."
    )
    parser.add_argument(
        "studies",
        nargs="*",
        metavar="STUDY",
        help="studies of paper/studies.yaml (default: all runs of the paper's tables and claims)",
    )
    try:
        main(*parser.parse_args().studies)
    except UserError as error:
        sys.exit(f"error: {error}")
