"""What CUDA alone runs: graphs, the fused optimiser there, deterministic kernels.

``pytest -m gpu`` on a machine that has one; without, each test is skipped and says so. The package
itself is enough: neither Snakemake nor DVC has to be there.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_training import LANDMARKS, OBJECTIVE, RECIPE, SGD, smooth_faces
from torch import Tensor

from wingloss.augmentation.perturbation import Faces
from wingloss.heatmap_losses import AdaptiveWing
from wingloss.losses import Wing
from wingloss.models import inference
from wingloss.models.networks import build
from wingloss.recipe import Recipe
from wingloss.training.loop import (
    Alone,
    Member,
    Setting,
    Training,
    make_first_guess,
    train,
    validation,
)
from wingloss.training.on_gpu import EAGER, OnGPU
from wingloss.training.on_processor import OnProcessor
from wingloss.training.stacked import Stacked

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here: CUDA isn't tested"),
]
SWAP = np.array([1, 0, 2])
RMSPROP = replace(RECIPE, optimiser="rmsprop", decay="thirds", momentum=0, precision="bfloat16")
STEPS = 42  # more than are taken before a graph is captured


@pytest.fixture(scope="module")
def on() -> torch.device:
    found = inference.device()
    inference.be_deterministic(found)
    return found


@pytest.fixture(scope="module")
def faces() -> Faces:
    return smooth_faces()


def members(faces: Faces, count: int, on: torch.device, name: str = "cnn6") -> list[Member]:
    """With a loss, a seed and validation faces of their own."""
    validate = validation(name, faces, np.full(6, 30.0), "float32", on)
    heats = AdaptiveWing(2.1, 14, 1, 0.5, weight=10)
    return [
        Member(
            replace(
                OBJECTIVE, seed=seed, loss=heats if name == "hourglass" else Wing(10 - seed, 2)
            ),
            faces,
            np.ones(6, np.int64),
            validate,
        )
        for seed in range(count)
    ]


def beginning(own: list[Member], setting: Setting, on: torch.device) -> Training:
    networks = [build(setting.network, LANDMARKS, one.objective.seed) for one in own]
    for network, one in zip(networks, own, strict=True):
        make_first_guess(network, one, setting)
        network.to(on)
    precision = setting.recipe.precision
    several = len(networks) > 1
    model = Stacked(networks, precision) if several else Alone(networks[0], precision)
    return Training(model, len(own), setting.recipe)


def run(
    trained: Training,
    own: list[Member],
    setting: Setting,
    on: torch.device,
    until: int | None = None,
) -> Training:
    stepper = OnGPU(trained, own, setting, on)
    for now in train(trained, own, setting, stepper):
        if now.step == until:
            break
    assert stepper.graph is not None or trained.step <= EAGER
    return trained


def bits(trained: Training) -> dict[str, Tensor]:
    return {name: value.cpu().clone() for name, value in trained.model.state().items()}


WAYS = {
    "one": (1, RECIPE, "cnn6"),
    "one, SGD": (1, SGD, "cnn6"),
    "one, bfloat16": (1, replace(RECIPE, precision="bfloat16"), "cnn6"),
    "three": (3, RECIPE, "cnn6"),
    "three, bfloat16": (3, replace(RECIPE, precision="bfloat16"), "cnn6"),
    "CNN-7": (2, replace(RECIPE, precision="bfloat16"), "cnn7"),
    "ResNet-50": (1, RECIPE, "resnet50"),
    "hourglass": (1, RMSPROP, "hourglass"),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_same_bits_twice_and_after_an_interruption(
    faces: Faces, on: torch.device, way: str
) -> None:
    count, recipe, name = WAYS[way]
    setting = Setting(name, recipe, STEPS, SWAP, ((0, 1, 2),))
    own = members(faces, count, on, name)
    whole, again = (run(beginning(own, setting, on), own, setting, on) for _ in range(2))
    first = run(beginning(own, setting, on), own, setting, on, until=22)
    resumed = beginning(own, setting, on)
    resumed.restore(first.checkpoint())
    run(resumed, own, setting, on)
    for other in (again, resumed):
        assert other.courses == whole.courses and not whole.is_over
        assert all(torch.equal(bits(other)[k], value) for k, value in bits(whole).items())


@pytest.mark.parametrize("recipe", [RECIPE, SGD], ids=["adamw", "sgd"])
def test_it_trains_as_a_processor_does(faces: Faces, on: torch.device, recipe: Recipe) -> None:
    """The same faces, draws and rates; pictures differ by rounding: so small steps."""
    recipe = replace(recipe, learning_rate=recipe.final_learning_rate)
    setting, cpu = Setting("cnn6", recipe, STEPS, SWAP), torch.device("cpu")
    there = members(faces, 1, cpu)
    by_opencv = beginning(there, setting, cpu)
    for _ in train(by_opencv, there, setting, OnProcessor(by_opencv, there, setting)):
        pass
    own = members(faces, 1, on)
    on_gpu = run(beginning(own, setting, on), own, setting, on)
    found, expected = (t.member(0).curve for t in (on_gpu, by_opencv))
    assert [p.loss for p in found] == pytest.approx([p.loss for p in expected], rel=0.05)
    assert found[-1].val_nme == pytest.approx(expected[-1].val_nme, rel=0.05)


def test_predictions_are_a_processors(faces: Faces, on: torch.device) -> None:
    """Float32 is float32: with TF32 they would differ by tenths of a pixel."""
    network = build("cnn6", LANDMARKS, seed=0)
    expected = inference.predict(network, "cnn6", faces, "float32", torch.device("cpu"))
    found = inference.predict(network.to(on), "cnn6", faces, "float32", on)
    np.testing.assert_allclose(found, expected, atol=1e-3)
