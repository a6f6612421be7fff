"""A detector's networks, run by PyTorch."""

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wingloss.augmentation.perturbation import Images
from wingloss.detection import detector_file
from wingloss.detection.card import Card
from wingloss.geometry import Array
from wingloss.models import inference
from wingloss.models.networks import ARCHITECTURES
from wingloss.recipe import Precision


class NoDevice(ValueError):
    """The device that was asked for isn't there. The message is one line."""


class TorchNetwork:
    """One stage's network on a device, in float32, or in bfloat16 where that has it."""

    def __init__(
        self, name: str, network: nn.Module, precision: Precision, on: torch.device
    ) -> None:
        self.name, self.input_size = name, ARCHITECTURES[name].input_size
        self.on = on
        self.precision = inference.available_precision(precision, self.on)
        self.network = network.to(self.on, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def __call__(self, inputs: Images) -> Array:
        """Landmarks ``(N, L, 2)`` in pixels of ``inputs`` ``(N, S, S, 3)``, RGB."""
        same = np.tile(np.eye(2, 3), (len(inputs), 1, 1))
        # TF32, a GPU's default, has 10 bits of a mantissa's 23
        # (and without `enabled` these flags would switch cuDNN off)
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False, deterministic=True):
            return inference.predict_inputs(
                self.network, self.name, torch.from_numpy(inputs), same, self.precision, self.on
            )


def load(
    path: Path, precision: Precision, device: str | None = None
) -> tuple[Card, list[TorchNetwork]]:
    """The card and the networks of a detector's file.

    ``device`` is a name as PyTorch has them; without one, the GPU where there is one, else the
    processor.

    Raises:
        BadModel: the file is corrupt, or holds no detector; one line.
        NoDevice: ``device`` isn't there.
    """
    on = inference.device() if device is None else _device(device)
    card, networks = detector_file.load(path)
    return card, [
        TorchNetwork(name, network, precision, on)
        for name, network in zip(card.networks, networks, strict=True)
    ]


def _device(name: str) -> torch.device:
    try:
        on = torch.device(name)
        torch.zeros(1, device=on).cpu()
    except (RuntimeError, AssertionError, ImportError, NotImplementedError):
        raise NoDevice(f"PyTorch has no device '{name}' on this machine") from None
    return on


class Pictures(nn.Module):
    """A network from pictures to landmarks, in place of scaled inputs to its own outputs."""

    def __init__(self, name: str, network: nn.Module) -> None:
        super().__init__()
        self.architecture, self.network = ARCHITECTURES[name], network

    def forward(self, pictures: Tensor) -> Tensor:
        """``(N, S, S, 3)``, uint8 RGB, to ``(N, L, 2)`` in their pixels."""
        inputs = inference.scaled(pictures).permute(0, 3, 1, 2)
        return self.architecture.points(self.network(inputs))


def as_onnx(name: str, network: nn.Module, taken: str, given: str, opset: int) -> Any:
    """A network from pictures to landmarks as a model of ``onnx``; ``taken`` and ``given`` name
    its input and output."""
    size = ARCHITECTURES[name].input_size
    examples = torch.zeros((2, size, size, 3), dtype=torch.uint8)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # of operators that nobody uses here
    with warnings.catch_warnings(action="ignore"):  # of what torch's exporter does to itself
        program: Any = torch.onnx.export(
            Pictures(name, network).cpu().eval(),
            (examples,),
            dynamo=True,
            dynamic_shapes={"pictures": {0: torch.export.Dim("faces")}},
            input_names=[taken],
            output_names=[given],
            opset_version=opset,
            verbose=False,
        )
    return program.model_proto
