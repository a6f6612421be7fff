"""A tiny training, for tests of the loop and of what calls it."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from wingloss.augmentation.perturbation import Augmentation, Faces
from wingloss.losses import Wing
from wingloss.models.networks import build
from wingloss.recipe import Recipe, Strength
from wingloss.training.loop import (
    Alone,
    Course,
    Member,
    Objective,
    Setting,
    Training,
    make_first_guess,
    train,
)
from wingloss.training.on_processor import OnProcessor

CPU = torch.device("cpu")
LANDMARKS, CROP = 3, 32
RECIPE = Recipe(
    optimiser="adamw",
    learning_rate=1e-3,
    final_learning_rate=1e-5,
    decay="cosine",
    warmup=0,
    learning_rate_factor={"l2": 0.1},
    momentum=0.9,
    weight_decay=0.05,
    batch=4,
    first_guess="zero",
    precision="float32",
    samples={"tiny": 60},
    strength=Strength(1, 1),
)
SGD = replace(RECIPE, optimiser="sgd", learning_rate=3e-5, weight_decay=5e-4)
OBJECTIVE = Objective(
    loss_kind="wing",
    loss=Wing(10, 2),
    augmentation=Augmentation(rotation=30, flip=0.5, box_shift=0.05, blur=0.5, blur_sigma=1),
    seed=0,
)
REPEATS = np.array([1, 2, 1, 3, 1, 1])
SWAP = np.array([1, 0, 2])


def whole_crops(pictures: np.ndarray, points: np.ndarray) -> Faces:
    """Faces whose frames are their whole context crops."""
    size = pictures.shape[1]
    to_unit = np.array([[1 / size, 0, 0.5 / size], [0, 1 / size, 0.5 / size]])
    return Faces(pictures, points, np.repeat(to_unit[None], len(pictures), axis=0))


def smooth_faces() -> Faces:
    """Six faces in smooth pictures, as interpolations of noise differ by more than rounding."""
    rng = np.random.default_rng(0)
    y, x = np.indices((48, 48)) / 48
    waves = rng.uniform(1, 9, (6, 3, 2)) @ np.stack([x, y]).reshape(2, -1)
    pictures = np.rint(127.5 + 127 * np.sin(waves)).astype(np.uint8)
    pictures = pictures.reshape(6, 3, 48, 48).transpose(0, 2, 3, 1).copy()
    return whole_crops(pictures, rng.uniform(8, 40, (6, LANDMARKS, 2)))


@pytest.fixture(scope="module")
def faces() -> Faces:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (len(REPEATS), CROP, CROP, 3), dtype=np.uint8)
    return whole_crops(pictures, rng.uniform(8, 24, (len(REPEATS), LANDMARKS, 2)))


def setting(recipe: Recipe = RECIPE, steps: int = 50, network: str = "cnn6") -> Setting:
    return Setting(network, recipe, steps, SWAP)


def beginning(
    faces: Faces, recipe: Recipe = RECIPE, repeats: np.ndarray = REPEATS, name: str = "cnn6"
) -> Training:
    """A training alone before its first step."""
    network = build(name, LANDMARKS, seed=0)
    member = Member(OBJECTIVE, faces, repeats, lambda network: 5.0)
    make_first_guess(network, member, setting(recipe, network=name))
    return Training(Alone(network, recipe.precision), 1, recipe)


def run(
    training: Training,
    faces: Faces,
    steps: int,
    recipe: Recipe = RECIPE,
    objective: Objective = OBJECTIVE,
    validate: Callable[[nn.Module], float] = lambda network: 5.0,
    until: int | None = None,
    name: str = "cnn6",
) -> list[float]:
    """Trains to ``steps``, or stops at ``until``; the loss of every step seen."""
    losses = []
    members, common = [Member(objective, faces, REPEATS, validate)], setting(recipe, steps, name)
    stepper = OnProcessor(training, members, common)
    for now in train(training, members, common, stepper):
        losses.append(now.report()[0])
        if now.step == until:
            break
    return losses


def weights(training: Training) -> dict[str, Tensor]:
    return training.model.state()


def course(training: Training) -> Course:
    return training.courses[0]
