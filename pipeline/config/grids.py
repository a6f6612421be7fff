"""More runs and seeds in ``params.yaml``, which has each run once."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import count, islice

from pipeline.config.params import Grid
from wingloss.pose.balancing import Balance


def add(
    runs: dict[str, Grid], key: str, network: str, cells: Iterable[tuple[str, Balance, str]]
) -> None:
    """Adds cells (recipe, balance, loss) under names of their own, ``key_recipe_balance``.

    An entry of that name, recipe and balance grows; one that is of others stays as it is.
    """
    losses: dict[tuple[str, Balance], list[str]] = {}
    for recipe, balance, loss in cells:
        losses.setdefault((recipe, balance), []).append(loss)
    for (recipe, balance), more in losses.items():
        own = Grid(network, [recipe], [balance], [])
        name = first = f"{key}_{recipe}_{balance}"
        numbers = count(2)
        while replace(runs.get(name, own), loss=[]) != own:
            name = f"{first}_{next(numbers)}"
        runs[name] = replace(own, loss=[*runs.get(name, own).loss, *more])


def at_least(number: int, seeds: Sequence[int]) -> list[int]:
    """These seeds, and as many more as it takes."""
    more = (seed for seed in count() if seed not in seeds)
    return [*seeds, *islice(more, max(0, number - len(seeds)))]
