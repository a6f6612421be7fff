"""The losses of Eq. 3-5 against numbers worked out by hand."""

import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from project import ROOT
from torch import Tensor

from wingloss.losses import L1, L2, LOSSES, Loss, SmoothL1, Wing, landmark_loss

W, EPSILON = 10.0, 2.0  # CNN-6's (Section 7.1)
C = -7.91759469228055  # 10 - 10 ln 6
BEND = 17.91759469228055  # wing(10) = 10 ln 6

FUNCTIONS = {"l2": L2(), "l1": L1(), "smooth_l1": SmoothL1(), "wing": Wing(W, EPSILON)}
errors = st.floats(-300, 300)


def value(kind: str, x: float) -> float:
    return FUNCTIONS[kind](torch.tensor([x], dtype=torch.float64)).item()


def slope(kind: str, x: float) -> float:
    at = torch.tensor([x], dtype=torch.float64, requires_grad=True)
    FUNCTIONS[kind](at).backward()
    return at.grad.item()


@pytest.mark.parametrize(
    ("kind", "x", "expected"),
    [
        ("l2", -3, 4.5),
        ("l1", -3, 3),
        ("smooth_l1", 0.5, 0.125),
        ("smooth_l1", 1, 0.5),
        ("smooth_l1", -3, 2.5),
        ("wing", 0, 0),
        ("wing", 1, 4.054651081081644),  # 10 ln 1.5
        ("wing", -2, 6.931471805599453),  # 10 ln 2
        ("wing", 10, BEND),
        ("wing", 20, 20 - C),
        ("wing", -20, 27.91759469228055),
    ],
)
def test_values_by_hand(kind: str, x: float, expected: float):
    assert value(kind, x) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("w", "epsilon"), [(10, 2), (15, 3), (4, 0.5), (1, 3)])
def test_wing_is_continuous_where_its_pieces_meet(w: float, epsilon: float):
    around = torch.tensor([w - 1e-9, w, w + 1e-9], dtype=torch.float64)
    expected = w * math.log(1 + w / epsilon)
    for side in (around, -around):
        assert Wing(w, epsilon)(side).tolist() == pytest.approx([expected] * 3, abs=1e-7)


@pytest.mark.parametrize(
    ("kind", "x", "expected"),
    [
        ("l2", -7, -7),
        ("l1", -7, -1),
        ("smooth_l1", -0.25, -0.25),
        ("smooth_l1", 4, 1),
        ("wing", 1e-9, 5),  # w / epsilon: as steep as it gets
        ("wing", 3, 2),  # 10 / (2 + 3)
        ("wing", -8, -1),  # 10 / (2 + 8)
        ("wing", 9.999, 10 / 11.999),
        ("wing", 10.001, 1),
        ("wing", -200, -1),
    ],
)
def test_slopes_by_hand(kind: str, x: float, expected: float):
    assert slope(kind, x) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("kind", FUNCTIONS)
@given(x=errors)
def test_symmetric_and_never_negative(kind: str, x: float):
    assert value(kind, x) == value(kind, -x) >= 0


@pytest.mark.parametrize("kind", FUNCTIONS)
@given(first=errors, second=errors)
def test_a_larger_error_never_costs_less(kind: str, first: float, second: float):
    small, large = sorted([first, second], key=abs)
    assert value(kind, small) <= value(kind, large)


@given(x=errors)
def test_wing_slope_is_eq_5s(x: float):
    size = abs(x)
    if size > 1e-6 and abs(size - W) > 1e-6:
        expected = W / (EPSILON + size) if size < W else 1
        assert slope("wing", x) == pytest.approx(math.copysign(expected, x), rel=1e-9)


TARGET = torch.tensor([[10.0, 20.0, 30.0, 40.0], [5.0, 6.0, 7.0, 8.0]])
ERROR = torch.tensor([[1.0, -2.0, 0.0, 3.0], [0.5, 0.0, 0.0, -4.0]])


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (L1(), (6 + 4.5) / 2),
        (L2(), (7 + 8.125) / 2),
        (SmoothL1(), (4.5 + 3.625) / 2),
        # 2 ln 2 = 1.386294, 2 ln 1.5 = 0.810930, C = 2 - 2 ln 3 = -0.197225
        (Wing(2, 1), (1.386294 + 2.197225 + 3.197225 + 0.810930 + 4.197225) / 2),
    ],
)
def test_sum_over_coordinates_and_mean_over_the_batch(loss: Loss, expected: float):
    assert landmark_loss(TARGET + ERROR, TARGET, loss).item() == pytest.approx(expected)


def test_gradient_is_divided_by_the_batch_and_not_by_the_coordinates():
    predicted = (TARGET + ERROR).requires_grad_()
    landmark_loss(predicted, TARGET, L1()).backward()
    assert torch.equal(predicted.grad, ERROR.sign() / 2)


@pytest.mark.parametrize("target", [torch.full((2, 4), 0.5), torch.ones(2, 4), TARGET / 80])
def test_targets_that_are_no_pixels_are_refused(target: Tensor):
    with pytest.raises(ValueError, match="pixels of the network's input; multiply"):
        landmark_loss(TARGET, target, L1())


def test_one_coordinate_beyond_one_is_enough_to_be_pixels():
    target = torch.zeros(2, 4)
    target[1, 2] = 1.5
    assert landmark_loss(target, target, L1()).item() == 0


def test_every_loss_is_tested_here():
    assert {kind: type(loss) for kind, loss in FUNCTIONS.items()} == LOSSES


def test_parameters_may_be_tensors_of_trainings_side_by_side():
    error = torch.linspace(-20, 20, 12).reshape(2, 1, 6)
    w, epsilon = torch.tensor([[5.0, 10.0], [1.0, 2.0]])[:, :, None, None]
    both = Wing(w, epsilon)(error)
    assert torch.equal(both[0], Wing(5, 1)(error[0]))
    assert torch.equal(both[1], Wing(10, 2)(error[1]))


def test_parameters_are_read_without_torch():
    script = "import sys, wingloss.losses, wingloss.recipe; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
