"""Contact sheets: faces with their landmarks, many in one picture."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from wingloss.geometry import Array

Picture = NDArray[np.uint8]  # (H, W, 3), RGB
POINT, OUTLINE, TEXT = (60, 230, 60), (255, 190, 40), (255, 255, 255)


@dataclass(frozen=True)
class Tile:
    """A square picture (S, S, 3) and what is drawn on it, in its 0-based pixels."""

    picture: Picture
    label: str = ""  # written along the upper edge, in as many lines as it takes
    points: Array | None = None  # (L, 2)
    outlines: Sequence[Array] = ()  # each (4, 2): the corners of a box or a frame
    numbered: bool = False  # each point's index beside it


def sheet(tiles: Sequence[Tile], columns: int) -> Picture:
    """Tiles of one size in rows of ``columns``, the last row filled up with black."""
    drawn = np.stack([_draw(tile) for tile in tiles])
    missing = -len(drawn) % columns
    drawn = np.concatenate([drawn, np.zeros((missing, *drawn.shape[1:]), np.uint8)])
    rows = drawn.reshape(-1, columns, *drawn.shape[1:])
    return np.concatenate([np.concatenate(list(row), axis=1) for row in rows])


def _draw(tile: Tile) -> Picture:
    picture = tile.picture.copy()
    size = len(picture)
    for outline in tile.outlines:
        corners = np.rint(outline * 16).astype(np.int32)
        cv2.polylines(picture, [corners], True, OUTLINE, 1, cv2.LINE_AA, 4)
    if tile.points is not None:
        for number, centre in enumerate(np.rint(tile.points * 16).astype(int).tolist()):
            cv2.circle(picture, centre, max(16, size // 10), POINT, -1, cv2.LINE_AA, 4)
            if tile.numbered:
                corner = [round(value / 16) + 3 for value in centre]
                _write(picture, str(number), corner, 0.4)
    for number, line in enumerate(textwrap.wrap(tile.label, size // 7)):
        _write(picture, line, [4, 13 + 14 * number], 0.38)
    return picture


def _write(picture: Picture, text: str, corner: list[int], size: float) -> None:
    """White on a dark rim, readable on any ground."""
    for colour, width in (((0, 0, 0), 3), (TEXT, 1)):
        cv2.putText(
            picture, text, corner, cv2.FONT_HERSHEY_SIMPLEX, size, colour, width, cv2.LINE_AA
        )
