"""Section 7.1's augmentation of whole batches, where the data set lies: a few kernels a batch.

The draws and the maps are those of ``perturbation.py``, which warps one face after another with
OpenCV. The pictures differ from its by rounding: they are not rounded to whole grey levels,
and OpenCV interpolates at 32nds of a pixel.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import conv1d, grid_sample, pad

from wingloss.augmentation.perturbation import Draw, Faces
from wingloss.models.inference import scaled

COLUMNS = 7  # of a packed draw: rotation, x and y of both corners, flipped, blurred


@dataclass(frozen=True)
class DeviceFaces:
    """Faces on the device that trains on them.

    ``crops`` ``(N, P, P, 3)`` uint8 RGB; ``points`` ``(N, L, 2)`` float32 in their pixels;
    ``to_unit`` ``(F, N, 2, 3)`` float32 maps their pixels to the unit square of the frames in which
    they are seen: of each face there are ``F`` frames.
    """

    crops: Tensor
    points: Tensor
    to_unit: Tensor

    @classmethod
    def of(cls, seen: list[Faces], device: torch.device) -> "DeviceFaces":
        """The same faces on ``device``; ``seen`` differ in nothing but ``to_unit``."""
        frames = np.stack([faces.to_unit for faces in seen])
        return cls(
            torch.as_tensor(np.array(seen[0].crops), device=device),
            torch.as_tensor(seen[0].points, dtype=torch.float32, device=device),
            torch.as_tensor(frames, dtype=torch.float32, device=device),
        )


def pack(drawn: Draw) -> NDArray[np.float32]:
    """Draws as one table ``(B, COLUMNS)``, so that a copy to the device moves them all."""
    columns = [drawn.rotation, *drawn.corners.reshape(-1, 4).T, drawn.flipped, drawn.blurred]
    return np.stack(columns, axis=1).astype(np.float32)


def perturb(
    faces: DeviceFaces,
    chosen: Tensor,
    frame: Tensor,
    drawn: Tensor,
    blur_sigma: float,
    size: int,
    flip_permutation: Tensor,
) -> tuple[Tensor, Tensor]:
    """Inputs ``(B, 3, size, size)`` in [-1, 1] and points ``(B, L, 2)`` in their pixels.

    ``chosen`` ``(B,)`` are indices of ``faces`` and ``frame`` ``(B,)`` of their frames; ``drawn``
    ``(B, COLUMNS)`` are their packed draws. No value comes back to the host on the way.
    """
    rotation, low, high = drawn[:, 0], drawn[:, 1:3], drawn[:, 3:5]
    flipped, blurred = drawn[:, 5] > 0, drawn[:, 6] > 0
    transform = _compose(_perturbation(rotation, low, high), faces.to_unit[frame, chosen])
    # from the unit square to pixels, whose columns run the other way where the face is flipped
    side = torch.full_like(rotation, size)
    scale = torch.stack([torch.where(flipped, -side, side), side], 1)
    shift = torch.stack([side * flipped, torch.zeros_like(side)], 1) - 0.5
    transform = _compose(_scaling(scale, shift), transform)
    points = torch.where(
        flipped[:, None, None], faces.points[chosen][:, flip_permutation], faces.points[chosen]
    )
    points = points @ transform[:, :, :2].mT + transform[:, None, :, 2]
    pictures = _warp(faces.crops[chosen], _invert(transform), size)
    return torch.where(blurred[:, None, None, None], _blur(pictures, blur_sigma), pictures), points


def _perturbation(rotation: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Maps ``(B, 2, 3)`` from the unit square to that of the rotated and jittered box."""
    cos, sin = rotation.cos(), rotation.sin()
    rotated = torch.stack(
        [
            torch.stack([cos, -sin, 0.5 - 0.5 * cos + 0.5 * sin], -1),
            torch.stack([sin, cos, 0.5 - 0.5 * sin - 0.5 * cos], -1),
        ],
        -2,
    )
    scale = 1 / (high - low)
    return _compose(_scaling(scale, -low * scale), rotated)


def _scaling(scale: Tensor, shift: Tensor) -> Tensor:
    """Maps ``(B, 2, 3)`` that scale and shift each axis by ``(B, 2)``."""
    return torch.cat([torch.diag_embed(scale), shift[:, :, None]], dim=2)


def _compose(outer: Tensor, inner: Tensor) -> Tensor:
    """The maps ``(B, 2, 3)`` that apply ``inner`` and then ``outer``."""
    shift = outer[:, :, :2] @ inner[:, :, 2:] + outer[:, :, 2:]
    return torch.cat([outer[:, :, :2] @ inner[:, :, :2], shift], dim=2)


def _invert(transform: Tensor) -> Tensor:
    """The inverse of maps ``(B, 2, 3)``, in closed form: a solver would ask the host."""
    a, b, c, d = transform[:, :, :2].flatten(1).unbind(1)
    determinant = (a * d - b * c)[:, None]
    linear = (torch.stack([d, -b, -c, a], 1) / determinant).unflatten(1, (2, 2))
    return torch.cat([linear, -linear @ transform[:, :, 2:]], dim=2)


def _warp(crops: Tensor, to_crop: Tensor, size: int) -> Tensor:
    """Bilinear samples ``(B, 3, size, size)`` in [-1, 1] of ``(B, P, P, 3)``; the edge is repeated.

    ``to_crop`` ``(B, 2, 3)`` maps pixels of the result to pixels of the crops.
    """
    along = torch.arange(size, device=crops.device, dtype=torch.float32)
    y, x = torch.meshgrid(along, along, indexing="ij")
    at = torch.stack([x, y, torch.ones_like(x)], -1).flatten(0, 1)  # (size * size, 3)
    grid = (at @ to_crop.mT).unflatten(1, (size, size))
    grid = (2 * grid + 1) / crops.shape[1] - 1  # grid_sample's [-1, 1] spans the whole picture
    source = crops.permute(0, 3, 1, 2).float()
    found = grid_sample(source, grid, padding_mode="border", align_corners=False)
    return scaled(found)


def _blur(pictures: Tensor, sigma: float) -> Tensor:
    """Pictures ``(B, 3, S, S)`` after a Gaussian, as wide as OpenCV makes it for 8-bit pictures.

    As two products with a band matrix: faster on a GPU than a convolution of one channel.
    """
    size, radius = pictures.shape[-1], round(6 * sigma + 1) // 2
    offsets = torch.arange(-radius, radius + 1, device=pictures.device, dtype=torch.float32)
    kernel = torch.exp(-offsets.square() / (2 * sigma * sigma))
    # row i of the matrix has the kernel about i, reflected at the picture's edges
    rows = pad(torch.eye(size, device=pictures.device), (radius, radius), mode="reflect")
    matrix = conv1d(rows[:, None], kernel[None, None] / kernel.sum())[:, 0].T
    return matrix @ pictures @ matrix.T
