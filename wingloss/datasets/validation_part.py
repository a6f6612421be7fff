"""Which training photographs are held out for validation."""

import hashlib
from collections.abc import Iterable


def held_out(photographs: Iterable[str], share: float, seed: int) -> set[str]:
    """A share of the photographs, at least one unless the share is 0.

    They are ranked by a hash of their name, so that a photograph more or less leaves the others
    where they are.
    """

    def rank(photograph: str) -> bytes:
        return hashlib.sha256(f"{seed} {photograph}".encode()).digest()

    training = set(photographs)
    count = max(1, round(share * len(training))) if share else 0
    return set(sorted(training, key=rank)[:count])
