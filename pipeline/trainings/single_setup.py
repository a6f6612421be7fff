"""Sets up one training on a CPU."""

import torch
from torch import nn

from pipeline.trainings import pretrained, training_data
from pipeline.trainings.spec import TrainingSpec
from wingloss import protocol
from wingloss.augmentation.perturbation import Faces
from wingloss.geometry import Array
from wingloss.models import networks
from wingloss.training import loop
from wingloss.training.loop import Alone, Member, Setting, Stepper, Training
from wingloss.training.on_processor import OnProcessor

Begun = tuple[Training, list[Member], Setting, Stepper]


def begin(spec: TrainingSpec) -> Begun:
    """The training before its first step, on a processor."""
    on = torch.device("cpu")
    fitting, validating = (training_data.faces(spec, split) for split in ("train", "val"))
    own, shared = member(spec, fitting[0], *validating, on), setting(spec)
    model = Alone(untrained(spec, own, shared), spec.recipe.precision)
    training = Training(model, 1, spec.recipe)
    return training, [own], shared, OnProcessor(training, [own], shared)


def setting(spec: TrainingSpec) -> Setting:
    """What it has in common with the trainings that may stand beside it."""
    rules = protocol.load(spec.dataset)
    return Setting(spec.network, spec.recipe, spec.steps, rules.flip_permutation, rules.boundaries)


def member(
    spec: TrainingSpec, fitting: Faces, validating: Faces, lengths: Array, on: torch.device
) -> Member:
    """What it has for itself: of its training faces, and its validation faces with their
    normalisers (see ``faces``), which are looked at on ``on``."""
    precision = spec.recipe.precision
    validate = loop.validation(spec.network, validating, lengths, precision, on)
    return Member(spec.objective, fitting, training_data.repetitions(spec), validate)


def untrained(spec: TrainingSpec, member: Member, setting: Setting) -> nn.Module:
    """The network before its first step."""
    n_landmarks = len(setting.flip_permutation)
    recipe = spec.recipe
    network = networks.build(spec.network, n_landmarks, spec.objective.seed, recipe.input_range)
    loop.make_first_guess(network, member, setting)
    if recipe.weights != "none":  # which know the mean shape better, if they know it
        held = pretrained.read(recipe.weights, spec.network, recipe.input_range)
        networks.take_over(network, held)
    return network
