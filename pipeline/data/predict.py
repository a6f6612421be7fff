"""Running a trained stage over faces."""

from pathlib import Path

import torch
from torch import nn

from pipeline import files
from pipeline.errors import UserError
from pipeline.runtime import cli
from wingloss.augmentation.perturbation import Faces, shrink
from wingloss.geometry import Array, apply, compose, invert, to_unit
from wingloss.models import inference, model_file
from wingloss.models.networks import ARCHITECTURES


def predict(path: Path, faces: Faces, frames: Array) -> Array:
    """Landmarks ``(N, L, 2)`` in image pixels of ``faces``, by the model in ``path``.

    ``frames`` ``(N, 4)`` are where the faces are seen, in image pixels. Runs in float32: what a
    precision costs in training is measured, not added to.
    """
    name, network, on = load(path)
    small = shrink(faces, ARCHITECTURES[name].input_size)
    found = inference.predict(network, name, small, "float32", on)
    if not len(faces):
        return found
    # from the shrunk crops' pixels by way of the unit square, which both crops share
    to_image = compose(invert(to_unit(frames)), small.to_unit)
    return apply(to_image, found)


def load(path: Path) -> tuple[str, nn.Module, torch.device]:
    """A model's network by name, its layers, and the device that they are on, ready to predict."""
    torch.set_num_threads(cli.threads())
    try:
        name, network = model_file.load(files.existing(path))
    except model_file.BadModel as error:
        raise UserError(
            f"{error}; delete it, and 'snakemake --cores all' or 'dvc repro' recreates it"
        ) from error
    on = inference.device()
    inference.be_deterministic(on)
    network = network.to(on, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return name, network, on
