"""Heat maps: what they show, and the way from landmarks to them and back."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import CubicSpline
from torch import Tensor
from trees import SCHEMES, drawn

from wingloss import protocol
from wingloss.geometry import apply, compose, flip, invert, unit_to_pixels
from wingloss.heatmaps import (
    DECODINGS,
    ENCODINGS,
    SAMPLES,
    boundary_maps,
    fitted_peaks,
    gaussian_maps,
    natural_spline,
    patch_maps,
    quarter_peaks,
    rescaled,
    target_maps,
)

SIZE = 64
sizes = st.sampled_from([16, 32, 64])
sigmas = st.floats(1, 3)


def anywhere(size: int) -> st.SearchStrategy[float]:
    """A coordinate within a map: anywhere, or within a pixel and a half of its edges."""
    end = size - 0.501  # half a pixel from the last one is the next one
    return st.floats(-0.5, end) | st.floats(-0.5, 1) | st.floats(end - 1.5, end)


@st.composite
def placed(draw: st.DrawFn) -> tuple[int, Tensor]:
    """A map's size, and a point ``(2,)`` in it."""
    size = draw(sizes)
    point = [draw(anywhere(size)), draw(anywhere(size))]
    return size, torch.tensor(point, dtype=torch.float32)


def face(name: str, size: int = SIZE) -> Tensor:
    """The landmarks ``(1, L, 2)`` of an upright face that fills most of a map."""
    points = drawn(name)[:, :2]
    low, high = points.min(axis=0), points.max(axis=0)
    middle = (size - 1) / 2
    upright = (points - (low + high) / 2) * (0.7 * size / (high - low).max()) + middle
    return torch.tensor(upright, dtype=torch.float32)[None]


def test_a_gaussian_by_hand():
    found = gaussian_maps(torch.tensor([[[5.25, 2.0]]]), 8, sigma=2)
    assert found.shape == (1, 1, 8, 8)
    assert found[0, 0, 2, 5].item() == pytest.approx(math.exp(-(0.25**2) / 8))
    assert found[0, 0, 4, 6].item() == pytest.approx(math.exp(-(0.75**2 + 2**2) / 8))
    assert gaussian_maps(torch.tensor([3.0, 1]), 8, 1)[1, 3] == 1


def test_a_patch_by_hand():
    """7x7 pixels, and a quarter of their side as sigma, about the pixel that holds the point."""
    found = patch_maps(torch.tensor([19.6, 10.4]), 32)
    rows, columns = found.nonzero().unbind(1)
    assert (rows.unique().tolist(), columns.unique().tolist()) == (
        [*range(7, 14)],
        [*range(17, 24)],
    )
    assert found[10, 20] == 1
    assert found[10, 23].item() == found[7, 20].item() == pytest.approx(math.exp(-9 / 6.125))
    assert found[7, 17].item() == pytest.approx(math.exp(-18 / 6.125))
    assert torch.equal(found, patch_maps(torch.tensor([20.49, 9.5]), 32))
    assert not torch.equal(found, patch_maps(torch.tensor([20.5, 9.5]), 32))


@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS)
def test_a_point_beside_the_map_shows_what_reaches_into_it(encoding):
    whole, part = encoding(torch.tensor([[20.0, 20], [-2, 33]]), 40, 1.75)
    torch.testing.assert_close(part[30:37, :2], whole[17:24, 22:24])
    assert part.argmax() == 33 * 40


@given(at=placed(), sigma=sigmas)
def test_encoded_and_decoded_within_a_twentieth_of_a_pixel(at: tuple[int, Tensor], sigma: float):
    size, point = at
    found = fitted_peaks(gaussian_maps(point, size, sigma))
    assert (found - point).abs().max() < (0.05 if sigma < 1.5 else 0.001)


@given(at=placed(), sigma=sigmas)
def test_a_quarter_pixel_errs_by_a_quarter_pixel(at: tuple[int, Tensor], sigma: float):
    """At the map's edge by half a pixel, as there is but one neighbour."""
    size, point = at
    found = quarter_peaks(gaussian_maps(point, size, sigma))
    on_edge = (point < 0.501) | (point > size - 1.501)
    bound = torch.where(on_edge, 0.5, 0.25) + 0.001
    assert ((found - point).abs() <= bound).all()


@pytest.mark.parametrize("decoding", DECODINGS.values(), ids=DECODINGS)
@given(at=placed())
def test_a_patch_is_found_where_its_middle_is(decoding, at: tuple[int, Tensor]):
    size, point = at
    found = decoding(patch_maps(point, size))
    assert (found - (point + 0.5).floor()).abs().max() < 0.001
    assert (found - point).abs().max() < 0.501


@given(st.integers(0, 2**32 - 1))
def test_whatever_a_map_shows_the_peak_is_beside_its_largest_pixel(seed: int):
    maps = torch.randn(20, 3, 16, 16, generator=torch.Generator().manual_seed(seed))
    index = maps.flatten(-2).argmax(-1)
    largest = torch.stack([index % 16, index // 16], dim=-1)
    for decoding, bound in ((quarter_peaks, 0.25), (fitted_peaks, 1)):
        assert ((decoding(maps) - largest).abs() <= bound).all()


@pytest.mark.parametrize("decoding", DECODINGS.values(), ids=DECODINGS)
def test_an_empty_map_has_some_peak(decoding):
    assert decoding(torch.zeros(2, 16, 16)).tolist() == [[0, 0], [0, 0]]


def test_a_quarter_pixel_by_hand():
    maps = torch.zeros(5, 5)
    maps[2, 3], maps[2, 4], maps[1, 3] = 1, 0.4, 0.2
    assert quarter_peaks(maps).tolist() == [3.25, 1.75]
    maps[2, 2], maps[3, 3] = 0.4, 0.1
    assert quarter_peaks(maps).tolist() == [3, 1.75]
    edge = torch.zeros(5, 5)  # the slope along an edge is the edge's own, not its neighbour's
    edge[2, 0], edge[3, 0], edge[1, 1] = 1, 0.4, 0.9
    assert quarter_peaks(edge).tolist() == [0, 2.25]
    assert quarter_peaks(edge.T).tolist() == [2.25, 0]


def test_fitting_withstands_noise_better_than_a_quarter_pixel():
    generator = torch.Generator().manual_seed(0)
    points = torch.rand(500, 2, generator=generator) * (SIZE - 4) + 1.5
    maps = gaussian_maps(points, SIZE, 1.75)
    maps += 0.02 * torch.randn(maps.shape, generator=generator)
    fitted, quarter = (
        (decoding(maps) - points).norm(dim=1).mean().item()
        for decoding in (fitted_peaks, quarter_peaks)
    )
    assert fitted < 0.07 < 0.19 < quarter


def test_a_peak_that_is_wider_along_a_diagonal_is_fitted():
    axis = torch.arange(16.0)
    x, y = axis - 7.3, axis[:, None] - 8.4
    maps = (-(x.square() + y.square() - 1.2 * x * y) / 4).exp()
    torch.testing.assert_close(fitted_peaks(maps), torch.tensor([7.3, 8.4]))


def test_maps_and_pictures_show_the_same_square():
    points = torch.tensor([[-0.5, 255.5], [1.5, 127.5]])
    assert rescaled(points, 256, 64).tolist() == [[-0.5, 63.5], [0, 31.5]]
    there = compose(unit_to_pixels(64), invert(unit_to_pixels(256)))
    np.testing.assert_allclose(rescaled(points, 256, 64), apply(there, points.numpy()))
    assert torch.equal(rescaled(rescaled(points, 256, 64), 64, 256), points)


@pytest.mark.parametrize("name", SCHEMES)
def test_a_mirrored_faces_maps_are_mirrored(name: str):
    rules, points = protocol.load(name), rescaled(face(name), SIZE, 256)
    mirrored = torch.as_tensor(flip(points.numpy(), rules.flip_permutation, 256))
    first, second = (
        target_maps(rescaled(p, 256, SIZE), SIZE, 1.75, gaussian_maps, rules.boundaries)
        for p in (points, mirrored)
    )
    order = [*rules.flip_permutation, rules.n_landmarks]
    torch.testing.assert_close(second, first[:, order].flip(-1), atol=1e-4, rtol=0)


@given(count=st.integers(2, 8), seed=st.integers(0, 2**32 - 1))
def test_the_spline_is_the_natural_one(count: int, seed: int):
    points = np.random.default_rng(seed).uniform(0, SIZE, (count, 2))
    reference = CubicSpline(np.arange(count), points, bc_type="natural")
    at = np.linspace(0, count - 1, SAMPLES * (count - 1) + 1)
    np.testing.assert_allclose(natural_spline(count) @ points, reference(at), atol=1e-9)


@given(seed=st.integers(0, 2**32 - 1))
def test_a_boundary_map_by_distances_to_the_curves(seed: int):
    """Also where curves leave the map, cross, or go nowhere because points meet."""
    rng = np.random.default_rng(seed)
    size = 18
    points = rng.uniform(-3, 20, 2) + rng.uniform(-3, 3, (7, 2)).cumsum(axis=0)
    points[6] = points[5]
    groups = ((0, 1, 2, 3), (3, 4), (5, 6))
    curves = []
    for group in groups:
        reference = CubicSpline(np.arange(len(group)), points[list(group)], bc_type="natural")
        curves.append(reference(np.linspace(0, len(group) - 1, 400)))
    y, x = np.mgrid[:size, :size]
    pixels = np.stack([x, y], axis=-1)[:, :, None]
    distance = np.linalg.norm(pixels - np.concatenate(curves), axis=-1).min(axis=-1)
    found = boundary_maps(torch.tensor(points)[None], size, groups)[0].numpy()
    assert np.abs(found - np.exp(-(distance**2) / 2))[distance < 2.9].max(initial=0) < 0.05
    assert (found[distance >= 3] == 0).all()


def test_a_straight_boundary_by_hand():
    points = torch.tensor([[[4.0, 8], [12, 8]]])
    found = boundary_maps(points, 16, ((0, 1),))[0]
    for row, expected in ((8, 1), (7, math.exp(-0.5)), (10, math.exp(-2)), (11, 0)):
        assert found[row, 4:13].tolist() == pytest.approx([expected] * 9)
    assert found[8, :4].tolist() == pytest.approx([0, 0, math.exp(-2), math.exp(-0.5)])
    assert found[8, 13:].tolist() == pytest.approx([math.exp(-0.5), math.exp(-2), 0])


@pytest.mark.parametrize("name", SCHEMES)
def test_a_faces_boundary_runs_through_its_landmarks(name: str):
    rules, points = protocol.load(name), face(name).round()
    found = boundary_maps(points, SIZE, rules.boundaries)[0]
    on = sorted({i for curve in rules.boundaries for i in curve})
    x, y = points[0, on].long().unbind(1)
    assert (found[y, x] > 0.999).all()
    assert 0.03 < (found > 0.5).float().mean() < 0.25


def test_faces_of_a_batch_dont_mix():
    boundaries = protocol.load("300w").boundaries
    points = torch.cat([face("300w"), 1.2 * face("300w") - 5])
    both = target_maps(points, SIZE, 1.75, gaussian_maps, boundaries)
    assert both.shape == (2, 69, SIZE, SIZE)
    alone = target_maps(points[1:], SIZE, 1.75, gaussian_maps, boundaries)
    torch.testing.assert_close(both[1:], alone)
    assert torch.equal(both[:, :-1], gaussian_maps(points, SIZE, 1.75))
    assert torch.equal(both[:, -1], boundary_maps(points, SIZE, boundaries))
    assert target_maps(points, SIZE, 1.75, gaussian_maps).shape == (2, 68, SIZE, SIZE)
