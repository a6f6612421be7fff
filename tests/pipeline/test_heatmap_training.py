"""Hourglasses train, resume and come back as the networks of coordinates do."""

import io
import json
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from project import Project
from tiny_training import CPU, LANDMARKS, OBJECTIVE, RECIPE, SWAP

from pipeline.config import paths
from pipeline.config.paths import Run
from stages import summary
from wingloss.augmentation.perturbation import Faces
from wingloss.heatmap_losses import AdaptiveWing, heatmap_loss
from wingloss.models import inference, model_file
from wingloss.models.hourglass import Hourglasses
from wingloss.models.networks import ARCHITECTURES, build
from wingloss.training.loop import (
    Alone,
    Member,
    Setting,
    Training,
    learning_rate,
    member_losses,
    train,
)
from wingloss.training.on_gpu import OnGPU
from wingloss.training.on_processor import OnProcessor

SMALL = Hourglasses(stacks=2, features=16, input_size=64, map_size=16, sigma=1)
LOSS = AdaptiveWing(2.1, 14, 1, 0.5, weight=10)
HEATS = replace(OBJECTIVE, loss_kind="adaptive_wing", loss=LOSS)
RMSPROP = replace(
    RECIPE, optimiser="rmsprop", learning_rate=1e-3, decay="thirds", momentum=0, weight_decay=0
)
CONTOURS = ((0, 1, 2),)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two narrow hourglasses in the place of the one that is trained."""
    monkeypatch.setitem(ARCHITECTURES, "hourglass", SMALL)


def judged(network: torch.nn.Module) -> float:
    """Leaves the network as a validation does."""
    network.eval()
    return 5.0


def begun(faces: Faces, steps: int, kind: type = OnProcessor) -> tuple:
    """A training before its first step, and all that ``train`` needs."""
    members = [Member(HEATS, faces, np.ones(len(faces), np.int64), judged)]
    setting = Setting("hourglass", RMSPROP, steps, SWAP, CONTOURS)
    training = Training(Alone(build("hourglass", LANDMARKS, 0), "float32"), 1, RMSPROP)
    more = (CPU,) if kind is OnGPU else ()
    return training, members, setting, kind(training, members, setting, *more)


def steps_of(begun: tuple, until: int | None = None) -> list[float]:
    """The loss after each block of steps."""
    losses = []
    for now in train(*begun):
        losses.append(now.report()[0])
        if now.step == until:
            break
    return losses


def test_it_learns_its_faces(faces: Faces) -> None:
    one = begun(faces, 40)
    losses = steps_of(one)
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:5])


def test_a_step_minimises_the_loss_of_maps_drawn_from_the_perturbed_points(faces: Faces) -> None:
    training, members, setting, stepper = begun(faces, 1)
    ((pictures, points),) = stepper.batches(0)
    network = build("hourglass", LANDMARKS, 0)
    with torch.no_grad():
        maps = network(inference.to_input(torch.from_numpy(pictures), CPU))
    expected = heatmap_loss(maps, SMALL.targets(torch.tensor(points).float(), CONTOURS), LOSS)
    assert steps_of((training, members, setting, stepper)) == pytest.approx([expected.item()])


def test_an_interrupted_training_resumes_bit_by_bit(faces: Faces) -> None:
    through, first, second = (begun(faces, 12) for _ in range(3))
    steps_of(through)
    steps_of(first, until=7)
    file = io.BytesIO()
    torch.save(first[0].checkpoint(), file)
    file.seek(0)
    second[0].restore(torch.load(file, weights_only=True))
    steps_of(second)
    expected = through[0].model.state()
    assert expected["norm.num_batches_tracked"] == 12
    for name, value in second[0].model.state().items():
        assert torch.equal(value, expected[name]), name


def test_blocks_of_steps_are_the_same_training(faces: Faces) -> None:
    """What a GPU does, here without one: inputs differ by rounding."""
    singly, blocks = begun(faces, 3), begun(faces, 3, OnGPU)
    steps_of(singly)
    steps_of(blocks)
    found, expected = (one[0].member(0).curve[0].loss for one in (blocks, singly))
    assert found == pytest.approx(expected, rel=0.05)


def test_each_of_several_has_its_loss(faces: Faces) -> None:
    even = replace(HEATS, loss=replace(LOSS, weight=0))
    members = [Member(own, faces, np.ones(6, np.int64), judged) for own in (HEATS, even)]
    setting = Setting("hourglass", RMSPROP, 1, SWAP, CONTOURS)
    maps, vectors = torch.rand(2, 2, 2, 4, 16, 16), 64 * torch.rand(2, 2, 2 * LANDMARKS)
    weighted, plain = member_losses(members, setting, CPU)(maps, vectors)
    assert weighted > plain > 0


def test_three_rates_a_third_each() -> None:
    rates = [learning_rate(RMSPROP, "adaptive_wing", step, 9) for step in range(9)]
    assert rates == pytest.approx(3 * [1e-3] + 3 * [1e-4] + 3 * [1e-5])


def test_predictions_are_pixels_of_the_context_crop(faces: Faces) -> None:
    """Maps with a peak at a point give that point, in the crop that the input was cut from."""

    class Answers(torch.nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            true = torch.as_tensor(faces.points + 0.5).float() * 64 / 32 - 0.5
            return SMALL.targets(true, CONTOURS)[:, None].repeat(1, 2, 1, 1, 1)

    found = inference.predict(Answers(), "hourglass", faces, "float32", CPU)
    np.testing.assert_allclose(found, faces.points, atol=0.01)


def test_a_model_file_brings_it_back(tmp_path, faces: Faces) -> None:
    network = build("hourglass", LANDMARKS, 3).eval()
    model_file.save(tmp_path / "model.safetensors", network, "hourglass", LANDMARKS)
    name, loaded = model_file.load(tmp_path / "model.safetensors")
    assert name == "hourglass"
    expected, found = (
        inference.predict(one, "hourglass", faces, "float32", CPU) for one in (network, loaded)
    )
    assert np.array_equal(found, expected)


def test_it_goes_through_the_stages(finished: Project, call: Callable) -> None:
    finished.replace(
        "wingloss/models/networks.py",
        "Hourglasses(1, 128, 128, 32, sigma=1.25)",
        "Hourglasses(1, 8, 64, 16, sigma=1)",
    )
    finished.set(
        **{
            "runs.hourglass.balance": ["none"],
            "runs.hourglass.loss": ["adaptive_wing"],
            "recipes.fast.hourglass.batch": 2,
            "recipes.fast.hourglass.samples.synthetic": 6,
        }
    )
    cell = Run("synthetic", "fast", "hourglass", "none", "adaptive_wing", 0)
    words = [
        "--dataset=synthetic",
        "--recipe=fast",
        "--network=hourglass",
        "--balance=none",
        "--loss=adaptive_wing",
    ]
    assert "3 steps of 2" in finished.run("stages.train", *words, "--stage=1", "--seed=0")
    finished.run("stages.evaluate", *words, "--seed=0")
    assert call(finished, summary, dataset="synthetic")[0] == 0
    about = json.loads(finished.read(str(cell.path(paths.MANIFEST, stage=1))))
    assert about["inputs"]["objective"]["loss"]["weight"] == 10
    assert len(about["inputs"]["points"]["boundaries"]) > 5
    rows = finished.read("results/synthetic/summary.csv").decode().splitlines()
    (own,) = [
        row for row in rows if ",hourglass,none,adaptive_wing," in row and ",test,full," in row
    ]
    assert "alpha=2.1 omega=14 epsilon=1 theta=0.5 weight=10" in own

    drawn = finished.run("commands.inspect_heatmaps", *words, "--seed=0")
    sheet = "results/synthetic/inspect/heatmaps-fast-hourglass-none-adaptive_wing-seed0.jpg"
    assert f"{sheet} written" in drawn
    picture = cv2.imread(str(finished.root / sheet))
    assert picture.shape == (8 * 64, 5 * 64, 3) and picture.std() > 20
