"""Model files: safetensors whose header says what network it is. Reading one never runs code."""

from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from wingloss import networks


class BadModel(ValueError):
    """A file that holds no model of this project; the message names it."""


def save(path: Path, network: nn.Module, name: str, n_landmarks: int) -> None:
    """Writes a network of ``wingloss.networks`` with its name and its number of landmarks."""
    tensors = {key: value.contiguous().cpu() for key, value in network.state_dict().items()}
    save_file(tensors, path, metadata={"network": name, "landmarks": str(n_landmarks)})


def load(path: Path) -> tuple[str, nn.Sequential]:
    """The network's name and the network.

    Raises:
        BadModel: the file is torn, or is no model of this project.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
        name, count = header["network"], int(header["landmarks"])
        network = networks.build(name, count, seed=0)
        network.load_state_dict(load_file(path))
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise BadModel(f"{path}: not a model of this project ({error})") from error
    return name, network
