"""The losses as modules, and the page that shows them."""

import re

import pytest
import torch
from project import ROOT

import wingloss
from wingloss.heatmap_losses import AdaptiveWing, heatmap_loss
from wingloss.nn import AdaptiveWingLoss, WingLoss


def test_wing_of_points_and_of_shape_vectors_is_the_papers_sum():
    target = torch.tensor([[[10.0, 20], [30, 40]]])
    predicted = target + torch.tensor([[[1.0, 0], [-20, 0]]])
    linear = 20 - (10 - 10 * torch.tensor(6.0).log())  # beyond w: |x| - C
    expected = 10 * torch.tensor(1.5).log() + linear
    assert WingLoss()(predicted, target).item() == pytest.approx(expected.item())
    assert WingLoss()(predicted.flatten(1), target.flatten(1)).item() == pytest.approx(
        expected.item()
    )


@pytest.mark.parametrize("given", [{"w": 0.0}, {"epsilon": -1.0}, {"w": float("nan")}])
def test_wing_refuses_what_is_no_size(given: dict):
    with pytest.raises(ValueError, match="w and epsilon are pixels above zero"):
        WingLoss(**given)


def test_wing_refuses_targets_that_are_no_pixels_and_shapes_that_differ():
    with pytest.raises(ValueError, match="pixels of the network's input; multiply"):
        WingLoss()(torch.rand(2, 6), torch.rand(2, 6))
    with pytest.raises(ValueError, match=r"predicted is \[2, 6\], and target \[2, 3, 2\]"):
        WingLoss()(torch.rand(2, 6), 64 * torch.rand(2, 3, 2))


@pytest.mark.parametrize("shape", [(68, 2), (2, 7), (8,), (2, 3, 4, 2), (2, 68, 3)])
def test_wing_refuses_shapes_that_are_no_batch_of_landmarks(shape: tuple[int, ...]):
    with pytest.raises(ValueError, match=r"and should be \[N, L, 2\] or \[N, 2L\]$"):
        WingLoss()(64 * torch.rand(shape), 64 * torch.rand(shape))


def test_the_modules_say_their_parameters():
    assert repr(WingLoss(15, 3)) == "WingLoss(w=15, epsilon=3)"
    expected = "AdaptiveWingLoss(alpha=2.1, omega=14, epsilon=1, theta=0.5, weight=10)"
    assert repr(AdaptiveWingLoss()) == expected


def test_adaptive_wing_takes_maps_with_and_without_stacks():
    predicted, target = torch.rand(2, 3, 4, 8, 8), torch.rand(2, 4, 8, 8)
    expected = heatmap_loss(predicted, target, AdaptiveWing(2.1, 14, 1, 0.5, 10))
    assert torch.equal(AdaptiveWingLoss()(predicted, target), expected)
    alone = [AdaptiveWingLoss()(predicted[:, i], target) for i in range(3)]
    torch.testing.assert_close(sum(alone), expected)


@pytest.mark.parametrize(
    "given", [{"alpha": 2.0}, {"omega": 0.0}, {"epsilon": 0.0}, {"theta": 1.5}, {"weight": -1.0}]
)
def test_adaptive_wing_refuses_what_bends_wrongly(given: dict):
    with pytest.raises(ValueError, match="alpha is above 2"):
        AdaptiveWingLoss(**given)


def test_adaptive_wing_refuses_maps_of_other_shapes():
    with pytest.raises(ValueError, match=r"predicted is \[2, 4, 8, 8\], and target \[2, 5, 8, 8\]"):
        AdaptiveWingLoss()(torch.rand(2, 4, 8, 8), torch.rand(2, 5, 8, 8))


@pytest.mark.parametrize("loss", [WingLoss(), AdaptiveWingLoss()])
def test_what_has_no_loss_is_refused(loss: torch.nn.Module):
    whole = torch.ones(2, 3, 4, 4, dtype=torch.uint8)
    with pytest.raises(ValueError, match=r"predicted is torch\.uint8; it should be floating-point"):
        loss(whole, whole)
    with pytest.raises(ValueError, match=r"predicted is empty: \[0, 3, 4, 4\]"):
        loss(torch.ones(0, 3, 4, 4), torch.ones(0, 3, 4, 4))


@pytest.mark.parametrize("loss", [WingLoss(), AdaptiveWingLoss()])
def test_arrays_are_no_tensors(loss: torch.nn.Module):
    maps = torch.ones(2, 3, 4, 4)
    with pytest.raises(TypeError, match="^predicted is a ndarray, not a tensor"):
        loss(maps.numpy(), maps)
    with pytest.raises(TypeError, match="^target is a list, not a tensor"):
        loss(maps, [1.0])


def test_the_package_has_the_losses_too():
    assert (wingloss.WingLoss, wingloss.AdaptiveWingLoss) == (WingLoss, AdaptiveWingLoss)
    with pytest.raises(AttributeError, match="no attribute 'Wing'"):
        wingloss.Wing  # noqa: B018


@pytest.mark.parametrize("value", [255.0, -0.1, float("nan")])
def test_adaptive_wing_refuses_targets_that_are_no_maps_values(value: float):
    with pytest.raises(ValueError, match=r"target has a value outside \[0, 1\]"):
        AdaptiveWingLoss()(torch.rand(1, 1, 4, 4), torch.full((1, 1, 4, 4), value))


def test_the_pages_examples_run():
    page = (ROOT / "docs/guide/losses.md").read_text(encoding="utf-8")
    wing, heat_maps = re.findall(r"```python\n(.*?)```", page, re.S)
    torch.manual_seed(0)
    seen: dict = {}
    exec(wing, seen)
    assert seen["loss"].item() < 0.5 * seen["wing"](torch.zeros(8, 68, 2), seen["landmarks"]).item()
    exec(heat_maps, seen)
    assert seen["predicted"].grad.abs().sum() > 0
