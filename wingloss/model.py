"""Model files: safetensors whose header says what network it is. Reading one never runs code."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from wingloss import networks


class BadModel(ValueError):
    """A file that holds no model of this project; the message names it."""


def save(path: Path, network: nn.Module, name: str, n_landmarks: int) -> None:
    """Writes a network of ``wingloss.networks`` with its name and its number of landmarks."""
    # One entry: safetensors writes several in any order, and equal models should be equal files.
    header = json.dumps({"network": name, "landmarks": n_landmarks})
    tensors = {key: value.contiguous().cpu() for key, value in network.state_dict().items()}
    save_file(tensors, path, metadata={"model": header})


def load(path: Path) -> tuple[str, nn.Sequential]:
    """The network's name and the network.

    Raises:
        BadModel: the file is torn, or is no model of this project.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["model"])
        name, count = header["network"], header["landmarks"]
        network = networks.build(name, count, seed=0)
        network.load_state_dict(load_file(path))
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise BadModel(f"{path}: not a model of this project ({error})") from error
    return name, network
