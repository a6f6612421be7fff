"""CNN-6 and CNN-7 (Fig. 2 and Section 6): 3x3 convolutions, ReLU, max-pooling, two linear layers.

Inputs are RGB in [-1, 1], the same for every channel; outputs are the shape vector
``[x1..xL, y1..yL]`` in pixels of the input crop.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Architecture:
    """What tells one plain network from another."""

    input_size: int  # side of the square input crop, in pixels
    widths: tuple[int, ...]  # kernels of each 3x3 convolution; each is followed by a 2x2 pooling
    hidden: int  # units of the fully connected layer


ARCHITECTURES = {
    "cnn6": Architecture(64, (32, 64, 128, 256, 512), 1024),
    # Section 6: one more set of layers, and 64 kernels in place of 32 in the first.
    # The widths between are the only ones that give Table 7's 12.3 M parameters.
    "cnn7": Architecture(128, (64, 128, 256, 512, 512, 512), 1024),
}


def build(name: str, n_landmarks: int, seed: int) -> nn.Sequential:
    """The network ``name`` for L landmarks, with He-normal weights and zero biases.

    Maps ``(N, 3, S, S)`` to ``(N, 2L)``. The weights depend on ``seed`` alone.
    """
    architecture = ARCHITECTURES[name]
    layers: list[nn.Module] = []
    channels, size = 3, architecture.input_size
    for width in architecture.widths:
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        channels, size = width, size // 2
    layers += [
        nn.Flatten(),
        nn.Linear(channels * size * size, architecture.hidden),
        nn.ReLU(),
        nn.Linear(architecture.hidden, 2 * n_landmarks),
    ]
    network = nn.Sequential(*layers)
    generator = torch.Generator().manual_seed(seed)
    for layer in network:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return network


def to_points(shape_vectors: Tensor) -> Tensor:
    """``(N, 2L)`` shape vectors ``[x1..xL, y1..yL]`` (Section 3) to ``(N, L, 2)`` points."""
    return shape_vectors.unflatten(1, (2, -1)).transpose(1, 2)


def to_shape_vectors(points: Tensor) -> Tensor:
    """``(N, L, 2)`` points to ``(N, 2L)`` shape vectors ``[x1..xL, y1..yL]``."""
    return points.transpose(1, 2).flatten(1)
