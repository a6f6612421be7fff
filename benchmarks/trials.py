"""What benchmarks share that train networks beside the pipeline: the training, and its errors."""

import dataclasses

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.runtime.host import keep_freed_memory
from pipeline.trainings import single_setup
from pipeline.trainings.spec import TrainingSpec
from wingloss import protocol
from wingloss.augmentation.perturbation import Faces
from wingloss.evaluation import metrics
from wingloss.geometry import Array, flip
from wingloss.models import inference
from wingloss.training.loop import Alone, Member, Training
from wingloss.training.loop import train as train_steps
from wingloss.training.on_processor import OnProcessor

CPU = torch.device("cpu")


def part(faces: Faces, chosen: np.ndarray) -> Faces:
    """Some of the faces."""
    return Faces(*(values[chosen] for values in vars(faces).values()))


def train(
    spec: TrainingSpec,
    faces: Faces,
    repeats: np.ndarray,
    samples: int,
    begin: dict[str, Tensor] | None = None,
) -> nn.Module:
    """The spec's network once it has seen ``samples`` samples of ``faces``.

    It begins with the weights ``begin``, or untrained.
    """
    keep_freed_memory()
    members = [Member(spec.objective, faces, repeats, lambda _: 0.0)]
    setting = dataclasses.replace(single_setup.setting(spec), steps=samples // spec.recipe.batch)
    network = single_setup.untrained(spec, members[0], setting)
    if begin:
        network.load_state_dict(begin)
    trained = Training(Alone(network, spec.recipe.precision), 1, spec.recipe)
    for _ in train_steps(trained, members, setting, OnProcessor(trained, members, setting)):
        pass
    return network


def nme(
    network: nn.Module, spec: TrainingSpec, faces: Faces, lengths: Array, mirrored: bool = False
) -> float:
    """The mean error in percent; ``lengths`` ``(N,)`` normalise, in pixels of the crops.

    With ``mirrored`` that of the mean of each picture's and its mirror image's landmarks.
    """
    rules = protocol.load(spec.dataset)

    def predict(crops: np.ndarray) -> Array:
        seen = dataclasses.replace(faces, crops=crops)
        return inference.predict(network, spec.network, seen, spec.recipe.precision, CPU)

    found = predict(faces.crops)
    if mirrored:
        size = faces.crops.shape[1]
        there = predict(np.ascontiguousarray(faces.crops[:, :, ::-1]))
        found = (found + flip(there, rules.flip_permutation, size)) / 2
    return 100 * float(metrics.nme(found, faces.points, lengths).mean())
