"""All networks: CNN-6 and CNN-7 (Fig. 2 and Section 6), ResNet-50 (Section 7.3), hourglasses.

Inputs are RGB in [-1, 1], the same for every channel; a network that was trained on another range
begins with a layer that leads there. Hourglasses (``hourglass.py``) answer heat
maps; the others are sequences that end with a linear layer, and answer the shape vector
``[x1..xL, y1..yL]`` in pixels of the input crop.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from wingloss.losses import CoordinateLosses, Loss
from wingloss.models.hourglass import Hourglasses
from wingloss.recipe import CENTRED


@dataclass(frozen=True)
class Map:
    """The feature map between two parts of a network, as a figure shows it."""

    size: int  # its side, in cells
    channels: int
    made_by: str


class Regression:
    """What networks of coordinates have in common."""

    def draw_weights(self, network: nn.Module, generator: torch.Generator) -> None:
        """Gives a network its first weights: He-normal ones, and zero biases."""
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def losses(
        self, losses: Sequence[Loss], boundaries: object, on: torch.device
    ) -> CoordinateLosses:
        """What its trainings side by side minimise."""
        return CoordinateLosses(losses, on)

    def points(self, outputs: Tensor) -> Tensor:
        """Landmarks ``(B, L, 2)`` in pixels of the input crop, from shape vectors ``(B, 2L)``."""
        return to_points(outputs)


class Output(nn.Linear):
    """The last layer. It stays in float32 under autocast.

    bfloat16 has steps of a quarter of a pixel at 32 pixels and of half a pixel at 64, and the
    paper's point is that small errors matter.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """``(B, features)`` to ``(B, 2L)``."""
        with torch.autocast(inputs.device.type, enabled=False):
            return linear(inputs.float(), self.weight, self.bias)


@dataclass(frozen=True)
class Plain(Regression):
    """3x3 convolutions, each with ReLU and a 2x2 max-pooling, and two linear layers."""

    input_size: int  # side of the square input crop, in pixels
    widths: tuple[int, ...]  # kernels of each convolution
    hidden: int  # units of the fully connected layer

    @property
    def described(self) -> str:
        """Its layers in words."""
        return f"{len(self.widths)} × (3×3 convolution, ReLU, 2×2 max-pooling), two linear layers"

    @property
    def maps(self) -> list[Map]:
        """The maps from the input to the last layer."""
        sizes = [self.input_size // 2 ** (i + 1) for i in range(len(self.widths))]
        pooled = [Map(s, w, "pooled") for s, w in zip(sizes, self.widths, strict=True)]
        return [Map(self.input_size, 3, "input"), *pooled, Map(1, self.hidden, "linear, ReLU")]

    def network(self, n_landmarks: int) -> nn.Sequential:
        """Its layers, for L landmarks."""
        layers: list[nn.Module] = []
        channels, size = 3, self.input_size
        for width in self.widths:
            # The largest of four before the ReLU in place of after: the same, bit for bit, with
            # a quarter of the ReLU's work.
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.MaxPool2d(2), nn.ReLU()]
            channels, size = width, size // 2
        layers += [
            nn.Flatten(),
            nn.Linear(channels * size * size, self.hidden),
            nn.ReLU(),
            Output(self.hidden, 2 * n_landmarks),
        ]
        return nn.Sequential(*layers)


@dataclass(frozen=True)
class Residual(Regression):
    """Groups of bottleneck blocks (He et al., CVPR 2016), each group at half the size before."""

    input_size: int  # side of the square input crop, in pixels
    width: int  # kernels of the first convolution; a group's blocks are twice the one's before
    blocks: tuple[int, ...]  # of each group

    @property
    def described(self) -> str:
        """Its layers in words."""
        return "7×7 convolution, groups of bottlenecks (1×1, 3×3, 1×1 convolutions), a linear layer"

    @property
    def maps(self) -> list[Map]:
        """The maps from the input to the last layer."""
        size, channels = self.input_size // 4, 4 * self.width
        groups = [
            Map(size // 2**i, channels * 2**i, f"{count} blocks")
            for i, count in enumerate(self.blocks)
        ]
        first = [Map(self.input_size, 3, "input"), Map(size, self.width, "pooled")]
        return [*first, *groups, Map(1, groups[-1].channels, "averaged")]

    def network(self, n_landmarks: int) -> nn.Sequential:
        """Its layers, for L landmarks, named as torchvision names them."""
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            conv1=nn.Conv2d(3, self.width, 7, stride=2, padding=3, bias=False),
            bn1=nn.BatchNorm2d(self.width),
            relu=nn.ReLU(inplace=True),
            maxpool=nn.MaxPool2d(3, stride=2, padding=1),
        )
        channels = self.width
        for group, count in enumerate(self.blocks):
            width, stride = self.width * 2**group, 1 if group == 0 else 2
            blocks = [
                Bottleneck(channels if i == 0 else 4 * width, width, stride if i == 0 else 1)
                for i in range(count)
            ]
            layers[f"layer{group + 1}"] = nn.Sequential(*blocks)
            channels = 4 * width
        layers["avgpool"] = nn.AdaptiveAvgPool2d(1)
        layers["flatten"] = nn.Flatten()
        layers["fc"] = Output(channels, 2 * n_landmarks)
        return nn.Sequential(layers)


class Bottleneck(nn.Module):
    """1x1, 3x3 (which has the stride) and 1x1 convolutions beside a shortcut."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = nn.Sequential()  # the identity, where the shapes agree
        if stride > 1 or channels != 4 * width:
            self.downsample.append(nn.Conv2d(channels, 4 * width, 1, stride, bias=False))
            self.downsample.append(nn.BatchNorm2d(4 * width))

    def forward(self, inputs: Tensor) -> Tensor:
        """``(N, channels, S, S)`` to ``(N, 4 width, S / stride, S / stride)``."""
        inner = self.relu(self.bn1(self.conv1(inputs)))
        inner = self.relu(self.bn2(self.conv2(inner)))
        return self.relu(self.bn3(self.conv3(inner)) + self.downsample(inputs))


Architecture = Plain | Residual | Hourglasses

ARCHITECTURES: dict[str, Architecture] = {
    "cnn6": Plain(64, (32, 64, 128, 256, 512), 1024),
    # Section 6: one more set of layers, and 64 kernels in place of 32 in the first.
    # The widths between are the only ones that give Table 7's 12.3 M parameters.
    "cnn7": Plain(128, (64, 128, 256, 512, 512, 512), 1024),
    "resnet50": Residual(224, 64, (3, 4, 6, 3)),
    # Adaptive Wing loss's network, and one that a processor trains within an hour; `plain` is
    # without boundary and coordinates
    "hourglass4": Hourglasses(),
    "hourglass": Hourglasses(1, 128, 128, 32, sigma=1.25),
    "hourglass_plain": Hourglasses(1, 128, 128, 32, boundary=False, sigma=1.25),
}


class InputRange(nn.Module):
    """From inputs in [-1, 1] to those that the rest of a network sees."""

    range: Tensor  # (2,), lowest and highest; in a model's file it says that there is this layer

    def __init__(self, lowest: float, highest: float) -> None:
        super().__init__()
        self.register_buffer("range", torch.tensor([lowest, highest], dtype=torch.float32))

    def forward(self, inputs: Tensor) -> Tensor:
        """The same shape."""
        lowest, highest = self.range
        return inputs * ((highest - lowest) / 2) + (highest + lowest) / 2


RANGE = "inputs.range"  # its name among a network's tensors


def build(
    name: str, n_landmarks: int, seed: int, input_range: tuple[float, float] = CENTRED
) -> nn.Module:
    """The network ``name`` for L landmarks. Its weights depend on ``seed`` alone.

    It takes inputs in [-1, 1]; its first layer with weights sees them in ``input_range``.
    """
    architecture = ARCHITECTURES[name]
    network = architecture.network(n_landmarks)
    architecture.draw_weights(network, torch.Generator().manual_seed(seed))
    return seeing(network, input_range)


def seeing(network: nn.Module, input_range: tuple[float, float]) -> nn.Module:
    """An architecture's network, which turns inputs in [-1, 1] to ``input_range`` first."""
    if input_range == CENTRED:
        return network
    inputs = InputRange(*input_range)
    if isinstance(network, nn.Sequential):
        return nn.Sequential(OrderedDict([("inputs", inputs), *network.named_children()]))
    network.inputs = inputs
    return network


def take_over(network: nn.Module, trained: dict[str, Tensor]) -> None:
    """Gives ``network`` the tensors of a trained one.

    Those of another shape, which answer another number of landmarks, stay as they are.

    Raises:
        RuntimeError: they are another network's.
    """
    own = network.state_dict()
    other_shape = {name for name in own.keys() & trained if own[name].shape != trained[name].shape}
    network.load_state_dict(own | {n: v for n, v in trained.items() if n not in other_shape})


def to_points(shape_vectors: Tensor) -> Tensor:
    """``(N, 2L)`` shape vectors ``[x1..xL, y1..yL]`` (Section 3) to ``(N, L, 2)`` points."""
    return shape_vectors.unflatten(1, (2, -1)).transpose(1, 2)


def to_shape_vectors(points: Tensor) -> Tensor:
    """``(N, L, 2)`` points to ``(N, 2L)`` shape vectors ``[x1..xL, y1..yL]``."""
    return points.transpose(1, 2).flatten(1)
