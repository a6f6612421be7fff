"""Stacked hourglasses that predict heat maps (Wang, Bo and Li, ICCV 2019).

Hourglasses are Newell et al.'s (ECCV 2016), of the residual blocks of Bulat and Tzimiropoulos (ICCV
2017). Sizes of layers are those of the network that the authors published. Inputs are RGB.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d, interpolate, relu

from wingloss import heatmaps
from wingloss.heatmap_losses import HeatmapLoss, HeatmapLosses
from wingloss.heatmaps import Boundaries

DEPTH = 4  # how often an hourglass halves its maps
BOUNDARY_FROM = 0.05  # what a predicted boundary map must exceed to be a boundary


@dataclass(frozen=True)
class Hourglasses:
    """Sizes of a stack of hourglasses; the published ones by default.

    Raises:
        ValueError: they don't fit each other.
    """

    stacks: int = 4
    features: int = 256  # channels within an hourglass
    input_size: int = 256  # side of the square input crop, in pixels
    map_size: int = 64  # side of the heat maps, in their pixels
    # whether it predicts the boundary too, and convolutions see their coordinates and those of it
    boundary: bool = True
    sigma: float = heatmaps.PATCH_SIGMA  # of a landmark in its map, in the map's pixels
    encoding: str = "gaussian"  # how landmarks are drawn: one of heatmaps.ENCODINGS
    decoding: str = "fitted"  # how they are found again: one of heatmaps.DECODINGS

    def __post_init__(self) -> None:
        if self.stacks < 1:
            raise ValueError(f"stacks: {self.stacks} should be at least 1")
        if self.features % 8:
            raise ValueError(f"features: {self.features} should be a multiple of 8")
        if self.map_size % 2**DEPTH:
            raise ValueError(f"map_size: {self.map_size} should be a multiple of {2**DEPTH}")
        if self.input_size % (2 * self.map_size):
            raise ValueError(
                f"input_size: {self.input_size} should be a multiple of twice map_size"
            )

    def network(self, n_landmarks: int) -> "StackedHourglass":
        """Its layers, for L landmarks."""
        return StackedHourglass(self, n_landmarks)

    def draw_weights(self, network: nn.Module, generator: torch.Generator) -> None:
        """Gives a network its first weights.

        They are drawn as PyTorch does by default, which the authors' code leaves as it is: weights
        and biases even within ``1 / sqrt(inputs of the layer)``.
        """
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                bound = layer.weight[0].numel() ** -0.5
                for parameter in layer.parameters():
                    nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def losses(
        self, losses: Sequence[HeatmapLoss], boundaries: Boundaries, on: torch.device
    ) -> HeatmapLosses:
        """What its trainings side by side minimise; ``boundaries`` are the protocol's."""
        return HeatmapLosses(
            losses, lambda vectors: self.targets(vectors.unflatten(1, (2, -1)).mT, boundaries)
        )

    def targets(self, points: Tensor, boundaries: Boundaries) -> Tensor:
        """The maps ``(B, K, M, M)`` that it should answer.

        ``points`` are ``(B, L, 2)`` in pixels of the input crop; ``boundaries`` the protocol's.
        """
        inner = heatmaps.rescaled(points, self.input_size, self.map_size)
        encoding = heatmaps.ENCODINGS[self.encoding]
        return heatmaps.target_maps(
            inner, self.map_size, self.sigma, encoding, boundaries if self.boundary else ()
        )

    def points(self, outputs: Tensor) -> Tensor:
        """Landmarks ``(B, L, 2)`` in pixels of the input crop, from the last stack's maps."""
        last = outputs[:, -1, :-1] if self.boundary else outputs[:, -1]
        found = heatmaps.DECODINGS[self.decoding](last)
        return heatmaps.rescaled(found, self.map_size, self.input_size)


class StackedHourglass(nn.Module):
    """Hourglasses one after another, each of which sees the heat maps of the one before it."""

    def __init__(self, sizes: Hourglasses, n_landmarks: int) -> None:
        super().__init__()
        features, boundary = sizes.features, sizes.boundary
        self.inputs: nn.Module = nn.Identity()  # or a ``networks.InputRange``
        self.pooling = sizes.input_size // 2 // sizes.map_size
        self.stem: nn.Module
        if boundary:
            self.stem = CoordConv(3, features // 4, 7, sizes.input_size, stride=2)
        else:
            self.stem = nn.Conv2d(3, features // 4, 7, stride=2, padding=3)
        self.norm = nn.BatchNorm2d(features // 4)
        self.before_pooling = Block(features // 4, features // 2)
        self.after_pooling = nn.Sequential(
            Block(features // 2, features // 2), Block(features // 2, features)
        )
        maps = n_landmarks + boundary
        self.stacks = nn.ModuleList(
            Stack(sizes, maps, is_first=i == 0) for i in range(sizes.stacks)
        )
        self.links = nn.ModuleList(Link(features, maps) for _ in range(sizes.stacks - 1))

    def forward(self, pictures: Tensor) -> Tensor:
        """Heat maps ``(B, stacks, L + 1, M, M)`` of ``(B, 3, S, S)``, of every stack, in float32.

        The last of the L + 1 is the boundary's; without a boundary there are L.
        """
        features = relu(self.norm(self.stem(self.inputs(pictures))), inplace=True)
        features = avg_pool2d(self.before_pooling(features), self.pooling)
        features = self.after_pooling(features)
        inner, maps = self.stacks[0](features, None)
        found = [maps]
        for link, stack in zip(self.links, self.stacks[1:], strict=True):
            features = features + link(inner, maps)
            inner, maps = stack(features, maps)
            found.append(maps)
        return torch.stack(found, dim=1)


class Stack(nn.Module):
    """One hourglass and its heat maps."""

    def __init__(self, sizes: Hourglasses, maps: int, is_first: bool) -> None:
        super().__init__()
        features = sizes.features
        self.coordinates = None
        if sizes.boundary:
            side = sizes.map_size
            self.coordinates = CoordConv(features, features, 1, side, boundary=not is_first)
        self.hourglass = Hourglass(features, DEPTH)
        self.block = Block(features, features)
        self.conv = nn.Conv2d(features, features, 1)
        self.norm = nn.BatchNorm2d(features)
        self.head = nn.Conv2d(features, maps, 1)

    def forward(self, features: Tensor, maps: Tensor | None) -> tuple[Tensor, Tensor]:
        """What its heat maps are made of ``(B, F, M, M)``, and these ``(B, L + 1, M, M)``.

        From features ``(B, F, M, M)`` and the heat maps of the stack before it, if there is one.
        The heat maps are float32: below one, bfloat16 has steps of 0.004, as large as what
        tells the neighbours of a peak apart.
        """
        if self.coordinates is not None:
            features = self.coordinates(features, None if maps is None else maps[:, -1:])
        inner = self.conv(self.block(self.hourglass(features)))
        inner = relu(self.norm(inner), inplace=True)
        with torch.autocast(inner.device.type, enabled=False):
            return inner, self.head(inner.float())


class Link(nn.Module):
    """What a stack adds to the features that the next one sees."""

    def __init__(self, features: int, maps: int) -> None:
        super().__init__()
        self.inner = nn.Conv2d(features, features, 1)
        self.maps = nn.Conv2d(maps, features, 1)

    def forward(self, inner: Tensor, maps: Tensor) -> Tensor:
        """``(B, F, M, M)`` from both results of a stack."""
        return self.inner(inner) + self.maps(maps)


class Hourglass(nn.Module):
    """Halves maps, works on them, recursively, and doubles them again, beside the full size."""

    def __init__(self, features: int, depth: int) -> None:
        super().__init__()
        self.beside = Block(features, features)
        self.before = Block(features, features)
        self.within = Hourglass(features, depth - 1) if depth > 1 else Block(features, features)
        self.after = Block(features, features)

    def forward(self, features: Tensor) -> Tensor:
        """``(B, F, M, M)`` to the same shape."""
        small = self.after(self.within(self.before(avg_pool2d(features, 2))))
        return self.beside(features) + interpolate(small, scale_factor=2.0, mode="nearest")


class Block(nn.Module):
    """Three 3x3 convolutions in a row, all of whose outputs, side by side, add to the inputs.

    They have a half, a quarter and a quarter of the kernels.
    """

    def __init__(self, channels: int, kernels: int) -> None:
        super().__init__()
        self.first = _activated(channels, kernels // 2, 3)
        self.second = _activated(kernels // 2, kernels // 4, 3)
        self.third = _activated(kernels // 4, kernels // 4, 3)
        self.shortcut = nn.Sequential()  # the identity, where the shapes agree
        if channels != kernels:
            self.shortcut = _activated(channels, kernels, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        """``(B, channels, M, M)`` to ``(B, kernels, M, M)``."""
        first = self.first(inputs)
        second = self.second(first)
        joined = torch.cat([first, second, self.third(second)], dim=1)
        return joined + self.shortcut(inputs)


def _activated(channels: int, kernels: int, size: int) -> nn.Sequential:
    """Batch normalisation and ReLU before a convolution."""
    convolution = nn.Conv2d(channels, kernels, size, padding=size // 2, bias=False)
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True), convolution)


class CoordConv(nn.Conv2d):
    """A convolution that also sees where it is (Liu et al., NeurIPS 2018).

    x and y run from -1 to 1, and the radius to 1 in the corners. With ``boundary`` it sees x and y
    once more, zero where there is no boundary.
    """

    places: Tensor  # (1, 3, side, side): x, y and radius

    def __init__(
        self,
        channels: int,
        kernels: int,
        size: int,
        side: int,
        stride: int = 1,
        boundary: bool = False,
    ) -> None:
        self.channels = channels
        seen = channels + 3 + 2 * boundary
        super().__init__(seen, kernels, size, stride, padding=size // 2)
        axis = torch.linspace(-1, 1, side)
        y, x = torch.meshgrid(axis, axis, indexing="ij")
        places = torch.stack([x, y, torch.hypot(x, y) / 2**0.5])[None]
        self.register_buffer("places", places, persistent=False)

    def forward(self, features: Tensor, boundary: Tensor | None = None) -> Tensor:
        """``(B, channels, side, side)``, and the boundary map ``(B, 1, side, side)`` before it.

        Coordinates are the same for the whole batch, so they are convolved once, in place of
        being copied beside each picture's features.
        """
        own, where, on_boundary = self.weight.tensor_split([self.channels, self.channels + 3], 1)
        found = conv2d(features, own, self.bias, self.stride, self.padding)
        found = found + conv2d(self.places, where, None, self.stride, self.padding)
        if boundary is not None:
            there = self.places[:, :2].where(boundary > BOUNDARY_FROM, 0)
            found = found + conv2d(there, on_boundary, None, self.stride, self.padding)
        return found
