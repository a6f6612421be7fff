"""Plain networks side by side: their layers, with a dimension for members before the batch.

A convolution is one matrix product of all 3x3 windows with the kernels, batched over the members.
What ``torch.vmap`` makes of such layers are grouped convolutions, which GPUs are slow at
(docs/notes/performance.md has both). Everything adds in a fixed order.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, pad

from wingloss.recipe import Precision

WIDE = torch.complex128  # the largest type: sixteen bytes, of as many channels as they hold


class Stacked:
    """Several of ``networks.Plain`` as one model (``loop.Model``).

    Its parameters have a dimension for members before their own.
    """

    def __init__(self, networks: list[nn.Module], precision: Precision) -> None:
        """``networks`` are the members before their first step, on the device to train on."""
        self.seen = networks[0]  # with the weights of the member that was last looked at
        self.precision = precision
        self.parameters: dict[str, Tensor] = {
            name: stack([one.get_parameter(name).detach() for one in networks]).requires_grad_()
            for name, _ in networks[0].named_parameters()
        }
        self.weights = [p for p in self.parameters.values() if p.ndim > 2]
        self.biases = [p for p in self.parameters.values() if p.ndim == 2]

    def train(self) -> None:
        self.seen.train()

    def forward(self, inputs: Tensor) -> Tensor:
        return forward(self.seen, self.parameters, inputs, self.precision)

    def network(self, index: int) -> nn.Module:
        with torch.no_grad():
            for name, values in self.parameters.items():
                self.seen.get_parameter(name).copy_(values[index])
        return self.seen

    def state(self) -> dict[str, Tensor]:
        return self.parameters

    def restore(self, state: dict[str, Tensor]) -> None:
        shapes, own = ({k: v.shape for k, v in s.items()} for s in (state, self.parameters))
        if shapes != own:  # copies would be broadcast
            raise ValueError("the parameters are those of other networks")
        with torch.no_grad():
            for name, values in state.items():
                self.parameters[name].copy_(values)


def forward(
    network: nn.Module, parameters: dict[str, Tensor], inputs: Tensor, precision: Precision
) -> Tensor:
    """Shape vectors ``(M, B, 2L)`` of ``(M, B, S, S, 3)``, all but the last layer in ``precision``.

    ``network`` is one of ``networks.Plain``; ``parameters`` are the members' by its own names,
    ``(M, ...)`` each.
    """
    kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
    *layers, (last, _) = network.named_children()
    maps = inputs.to(kind)
    for name, layer in layers:
        if isinstance(layer, nn.Conv2d):
            kernels, bias = _own(parameters, name, kind)
            maps = _Convolution.apply(maps, kernels, bias)
        elif isinstance(layer, nn.MaxPool2d):
            each = max_pool2d(maps.flatten(0, 1).permute(0, 3, 1, 2), layer.kernel_size)
            maps = each.permute(0, 2, 3, 1).unflatten(0, maps.shape[:2])
        elif isinstance(layer, nn.Flatten):
            maps = maps.permute(0, 1, 4, 2, 3).flatten(2)
        elif isinstance(layer, nn.Linear):
            maps = _linear(maps, *_own(parameters, name, kind))
        else:
            maps = layer(maps)
    return _linear(maps.float(), *_own(parameters, last, torch.float32))


def stack(values: list[Tensor]) -> Tensor:
    """Parameters ``(...)`` of each member as ``(M, ...)``; kernels lie there channels last."""
    if values[0].ndim == 4:
        return torch.stack([kernels.permute(0, 2, 3, 1) for kernels in values]).permute(
            0, 1, 4, 2, 3
        )
    return torch.stack(values)


def _own(parameters: dict[str, Tensor], name: str, kind: torch.dtype) -> tuple[Tensor, Tensor]:
    """A layer's weights and biases."""
    return parameters[f"{name}.weight"].to(kind), parameters[f"{name}.bias"].to(kind)


def _linear(inputs: Tensor, weights: Tensor, bias: Tensor) -> Tensor:
    """``(M, B, I)`` to ``(M, B, O)`` by weights ``(M, O, I)`` and biases ``(M, O)``."""
    return torch.baddbmm(bias[:, None], inputs, weights.mT)


class _Convolution(torch.autograd.Function):
    """``(M, B, H, W, C)`` to ``(M, B, H, W, O)`` by kernels ``(M, O, C, 3, 3)``, zeros beyond.

    Kernels that lie in memory as ``stack`` lays them need not be copied for their matrices.
    """

    @staticmethod
    def forward(ctx: Any, maps: Tensor, kernels: Tensor, bias: Tensor) -> Tensor:
        missing = -maps.shape[4] % (WIDE.itemsize // maps.itemsize)
        ctx.channels = maps.shape[4]
        if missing:
            maps, kernels = pad(maps, (0, missing)), pad(kernels, (0, 0, 0, 0, 0, missing))
        windows = _windows(maps)
        ctx.save_for_backward(windows, kernels)
        matrix = kernels.permute(0, 1, 3, 4, 2).flatten(2)
        return torch.baddbmm(bias[:, None], windows, matrix.mT).unflatten(1, maps.shape[1:4])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        windows, kernels = ctx.saved_tensors
        flat = gradient.flatten(1, 3)
        by_kernels = torch.bmm(flat.mT, windows).unflatten(2, (3, 3, -1)).permute(0, 1, 4, 2, 3)
        by_maps = _scattered(gradient, kernels) if ctx.needs_input_grad[0] else None
        if by_maps is not None:
            by_maps = by_maps[..., : ctx.channels]
        return by_maps, by_kernels[:, :, : ctx.channels], flat.sum(dim=1)


def _windows(maps: Tensor) -> Tensor:
    """Each cell's 3x3 window as a row ``(M, BHW, 9C)``."""
    each = _edged(maps).unfold(2, 3, 1).unfold(3, 3, 1).permute(0, 1, 2, 3, 5, 6, 4)
    return each.flatten(4).flatten(1, 3).view(maps.dtype)


def _edged(maps: Tensor) -> Tensor:
    """The maps in a frame of zeros; where it goes in pieces of ``WIDE``, which move faster."""
    fits = maps.shape[4] * maps.itemsize % WIDE.itemsize == 0
    wide = maps.contiguous().view(WIDE if fits else maps.dtype)
    edged = wide.new_zeros(*maps.shape[:2], maps.shape[2] + 2, maps.shape[3] + 2, wide.shape[4])
    edged[:, :, 1:-1, 1:-1] = wide
    return edged


def _scattered(gradient: Tensor, kernels: Tensor) -> Tensor:
    """The gradient ``(M, B, H, W, C)`` by a convolution's maps from that by its result.

    What every cell of the result sends to its nine neighbours is one matrix product; each
    neighbour's nine then lie on a diagonal, which a view makes two dimensions to sum over.
    """
    _, _, height, width, _ = gradient.shape
    edged = _edged(gradient).view(gradient.dtype)
    matrix = kernels.permute(0, 1, 3, 4, 2).flip(2, 3).flatten(2)
    sent = torch.bmm(edged.flatten(1, 3), matrix)
    sent = sent.unflatten(2, (3, 3, -1)).unflatten(1, edged.shape[1:4])
    of_member, of_face, of_row, of_column, of_y, of_x, of_channel = sent.stride()
    received = sent.as_strided(
        (*sent.shape[:2], height, width, *sent.shape[4:]),
        (of_member, of_face, of_row, of_column, of_row + of_y, of_column + of_x, of_channel),
    )
    return received.sum(dim=(4, 5))
