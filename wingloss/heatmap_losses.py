"""Losses of heat maps: Adaptive Wing (Wang, Bo and Li, ICCV 2019) and the squared error.

A loss is a class as in ``wingloss/losses.py``, but of predicted and true pixels, because Adaptive
Wing bends differently for each true value. True values lie within [0, 1].

Nothing here imports torch before a loss is computed, as there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Protocol

from pydantic import Field

if TYPE_CHECKING:
    from torch import Tensor

HIGH = 0.2  # true values above which a pixel, and those about it, count more


class HeatmapLoss(Protocol):
    """A loss, pixel by pixel, of predicted and true heat maps of shapes that broadcast."""

    @property
    def weight(self) -> float | Tensor: ...

    def __call__(self, predicted: Tensor, target: Tensor) -> Tensor: ...


Weight = Annotated[float, Field(ge=0, le=10_000)]  # the weighted loss map's W; 0 weighs all alike


@dataclass(frozen=True)
class HeatmapMSE:
    """The squared error, whose mean stacked hourglasses are usually trained with."""

    weight: Weight

    def __call__(self, predicted: Tensor, target: Tensor) -> Tensor:
        return (predicted - target).square()


@dataclass(frozen=True)
class AdaptiveWing:
    """``omega ln(1 + (d / epsilon)^(alpha - y))`` of an error d < theta at a pixel of true value y.

    Beyond, it goes on along its tangent at theta: A d - C in the paper, where
    ``A = omega (alpha - y) (theta / epsilon)^(alpha - y - 1) / (epsilon (1 + (theta /
    epsilon)^(alpha - y)))`` and ``C = theta A - omega ln(1 + (theta / epsilon)^(alpha - y))``.
    """

    alpha: Annotated[float, Field(gt=2, le=100)]  # above 2, so that it is smooth at d = 0
    omega: Annotated[float, Field(gt=0, le=10_000)]
    epsilon: Annotated[float, Field(gt=0, le=10_000)]
    theta: Annotated[float, Field(gt=0, le=1)]
    weight: Weight

    def __call__(self, predicted: Tensor, target: Tensor) -> Tensor:
        error, power = (predicted - target).abs(), self.alpha - target
        end = (self.theta / self.epsilon) ** power
        slope = self.omega * power * end / (self.theta * (1 + end))
        curved = self.omega * ((error.clamp(max=self.theta) / self.epsilon) ** power).log1p()
        return curved + slope * (error - self.theta).clamp(min=0)


HEATMAP_LOSSES: dict[str, type[HeatmapLoss]] = {
    "heatmap_mse": HeatmapMSE,
    "adaptive_wing": AdaptiveWing,
}


def heatmap_loss(predicted: Tensor, target: Tensor, loss: HeatmapLoss) -> Tensor:
    """The loss of all stacks: their sum, each averaged over pictures, maps and pixels.

    ``predicted`` are ``(B, stacks, K, M, M)`` and ``target`` ``(B, K, M, M)``.
    """
    weighted = loss(predicted, target[:, None]) * loss_weights(target, loss.weight)[:, None]
    return weighted.mean() * predicted.shape[1]


def loss_weights(target: Tensor, weight: float | Tensor) -> Tensor:
    """The weighted loss map ``(B, K, M, M)`` of true heat maps of that shape.

    ``weight + 1`` where the true map's 3x3 grey dilation is above ``HIGH``, 1 elsewhere. The
    authors' code has the boundary's map from 0 to 255 there, so all of it is above; here it ends
    at 1 as the others do.
    """
    from torch.nn.functional import pad

    # a pixel and its eight neighbours, along one axis after the other: on a processor, pooling
    # takes ten times as long
    high = pad(target > HIGH, (1, 1, 1, 1))
    high = high[..., :-2] | high[..., 1:-1] | high[..., 2:]
    high = high[..., :-2, :] | high[..., 1:-1, :] | high[..., 2:, :]
    return 1 + weight * high


class HeatmapLosses:
    """The losses of trainings side by side. True maps are drawn where the predicted ones are."""

    def __init__(self, losses: Sequence[HeatmapLoss], targets: Callable[[Tensor], Tensor]) -> None:
        """``targets`` draws the true maps ``(B, K, M, M)`` of shape vectors ``(B, 2L)``."""
        self.losses, self.targets = losses, targets

    def __call__(self, predicted: Tensor, target: Tensor) -> Tensor:
        """The losses ``(T,)`` of T trainings' heat maps ``(T, B, stacks, K, M, M)``.

        ``target`` ``(T, B, 2L)`` are shape vectors in pixels of the input crop.
        """
        import torch

        return torch.stack(
            [
                heatmap_loss(maps, self.targets(vectors), loss)
                for maps, vectors, loss in zip(predicted, target, self.losses, strict=True)
            ]
        )
