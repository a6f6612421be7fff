"""Where faces are in a picture, by dlib's detector of frontal faces, or by OpenCV's YuNet.

dlib's are histograms of oriented gradients in a sliding window (Dalal and Triggs, CVPR 2005), and
need no download. YuNet (Wu, Peng and Yu, Machine Intelligence Research 2023) is a small network,
whose file users bring. The paper's faces are boxed already; this is for pictures whose aren't.
"""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from wingloss.augmentation.perturbation import Images
from wingloss.geometry import Array

LONGEST = 1280  # px: larger pictures are shrunk to it
DOUBLED = 1  # times that a picture's sides are doubled, as the window has 80 px a side
# face_detection_yunet_2023mar.onnx of OpenCV's model zoo
YUNET_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
SURE = 0.7  # YuNet's score, from 0 to 1, that a face has at least

Find = Callable[[Images], Array]


class NoFaceDetector(RuntimeError):
    """There is nothing to find faces with; the message says what to do."""


def find(picture: Images) -> Array:
    """The boxes ``(N, 4)`` of the faces in an RGB picture ``(H, W, 3)``, the surest first.

    x_min, y_min, x_max, y_max in the picture's 0-based pixels. Misses faces smaller than 40
    px (after a large picture was shrunk), and those turned by much more than 30 degrees.

    Raises:
        NoFaceDetector: dlib isn't installed.
    """
    picture, scale = _shrunk(picture)
    found = _detector()(np.ascontiguousarray(picture), DOUBLED)
    boxes = [(box.left(), box.top(), box.right(), box.bottom()) for box in found]
    return _enlarged(np.array(boxes, dtype=np.float64), scale)


def yunet(path: Path) -> Find:
    """Finds faces as ``find`` does, by the network in ``path``: smaller ones, and in profile too.

    Raises:
        NoFaceDetector: there is no such file, or it isn't the one that is known.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise NoFaceDetector(f"{path}: it can't be read ({error.strerror})") from None
    if hashlib.sha256(data).hexdigest() != YUNET_SHA256:
        raise NoFaceDetector(
            f"{path}: not face_detection_yunet_2023mar.onnx of OpenCV's model zoo (SHA-256 "
            f"{YUNET_SHA256})"
        )
    network = cv2.FaceDetectorYN.create(str(path), "", (LONGEST, LONGEST), SURE)

    def find_by_yunet(picture: Images) -> Array:
        picture, scale = _shrunk(picture)
        network.setInputSize(picture.shape[1::-1])
        _, found = network.detect(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        if found is None:
            return np.empty((0, 4))
        surest = found[np.argsort(-found[:, -1], kind="stable")]
        left_top, sides = surest[:, :2].astype(np.float64), surest[:, 2:4]
        return _enlarged(np.hstack([left_top, left_top + sides]), scale)

    return find_by_yunet


def _shrunk(picture: Images) -> tuple[Images, float]:
    """A picture whose sides are at most ``LONGEST``, and its scale."""
    scale = min(1.0, LONGEST / max(picture.shape[:2]))
    if scale == 1:
        return picture, scale
    size = [max(1, round(side * scale)) for side in picture.shape[1::-1]]
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), scale


def _enlarged(boxes: Array, scale: float) -> Array:
    """Boxes ``(N, 4)`` of a picture at ``scale`` in the pixels of the picture itself."""
    return (boxes.reshape(-1, 4) + 0.5) / scale - 0.5


@cache
def _detector() -> Any:
    try:
        import dlib  # it takes a while, and only this and the regression trees need it
    except ImportError:
        raise NoFaceDetector(
            "faces are found by dlib, which isn't installed: pip install 'wingloss[dlib]', name a "
            "file of YuNet's, or say where the faces are"
        ) from None

    return dlib.get_frontal_face_detector()
