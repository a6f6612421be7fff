"""Model files: safetensors whose header says what network it is. Reading one never runs code."""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from wingloss.models import networks


class BadModel(ValueError):
    """A file that holds no model of this project; the message names it."""


def save(path: Path, network: nn.Module, name: str, n_landmarks: int) -> None:
    """Writes a network with its name and its number of landmarks."""
    # One entry: safetensors writes several in any order, and equal models should be equal files.
    header = json.dumps({"network": name, "landmarks": n_landmarks})
    tensors = {key: value.contiguous().cpu() for key, value in network.state_dict().items()}
    save_file(tensors, path, metadata={"model": header})


def load(path: Path) -> tuple[str, nn.Module]:
    """The network's name and the network.

    Raises:
        BadModel: the file is corrupt, or is no model of this project; one line.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["model"])
            name, count = header["network"], header["landmarks"]
            _check(file, name, count)
            network = networks.build(name, count, seed=0)
            network.load_state_dict({key: file.get_tensor(key) for key in file.keys()})  # noqa: SIM118
    except _WRONG as error:
        reason = " ".join(f"{error}".split())[:200]
        raise BadModel(f"{path}: not a model of this project ({reason})") from error
    return name, network


# what safetensors, JSON, torch and a header of anything raise
_WRONG = (
    *(SafetensorError, OSError, LookupError, TypeError, ValueError, OverflowError),
    *(AttributeError, RuntimeError),
)
_TYPES = {torch.float32: "F32", torch.int64: "I64"}  # in safetensors' words


def _check(file: safe_open, name: str, count: int) -> None:
    """Whether the file holds the network's tensors, before memory is taken for any of them.

    Raises:
        ValueError: it doesn't.
    """
    with torch.device("meta"):
        wanted = networks.ARCHITECTURES[name].network(count).state_dict()
    for key in sorted({*wanted, *file.keys()}):
        if key not in wanted or key not in file.keys():  # noqa: SIM118
            raise ValueError(f"{key} is {'missing' if key in wanted else 'none of its tensors'}")
        found, tensor = file.get_slice(key), wanted[key]
        there = (found.get_dtype(), [*found.get_shape()])
        if there != (_TYPES[tensor.dtype], [*tensor.shape]):
            raise ValueError(f"{key} is {there}, not {(_TYPES[tensor.dtype], [*tensor.shape])}")
