"""Adaptive Wing loss against numbers worked out by hand, and the weighted loss map."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from project import ROOT
from scipy.ndimage import grey_dilation
from torch import Tensor

from wingloss.heatmap_losses import (
    HEATMAP_LOSSES,
    AdaptiveWing,
    HeatmapLoss,
    HeatmapLosses,
    HeatmapMSE,
    heatmap_loss,
    loss_weights,
)

PAPERS = AdaptiveWing(alpha=2.1, omega=14, epsilon=1, theta=0.5, weight=10)
FUNCTIONS = {"heatmap_mse": HeatmapMSE(weight=0), "adaptive_wing": PAPERS}
true_values = st.floats(0, 1)
errors = st.floats(-3, 3)
losses = st.builds(
    AdaptiveWing,
    alpha=st.floats(2.05, 4),
    omega=st.floats(1, 30),
    epsilon=st.floats(0.2, 3),
    theta=st.floats(0.1, 1),
)


def double(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def value(loss: HeatmapLoss, error: float, y: float) -> float:
    return loss(double(y + error), double(y)).item()


def slope(loss: HeatmapLoss, error: float, y: float) -> float:
    """The derivative by the prediction."""
    predicted = double(y + error).requires_grad_()
    loss(predicted, double(y)).backward()
    return predicted.grad.item()


@pytest.mark.parametrize(
    ("y", "error", "expected"),
    [
        (0, 0, 0),
        (1, 0, 0),
        (0, 0.1, 0.11076661),  # 14 ln(1 + 0.1^2.1), 0.1^2.1 = 0.00794328
        (1, -0.1, 1.07010036),  # 14 ln(1 + 0.1^1.1), 0.1^1.1 = 0.0794328
        (0.5, 0.3, 1.90395257),  # 14 ln(1 + 0.3^1.6), 0.3^1.6 = 0.14567801
        # A = 14 2.1 0.5^1.1 / (1 + 0.5^2.1), at theta 14 ln(1 + 0.5^2.1)
        (0, 1, 2.93523509 + 11.12142165 / 2),
        # A = 14 1.1 0.5^0.1 / (1 + 0.5^1.1), at theta 14 ln(1 + 0.5^1.1)
        (1, -1, 5.36045801 + 9.79784961 / 2),
    ],
)
def test_values_by_hand(y: float, error: float, expected: float):
    assert value(PAPERS, error, y) == pytest.approx(expected, rel=1e-7)


@given(y=true_values, error=errors, loss=losses)
def test_the_papers_formula(y: float, error: float, loss: AdaptiveWing):
    """With A and C as they stand in the paper, for parameters of any kind."""
    d, power, end = abs(error), loss.alpha - y, loss.theta / loss.epsilon
    a = loss.omega * power * end ** (power - 1) / (1 + end**power) / loss.epsilon
    c = loss.theta * a - loss.omega * math.log(1 + end**power)
    near = loss.omega * math.log(1 + (d / loss.epsilon) ** power)
    expected = near if d < loss.theta else a * d - c
    assert value(loss, error, y) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(y=true_values, loss=losses)
def test_value_and_slope_are_continuous_at_theta(y: float, loss: AdaptiveWing):
    before, after = (loss.theta + step for step in (-1e-7, 1e-7))
    rise = value(loss, after, y) - value(loss, before, y)
    assert rise == pytest.approx(2e-7 * slope(loss, after, y), rel=1e-3)
    assert slope(loss, after, y) == pytest.approx(slope(loss, before, y), rel=1e-5)
    assert slope(loss, 3.0, y) == slope(loss, 2.0, y) == pytest.approx(slope(loss, after, y))


@given(y=true_values, error=errors)
def test_slope_is_that_of_the_logarithm_and_of_the_line(y: float, error: float):
    error = y + error - y  # as far as the prediction holds it
    power = 2.1 - y
    d = min(abs(error), 0.5)
    expected = 14 * power * d ** (power - 1) / (1 + d**power)
    if abs(abs(error) - 0.5) > 1e-6:
        assert slope(PAPERS, error, y) == pytest.approx(math.copysign(expected, error), rel=1e-9)


@pytest.mark.parametrize("kind", FUNCTIONS)
@given(first=errors, second=errors, y=true_values)
def test_symmetric_and_a_larger_error_never_costs_less(
    kind: str, first: float, second: float, y: float
):
    loss = FUNCTIONS[kind]
    small, large = sorted([abs(first), abs(second)])
    assert 0 <= value(loss, small, y) <= value(loss, large, y) + 1e-12
    assert value(loss, -large, y) == pytest.approx(value(loss, large, y), rel=1e-9)


def test_small_errors_count_more_where_the_truth_is_high():
    """What is adaptive of it: on the background it is about a square, on a peak about Wing."""
    assert slope(PAPERS, 0.02, 1) > 7 > 1 > slope(PAPERS, 0.02, 0) > 0


@pytest.mark.parametrize("error", [0.0, 1e-30, 0.5, 1e30])
@pytest.mark.parametrize("y", [0.0, 1.0])
def test_slopes_are_finite_in_float32(error: float, y: float):
    predicted = torch.tensor([y + error]).requires_grad_()
    PAPERS(predicted, torch.tensor([y])).sum().backward()
    assert predicted.grad.isfinite().all()
    assert error or predicted.grad.item() == 0


def test_mse_is_the_square():
    assert HeatmapMSE(weight=0)(double(0.5, -1), double(1, 1)).tolist() == [0.25, 4]


def test_every_loss_is_tested_here():
    assert {kind: type(loss) for kind, loss in FUNCTIONS.items()} == HEATMAP_LOSSES


def test_trainings_side_by_side_have_their_own():
    """Each its loss, on maps drawn from its own shapes."""
    losses = [PAPERS, HeatmapMSE(weight=3)]
    predicted, vectors = torch.rand(2, 4, 2, 3, 5, 5), torch.rand(2, 4, 6)

    def drawn(one: Tensor) -> Tensor:
        return one[:, :3, None, None].expand(4, 3, 5, 5)

    found = HeatmapLosses(losses, drawn)(predicted, vectors)
    expected = [
        heatmap_loss(maps, drawn(own), loss)
        for maps, own, loss in zip(predicted, vectors, losses, strict=True)
    ]
    torch.testing.assert_close(found, torch.stack(expected))


def test_parameters_are_read_without_torch():
    script = "import sys, wingloss.heatmap_losses; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


def test_pixels_above_a_fifth_and_their_neighbours_weigh_more():
    target = torch.zeros(1, 2, 5, 6)
    target[0, 0, 0, 0] = 1  # a corner has three neighbours
    target[0, 1, 2, 3] = 0.21
    target[0, 1, 4, 0] = 0.2  # not above
    expected = torch.ones_like(target)
    expected[0, 0, :2, :2] = expected[0, 1, 1:4, 2:5] = 11
    assert torch.equal(loss_weights(target, 10), expected)
    assert torch.equal(loss_weights(target, 0), torch.ones_like(target))


@given(st.integers(0, 2**32 - 1))
def test_weights_are_those_of_a_3x3_grey_dilation(seed: int):
    target = np.random.default_rng(seed).uniform(0, 0.23, (2, 3, 7, 7)).astype(np.float32)
    dilated = grey_dilation(target, size=(1, 1, 3, 3))
    found = loss_weights(torch.from_numpy(target), 4)
    assert np.array_equal(found.numpy() == 5, dilated > 0.2)


@pytest.mark.parametrize(("weight", "weighted"), [(0, 1), (10, 11)])
def test_mean_over_pixels_and_sum_over_stacks(weight: float, weighted: float):
    target = torch.zeros(2, 3, 4, 4)
    target[:, :, 0] = 1  # the first row is high, and so is the second's neighbourhood
    predicted = target[:, None].repeat(1, 2, 1, 1, 1)
    predicted[:, 0, :, 3] += 2  # the last row of the first stack: four of sixteen pixels
    predicted[0, 1, 0, 0, 0] -= 3  # a high pixel of the second stack: one of 2 x 3 x 16
    expected = 4 * 4 / 16 + weighted * 9 / 96
    found = heatmap_loss(predicted, target, HeatmapMSE(weight))
    assert found.item() == pytest.approx(expected)


def test_each_stack_gets_the_gradient_that_it_would_get_alone():
    target = torch.rand(2, 3, 4, 4)
    predicted = torch.rand(2, 2, 3, 4, 4, requires_grad=True)
    heatmap_loss(predicted, target, PAPERS).backward()
    alone = predicted.detach()[:, :1].requires_grad_()
    heatmap_loss(alone, target, PAPERS).backward()
    torch.testing.assert_close(predicted.grad[:, :1], alone.grad)
