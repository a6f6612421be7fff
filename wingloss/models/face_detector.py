"""Where faces are in a picture, by dlib's detector of frontal faces.

Histograms of oriented gradients in a sliding window (Dalal and Triggs, CVPR 2005). The paper's
faces are boxed already; this is for pictures whose aren't.
"""

from functools import cache
from typing import Any

import cv2
import numpy as np

from wingloss.augmentation.perturbation import Images
from wingloss.geometry import Array

LONGEST = 1280  # px: larger pictures are shrunk to it
DOUBLED = 1  # times that a picture's sides are doubled, as the window has 80 px a side


def find(picture: Images) -> Array:
    """The boxes ``(N, 4)`` of the faces in an RGB picture ``(H, W, 3)``, the surest first.

    x_min, y_min, x_max, y_max in the picture's 0-based pixels. Misses faces smaller than 40
    px (after a large picture was shrunk), and those turned by much more than 30 degrees.
    """
    scale = min(1.0, LONGEST / max(picture.shape[:2]))
    if scale < 1:
        size = [max(1, round(side * scale)) for side in picture.shape[1::-1]]
        small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        picture = np.asarray(small, np.uint8)
    found = _detector()(np.ascontiguousarray(picture), DOUBLED)
    boxes = [(box.left(), box.top(), box.right(), box.bottom()) for box in found]
    return (np.array(boxes, dtype=np.float64).reshape(-1, 4) + 0.5) / scale - 0.5


@cache
def _detector() -> Any:
    import dlib  # it takes a while, and only this and the regression trees need it

    return dlib.get_frontal_face_detector()
