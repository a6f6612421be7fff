"""Trainings side by side: each ends as it would by itself."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_training import CPU, LANDMARKS, OBJECTIVE, RECIPE, SGD, SWAP, smooth_faces
from torch import nn

from wingloss.augmentation import on_device
from wingloss.augmentation.perturbation import Augmentation, Faces, draw, perturb
from wingloss.augmentation.samples import Samples
from wingloss.geometry import to_unit
from wingloss.losses import L1, L2, CoordinateLosses, SmoothL1, Wing, landmark_loss
from wingloss.models import inference
from wingloss.models.networks import ARCHITECTURES, Plain, Residual, build, to_shape_vectors
from wingloss.recipe import Recipe
from wingloss.training import loop, on_gpu
from wingloss.training.loop import Alone, Member, Setting, Training, train
from wingloss.training.on_gpu import OnGPU
from wingloss.training.on_processor import OnProcessor
from wingloss.training.stacked import Stacked

BALANCED = np.array([1, 2, 1, 3, 1, 1])


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """CNN-6 with few kernels: nothing here depends on their number."""
    tiny = Plain(64, (4, 8, 8, 8, 16), 32)
    monkeypatch.setitem(ARCHITECTURES, "cnn6", tiny)
    monkeypatch.setattr(on_gpu, "AT_ONCE", 24)  # a block's inputs are made in several pieces


@pytest.fixture(scope="module")
def faces() -> Faces:
    return smooth_faces()


def judged(nme: float) -> Callable[[nn.Sequential], float]:
    """A validation that leaves the network as a real one does."""

    def validate(network: nn.Sequential) -> float:
        network.eval()
        return nme

    return validate


@pytest.fixture(scope="module")
def members(faces: Faces) -> list[Member]:
    """One has another Wing loss, one another loss, seed, balance and frames."""
    corrected = replace(faces, to_unit=to_unit(np.tile([22, 25, 40, 0.2], (6, 1))))
    return [
        Member(OBJECTIVE, faces, BALANCED, judged(5)),
        Member(replace(OBJECTIVE, loss=Wing(4, 0.5)), faces, BALANCED, judged(6)),
        Member(
            replace(OBJECTIVE, loss_kind="smooth_l1", loss=SmoothL1(), seed=5),
            corrected,
            np.ones(6, np.int64),
            judged(7),
        ),
    ]


def common(recipe: Recipe = RECIPE, steps: int = 22, network: str = "cnn6") -> Setting:
    return Setting(network, recipe, steps, SWAP)


def first_networks(members: list[Member], shared: Setting) -> list[nn.Sequential]:
    networks = [build(shared.network, LANDMARKS, member.objective.seed) for member in members]
    for network, member in zip(networks, members, strict=True):
        loop.make_first_guess(network, member, shared)
    return networks


def beginning(members: list[Member], shared: Setting) -> Training:
    networks, recipe = first_networks(members, shared), shared.recipe
    several = len(networks) > 1
    model = Stacked(networks, recipe.precision) if several else Alone(networks[0], recipe.precision)
    return Training(model, len(members), recipe)


def together(members: list[Member], shared: Setting, until: int | None = None) -> Training:
    return go_on(beginning(members, shared), members, shared, until)


def go_on(
    begun: Training, members: list[Member], shared: Setting, until: int | None = None
) -> Training:
    for now in train(begun, members, shared, OnGPU(begun, members, shared, CPU)):
        if now.step == until:
            break
    return begun


def by_itself(member: Member, shared: Setting) -> tuple[nn.Sequential, list[float]]:
    """One member's network by a plain loop over its steps, with the loss of every step."""
    recipe, objective = shared.recipe, member.objective
    (network,) = first_networks([member], shared)
    optimiser = loop.make_optimiser(
        [p for p in network.parameters() if p.ndim > 1],
        [p for p in network.parameters() if p.ndim == 1],
        recipe,
    )
    samples = Samples(
        member.repeats, objective.augmentation, objective.seed, RECIPE.strength, budget=60
    )
    losses = []
    for step in range(shared.steps):
        place = (step * recipe.batch, recipe.batch)
        inputs, points = on_device.perturb(
            on_device.DeviceFaces.of([member.faces], CPU),
            torch.from_numpy(samples.order(*place)),
            torch.zeros(recipe.batch, dtype=torch.int64),
            torch.from_numpy(on_device.pack(samples.draws(*place))),
            objective.augmentation.blur_sigma,
            64,
            torch.from_numpy(SWAP),
        )
        for group in optimiser.param_groups:
            group["lr"] = loop.learning_rate(recipe, objective.loss, step, shared.steps)
        optimiser.zero_grad()
        predicted = inference.forward(network, inputs, recipe.precision)
        loss = landmark_loss(predicted, to_shape_vectors(points), objective.loss)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return network, losses


@pytest.mark.parametrize("recipe", [RECIPE, replace(SGD, first_guess="mean_shape")])
def test_members_end_as_they_would_by_themselves(members: list[Member], recipe: Recipe) -> None:
    shared = common(recipe, steps=19)  # every step makes a point of the curve
    all_of_them = together(members, shared)
    for index, member in enumerate(members):
        alone, losses = by_itself(member, shared)
        now = all_of_them.member(index)
        assert [point.loss for point in now.curve] == pytest.approx(losses, rel=1e-3)
        assert {point.val_nme for point in now.curve} == {5.0 + index}
        for name, weight in alone.state_dict().items():
            apart = (now.network.state_dict()[name] - weight).norm()
            assert apart <= 1e-3 * weight.norm()


def test_members_train_as_faces_warped_by_opencv_do(members: list[Member]) -> None:
    """The same faces, draws and rates; pictures differ by rounding."""
    shared = common(SGD, steps=19)
    for chosen in (members[:1], members):  # one by itself, and several
        by_opencv = beginning(chosen, shared)
        for _ in train(by_opencv, chosen, shared, OnProcessor(by_opencv, chosen, shared)):
            pass
        on_device = together(chosen, shared)
        for index in range(len(chosen)):
            curve, other = (t.member(index).curve for t in (on_device, by_opencv))
            assert [p.samples for p in curve] == [p.samples for p in other]
            assert [p.learning_rate for p in curve] == [p.learning_rate for p in other]
            assert [p.loss for p in curve] == pytest.approx([p.loss for p in other], rel=0.02)


def test_members_train_in_bfloat16(members: list[Member]) -> None:
    half = common(replace(RECIPE, precision="bfloat16"), steps=3)
    full = common(steps=3)
    found = [together(members, shared).member(1).curve[-1].loss for shared in (half, full)]
    assert found[0] != found[1] and found[0] == pytest.approx(found[1], rel=0.05)


def test_blocks_change_no_bit(members: list[Member], monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = together(members, common(steps=82))
    monkeypatch.setattr(on_gpu, "BLOCK", 1)
    singles = together(members, common(steps=82))
    assert singles.courses == blocks.courses
    found = singles.model.state()
    assert all(torch.equal(found[name], v) for name, v in blocks.model.state().items())


def test_interrupted_trainings_go_on_bit_by_bit(
    members: list[Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Amid the points of its curve, and with a member that is lost already."""
    shared = common(steps=62)  # three steps make a point of the curve
    monkeypatch.setattr(on_gpu, "BLOCK", 1)

    def begun() -> Training:
        fresh = beginning(members, shared)
        with torch.no_grad():
            fresh.model.state()["0.bias"][1] = torch.nan
        return fresh

    whole = go_on(begun(), members, shared)
    first = go_on(begun(), members, shared, until=22)
    second = beginning(members, shared)
    second.restore(first.checkpoint())
    assert second.step == 22 and second.courses[0].losses
    assert [course.diverged for course in second.courses] == [None, 1, None]
    assert second.report() == first.report() and np.isfinite(second.report()).all()
    go_on(second, members, shared)
    assert second.step == whole.step == 62
    for index in (0, 2):
        assert second.courses[index] == whole.courses[index]
        for name, values in whole.model.state().items():
            assert torch.equal(second.model.state()[name][index], values[index])


def test_one_resnet_goes_on_with_its_running_means(
    members: list[Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And ends as it does on a processor."""
    monkeypatch.setitem(ARCHITECTURES, "resnet50", Residual(32, 4, (1, 1, 1, 1)))
    shared = common(network="resnet50", steps=42)
    member = members[0]

    whole = together([member], shared)
    first = together([member], shared, until=22)
    second = beginning([member], shared)
    second.restore(first.checkpoint())
    go_on(second, [member], shared)
    now, then = (t.member(0).network.state_dict() for t in (whole, second))
    assert now["bn1.num_batches_tracked"] == 42 and now["bn1.running_mean"].abs().max() > 0
    assert all(torch.equal(now[name], then[name]) for name in now)
    by_opencv = beginning([member], shared)
    for _ in train(by_opencv, [member], shared, OnProcessor(by_opencv, [member], shared)):
        pass
    curve, other = (t.member(0).curve for t in (whole, by_opencv))
    assert [p.loss for p in curve] == pytest.approx([p.loss for p in other], rel=0.05)


def test_a_member_that_diverges_leaves_the_others_alone(members: list[Member]) -> None:
    shared = common(steps=42)  # blocks of two steps
    begun = beginning(members, shared)
    with torch.no_grad():
        begun.model.state()["0.bias"][1] = torch.nan
    go_on(begun, members, shared)
    healthy = together(members, shared)
    assert [course.diverged for course in begun.courses] == [None, 1, None] and begun.step == 42
    lost = begun.member(1)
    assert lost.diverged and lost.step == 1 and [p.samples for p in lost.curve] == [4]
    assert lost.curve[0].learning_rate == loop.learning_rate(RECIPE, "wing", 0, 42)
    for index in (0, 2):
        losses = [[p.loss for p in e.member(index).curve] for e in (begun, healthy)]
        assert losses[0] == pytest.approx(losses[1])


def test_weights_are_decayed_and_biases_are_not(members: list[Member]) -> None:
    weights, biases = beginning(members, common()).optimiser.param_groups
    assert {p.ndim for p in weights["params"]} == {3, 5} and weights["weight_decay"] == 0.05
    assert {p.ndim for p in biases["params"]} == {2} and biases["weight_decay"] == 0


def test_losses_are_the_members_own() -> None:
    predicted, target = torch.randn(2, 6, 5, 8) * 9
    own = [L2(), L1(), Wing(5, 1.5), Wing(6, 2), SmoothL1(), Wing(8, 3)]
    found = CoordinateLosses(own, CPU)(predicted, target)
    for index, loss in enumerate(own):
        expected = landmark_loss(predicted[index], target[index], loss)
        torch.testing.assert_close(found[index], expected)


FULL = Augmentation(rotation=30, flip=0.5, box_shift=0.05, blur=0.5, blur_sigma=1)


@pytest.mark.parametrize("sigma", [1.0, 0.6, 2.0])
def test_batches_on_the_device_are_opencvs(faces: Faces, sigma: float) -> None:
    """Within OpenCV's rounding: half a grey level twice, and 32nds of a pixel on these waves."""
    frames = np.array([[20 + i, 24, 30, 0.1 * i] for i in range(6)])
    faces = replace(faces, to_unit=to_unit(frames))  # some look beyond their crops' edges
    chosen = np.arange(60) % 6
    drawn = draw(FULL, 60, np.random.default_rng(1))
    pictures, points = perturb(faces, chosen, drawn, sigma, 64, SWAP)
    inputs, found = on_device.perturb(
        on_device.DeviceFaces.of([faces], CPU),
        torch.from_numpy(chosen),
        torch.zeros(60, dtype=torch.int64),
        torch.from_numpy(on_device.pack(drawn)),
        sigma,
        64,
        torch.from_numpy(SWAP),
    )
    np.testing.assert_allclose(found, points, atol=1e-3)
    difference = 127.5 * (inputs.permute(0, 2, 3, 1).numpy() + 1) - pictures
    assert np.abs(difference).max() < 3 and np.abs(difference).mean() < 0.5
