"""Heat maps: what landmarks look like in them, boundaries, and landmarks found in them again.

A heat map has M pixels a side, fewer than the input crop that it belongs to. Points here are in its
pixels, whose centres have whole coordinates; ``rescaled`` leads from the input crop's pixels to
them and back. Everything takes and gives tensors, on whatever device they are.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from torch import Tensor

from wingloss.geometry import Array

PATCH_SIGMA = 1.75  # px: the published patch's, a quarter of its side
PATCH_REACH = 3  # px from the patch's middle to its outermost pixels
BOUNDARY_REACH = 3  # px: further from the curve, a boundary map is zero
SAMPLES = 16  # of a curve from one landmark to the next, about half a pixel apart
FLOOR = 1e-4  # what a pixel's logarithm is taken of at least
FARTHEST = 1.0  # px that a fitted peak may lie from the largest pixel

Boundaries = tuple[tuple[int, ...], ...]  # groups of landmarks, each in the order of its curve
Encoding = Callable[[Tensor, int, float], Tensor]
Decoding = Callable[[Tensor], Tensor]


def rescaled(points: Tensor, size: int, new_size: int) -> Tensor:
    """Points of a square picture of ``size`` pixels a side in those of one of ``new_size``.

    Both show the same square, from -0.5 to the size less 0.5.
    """
    return (points + 0.5) * (new_size / size) - 0.5


def target_maps(
    points: Tensor, size: int, sigma: float, encoding: Encoding, boundaries: Boundaries = ()
) -> Tensor:
    """What a network should answer, ``(B, L + 1, M, M)``, for points ``(B, L, 2)``.

    The last map is the boundary's; without ``boundaries`` there are L.
    """
    maps = encoding(points, size, sigma)
    if not boundaries:
        return maps
    return torch.cat([maps, boundary_maps(points, size, boundaries)[:, None]], dim=1)


def gaussian_maps(points: Tensor, size: int, sigma: float) -> Tensor:
    """Maps ``(..., M, M)`` of points ``(..., 2)``: Gaussians of height 1 and ``sigma`` pixels.

    They are centred on the points, wherever between pixels these lie.
    """
    return _gaussians(points, size, sigma, torch.inf)


def patch_maps(points: Tensor, size: int, sigma: float = PATCH_SIGMA) -> Tensor:
    """The same as the authors' code draws them: 7x7 pixels about the one that holds the point.

    So a map is the same wherever in a pixel the point lies.
    """
    return _gaussians((points + 0.5).floor(), size, sigma, PATCH_REACH)


def _gaussians(centres: Tensor, size: int, sigma: float, reach: float) -> Tensor:
    pixels = torch.arange(size, device=centres.device, dtype=centres.dtype)
    away = pixels - centres[..., None]  # (..., 2, M)
    lines = (-away.square() / (2 * sigma**2)).exp().where(away.abs() <= reach, 0)
    x, y = lines.unbind(-2)
    return y[..., :, None] * x[..., None, :]


def boundary_maps(points: Tensor, size: int, boundaries: Boundaries) -> Tensor:
    """Maps ``(B, M, M)`` of the curves through groups of the points ``(B, L, 2)``.

    ``exp(-d^2 / 2)`` at d pixels from the nearest curve, and zero from ``BOUNDARY_REACH`` on.
    """
    spline = _spline_samples(boundaries, points.shape[1], points.device).to(points.dtype)
    curves = spline @ points  # (B, S, 2)
    # each sample on the pixels within reach of it, and of all samples the largest value
    steps = torch.arange(-BOUNDARY_REACH, BOUNDARY_REACH + 1, device=points.device)
    pixels = curves.round().long()[..., None] + steps  # (B, S, 2, 7)
    away = (pixels - curves[..., None]).square()
    (x, y), (away_x, away_y) = pixels.unbind(-2), away.unbind(-2)
    distance = away_y[..., :, None] + away_x[..., None, :]  # (B, S, 7, 7), squared
    x_inside, y_inside = ((along >= 0) & (along < size) for along in (x, y))
    drawn = y_inside[..., :, None] & x_inside[..., None, :] & (distance < BOUNDARY_REACH**2)
    values = (-distance / 2).exp().where(drawn, 0)
    place = (y[..., :, None] * size + x[..., None, :]).where(drawn, 0)
    maps = points.new_zeros(len(points), size * size)
    maps.scatter_reduce_(1, place.flatten(1), values.flatten(1), "amax")
    return maps.unflatten(1, (size, size))


@cache
def _spline_samples(boundaries: Boundaries, n_landmarks: int, on: torch.device) -> Tensor:
    """The matrix ``(S, L)`` that makes of L points the samples of all curves through them."""
    rows = []
    for group in boundaries:
        own = np.zeros((SAMPLES * (len(group) - 1) + 1, n_landmarks))
        own[:, list(group)] = natural_spline(len(group))
        rows.append(own)
    return torch.as_tensor(np.concatenate(rows), dtype=torch.float32, device=on)


def natural_spline(count: int) -> Array:
    """The matrix ``(S, count)`` that makes of points the samples of a curve through them.

    A cubic spline whose second derivative is zero at both ends, with one unit of its parameter from
    each point to the next. The authors' splines have the points' distances there, which bulge where
    these differ much, as at the corners of a closed mouth, and don't exist where two points meet.
    """
    bends = np.eye(count)  # times the second derivatives at the points ...
    bent = np.zeros((count, count))  # ... is this times the points
    for i in range(1, count - 1):
        bends[i, i - 1 : i + 2] = 1, 4, 1
        bent[i, i - 1 : i + 2] = 6, -12, 6
    second, point = np.linalg.solve(bends, bent), np.eye(count)
    at = np.arange(SAMPLES * (count - 1) + 1) / SAMPLES
    before = np.minimum(at.astype(int), count - 2)
    right = (at - before)[:, None]
    left = 1 - right
    return (
        left * point[before]
        + right * point[before + 1]
        + (left**3 - left) / 6 * second[before]
        + (right**3 - right) / 6 * second[before + 1]
    )


def quarter_peaks(maps: Tensor) -> Tensor:
    """Points ``(..., 2)`` in maps ``(..., M, M)``, as the authors' code finds them.

    The largest pixel, and from there a quarter of a pixel towards the larger neighbour along each
    axis; none along an axis at whose end it lies.
    """
    size = maps.shape[-1]
    peak = _largest(maps)
    # where there is no neighbour, the pixel itself is taken, and the slope not used
    x, y = (peak[..., None] + torch.arange(-1, 2, device=maps.device)).clamp(0, size - 1).unbind(-2)
    flat = maps.flatten(-2)
    row, column = (
        flat.gather(-1, place) for place in (y[..., 1:2] * size + x, y * size + x[..., 1:2])
    )
    slope = torch.stack([row[..., 2] - row[..., 0], column[..., 2] - column[..., 0]], dim=-1)
    inside = (peak > 0) & (peak < size - 1)
    return peak + (slope.sign() / 4).where(inside, 0)


def fitted_peaks(maps: Tensor) -> Tensor:
    """Points ``(..., 2)`` in maps ``(..., M, M)``: the peak of a Gaussian about the largest pixel.

    After Zhang et al. (DARK, CVPR 2020): the logarithm of a Gaussian is a quadratic function, whose
    peak follows from its derivatives at any pixel. Here these are those of the least-squares fit to
    3x3 pixels, in place of their blurring. Where the fit has no peak, the largest pixel is it.
    """
    size = maps.shape[-1]
    peak = _largest(maps)
    centre = peak.clamp(1, size - 2)  # so that there are pixels on both sides
    around = _neighbours(maps, centre).clamp(min=FLOOR).log()
    columns, rows = around.mean(-2), around.mean(-1)
    d_x, d_y = ((line[..., 2] - line[..., 0]) / 2 for line in (columns, rows))
    d_xx, d_yy = (line[..., 2] - 2 * line[..., 1] + line[..., 0] for line in (columns, rows))
    crossed = around[..., 0, 0] - around[..., 0, 2] - around[..., 2, 0] + around[..., 2, 2]
    d_xy = crossed / 4
    determinant = d_xx * d_yy - d_xy.square()
    offset = torch.stack([d_xy * d_y - d_yy * d_x, d_xy * d_x - d_xx * d_y], dim=-1)
    has_peak = ((determinant > 0) & (d_xx < 0))[..., None]
    fitted = (centre + offset / determinant[..., None]).where(has_peak, peak)
    return fitted.clamp(peak - FARTHEST, peak + FARTHEST)


def _largest(maps: Tensor) -> Tensor:
    """The pixels ``(..., 2)``, x and y, whose values are largest."""
    index = maps.flatten(-2).argmax(-1)
    return torch.stack([index % maps.shape[-1], index // maps.shape[-1]], dim=-1)


def _neighbours(maps: Tensor, pixels: Tensor) -> Tensor:
    """The values ``(..., 3, 3)``, rows of y, about ``pixels`` ``(..., 2)`` within the maps."""
    size = maps.shape[-1]
    steps = torch.arange(-1, 2, device=maps.device)
    x, y = (pixels[..., None] + steps).unbind(-2)
    place = y[..., :, None] * size + x[..., None, :]
    return maps.flatten(-2).gather(-1, place.flatten(-2)).unflatten(-1, (3, 3))


ENCODINGS: dict[str, Encoding] = {"gaussian": gaussian_maps, "patch": patch_maps}
DECODINGS: dict[str, Decoding] = {"quarter": quarter_peaks, "fitted": fitted_peaks}
