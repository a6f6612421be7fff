"""The predictions file of a run: what it found on each scored face, beside the truth."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import files
from wingloss.evaluation import metrics
from wingloss.geometry import Array

SPLITS = ("val", "test")
NORMALISER = "normaliser_"  # begins the names of their arrays


@dataclass(frozen=True)
class Predictions:
    """A run on its N scored faces. Landmarks are in image pixels."""

    about: dict[str, Any]  # what the summary says of the run besides its errors
    face: NDArray[np.str_]  # (N,)
    photograph: NDArray[np.str_]  # (N,) of which each face is
    split: NDArray[np.str_]  # (N,) one of SPLITS
    subsets: NDArray[np.str_]  # (N,) names, parted by blanks
    predicted: Array  # (N, L, 2)
    true: Array  # (N, L, 2)
    lengths: dict[str, Array]  # (N,) in image pixels, by the name of the normaliser

    @classmethod
    def read(cls, path: Path) -> "Predictions":
        """A run's file."""
        arrays = files.read_arrays(path)
        about = json.loads(str(arrays.pop("run")))
        lengths = {
            name.removeprefix(NORMALISER): arrays.pop(name)
            for name in list(arrays)
            if name.startswith(NORMALISER)
        }
        return cls(about=about, lengths=lengths, **arrays)

    def write(self, path: Path) -> None:
        """Writes the file; landmarks as float32."""
        with files.whole_file(path) as partial, partial.open("wb") as file:
            np.savez_compressed(
                file,
                run=json.dumps(self.about),
                face=self.face,
                photograph=self.photograph,
                split=self.split,
                subsets=self.subsets,
                predicted=self.predicted.astype(np.float32),
                true=self.true.astype(np.float32),
                **{f"{NORMALISER}{name}": length for name, length in self.lengths.items()},  # type: ignore[arg-type]
            )

    @property
    def diverged(self) -> bool:
        """Whether the run's training diverged. What its last weights find means nothing."""
        return self.about["status"] == "diverged"

    def errors(self, normaliser: str) -> Array:
        """Each face's NME ``(N,)`` as a share; not a number where the training diverged."""
        errors = metrics.nme(self.predicted, self.true, self.lengths[normaliser])
        return np.full_like(errors, np.nan) if self.diverged else errors


def scored_split(splits: Iterable[str]) -> str:
    """The split whose errors stand for a run: test, or val where there are no test faces."""
    return "test" if "test" in splits else "val"
