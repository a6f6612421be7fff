"""Model files: safetensors whose header says what network it is. Reading one never runs code."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as as_bytes
from torch import Tensor, nn

from wingloss.models import networks
from wingloss.protocol import MOST
from wingloss.recipe import CENTRED


class BadModel(ValueError):
    """A file that holds no model of this project; the message names it."""


def save(path: Path, network: nn.Module, name: str, n_landmarks: int) -> None:
    """Writes a network with its name and its number of landmarks."""
    # One entry: safetensors writes several in any order, and equal models should be equal files.
    header = json.dumps({"network": name, "landmarks": n_landmarks})
    write(path, tensors(network), {"model": header})


def write(path: Path, held: dict[str, Tensor], header: dict[str, str]) -> None:
    """Writes tensors with a header, readable for whom the process's other files are.

    The library's own way of writing files is for their owner alone.
    """
    path.write_bytes(as_bytes(held, metadata=header))


def load(path: Path) -> tuple[str, nn.Module]:
    """The network's name and the network.

    Raises:
        BadModel: the file is corrupt, or is no model of this project; one line.
    """
    with reading(path) as file:
        header = json.loads((file.metadata() or {})["model"])
        name = header["network"]
        return name, network(file, name, header["landmarks"])


@contextmanager
def reading(path: Path, kind: str = "model") -> Iterator[Any]:
    """A file of safetensors that is open; what is wrong with it in the block becomes one line.

    Raises:
        BadModel: the block failed.
    """
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except _WRONG as error:
        reason = " ".join(f"{error}".split())[:200]
        raise BadModel(f"{path}: not a {kind} of this project ({reason})") from error


# what safetensors, JSON, torch and a header of anything raise
_WRONG = (
    *(SafetensorError, OSError, LookupError, TypeError, ValueError, OverflowError),
    *(AttributeError, RuntimeError),
)
_TYPES = {torch.float32: "F32", torch.int64: "I64"}  # in safetensors' words


def tensors(network: nn.Module, prefix: str = "") -> dict[str, Tensor]:
    """A network's tensors as a file holds them; their names begin with ``prefix``."""
    return {prefix + key: value.contiguous().cpu() for key, value in network.state_dict().items()}


def network(file: Any, name: str, n_landmarks: int, prefix: str = "") -> nn.Module:
    """The network ``name`` of the open file's tensors whose names begin with ``prefix``.

    Raises:
        ValueError: they aren't that network's. Shapes are compared before memory
            is taken for any of them.
    """
    if type(n_landmarks) is not int or not 1 <= n_landmarks <= MOST:
        raise ValueError(f"landmarks: {n_landmarks!r} should be a number from 1 to {MOST}")
    there = {key for key in file.keys() if key.startswith(prefix)}  # noqa: SIM118
    # which values its range has is among the tensors
    input_range = (0.0, 1.0) if prefix + networks.RANGE in there else CENTRED
    with torch.device("meta"):
        plain = networks.ARCHITECTURES[name].network(n_landmarks)
        wanted = networks.seeing(plain, input_range).state_dict()
    for key in sorted({*(prefix + key for key in wanted), *there}):
        tensor = wanted.get(key.removeprefix(prefix))
        if tensor is None or key not in there:
            raise ValueError(f"{key} is {'none of its tensors' if tensor is None else 'missing'}")
        found = file.get_slice(key)
        held = (found.get_dtype(), [*found.get_shape()])
        if held != (_TYPES[tensor.dtype], [*tensor.shape]):
            raise ValueError(f"{key} is {held}, not {(_TYPES[tensor.dtype], [*tensor.shape])}")
    built = networks.build(name, n_landmarks, seed=0, input_range=input_range)
    built.load_state_dict({key: file.get_tensor(prefix + key) for key in wanted})
    return built
