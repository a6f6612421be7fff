"""The losses that the paper compares: L2, L1, smooth L1 (Eq. 3-4) and Wing (Eq. 5).

A loss is a class: its fields are its parameters, its call is its formula. ``LOSSES`` lists them by
the name that ``params.yaml`` calls their ``kind``.

All errors are in pixels of the network's own input crop. Targets scaled to [0, 1] would lie wholly
inside Wing's logarithm and turn it into a scaled L1, so they are refused.

Parameters are checked by stages and engines that do without torch, whose import takes seconds, so
nothing here imports it before a loss is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Protocol

from pydantic import Field

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class Loss(Protocol):
    """A loss, element by element, of errors of any shape."""

    def __call__(self, error: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class L2:
    """Half the square (Section 4.1)."""

    def __call__(self, error: Tensor) -> Tensor:
        return 0.5 * error.square()


@dataclass(frozen=True)
class L1:
    """The absolute value (Section 4.1)."""

    def __call__(self, error: Tensor) -> Tensor:
        return error.abs()


@dataclass(frozen=True)
class SmoothL1:
    """Eq. 4: quadratic within one pixel of zero, L1 less a half beyond."""

    def __call__(self, error: Tensor) -> Tensor:
        from torch.nn.functional import smooth_l1_loss

        return smooth_l1_loss(error, error.new_zeros(error.shape), reduction="none")


@dataclass(frozen=True)
class Wing:
    """Eq. 5: ``w ln(1 + |x| / epsilon)`` within w pixels of zero, ``|x| - C`` beyond.

    ``C = w - w ln(1 + w / epsilon)`` joins the two pieces.
    """

    w: Annotated[float, Field(gt=0, le=10_000)]
    epsilon: Annotated[float, Field(gt=0, le=10_000)]

    def __call__(self, error: Tensor) -> Tensor:
        w, epsilon = _like(error, self.w), _like(error, self.epsilon)
        size = error.abs()
        constant = w - w * (w / epsilon).log1p()
        return (w * (size / epsilon).log1p()).where(size < w, size - constant)


# The key of a training in the run store follows from its own entry: another loss retrains nothing.
LOSSES: dict[str, type[Loss]] = {
    "l2": L2,
    "l1": L1,
    "smooth_l1": SmoothL1,
    "wing": Wing,
}


def landmark_loss(predicted: Tensor, target: Tensor, loss: Loss) -> Tensor:
    """Eq. 3, averaged over the batch: the sum of ``loss`` over all 2L coordinates.

    ``predicted`` and ``target`` are ``(N, 2L)`` in pixels of the input crop. The sum over the
    coordinates matters: the published learning rates belong to it.

    Raises:
        ValueError: the targets all lie within [0, 1], so they are not pixels.
    """
    check_pixels(target)
    return _summed(loss(predicted - target))


def _summed(losses: Tensor) -> Tensor:
    """Eq. 3 of coordinates' losses ``(..., B, 2L)``: their sum, averaged over the batch."""
    return losses.sum(dim=-1).mean(dim=-1)


def check_pixels(target: Tensor) -> None:
    """Raises ValueError where all coordinates lie within [0, 1], as those of no picture do."""
    if bool(((target >= 0) & (target <= 1)).all()):
        raise ValueError(
            "targets all lie within [0, 1]: the losses are defined in pixels of the network's "
            "input; multiply targets and predictions by its side"
        )


def _like(error: Tensor, parameter: float | Tensor) -> Tensor:
    """A loss's parameter as a tensor. Trainings side by side have theirs in one that broadcasts."""
    return error.new_tensor(parameter) if isinstance(parameter, int | float) else parameter


class CoordinateLosses:
    """Eq. 3 for trainings side by side: the sum over the 2L coordinates, averaged over the batch.

    Nothing is asked of the device, so targets that are no pixels aren't refused here.
    """

    def __init__(self, losses: Sequence[Loss], on: torch.device) -> None:
        """``losses`` are the trainings'; those of one kind follow each other."""
        import torch

        self.losses: list[tuple[Loss, int]] = []  # each of so many trainings, one after another
        for kind, alike in groupby(losses, type):
            own = list(alike)
            parameters = {  # (trainings, 1, 1) each
                field.name: torch.tensor(
                    [float(getattr(loss, field.name)) for loss in own], device=on
                )[:, None, None]
                for field in fields(kind)  # type: ignore[arg-type]
            }
            self.losses.append((kind(**parameters), len(own)))

    def __call__(self, predicted: Tensor, target: Tensor) -> Tensor:
        """The losses ``(M,)`` of shape vectors ``(M, B, 2L)`` in pixels of the input crop."""
        import torch

        error, parts, start = predicted - target, [], 0
        for loss, count in self.losses:
            parts.append(loss(error[start : start + count]))
            start += count
        return _summed(torch.cat(parts))
