"""How a network is trained, as plain data.

Without torch, whose import takes seconds that most stages, and both engines, can do without.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from wingloss.heatmap_losses import HEATMAP_LOSSES
from wingloss.losses import LOSSES

Precision = Literal["bfloat16", "float32"]
CENTRED = (-1.0, 1.0)


@dataclass(frozen=True)
class ModelFile:
    """A trained model to begin with: a run's file, or a detector's, which holds the network too.

    ``sha256sum FILE`` prints its hash. Written down here, it makes both engines train anew when the
    file is replaced.
    """

    file: str  # from the project's root
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


Weights = Literal["none", "imagenet"] | ModelFile
Grey = Annotated[float, Field(ge=-255, le=255)]


@dataclass(frozen=True)
class Strength:
    """How much of the rotation and the blur there is at the first sample and the last.

    Linear between them. What remains at the end is what new faces have too: boxes that err.
    """

    first: Annotated[float, Field(ge=0, le=1)]
    last: Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class Recipe:
    """How a network is trained; the losses, the networks and the data are not its business."""

    optimiser: Literal["sgd", "adamw", "rmsprop"]
    learning_rate: Annotated[float, Field(gt=0, le=100)]
    final_learning_rate: Annotated[float, Field(gt=0, le=100)]
    # from the learning rate to the final one; `thirds`: first, geometric mean, last, a third each
    decay: Literal["log_linear", "linear", "cosine", "thirds"]
    warmup: Annotated[float, Field(ge=0, le=1)]  # share of the steps, linear
    # for losses that need another rate, by their kind
    learning_rate_factor: dict[str, Annotated[float, Field(gt=0)]]
    momentum: Annotated[float, Field(ge=0, le=0.999)]  # AdamW: its first beta
    weight_decay: Annotated[float, Field(ge=0, le=100)]
    batch: Annotated[int, Field(ge=1, le=4096)]
    # what the untrained network answers, about: its zero bias, or its training faces' mean shape
    first_guess: Literal["zero", "mean_shape"]
    # bfloat16 where the machine multiplies in it, or float32 everywhere
    precision: Precision
    # the budget: augmented faces seen, by data set
    samples: dict[str, Annotated[int, Field(ge=1, le=10**10)]]
    strength: Strength  # of the augmentation's rotation and blur
    # what black and white are for the network. About zero its first answers follow a picture's
    # edges; all above zero they follow its brightness
    input_range: tuple[Grey, Grey] = CENTRED
    # what the network begins with: none (drawn by chance), a model's, or, but for its last layer,
    # ResNet-50's published ones
    weights: Weights = "none"

    def __post_init__(self) -> None:
        for kind in self.learning_rate_factor:
            if kind not in LOSSES | HEATMAP_LOSSES:
                kinds = ", ".join(LOSSES | HEATMAP_LOSSES)
                raise ValueError(f"learning_rate_factor: '{kind}' is no loss; there are {kinds}")
        if self.input_range[0] >= self.input_range[1]:
            raise ValueError(f"input_range: {list(self.input_range)} should rise")
        if self.final_learning_rate > self.learning_rate:
            raise ValueError(
                f"final_learning_rate: {self.final_learning_rate} is more than learning_rate, "
                f"{self.learning_rate}"
            )
