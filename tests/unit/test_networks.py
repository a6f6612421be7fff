"""The networks: their size, their weights at the start, the order of their outputs."""

import math

import pytest
import torch
from torch import nn

from wingloss.models.networks import (
    ARCHITECTURES,
    RANGE,
    Output,
    build,
    to_points,
    to_shape_vectors,
)

PARAMETERS = {"cnn6": 3_806_152, "cnn7": 8_508_168}  # at 68 landmarks


@pytest.fixture(scope="module", params=PARAMETERS)
def named(request: pytest.FixtureRequest) -> tuple[str, nn.Sequential]:
    return request.param, build(request.param, 68, seed=0)


def layers(network: nn.Sequential) -> list[nn.Conv2d | nn.Linear]:
    return [layer for layer in network if isinstance(layer, nn.Conv2d | nn.Linear)]


def test_number_of_parameters(named: tuple[str, nn.Sequential]):
    name, network = named
    assert sum(parameter.numel() for parameter in network.parameters()) == PARAMETERS[name]


def test_both_networks_together_have_table_7s_size():
    assert sum(PARAMETERS.values()) == 12_314_320
    assert math.floor(12_314_320 * 4 / 2**20) == 46  # Table 7's MB


def test_outputs_are_two_coordinates_a_landmark(named: tuple[str, nn.Sequential]):
    name, network = named
    size = ARCHITECTURES[name].input_size
    assert size == {"cnn6": 64, "cnn7": 128}[name]
    with torch.inference_mode():
        assert network(torch.zeros(2, 3, size, size)).shape == (2, 136)


def test_every_convolution_is_rectified_and_pooled(named: tuple[str, nn.Sequential]):
    name, network = named
    kinds = [type(layer) for layer in network]
    sets = {"cnn6": 5, "cnn7": 6}[name]
    assert kinds[: 3 * sets] == [nn.Conv2d, nn.MaxPool2d, nn.ReLU] * sets
    assert kinds[3 * sets :] == [nn.Flatten, nn.Linear, nn.ReLU, Output]
    assert network[3 * sets + 1].in_features == 2 * 2 * 512


def test_pooled_and_rectified_is_rectified_and_pooled():
    """The paper's order (Fig. 2), with gradients, and with ties among whole numbers."""
    generator = torch.Generator().manual_seed(0)
    maps = torch.randint(-3, 4, (2, 5, 8, 8), generator=generator).float()
    weights = torch.rand(2, 5, 4, 4, generator=generator)
    found = []
    for order in ([nn.ReLU(), nn.MaxPool2d(2)], [nn.MaxPool2d(2), nn.ReLU()]):
        inputs = maps.clone().requires_grad_()
        outputs = nn.Sequential(*order)(inputs)
        (outputs * weights).sum().backward()
        found.append((outputs.detach(), inputs.grad))
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))


def test_weights_are_he_normal_and_biases_zero(named: tuple[str, nn.Sequential]):
    for layer in layers(named[1]):
        weight, expected = layer.weight, math.sqrt(2 / layer.weight[0].numel())
        count = weight.numel()
        assert weight.std().item() == pytest.approx(expected, rel=4 / math.sqrt(2 * count))
        assert abs(weight.mean().item()) < 4 * expected / math.sqrt(count)
        assert weight.abs().max() > 2.5 * expected  # a uniform one would end at 1.7
        assert (layer.bias == 0).all()


def test_weights_depend_on_the_seed_alone():
    torch.manual_seed(1)
    first = build("cnn6", 5, seed=7).state_dict()
    torch.manual_seed(2)
    again = build("cnn6", 5, seed=7).state_dict()
    other = build("cnn6", 5, seed=8).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not any(torch.equal(first[key], other[key]) for key in first if "weight" in key)


@pytest.mark.parametrize("name", ["cnn6", "resnet50", "hourglass"])
def test_a_network_sees_its_inputs_in_its_own_range(name: str):
    centred, other = (build(name, 2, 0, seen).eval() for seen in [(-1, 1), (0, 1)])
    side = ARCHITECTURES[name].input_size
    inputs = torch.rand(2, 3, side, side) * 2 - 1
    with torch.inference_mode():
        torch.testing.assert_close(other(inputs), centred((inputs + 1) / 2))
    assert {*other.state_dict()} - {*centred.state_dict()} == {RANGE}


def test_an_unknown_network_is_refused():
    with pytest.raises(KeyError, match="cnn8"):
        build("cnn8", 68, seed=0)


@pytest.mark.parametrize("name", ["cnn6", "cnn7", "resnet50"])
def test_the_maps_that_figure_2_shows_are_the_networks(name: str):
    size = ARCHITECTURES[name].input_size
    values, seen = torch.zeros(1, 3, size, size), [(size, 3)]
    with torch.inference_mode():
        for layer in build(name, 68, seed=0).eval():
            values = layer(values)
            seen.append((values.shape[2] if values.ndim == 4 else 1, values.shape[1]))
    waiting = iter(seen)  # each is there, after the one before it
    assert all((one.size, one.channels) in waiting for one in ARCHITECTURES[name].maps)
    assert len(ARCHITECTURES[name].maps) == {"cnn6": 7, "cnn7": 8, "resnet50": 7}[name]


def test_shape_vectors_hold_all_x_and_then_all_y():
    points = torch.tensor([[[1, 2], [3, 4], [5, 6]], [[7, 8], [9, 10], [11, 12]]])
    vectors = torch.tensor([[1, 3, 5, 2, 4, 6], [7, 9, 11, 8, 10, 12]])
    assert torch.equal(to_shape_vectors(points), vectors)
    assert torch.equal(to_points(vectors), points)
