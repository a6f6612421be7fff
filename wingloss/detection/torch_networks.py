"""A detector's networks, run by PyTorch."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from wingloss.augmentation.perturbation import Images
from wingloss.detection import detector_file
from wingloss.detection.card import Card
from wingloss.geometry import Array
from wingloss.models import inference
from wingloss.models.networks import ARCHITECTURES


class TorchNetwork:
    """One stage's network on the GPU where there is one, else on the processor; in float32."""

    def __init__(self, name: str, network: nn.Module) -> None:
        self.name, self.input_size = name, ARCHITECTURES[name].input_size
        self.on = inference.device()
        self.network = network.to(self.on, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def __call__(self, inputs: Images) -> Array:
        """Landmarks ``(N, L, 2)`` in pixels of ``inputs`` ``(N, S, S, 3)``, RGB."""
        same = np.tile(np.eye(2, 3), (len(inputs), 1, 1))
        # TF32, a GPU's default, has 10 bits of a mantissa's 23
        with torch.backends.cudnn.flags(allow_tf32=False, deterministic=True):
            return inference.predict_inputs(
                self.network, self.name, torch.from_numpy(inputs), same, "float32", self.on
            )


def load(path: Path) -> tuple[Card, list[TorchNetwork]]:
    """The card and the networks of a detector's file.

    Raises:
        BadModel: the file is corrupt, or holds no detector; one line.
    """
    card, networks = detector_file.load(path)
    return card, [
        TorchNetwork(name, network) for name, network in zip(card.networks, networks, strict=True)
    ]
