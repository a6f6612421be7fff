"""Detectors as ONNX: one file a stage, with the card in each; ONNX Runtime or OpenVINO runs them.

Each network takes pictures ``(N, S, S, 3)``, uint8 RGB, and answers landmarks ``(N, L, 2)`` in
their pixels. What lies between is ``wingloss.crops``, and ``models.correction.corrected_frames``
before stage two. Exporting needs the packages of the extra ``onnx``, running only ``onnxruntime``,
and ``openvino`` in bfloat16, which ONNX Runtime doesn't compute in on processors.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wingloss.augmentation.perturbation import Images
from wingloss.detection.card import Card, from_text
from wingloss.geometry import Array
from wingloss.recipe import Precision

if TYPE_CHECKING:
    from torch import nn

HEADER = "detector"
INPUT, OUTPUT = "pictures", "landmarks"
OPSET = 18
INSTALL = "pip install 'wingloss[onnx]'"


class BadOnnx(ValueError):
    """A file that can't be written or run; the message says why."""


def paths(path: Path, stages: int) -> list[Path]:
    """The stages' files: the second one's of ``face.onnx`` is ``face.stage2.onnx`` beside it."""
    return [path, path.with_suffix(f".stage2{path.suffix}")][:stages]


def exported(card: Card, networks: Sequence["nn.Module"]) -> list[bytes]:
    """What the stages' files hold of a detector with these networks.

    Raises:
        BadOnnx: the packages for that aren't installed.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401 (torch's exporter needs it)
    except ImportError as error:
        raise BadOnnx(f"to write ONNX takes the package '{error.name}': {INSTALL}") from None
    from wingloss.detection import torch_networks

    files = []
    for name, network in zip(card.networks, networks, strict=True):
        model = torch_networks.as_onnx(name, network, INPUT, OUTPUT, OPSET)
        onnx.helper.set_model_props(model, {HEADER: card.to_text()})
        files.append(model.SerializeToString())
    return files


class OnnxNetwork:
    """One stage's network, run by ONNX Runtime on the processor."""

    def __init__(self, session: Any, input_size: int) -> None:
        self.input_size, self._session = input_size, session

    def __call__(self, inputs: Images) -> Array:
        """Landmarks ``(N, L, 2)`` in pixels of ``inputs`` ``(N, S, S, 3)``, RGB."""
        (found,) = self._session.run([OUTPUT], {INPUT: inputs})
        return np.asarray(found, np.float64)


class OpenVinoNetwork:
    """One stage's network, run by OpenVINO on the processor, in bfloat16 where that has it."""

    def __init__(self, compiled: Any, input_size: int) -> None:
        self.input_size, self._request = input_size, compiled.create_infer_request()

    def __call__(self, inputs: Images) -> Array:
        """Landmarks ``(N, L, 2)`` in pixels of ``inputs`` ``(N, S, S, 3)``, RGB."""
        found = self._request.infer({INPUT: inputs}, share_inputs=True)
        return np.asarray(found[OUTPUT], np.float64)


def load(
    path: Path, precision: Precision
) -> tuple[Card, Sequence[OnnxNetwork] | Sequence[OpenVinoNetwork]]:
    """The card and the networks of a detector's files. Runs no code but the runtime's operators.

    Raises:
        BadOnnx: a runtime isn't installed, or a file is corrupt or another; one line.
    """
    first = _session(path)
    try:
        text = first.get_modelmeta().custom_metadata_map[HEADER]
        card = from_text(text)
        sessions = [first]
        for own in paths(path, len(card.networks))[1:]:
            sessions.append(_session(own))
            if sessions[-1].get_modelmeta().custom_metadata_map.get(HEADER) != text:
                raise ValueError(f"{own.name} is another detector's")
        sizes = [_input_size(one, card.landmarks) for one in sessions]
    except (LookupError, ValueError, TypeError, RecursionError) as error:
        if isinstance(error, BadOnnx):
            raise
        reason = " ".join(f"{error}".split())[:200]
        raise BadOnnx(f"{path}: not a detector of this project ({reason})") from error
    if precision == "float32":
        return card, [OnnxNetwork(*one) for one in zip(sessions, sizes, strict=True)]
    compiled = [_compiled(own) for own in paths(path, len(sizes))]
    return card, [OpenVinoNetwork(*one) for one in zip(compiled, sizes, strict=True)]


def _compiled(path: Path) -> Any:
    """A network that ``_session`` has taken, as OpenVINO runs it."""
    try:
        import openvino
    except ImportError:
        raise BadOnnx(
            f"{path}: to run ONNX in bfloat16 takes the package 'openvino': pip install openvino"
        ) from None
    options = {"INFERENCE_PRECISION_HINT": "bf16", "PERFORMANCE_HINT": "LATENCY"}
    core = openvino.Core()
    return core.compile_model(core.read_model(path.read_bytes(), b""), "CPU", options)


def _session(path: Path) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise BadOnnx(f"{path}: to run ONNX takes the package 'onnxruntime': {INSTALL}") from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # By itself it takes all of the machine's cores, whichever this process may use, and its threads
    # spin for a while after a call, in the way of the other stage's.
    options.intra_op_num_threads = _cores()
    options.add_session_config_entry("session.force_spinning_stop", "1")
    try:  # bytes, which can't refer to other files
        data = path.read_bytes()
    except OSError as error:
        raise BadOnnx(f"{path}: {error.strerror}") from error
    try:
        return onnxruntime.InferenceSession(data, options, ["CPUExecutionProvider"])
    except Exception as error:  # whatever a broken file makes it raise
        reason = " ".join(f"{error}".split())[:200]
        raise BadOnnx(f"{path}: not a detector of this project ({reason})") from error


def _cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _input_size(session: Any, landmarks: int) -> int:
    """The side of a network's input, px.

    Raises:
        ValueError: its inputs or outputs are others than ``exported`` gives it.
    """
    taken = [(one.name, one.type, one.shape[1:]) for one in session.get_inputs()]
    given = [(one.name, one.type, one.shape[1:]) for one in session.get_outputs()]
    size = taken[0][2][0] if taken and len(taken[0][2]) == 3 else None
    if not isinstance(size, int) or not 1 <= size <= 2048:
        raise ValueError("its input is no picture")
    wanted = (
        [(INPUT, "tensor(uint8)", [size, size, 3])],
        [(OUTPUT, "tensor(float)", [landmarks, 2])],
    )
    if (taken, given) != wanted:
        raise ValueError(f"it takes {taken} and gives {given}")
    return size
