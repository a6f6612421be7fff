"""Weights that a network may begin with: brought in by the user, never fetched."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pipeline import files
from pipeline.config import paths
from pipeline.errors import UserError
from wingloss.detection import detector_file
from wingloss.models import model_file
from wingloss.models.networks import RANGE
from wingloss.recipe import CENTRED, ModelFile, Weights


@dataclass(frozen=True)
class Published:
    """A file of weights."""

    name: str
    what: str
    sha256: str
    last_layer: str  # which answers something else


PUBLISHED = {
    "imagenet": Published(
        "resnet50-0676ba61.pth",
        "torchvision's ResNet50_Weights.IMAGENET1K_V1",
        "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
        last_layer="fc",
    )
}


def read(
    weights: Weights, network: str, input_range: tuple[float, float] = CENTRED
) -> dict[str, Tensor]:
    """The weights by their names in the network. Reading them never runs code.

    Raises:
        UserError: the file isn't there, is another one, or holds another network's, or one's
            whose inputs have another range than ``input_range``.
    """
    if isinstance(weights, ModelFile):
        return _of_model(weights, network, input_range)
    one = PUBLISHED[weights]
    path = Path(paths.INCOMING.format(dataset="weights")) / one.name
    if not path.exists():
        raise UserError(
            f"{path}: no such file; put {one.what} there, or set `weights: none` in the recipe"
        )
    found = files.file_hash(path)
    if found != one.sha256:
        raise UserError(f"{path}: its SHA-256 is {found}, that of {one.what} is {one.sha256}")
    held = torch.load(path, map_location="cpu", weights_only=True)
    return {name: held[name] for name in held if not name.startswith(f"{one.last_layer}.")}


def _of_model(
    weights: ModelFile, network: str, input_range: tuple[float, float]
) -> dict[str, Tensor]:
    """Those of a run's model, or of a detector's stage."""
    path = Path(weights.file)
    if not path.is_file():
        raise UserError(f"{path}: no such file; `weights` in the recipe names it")
    digest = files.file_hash(files.existing(path))
    if digest != weights.sha256:
        raise UserError(f"{path}: its SHA-256 is {digest}; `weights` in the recipe says otherwise")
    try:
        held = detector_file.networks(path)
    except model_file.BadModel as error:
        raise UserError(str(error)) from error
    if network not in held:
        raise UserError(f"{path}: it holds {', '.join(held)}, and no {network}")
    found = held[network].state_dict()
    seen = found.get(RANGE, torch.tensor(CENTRED))
    if not torch.equal(seen, torch.tensor(input_range)):
        raise UserError(
            f"{path}: its inputs are in {seen.tolist()}; `input_range` in the recipe is "
            f"{list(input_range)}"
        )
    return found
