"""Contact sheets of heat maps: what a network answers, over the faces that it saw."""

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from wingloss.drawing.contact_sheet import Picture, Tile, sheet
from wingloss.geometry import Array

HEAT = (255, 140, 0)  # a pixel's colour where a map is one
DIMMED = 0.5  # of the picture's brightness where a map is zero


def heatmap_sheet(
    pictures: NDArray[np.uint8], points: Array, maps: Mapping[str, NDArray[np.float32]]
) -> Picture:
    """A row for each of the pictures ``(N, S, S, 3)``, RGB: itself, and its maps over it.

    ``points`` are the landmarks ``(N, L, 2)`` in the pictures' pixels. ``maps`` are heat maps
    ``(N, L, M, M)`` or, with the boundary last, ``(N, L + 1, M, M)``, by what to call them. Of each
    there are the boundary and, in one, the landmarks': at every pixel the largest value, as their
    sum would be a single blot about the mouth.
    """
    tiles, n_landmarks = [], points.shape[1]
    for i, picture in enumerate(pictures):
        tiles.append(Tile(picture, points=points[i]))
        for name, answered in maps.items():
            landmarks, boundary = np.split(answered[i], [n_landmarks])
            tiles.append(Tile(_heated(picture, landmarks.max(axis=0)), f"{name} landmarks"))
            if len(boundary):
                tiles.append(Tile(_heated(picture, boundary[0]), f"{name} boundary"))
    return sheet(tiles, columns=len(tiles) // len(pictures))


def _heated(picture: Picture, heat: NDArray[np.float32]) -> Picture:
    """A map ``(M, M)`` over a picture: below zero it is seen as zero, and above one as one."""
    share = cv2.resize(heat.clip(0, 1), picture.shape[1::-1])[..., None]
    return np.rint((1 - share) * DIMMED * picture + share * HEAT).astype(np.uint8)
