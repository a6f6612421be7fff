"""What to set in ``params.yaml`` so that runs that are missing are made."""

from itertools import product
from typing import Any

from pipeline.config import grids
from pipeline.config.networks import STAGES
from pipeline.config.params import Grid
from pipeline.config.paths import Cell
from pipeline.results import paper_spec
from pipeline.results.run_results import Results
from pipeline.results.words import counted


def for_tables(cells: list[Cell], every: list[Results], study: str | None = None) -> list[str]:
    """How to run what the first recipe lacks of these cells that lacks any.

    One recipe at a time, because both may ask for the same key of `runs`. Recipes that only studies
    ask for are passed over. ``study`` is that which asks for the cells, if it isn't `make paper`.
    """
    for results in [one for one in every if not one.studied]:
        missing = [cell for cell in cells if cell not in results.cells]
        if missing and (said := how_to_run(missing, results, study)):
            return said
    return []


def how_to_run(cells: list[Cell], results: Results, study: str | None = None) -> list[str]:
    """What to set in params.yaml so that the recipe has the cells, and how long they take."""
    said = []
    if study:
        recipes: dict[str, list[str]] = {}  # by which the study has each cell
        for name in paper_spec.studies()[study].cells:
            recipe, _, cell = name.partition("/")
            recipes.setdefault(cell, []).append(recipe)
        its = [cell for cell in cells if str(cell) in recipes]
        if its:
            its_recipes = dict.fromkeys(name for cell in its for name in recipes[str(cell)])
            asked = "" if study in results.params.studies else f", which {ask_for(study)}"
            said.append(
                f"Not run with the recipe {results.recipe}: {counted(len(its), 'cell')} that the "
                f"study {study} has with {' and '.join(its_recipes)}{asked.rstrip('.')}."
            )
        cells = [cell for cell in cells if cell not in its]
    params = results.params
    keys = {cell: params.key(cell.network, cell.loss) for cell in cells}
    for key in dict.fromkeys(keys.values()):
        own = [cell for cell in cells if keys[cell] == key]
        if own[0].network not in STAGES:
            said.append(f"Not run: {key}. Add it to `baselines` in params.yaml.")
        elif all(part in params.recipes[results.recipe].own for part in STAGES[own[0].network]):
            said.append(_setting(key, own, results))
    return said


def ask_for(study: str) -> str:
    """How to have the study's runs."""
    return f"`python -m workflow.paper {study}` has params.yaml ask for."


def _setting(key: str, own: list[Cell], results: Results) -> str:
    """What to set so that the recipe has cells of one network, whose key of `runs` is ``key``."""
    runs, network, seeds = results.params.runs, own[0].network, len(results.params.seeds)
    there = runs[key].cells if key in runs and runs[key].network == network else []
    wanted: list[tuple[str, Any, str]] = [(results.recipe, cell.balance, cell.loss) for cell in own]
    axes = [list(dict.fromkeys(names)) for names in zip(*there, *wanted, strict=True)]
    new = len(list(product(*axes))) - len(there)  # a grid may hold more than what is missing
    changed = {key: Grid(network, *axes)}
    others = {
        cell
        for name, grid in runs.items()
        if name != key and grid.network == network
        for cell in grid.cells
    }
    taken = key in runs and runs[key].network != network
    if taken or not others.isdisjoint(product(*axes)):  # params.yaml has no run twice
        after = dict(runs)
        grids.add(after, key, network, wanted)
        new, changed = len(own), {name: one for name, one in after.items() if one != runs.get(name)}
    each, known = results.minutes(network)
    total = max(1, round(each * new * seeds))
    settings = [f"`runs.{name}: {_text(grid)}`" for name, grid in changed.items()]
    stages = "" if changed.keys() <= runs.keys() else ", run `python -m workflow.generate_dvc`"
    return (
        f"Not run: {counted(len(own), 'cell')} of {key}. Set {' and '.join(settings)} in "
        f"params.yaml{stages} and run `snakemake --cores all`: {counted(new * seeds, 'run')}, "
        f"about {counted(total, 'minute')} more, estimated {known}."
    )


def _text(grid: Grid) -> str:
    """An entry of `runs` as params.yaml has it."""
    recipe, balance, loss = (
        f"[{', '.join(axis)}]" for axis in (grid.recipe, grid.balance, grid.loss)
    )
    return f"{{network: {grid.network}, recipe: {recipe}, balance: {balance}, loss: {loss}}}"
