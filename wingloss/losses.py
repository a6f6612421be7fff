"""The losses that the paper compares: L2, L1, smooth L1 (Eq. 3-4) and Wing (Eq. 5).

All errors are in pixels of the network's own input crop. Targets scaled to [0, 1] would lie wholly
inside Wing's logarithm and turn it into a scaled L1, so they are refused.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from wingloss.kinds import LossKind
from wingloss.recipe import WingShape


def l2(x: Tensor) -> Tensor:
    """Half the square, element by element (Section 4.1)."""
    return 0.5 * x.square()


def l1(x: Tensor) -> Tensor:
    """The absolute value, element by element (Section 4.1)."""
    return x.abs()


def smooth_l1(x: Tensor) -> Tensor:
    """Eq. 4: quadratic within one pixel of zero, L1 less a half beyond."""
    return smooth_l1_loss(x, torch.zeros_like(x), reduction="none")


def wing(x: Tensor, w: float | Tensor, epsilon: float | Tensor) -> Tensor:
    """Eq. 5: ``w ln(1 + |x| / epsilon)`` within w pixels of zero, ``|x| - C`` beyond.

    ``C = w - w ln(1 + w / epsilon)`` joins the two pieces. ``w`` and ``epsilon`` are numbers, or
    tensors that broadcast to ``x``.
    """
    w, epsilon = (torch.as_tensor(p, dtype=x.dtype, device=x.device) for p in (w, epsilon))
    size = x.abs()
    constant = w - w * torch.log1p(w / epsilon)
    return torch.where(size < w, w * torch.log1p(size / epsilon), size - constant)


# A training's key holds what its own entry refers to: another loss retrains nothing.
LOSSES: dict[LossKind, Callable[..., Tensor]] = {
    "l2": l2,
    "l1": l1,
    "smooth_l1": smooth_l1,
    "wing": wing,
}


def landmark_loss(
    predicted: Tensor, target: Tensor, kind: LossKind, shape: WingShape | None = None
) -> Tensor:
    """Eq. 3, averaged over the batch: the sum over all 2L coordinates of one of the losses.

    ``predicted`` and ``target`` are ``(N, 2L)`` in pixels of the input crop. The sum over the
    coordinates matters: the published learning rates belong to it.

    Raises:
        ValueError: the targets all lie within [0, 1], so they are not pixels.
    """
    check_pixels(target)
    if kind == "wing" and shape is None:
        raise ValueError("Wing loss needs its w and epsilon")
    parameters = (shape.w, shape.epsilon) if shape else ()
    return LOSSES[kind](predicted - target, *parameters).sum(dim=1).mean()


def check_pixels(target: Tensor) -> None:
    """Raises ValueError where all coordinates lie within [0, 1], as those of no picture do."""
    if bool(((target >= 0) & (target <= 1)).all()):
        raise ValueError(
            "targets all lie within [0, 1]: the losses are defined in pixels of the input crop"
        )
