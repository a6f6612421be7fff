"""Detectors as ONNX in eight bits: a quarter of the size and faster, for a little error.

Weights have a scale a kernel, activations the range that they have on some faces. Each network's
last layers, up to a twentieth of its weights, stay in float32: they cost little, and most of the
error would come from them. Making such files needs the packages of the extra ``onnx``; ONNX Runtime
runs them.
"""

import tempfile
from collections.abc import Iterable, Sequence
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from wingloss import pictures
from wingloss.augmentation.perturbation import Images
from wingloss.datasets.face_record import BadSample
from wingloss.detection.detector import Detector, Network
from wingloss.detection.onnx_file import INPUT, INSTALL, BadOnnx
from wingloss.geometry import Array

if TYPE_CHECKING:
    from onnx import GraphProto

ENOUGH = 128  # faces, whose activations give the ranges
LAYERS = ["Conv", "Gemm", "MatMul"]
EXACT = 0.05  # of the weights


def seen(detector: Detector, shown: Iterable[tuple[Path, ArrayLike | None]]) -> list[list[Images]]:
    """What each network sees ``(N, S, S, 3)`` while its detector looks at pictures.

    With each picture's file come its boxes, or None: see ``Detector``. No more are looked at once
    there are ``ENOUGH`` faces.

    Raises:
        BadOnnx: there is no face in any.
        BadSample: a picture can't be read, or a box lies outside it.
        NoFaceDetector: see ``Detector``.
    """
    recorders = [_Recorder(network) for network in detector.networks]
    watched, faces = copy(detector), 0
    watched.networks = recorders
    for path, boxes in shown:
        picture = pictures.read(path)
        try:
            faces += len(watched(picture, boxes))
        except ValueError as error:  # of the boxes
            raise BadSample(f"{path}: {error}") from error
        if faces >= ENOUGH:
            break
    if not faces:
        raise BadOnnx("there is no face in the pictures that int8's ranges are taken from")
    return [recorder.inputs for recorder in recorders]


def quantised(models: Sequence[bytes], inputs: Sequence[Sequence[Images]]) -> list[bytes]:
    """``onnx_file.exported``'s files in eight bits, with ranges by what each network has seen.

    Raises:
        BadOnnx: ONNX Runtime isn't installed.
    """
    return [_quantised(model, own) for model, own in zip(models, inputs, strict=True)]


def _quantised(model: bytes, inputs: Sequence[Images]) -> bytes:
    import onnx

    try:
        from onnxruntime import quantization
    except ImportError:
        raise BadOnnx(f"eight bits take the package 'onnxruntime': {INSTALL}") from None
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        """Gives the inputs once."""

        left = iter(inputs)

        def get_next(self) -> dict[str, Images] | None:
            batch = next(self.left, None)
            return None if batch is None else {INPUT: batch}

    with tempfile.TemporaryDirectory() as folder:
        exact, plain, made = (Path(folder, f"{name}.onnx") for name in ("exact", "plain", "int8"))
        exact.write_bytes(model)
        quant_pre_process(exact, plain, skip_symbolic_shape=True)
        quantization.quantize_static(
            plain,
            made,
            Reader(),
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            nodes_to_exclude=_last_layers(onnx.load(plain).graph),
            op_types_to_quantize=[*LAYERS, "MaxPool"],
        )
        return made.read_bytes()


def _last_layers(graph: "GraphProto") -> list[str]:
    """The names of the layers that stay exact."""
    weights = {one.name: int(np.prod(one.dims)) for one in graph.initializer}
    layers = [
        (node.name, sum(weights.get(name, 0) for name in node.input))
        for node in graph.node
        if node.op_type in LAYERS
    ]
    most = EXACT * sum(size for _, size in layers)
    sizes = np.cumsum([size for _, size in reversed(layers)])
    return [name for (name, _), size in zip(reversed(layers), sizes, strict=True) if size <= most]


class _Recorder:
    """A network that keeps what it is shown."""

    def __init__(self, network: Network) -> None:
        self.input_size, self._network = network.input_size, network
        self.inputs: list[Images] = []

    def __call__(self, inputs: Images) -> Array:
        self.inputs.append(np.array(inputs))
        return self._network(inputs)
