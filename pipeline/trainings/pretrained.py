"""Published weights that a network may begin with: brought in by the user, never fetched."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pipeline.config import paths
from pipeline.data import files
from pipeline.runtime.errors import UserError


@dataclass(frozen=True)
class Published:
    """A file of weights."""

    name: str
    what: str
    sha256: str


PUBLISHED = {
    "imagenet": Published(
        "resnet50-0676ba61.pth",
        "torchvision's ResNet50_Weights.IMAGENET1K_V1",
        "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
    )
}


def read(name: str) -> dict[str, Tensor]:
    """The published weights by their names in the network. Reading them never runs code.

    Raises:
        UserError: the file isn't there, or is another one.
    """
    one = PUBLISHED[name]
    path = Path(paths.INCOMING.format(dataset="weights")) / one.name
    if not path.exists():
        raise UserError(
            f"{path}: no such file; put {one.what} there, or set `weights: none` in the recipe"
        )
    found = files.file_hash(path)
    if found != one.sha256:
        raise UserError(f"{path}: its SHA-256 is {found}, that of {one.what} is {one.sha256}")
    return torch.load(path, map_location="cpu", weights_only=True)
