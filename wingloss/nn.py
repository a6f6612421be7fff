"""The losses as PyTorch modules, for a training of your own.

The pipeline's trainings use the same formulas: ``wingloss.losses`` and ``wingloss.heatmap_losses``.
"""

from torch import Tensor, nn

from wingloss.heatmap_losses import AdaptiveWing, heatmap_loss
from wingloss.losses import Wing, landmark_loss

__all__ = ["AdaptiveWingLoss", "WingLoss"]


class WingLoss(nn.Module):
    """Wing loss of coordinates (Feng et al., CVPR 2018, Eq. 3 and 5).

    Its unit is a pixel of the network's input: ``w`` pixels from zero it turns from a logarithm
    into L1, and ``epsilon`` bends the logarithm. The paper has ``w=10, epsilon=2`` for inputs of 64
    pixels a side and ``w=15, epsilon=3`` for 128. The value is the sum over all coordinates,
    averaged over the batch; the paper's learning rates belong to it.
    """

    def __init__(self, w: float = 10.0, epsilon: float = 2.0) -> None:
        super().__init__()
        if not (w > 0 and epsilon > 0):
            raise ValueError(f"w and epsilon are pixels above zero, not {w} and {epsilon}")
        self.loss = Wing(w, epsilon)

    def extra_repr(self) -> str:
        return f"w={self.loss.w:g}, epsilon={self.loss.epsilon:g}"

    def forward(self, predicted: Tensor, target: Tensor) -> Tensor:
        """A scalar, of landmarks ``(N, L, 2)`` or ``(N, 2L)`` in pixels of the network's input.

        Raises:
            TypeError: these aren't tensors.
            ValueError: the shapes differ or are others, such as one face's without a batch; there
                are no landmarks, ``predicted`` holds whole numbers, or the targets all lie within
                [0, 1]: they are no pixels.
        """
        _check(predicted, target)
        if predicted.shape != target.shape:
            raise ValueError(f"predicted is {[*predicted.shape]}, and target {[*target.shape]}")
        shape = [*predicted.shape]
        in_pairs = len(shape) == 3 and shape[2] == 2
        flat = len(shape) == 2 and shape[1] % 2 == 0 and shape[1] > 2  # [L, 2] is no batch
        if not (in_pairs or flat):
            raise ValueError(f"predicted is {shape}, and should be [N, L, 2] or [N, 2L]")
        return landmark_loss(predicted.flatten(1), target.flatten(1), self.loss)


class AdaptiveWingLoss(nn.Module):
    """Adaptive Wing loss of heat maps (Wang, Bo and Li, ICCV 2019), with its weighted loss map.

    Its unit is a heat map's value, from 0 to 1. ``weight`` is the weighted loss map's W; with 0,
    all pixels weigh the same. The value is the mean over pixels, summed over stacks.
    """

    def __init__(
        self,
        alpha: float = 2.1,
        omega: float = 14.0,
        epsilon: float = 1.0,
        theta: float = 0.5,
        weight: float = 10.0,
    ) -> None:
        super().__init__()
        if not (alpha > 2 and omega > 0 and epsilon > 0 and 0 < theta <= 1 and weight >= 0):
            raise ValueError(
                "alpha is above 2, omega and epsilon above 0, theta above 0 and up to 1, "
                "and weight at least 0"
            )
        self.loss = AdaptiveWing(alpha, omega, epsilon, theta, weight)

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={value:g}" for name, value in vars(self.loss).items())

    def forward(self, predicted: Tensor, target: Tensor) -> Tensor:
        """A scalar, of predicted maps ``(B, K, M, M)``, or ``(B, stacks, K, M, M)``.

        ``target`` are the true maps ``(B, K, M, M)``, of all stacks.

        Raises:
            TypeError: these aren't tensors.
            ValueError: the shapes don't fit, the maps are empty, ``predicted`` holds whole
                numbers, or ``target`` has a value outside [0, 1].
        """
        _check(predicted, target)
        stacks = predicted if predicted.ndim == 5 else predicted[:, None]
        if stacks.ndim != 5 or stacks[:, 0].shape != target.shape:
            raise ValueError(f"predicted is {[*predicted.shape]}, and target {[*target.shape]}")
        if not bool(((target >= 0) & (target <= 1)).all()):
            raise ValueError("target has a value outside [0, 1], which the loss is defined for")
        return heatmap_loss(stacks, target, self.loss)


def _check(predicted: Tensor, target: Tensor) -> None:
    """Refuses what has no loss, or none with a gradient."""
    for name, given in (("predicted", predicted), ("target", target)):
        if not isinstance(given, Tensor):
            raise TypeError(f"{name} is a {type(given).__name__}, not a tensor: torch.as_tensor?")
    if not predicted.numel():
        raise ValueError(f"predicted is empty: {[*predicted.shape]}")
    if not predicted.is_floating_point():
        raise ValueError(f"predicted is {predicted.dtype}; it should be floating-point")
