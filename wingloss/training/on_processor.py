"""Training steps on a processor: faces warped one by one with OpenCV, steps as PyTorch has them."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from wingloss.augmentation.perturbation import Images, perturb
from wingloss.geometry import Array
from wingloss.losses import check_pixels
from wingloss.models.inference import scaled
from wingloss.models.networks import ARCHITECTURES, to_shape_vectors
from wingloss.training.loop import (
    Member,
    Setting,
    Training,
    member_losses,
    member_samples,
    take_step,
)


class OnProcessor:
    """Takes one step after another: a training must be able to stop after each."""

    block = 1

    def __init__(self, training: Training, members: Sequence[Member], setting: Setting) -> None:
        self.training, self.members, self.setting = training, members, setting
        self.samples = member_samples(members, setting)
        self.losses = member_losses(members, setting, torch.device("cpu"))

    def take(self, first: int, rates: list[float]) -> NDArray[np.float32]:
        """Takes ``len(rates)`` steps from step ``first`` on; their losses ``(steps, M)``."""
        return np.stack([self._step(step, rate) for step, rate in enumerate(rates, start=first)])

    def _step(self, step: int, rate: float) -> NDArray[np.float32]:
        pictures, points = zip(*self.batches(step), strict=True)
        targets = torch.as_tensor(np.stack(points), dtype=torch.float32)
        targets = to_shape_vectors(targets.flatten(0, 1)).unflatten(0, targets.shape[:2])
        check_pixels(targets)
        for group in self.training.optimiser.param_groups:
            group["lr"] = rate
        inputs = scaled(torch.from_numpy(np.stack(pictures)))
        return take_step(self.training, inputs, targets, self.losses).numpy()

    def batches(self, step: int) -> list[tuple[Images, Array]]:
        """Each member's pictures ``(B, S, S, 3)`` and points ``(B, L, 2)`` in their pixels."""
        batch, size = self.setting.recipe.batch, ARCHITECTURES[self.setting.network].input_size
        return [
            perturb(
                member.faces,
                samples.order(step * batch, batch),
                samples.draws(step * batch, batch),
                samples.augmentation.blur_sigma,
                size,
                self.setting.flip_permutation,
            )
            for member, samples in zip(self.members, self.samples, strict=True)
        ]
