"""Running a trained stage over the faces of a split."""

from pathlib import Path

import pandas as pd
import torch

from stages import command, files
from stages.errors import UserError
from stages.faces import read_faces
from stages.params import Context
from wingloss import model, training
from wingloss.augmentation import shrink
from wingloss.geometry import Array, apply, compose, invert, to_unit
from wingloss.networks import ARCHITECTURES
from wingloss.protocol import Protocol


def predict(
    path: Path,
    dataset: str,
    split: str,
    samples: pd.DataFrame,
    frames: Array,
    context: Context,
    rules: Protocol,
) -> Array:
    """Landmarks ``(N, L, 2)`` in image pixels, by the model in ``path``.

    ``samples`` are the split's rows and ``frames`` ``(N, 4)`` where the network looks, in image
    pixels. Runs in float32: what a precision costs in training is measured, not added to.
    """
    torch.set_num_threads(command.threads())
    try:
        name, network = model.load(files.existing(path))
    except model.BadModel as error:
        raise UserError(f"{error}; delete it and run again") from error
    device = training.device()
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    faces = read_faces(dataset, split, samples, frames, context, rules)
    small = shrink(faces, ARCHITECTURES[name].input_size)
    found = training.predict(network, name, small, "float32", device)
    if not len(samples):
        return found
    # from the shrunk crops' pixels by way of the unit square, which both crops share
    to_image = compose(invert(to_unit(frames)), small.to_unit)
    return apply(to_image, found)
