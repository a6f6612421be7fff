"""A contact sheet: many faces in one picture."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from wingloss.synthetic.face import Face

SEEN, HIDDEN = (60, 230, 60), (240, 40, 40)  # RGB


def contact_sheet(faces: Sequence[Face], columns: int, zoom: int = 2) -> NDArray[np.uint8]:
    """Faces in rows of ``columns``, enlarged ``zoom`` times, as one RGB picture.

    Every second face has its 68 landmarks drawn, hidden ones in red; all have their yaw in degrees
    and their subsets written above. Raises ValueError if the last row would not be full.
    """
    if len(faces) % columns:
        raise ValueError(f"{len(faces)} faces don't fill rows of {columns}")
    tiles = np.stack([_tile(face, zoom, number % 2 == 1) for number, face in enumerate(faces)])
    rows = tiles.reshape(-1, columns, *tiles.shape[1:])
    return np.concatenate([np.concatenate(list(row), axis=1) for row in rows])


def _tile(face: Face, zoom: int, marked: bool) -> NDArray[np.uint8]:
    tile = np.asarray(
        cv2.resize(face.image, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC), np.uint8
    )
    if marked:
        for point, seen in zip((face.points + 0.5) * zoom - 0.5, face.visible, strict=True):
            centre = np.rint(point * 16).astype(int).tolist()
            cv2.circle(tile, centre, 14 * zoom, SEEN if seen else HIDDEN, -1, cv2.LINE_AA, 4)
    label = " ".join([f"{face.yaw:.0f}", *face.subsets])
    cv2.putText(
        tile, label, (4, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.35, (255, 255, 255), 1, cv2.LINE_AA
    )
    return tile
