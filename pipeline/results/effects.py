"""How far the cells of a data set lie apart, by one measure of their errors."""

from collections.abc import Callable, Hashable, Mapping
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.results.run_results import Scored
from wingloss.evaluation import significance
from wingloss.evaluation.significance import Effect, Runs
from wingloss.geometry import Array

LEVEL = 0.05  # of a test, after Holm's correction
SEEDS = 3  # fewer can't tell a better network from a luckier start

Key = TypeVar("Key", bound=Hashable)


class Effects(Generic[Key]):
    """Differences between ``cells`` on the faces ``chosen`` ``(N,)``, by the values of a measure.

    ``measure`` makes values ``(S, n)`` of errors ``(S, n)`` of the chosen faces alone; ``strata``
    ``(N,)`` are significance.contrast's. Cells of one ``group``, a network and a recipe, share what
    is known of the seeds' variance; those of which a seed diverged tell nothing.
    """

    def __init__(
        self,
        cells: Mapping[Key, Scored],
        group: Callable[[Key], Hashable],
        chosen: NDArray[np.bool_],
        measure: Callable[[Array], Array],
        strata: NDArray[np.bool_] | None = None,
    ) -> None:
        any_cell = next(iter(cells.values()))
        _, self.photographs = np.unique(any_cell.photographs[chosen], return_inverse=True)
        self.strata = None if strata is None else strata[chosen]
        groups: dict[Hashable, list[Key]] = {}
        for cell, one in cells.items():
            if not one.diverged:
                groups.setdefault(group(cell), []).append(cell)
        self._places = {
            cell: (name, i) for name, own in groups.items() for i, cell in enumerate(own)
        }
        self._runs = {
            name: Runs(np.stack([measure(cells[cell].errors[:, chosen]) for cell in own]))
            for name, own in groups.items()
        }

    def between(self, first: Key, second: Key) -> Effect:
        """The first cell's mean less the second's."""
        return self.contrast({first: 1, second: -1})

    def contrast(self, weights: Mapping[Key, float]) -> Effect:
        """The cells' means, each times its weight, added up."""
        by_group: dict[Hashable, Array] = {}
        for cell, weight in weights.items():
            name, i = self._places[cell]
            by_group.setdefault(name, np.zeros(len(self._runs[name].values)))[i] = weight
        weighted = [(self._runs[name], own) for name, own in by_group.items()]
        return significance.contrast(weighted, self.photographs, self.strata)
