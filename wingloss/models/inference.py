"""Running a network over faces: inputs, precision, predictions, and the device for all that."""

import os

import numpy as np
import torch
from torch import Tensor, nn

from wingloss.augmentation.perturbation import Faces, plain
from wingloss.geometry import Array, apply, invert
from wingloss.models.networks import ARCHITECTURES
from wingloss.recipe import Precision

EVALUATION_BATCH = 64


def device() -> torch.device:
    """The device to run on: the GPU where there is one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def be_deterministic(on: torch.device) -> None:
    """Has the same work on ``on`` give the same bits, from now on and in the whole process.

    A processor does so by itself. On a GPU libraries must not choose their kernels by speed, nor
    add in the order in which threads happen to end. And float32 means float32: TF32, a GPU's
    default, is switched off.
    """
    if on.type == "cpu":
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts
    torch.backends.cudnn.allow_tf32 = False
    # A warning, no error, where a kernel might add in any order: of these networks' only pooling's.
    # CNN-6's and CNN-7's windows don't overlap, so that nothing is added; ResNet-50's do, and its
    # bits were the same where that was tried (docs/notes/performance.md).
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def available_precision(wanted: Precision, on: torch.device) -> Precision:
    """``wanted``, or float32 where ``on`` would only emulate bfloat16."""
    if wanted == "bfloat16":
        if on.type == "cuda":
            with torch.cuda.device(on):  # torch asks the current one
                native = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        if not native:
            return "float32"
    return wanted


def scaled(grey_levels: Tensor) -> Tensor:
    """Grey levels of 0 to 255 as a network's inputs in [-1, 1], float32, of the same shape.

    What a network makes of them is its own business (``networks.InputRange``).
    """
    return grey_levels.float().div(127.5).sub_(1)


def to_input(pictures: Tensor, on: torch.device) -> Tensor:
    """uint8 RGB ``(N, S, S, 3)`` to ``(N, 3, S, S)`` in [-1, 1], channels last in memory."""
    return scaled(pictures.to(on)).permute(0, 3, 1, 2)


def forward(network: nn.Module, inputs: Tensor, precision: Precision) -> Tensor:
    """What a network answers, of ``(N, 3, S, S)``: all but its last layer in ``precision``."""
    with torch.autocast(inputs.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        return network(inputs)


def predict(
    network: nn.Module, name: str, faces: Faces, precision: Precision, on: torch.device
) -> Array:
    """Landmarks ``(N, L, 2)`` in pixels of the faces' context crops.

    ``network`` is on ``on``, and ``name`` its name in ``networks.ARCHITECTURES``.
    """
    pictures, transform = plain(faces, np.arange(len(faces)), ARCHITECTURES[name].input_size)
    return predict_inputs(network, name, torch.from_numpy(pictures), transform, precision, on)


def predict_inputs(
    network: nn.Module,
    name: str,
    pictures: Tensor,
    transform: Array,
    precision: Precision,
    on: torch.device,
) -> Array:
    """Landmarks ``(N, L, 2)`` in the pixels that ``transform`` ``(N, 2, 3)`` leads from.

    It leads to the pixels of ``pictures`` ``(N, S, S, 3)``, uint8 RGB.
    """
    network.eval()
    with torch.inference_mode():
        found = [
            ARCHITECTURES[name].points(forward(network, to_input(part, on), precision)).cpu()
            for part in pictures.split(EVALUATION_BATCH)
        ]
    return apply(invert(transform), torch.cat(found).double().numpy())
