"""The order in which a training sees its faces, and how each is perturbed.

Both follow from the seed and the sample's place alone, so that a training that was interrupted goes
on as if nothing had happened: its checkpoint needs no random state.
"""

from dataclasses import fields
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from wingloss.augmentation.perturbation import Augmentation, Draw, draw
from wingloss.recipe import Strength

DRAWS = 4096  # samples whose augmentation is drawn at once


class Samples:
    """What a training sees, one sample after another: which face, and how it is perturbed.

    Whatever the batches are. The last epoch's shuffle and the last draws are kept, as a batch needs
    a few of each.
    """

    def __init__(
        self,
        repeats: NDArray[np.int64],
        augmentation: Augmentation,
        seed: int,
        strength: Strength,
        budget: int,
    ) -> None:
        """``repeats`` ``(N,)`` says how often each face stands in the balanced training set.

        ``strength`` is that of rotation and blur at the first and the last of ``budget`` samples.
        """
        self.balanced = np.repeat(np.arange(len(repeats)), repeats)
        self.augmentation = augmentation
        self.seed = seed
        self.strength = strength
        self.budget = budget
        self._shuffled = lru_cache(maxsize=1)(self._shuffle)
        self._drawn = lru_cache(maxsize=1)(self._draw)

    def order(self, first: int, count: int) -> NDArray[np.intp]:
        """The faces ``(count,)`` at places ``first``, ``first + 1``, ...

        The order is one shuffle after another of the balanced set, epoch after epoch.
        """
        pieces = _pieces(first, count, len(self.balanced))
        return np.concatenate([self._shuffled(epoch)[part] for epoch, part in pieces])

    def draws(self, first: int, count: int) -> Draw:
        """How the faces at places ``first``, ``first + 1``, ... are perturbed."""
        pieces = [(self._drawn(block), part) for block, part in _pieces(first, count, DRAWS)]
        return Draw(
            *(
                np.concatenate([getattr(drawn, field.name)[part] for drawn, part in pieces])
                for field in fields(Draw)
            )
        )

    def _shuffle(self, epoch: int) -> NDArray[np.intp]:
        return np.random.default_rng([self.seed, 0, epoch]).permutation(self.balanced)

    def _draw(self, block: int) -> Draw:
        places = np.arange(block * DRAWS, (block + 1) * DRAWS)
        ends = [0, max(1, self.budget - 1)]
        strength = np.interp(places, ends, [self.strength.first, self.strength.last])
        rng = np.random.default_rng([self.seed, 1, block])
        return draw(self.augmentation, DRAWS, rng, strength)


def _pieces(first: int, count: int, size: int) -> list[tuple[int, slice]]:
    """Places ``first`` to ``first + count`` as parts of blocks of ``size``: block and part."""
    blocks = range(first // size, (first + max(count, 1) - 1) // size + 1)
    return [
        (block, slice(max(first - block * size, 0), first + count - block * size))
        for block in blocks
    ]
