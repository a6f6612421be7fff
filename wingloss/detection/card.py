"""What a detector's file says of it: how faces are cropped, and what it was trained on."""

import dataclasses
import json
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from wingloss.crops import Context
from wingloss.geometry import Array
from wingloss.protocol import MOST
from wingloss.validation import build

LONGEST = 1 << 20  # characters: 1000 landmarks take a tenth

Landmark = Annotated[int, Field(ge=0, lt=MOST)]
Offset = Annotated[float, Field(ge=-10, le=10)]
# From an upright square to a frame, as `models.correction.frame_errors` has it
Displacement = tuple[Offset, Offset, Offset, Offset]
Coordinate = Annotated[float, Field(ge=-1e6, le=1e6)]


@dataclass(frozen=True)
class Boxes:
    """How face boxes become stage one's frames: as those of the training faces did, on average."""

    scale: Annotated[float, Field(gt=0, le=20)]  # frame's side / longer side of a training box
    from_landmarks: Displacement  # from the square round the landmarks to the frame
    from_dlib: Displacement | None  # from dlib's square; None where dlib found too few faces


@dataclass(frozen=True)
class StageTwo:
    """How stage one's landmarks re-box a face (Section 6)."""

    margin: Annotated[float, Field(gt=0, le=10)]
    mean_shape: tuple[tuple[Coordinate, Coordinate], ...]  # (L, 2), of any scale


@dataclass(frozen=True)
class TrainedOn:
    """The data set, and on what terms it is available."""

    dataset: str
    stamp: str  # whether it was complete
    faces: Annotated[int, Field(ge=0)]
    licence: str


@dataclass(frozen=True)
class Card:
    """All that a detector is besides its networks' weights."""

    run: str  # data set, recipe, network, balancing, loss and seed
    networks: Annotated[tuple[str, ...], Field(min_length=1, max_length=2)]  # stage by stage
    landmarks: Annotated[int, Field(ge=3, le=MOST)]
    flip_pairs: tuple[tuple[Landmark, Landmark], ...]  # what becomes what in a mirror
    context: Context
    boxes: Boxes
    stage_two: StageTwo | None
    trained_on: TrainedOn
    commit: str  # of the code that trained it
    scores: dict[str, float]  # NME in percent by split and normaliser
    format: Literal[1] = 1

    def __post_init__(self) -> None:
        if (len(self.networks) == 2) != (self.stage_two is not None):
            raise ValueError(f"stage_two: doesn't fit {len(self.networks)} networks")
        if self.stage_two and len(self.stage_two.mean_shape) != self.landmarks:
            raise ValueError(f"mean_shape: {len(self.stage_two.mean_shape)} points")
        paired = [one for pair in self.flip_pairs for one in pair]
        if len(set(paired)) < len(paired) or any(one >= self.landmarks for one in paired):
            raise ValueError("flip_pairs: should be pairs of different landmarks")

    @property
    def flip_permutation(self) -> NDArray[np.intp]:
        """``(L,)``: the landmark that takes each one's place in a mirror."""
        permutation = np.arange(self.landmarks)
        for pair in self.flip_pairs:
            permutation[list(pair)] = pair[::-1]
        return permutation

    def to_text(self) -> str:
        """As a file's header has it."""
        return json.dumps(dataclasses.asdict(self))


def flip_pairs(permutation: NDArray[np.intp]) -> tuple[tuple[int, int], ...]:
    """The pairs of a flip permutation ``(L,)``."""
    return tuple((int(i), int(j)) for i, j in enumerate(permutation) if i < j)


def displacement(values: Array) -> Displacement:
    """Of ``(4,)``, or ``(1, 4)``."""
    x, y, side, angle = (float(value) for value in np.ravel(values))
    return x, y, side, angle


def from_text(text: str) -> Card:
    """The card that a file's header holds.

    Raises:
        ValueError: it holds none.
    """
    if len(text) > LONGEST:
        raise ValueError(f"a header of {len(text)} characters")
    plain = json.loads(text)
    if isinstance(plain, dict) and plain.get("format") != 1:
        raise ValueError(f"format: {plain.get('format')!r}; this version reads 1")
    card: Card = build(Card, plain)
    return card
