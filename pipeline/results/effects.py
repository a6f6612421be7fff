"""How far the cells of a data set lie apart, by one measure of their errors."""

from collections.abc import Callable, Collection

import numpy as np
from numpy.typing import NDArray

from pipeline.config.paths import Cell
from pipeline.results.run_results import Results
from wingloss.evaluation import significance
from wingloss.evaluation.significance import Effect, Runs
from wingloss.geometry import Array


class Effects:
    """Differences between ``cells`` on the faces ``chosen`` ``(N,)``, by the values of a measure.

    ``measure`` makes values ``(S, n)`` of errors ``(S, n)`` of the chosen faces alone; ``strata``
    ``(N,)`` are significance.compare's. Cells of one network share what is known of the seeds'
    variance; those of which a seed diverged tell nothing.
    """

    def __init__(
        self,
        results: Results,
        cells: Collection[Cell],
        chosen: NDArray[np.bool_],
        measure: Callable[[Array], Array],
        strata: NDArray[np.bool_] | None = None,
    ) -> None:
        _, self.photographs = np.unique(results.any.photographs[chosen], return_inverse=True)
        self.strata = None if strata is None else strata[chosen]
        whole = {
            cell: one for cell, one in results.cells.items() if cell in cells and not one.diverged
        }
        groups: dict[str, list[Cell]] = {}
        for cell in whole:
            groups.setdefault(cell.network, []).append(cell)
        self._places = {
            cell: (group, i) for group, own in groups.items() for i, cell in enumerate(own)
        }
        self._runs = {
            group: Runs(np.stack([measure(whole[cell].errors[:, chosen]) for cell in own]))
            for group, own in groups.items()
        }

    def between(self, first: Cell, second: Cell) -> Effect:
        """The first cell's mean less the second's."""
        (ours, i), (theirs, j) = self._places[first], self._places[second]
        return significance.compare(
            self._runs[ours], i, self._runs[theirs], j, self.photographs, self.strata
        )
