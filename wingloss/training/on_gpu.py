"""Training steps on a GPU: the data set is in its memory, and a step is one CUDA graph.

What the host decides (data order, draws, learning rates) is copied to the device, and made into
inputs, for a block of steps at once. The host reads losses back once for them. On a processor it
does the same without a graph, for the tests.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from wingloss.augmentation import on_device
from wingloss.models.networks import ARCHITECTURES, to_shape_vectors
from wingloss.training.loop import (
    Member,
    Setting,
    Training,
    member_losses,
    member_samples,
    take_step,
)

BLOCK = 64  # steps for which the host decides at once, at most
AT_ONCE = 1024  # inputs that are made at once, about: each takes a megabyte or two on the way
EAGER = 3  # steps before a CUDA graph is captured: libraries set themselves up in them


class OnGPU:
    """Takes blocks of steps, with a block's inputs and losses in tables on the device."""

    def __init__(
        self,
        training: Training,
        members: Sequence[Member],
        setting: Setting,
        on: torch.device,
    ) -> None:
        self.block = BLOCK
        self.training, self.setting, self.on = training, setting, on
        self.samples = member_samples(members, setting)
        self.shape = (len(members), setting.recipe.batch)
        self.size = ARCHITECTURES[setting.network].input_size
        self.faces = on_device.DeviceFaces.of([member.faces for member in members], on)
        self.flip_permutation = torch.as_tensor(setting.flip_permutation, device=on)
        self.blur_sigma = members[0].objective.augmentation.blur_sigma
        self.objectives = member_losses(members, setting, on)
        # one row a step of a block, and the row that the next step reads
        self.inputs = torch.zeros(BLOCK, *self.shape, self.size, self.size, 3, device=on)
        coordinates = 2 * len(setting.flip_permutation)
        self.targets = torch.zeros(BLOCK, *self.shape, coordinates, device=on)
        self.rates = torch.zeros(BLOCK, device=on)
        self.losses = torch.zeros(BLOCK, len(members), device=on)
        self.rows = torch.arange(BLOCK, device=on)
        self.row = torch.zeros(1, dtype=torch.int64, device=on)
        self.rate = torch.zeros((), device=on)
        self.taken = 0
        self.graph: torch.cuda.CUDAGraph | None = None

    def take(self, first: int, rates: list[float]) -> NDArray[np.float32]:
        """Takes ``len(rates)`` steps from step ``first`` on; their losses ``(steps, M)``."""
        self._make_inputs(first, len(rates))
        self.rates[: len(rates)].copy_(torch.tensor(rates))
        self.row.zero_()
        for group in self.training.optimiser.param_groups:
            group["lr"] = self.rate
            group["capturable"] = self.on.type == "cuda"
        for _ in rates:
            self._advance()
        return self.losses[: len(rates)].cpu().numpy()

    def _make_inputs(self, first: int, count: int) -> None:
        """Fills the tables of inputs and targets for ``count`` steps from step ``first`` on."""
        members, batch = self.shape
        place = (first * batch, count * batch)
        # the samples of one member after those of another, each step's of all members together
        chosen = np.stack([own.order(*place).reshape(count, batch) for own in self.samples], axis=1)
        drawn = np.stack(
            [on_device.pack(own.draws(*place)).reshape(count, batch, -1) for own in self.samples],
            axis=1,
        )
        frame = torch.arange(members, device=self.on)[:, None].expand(self.shape)
        each = max(1, AT_ONCE // (members * batch))
        for start in range(0, count, each):
            steps = slice(start, min(start + each, count))
            inputs, points = on_device.perturb(
                self.faces,
                torch.from_numpy(chosen[steps].ravel()).to(self.on),
                frame.expand(steps.stop - start, *self.shape).flatten(),
                torch.from_numpy(drawn[steps].reshape(-1, on_device.COLUMNS)).to(self.on),
                self.blur_sigma,
                self.size,
                self.flip_permutation,
            )
            self.inputs[steps].flatten(0, 2).copy_(inputs.permute(0, 2, 3, 1))
            self.targets[steps].flatten(0, 2).copy_(to_shape_vectors(points))

    def _advance(self) -> None:
        """One step: on a GPU, after the first few, by replaying the graph of one."""
        if self.on.type == "cuda" and self.taken >= EAGER:
            if self.graph is None:
                self.graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(self.graph):  # records the step, doesn't take it
                    self._step()
            self.graph.replay()
        elif self.on.type == "cuda":  # a graph wants its first steps on a stream of their own
            beside = torch.cuda.Stream()
            beside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(beside):
                self._step()
            torch.cuda.current_stream().wait_stream(beside)
        else:
            self._step()
        self.taken += 1

    def _step(self) -> None:
        """The step whose inputs stand in the tables' row ``self.row``."""
        self.rate.copy_(self.rates[self.row][0])
        inputs, targets = self.inputs[self.row][0], self.targets[self.row][0]
        losses = take_step(self.training, inputs, targets, self.objectives)
        # not index_copy_, whose deterministic kernel sorts
        here = (self.rows == self.row)[:, None]
        self.losses.copy_(torch.where(here, losses, self.losses))
        self.row.add_(1)
