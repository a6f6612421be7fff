"""The population of faces: how often which pose, box error and difficulty occurs."""

from typing import Annotated

import numpy as np
from numpy.random import Generator
from pydantic import Field
from pydantic.dataclasses import dataclass

from wingloss.geometry import Array
from wingloss.validation import STRICT

LARGE_POSE = 45  # degrees of yaw; beyond, a face is in the subset large_pose


@dataclass(frozen=True, config=STRICT)
class FaceDistribution:
    """The population of faces; angles in degrees. Raises ValueError naming a field out of range.

    Yaw is a mixture: a Laplace core of scale ``yaw_scale`` and a share ``yaw_tail`` of faces
    uniform over -90 to 90; it is clipped at 90. Pitch and roll are normal. The detector's box is
    the tight square round the landmarks with the errors ``box_shift`` and ``box_scale``. The last
    four fields are the shares of faces that belong to the subsets of these names.
    """

    image_size: Annotated[int, Field(ge=32, le=1024)]  # px, the picture's side
    yaw_scale: Annotated[float, Field(ge=0, le=45)]
    yaw_tail: Annotated[float, Field(ge=0, le=1)]
    pitch_std: Annotated[float, Field(ge=0, le=30)]
    roll_std: Annotated[float, Field(ge=0, le=90)]
    box_shift: Annotated[float, Field(ge=0, le=0.2)]  # std, share of the side
    box_scale: Annotated[float, Field(ge=0, le=0.5)]  # std of the side's log
    occlusion: Annotated[float, Field(ge=0, le=1)]  # glasses, hands, hair, masks
    expression: Annotated[float, Field(ge=0, le=1)]  # beyond a mild smile
    illumination: Annotated[float, Field(ge=0, le=1)]  # light from a side, dark
    blur: Annotated[float, Field(ge=0, le=1)]  # motion or defocus, plain to see


def draw_pose(distribution: FaceDistribution, rng: Generator) -> tuple[float, float, float]:
    """Yaw, pitch and roll in degrees."""
    wide = rng.random() < distribution.yaw_tail
    yaw = rng.uniform(-90, 90) if wide else rng.laplace(0, distribution.yaw_scale)
    pitch, roll = rng.normal(0, (distribution.pitch_std, distribution.roll_std))
    return float(np.clip(yaw, -90, 90)), float(pitch), float(roll)


def draw_subsets(distribution: FaceDistribution, yaw: float, rng: Generator) -> tuple[str, ...]:
    """The subsets that a face of this yaw (degrees) belongs to, in alphabetical order."""
    names = ("blur", "expression", "illumination", "occlusion")
    drawn = [name for name in names if rng.random() < getattr(distribution, name)]
    return tuple(sorted(drawn + ["large_pose"] * (abs(yaw) > LARGE_POSE)))


def draw_box(points: Array, distribution: FaceDistribution, rng: Generator) -> Array:
    """A detector's square box (4,) round landmarks (L, 2): x_min, y_min, x_max, y_max in px."""
    low, high = points.min(0), points.max(0)
    side = (high - low).max()
    centre = (low + high) / 2 + side * rng.normal(0, distribution.box_shift, 2)
    half = side / 2 * np.exp(rng.normal(0, distribution.box_scale))
    return np.concatenate([centre - half, centre + half])
