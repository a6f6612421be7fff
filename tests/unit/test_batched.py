"""Networks side by side answer and learn as each does by itself."""

import pytest
import torch

from wingloss.models.networks import Plain, seeing
from wingloss.training import stacked


@pytest.mark.parametrize(
    "size, widths, input_range",
    [(16, (5, 8), (-1, 1)), (8, (16,), (-1, 1)), (32, (4, 6, 8), (-1, 1)), (16, (5, 8), (0, 1))],
)
def test_each_member_is_the_network_by_itself(
    size: int, widths: tuple[int, ...], input_range: tuple[float, float]
) -> None:
    networks = [seeing(Plain(size, widths, 12).network(3), input_range) for _ in range(3)]
    states = [dict(network.named_parameters()) for network in networks]
    parameters = {
        name: torch.stack([state[name].detach() for state in states]).requires_grad_()
        for name in states[0]
    }
    inputs = torch.randn(3, 4, size, size, 3)
    found = stacked.forward(networks[0], parameters, inputs, "float32")
    wanted = torch.stack(
        [network(one.permute(0, 3, 1, 2)) for network, one in zip(networks, inputs, strict=True)]
    )
    torch.testing.assert_close(found, wanted)
    seen = torch.randn_like(found)
    (found * seen).sum().backward()
    (wanted * seen).sum().backward()
    for name, values in parameters.items():
        alone = torch.stack([network.get_parameter(name).grad for network in networks])
        torch.testing.assert_close(values.grad, alone)


def test_in_bfloat16_the_last_layer_stays_in_float32() -> None:
    network = Plain(16, (8, 8), 16).network(3)
    parameters = {name: value[None] for name, value in network.state_dict().items()}
    found = stacked.forward(network, parameters, torch.randn(1, 4, 16, 16, 3), "bfloat16")
    assert found.dtype == torch.float32
    assert (found.bfloat16().float() != found).any()


def test_gradients_are_those_of_the_function() -> None:
    """Against finite differences, on maps that are no squares."""
    values = (
        torch.randn(2, 2, 3, 4, 2, dtype=torch.float64, requires_grad=True),
        torch.randn(2, 3, 2, 3, 3, dtype=torch.float64, requires_grad=True),
        torch.randn(2, 3, dtype=torch.float64, requires_grad=True),
    )
    assert torch.autograd.gradcheck(stacked._Convolution.apply, values)
