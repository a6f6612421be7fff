"""Stacked hourglasses: their size, what each stack sees, and their weights at the start."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import conv2d

from wingloss.models.hourglass import (
    Block,
    CoordConv,
    Hourglass,
    Hourglasses,
    StackedHourglass,
)

SMALL = Hourglasses(stacks=2, features=16, input_size=64, map_size=16)


def build(sizes: Hourglasses, n_landmarks: int, seed: int) -> StackedHourglass:
    network = sizes.network(n_landmarks)
    sizes.draw_weights(network, torch.Generator().manual_seed(seed))
    return network


def parameters(sizes: Hourglasses, n_landmarks: int) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in sizes.network(n_landmarks).parameters())


def pictures(sizes: Hourglasses, count: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, 3, sizes.input_size, sizes.input_size, generator=generator)


def block(channels: int, kernels: int) -> int:
    """The parameters of a residual block, layer by layer."""
    widths = [(channels, kernels // 2), (kernels // 2, kernels // 4), (kernels // 4, kernels // 4)]
    convolutions = sum(2 * before + 9 * before * after for before, after in widths)
    return convolutions + (channels != kernels) * (2 * channels + channels * kernels)


@pytest.mark.parametrize(("n_landmarks", "count"), [(68, 24_099_156), (98, 24_153_036)])
def test_the_published_networks_parameters(n_landmarks: int, count: int):
    """24.10 M and 24.15 M, added up from the layers of the network that the authors published."""
    maps = n_landmarks + 1
    stem = 6 * 64 * 49 + 64 + 2 * 64 + block(64, 128) + block(128, 128) + block(128, 256)
    coordinates = [256 * (256 + seen) + 256 for seen in (3, 5, 5, 5)]
    stack = 14 * block(256, 256) + (256 * 256 + 256) + 2 * 256 + (256 * maps + maps)
    link = (256 * 256 + 256) + (maps * 256 + 256)
    assert stem + sum(coordinates) + 4 * stack + 3 * link == count
    assert parameters(Hourglasses(), n_landmarks) == count


def test_a_row_of_the_ablation_has_neither_boundary_nor_coordinates():
    plain = Hourglasses(stacks=2, features=16, input_size=64, map_size=16, boundary=False)
    network = build(plain, 5, seed=0)
    assert not any(isinstance(layer, CoordConv) for layer in network.modules())
    assert network(pictures(plain)).shape == (2, 2, 5, 16, 16)


@pytest.mark.parametrize(
    "sizes",
    [
        Hourglasses(stacks=1, features=8, input_size=128, map_size=32),
        Hourglasses(stacks=2, features=16, input_size=64, map_size=32),  # nothing pooled
        Hourglasses(stacks=3, features=8, input_size=128, map_size=16),
    ],
)
def test_maps_of_every_stack(sizes: Hourglasses):
    found = build(sizes, 5, seed=0)(pictures(sizes))
    assert found.shape == (2, sizes.stacks, 6, sizes.map_size, sizes.map_size)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"features": 20}, "features: 20"),
        ({"stacks": 0}, "stacks: 0"),
        ({"map_size": 40}, "map_size: 40"),
        ({"input_size": 64}, "input_size: 64"),
        ({"input_size": 192}, "input_size: 192"),
    ],
)
def test_sizes_that_dont_fit_are_refused(wrong: dict[str, int], message: str):
    with pytest.raises(ValueError, match=message):
        Hourglasses(**wrong)


def test_maps_are_float32_where_the_rest_is_bfloat16():
    network = build(SMALL, 5, seed=0).eval().to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        found = network(pictures(SMALL))
    assert found.dtype == torch.float32
    assert (found != found.bfloat16().float()).any()
    assert (found - network(pictures(SMALL))).std() < 0.05 * found.std()


def test_every_stack_is_supervised_and_learns_from_those_after_it():
    network = build(SMALL, 5, seed=0)
    for last in (0, 1):
        network.zero_grad(set_to_none=True)
        network(pictures(SMALL))[:, last].square().mean().backward()
        reached = [bool(stack.head.weight.grad.any()) for stack in network.stacks]
        assert reached == [True, last == 1]
        assert all(p.grad.any() for p in network.stacks[0].parameters())


def test_weights_depend_on_the_seed_alone_and_are_within_pytorchs_bounds():
    torch.manual_seed(1)
    first = build(SMALL, 5, seed=7).state_dict()
    torch.manual_seed(2)
    again, other = (build(SMALL, 5, seed=seed).state_dict() for seed in (7, 8))
    assert all(torch.equal(first[key], again[key]) for key in first)
    stem = first["stem.weight"]
    assert not torch.equal(stem, other["stem.weight"])
    bound = (6 * 49) ** -0.5
    assert 0.99 * bound < stem.abs().max() <= bound
    assert stem.std().item() == pytest.approx(bound / 3**0.5, rel=0.1)
    assert 0 < first["stem.bias"].abs().max() <= bound


@pytest.mark.parametrize("boundary", [False, True])
def test_coordinates_stand_beside_the_features(boundary: bool):
    """What a convolution gives that has them all as its inputs, in the order of the docstring."""
    side = 6
    layer = CoordConv(4, 5, 3, side, boundary=boundary)
    generator = torch.Generator().manual_seed(0)
    features = torch.rand(2, 4, side, side, generator=generator)
    map_before = torch.zeros(2, 1, side, side)
    map_before[0, 0, 2, 1:5] = torch.tensor([0.04, 0.06, 3.0, -1.0])
    axis = torch.tensor([-1, -0.6, -0.2, 0.2, 0.6, 1])
    x, y = axis.expand(side, side), axis[:, None].expand(side, side)
    inputs = [*features[0], x, y, (x.square() + y.square()).sqrt() / 2**0.5]
    there = torch.zeros(side, side)
    there[2, 2:4] = 1
    if boundary:
        inputs += [x * there, y * there]
    expected = conv2d(torch.stack(inputs)[None], layer.weight, layer.bias, padding=1)
    found = layer(features, map_before if boundary else None)
    torch.testing.assert_close(found[:1], expected)


def test_boundary_coordinates_are_the_map_before_its_last():
    network = build(SMALL, 5, seed=0).eval()
    assert [stack.coordinates.in_channels for stack in network.stacks] == [16 + 3, 16 + 5]
    seen: list[Tensor] = []
    network.stacks[1].coordinates.register_forward_pre_hook(lambda _, inputs: seen.extend(inputs))
    found = network(pictures(SMALL))
    assert torch.equal(seen[1], found[:, 0, -1:])


def test_a_block_adds_its_inputs_to_three_convolutions_side_by_side():
    """Each of the three sees the one before it, normalised and rectified."""
    own = Block(8, 8).eval()
    inputs = torch.randn(2, 8, 5, 5, generator=torch.Generator().manual_seed(0))
    seen, parts = inputs, []
    for layers in (own.first, own.second, own.third):
        rectified = (seen / (1 + 1e-5) ** 0.5).relu()  # by what batch normalisation starts from
        seen = conv2d(rectified, layers[-1].weight, padding=1)
        parts.append(seen)
    assert [part.shape[1] for part in parts] == [4, 2, 2]
    torch.testing.assert_close(own(inputs), torch.cat(parts, dim=1) + inputs)


def test_an_hourglass_adds_means_of_four_pixels_doubled_to_the_full_size():
    own = Hourglass(8, depth=1).eval()
    inputs = torch.randn(1, 8, 4, 4, generator=torch.Generator().manual_seed(0))
    means = inputs.unflatten(2, (2, 2)).unflatten(4, (2, 2)).mean(dim=(3, 5))
    small = own.after(own.within(own.before(means)))
    doubled = small.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    torch.testing.assert_close(own(inputs), own.beside(inputs) + doubled)


def test_a_heat_map_looks_at_the_whole_picture():
    """An hourglass's innermost maps see what its full-size ones are too narrow for."""
    network: StackedHourglass = build(SMALL, 5, seed=0).eval()
    inputs = pictures(SMALL, 1).requires_grad_()
    network(inputs)[0, 0, 0, 0, 0].backward()
    assert (inputs.grad[0, :, -4:, -4:] != 0).any()
