"""Landmarks of the faces in pictures: a trained model with all that it takes to use it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Protocol, get_args

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from wingloss import pictures
from wingloss.augmentation.perturbation import Images
from wingloss.crops import context_crop, network_inputs
from wingloss.datasets.face_record import FARTHEST
from wingloss.datasets.plausible import SMALLEST
from wingloss.detection import face_detector, onnx_file
from wingloss.detection.card import Card, Displacement
from wingloss.detection.face_detector import Find, NoFaceDetector
from wingloss.detection.onnx_file import BadOnnx
from wingloss.geometry import (
    Array,
    apply,
    context_maps,
    flip,
    invert,
    landmark_boxes,
    square_frames,
)
from wingloss.models.correction import corrected_frames, displaced
from wingloss.recipe import Precision

Image = NDArray[Any] | str | Path
BUNDLED = resources.files("wingloss") / "weights/rendered.safetensors"
AT_ONCE = 64  # faces whose crops are in memory
LOOKS = 2  # more that stage one takes at a face that a detector found, by its own landmarks
LOST = 5.0  # percent: a face in a video whose disagreement is larger is lost
EVERY = 30  # frames of a video from one search for new faces to the next


class Network(Protocol):
    """One stage's network, whatever runs it."""

    input_size: int  # px

    def __call__(self, inputs: Images) -> Array:
        """Landmarks ``(N, L, 2)`` in pixels of ``inputs`` ``(N, S, S, 3)``, RGB."""


@dataclass(frozen=True)
class Detected:
    """The faces found in one picture. Pixels count from 0, in the picture as viewers show it."""

    landmarks: Array  # (N, L, 2) x, y
    boxes: Array  # (N, 4) x_min, y_min, x_max, y_max
    # (N,) mean distance between the landmarks and those of the mirrored face, in percent of the
    # box's longer side: the larger, the less certain
    disagreement: Array

    def __len__(self) -> int:
        return len(self.landmarks)


class Detector:
    """Finds landmarks in pictures.

    A picture is an array ``(H, W, 3)``, RGB, ``(H, W, 4)``, whose transparency is ignored, or
    ``(H, W)``, of uint8 or uint16; or a file's path.
    """

    def __init__(
        self, card: Card, networks: Sequence[Network], yunet: str | Path | None = None
    ) -> None:
        """Of what ``load`` reads from a file."""
        self.card = card
        self.networks = networks
        self._find: Find = face_detector.find
        self._from_found = card.boxes.from_dlib
        if yunet is not None:
            self._find = face_detector.yunet(Path(yunet))
            # nobody has measured its boxes, but further looks follow
            self._from_found = card.boxes.from_landmarks

    @classmethod
    def load(
        cls,
        path: str | Path | None = None,
        yunet: str | Path | None = None,
        precision: Precision = "float32",
        device: str | None = None,
    ) -> "Detector":
        """The detector in a file, which may be ONNX by its ending; without one, the package's own.

        Where pictures come without boxes, dlib finds the faces, or YuNet, if ``yunet`` names its
        file (``face_detector.YUNET_SHA256`` says which). In bfloat16, where the processor has that,
        networks are faster and less exact; OpenVINO runs ONNX then, not ONNX Runtime.

        ``device`` is where PyTorch computes: "cpu", "cuda", "cuda:1" ...; without one, the GPU
        where there is one, else the processor. ONNX runs on the processor.

        Raises:
            BadModel, BadOnnx: the file isn't there, is corrupt, or holds no detector; one line.
            NoFaceDetector: ``yunet`` isn't YuNet's file.
            ValueError: the device isn't there, or isn't for this file, or there is no such
                precision; one line.
        """
        if precision not in get_args(Precision):
            raise ValueError(f"precision '{precision}': there are {', '.join(get_args(Precision))}")
        if path is None:
            with resources.as_file(BUNDLED) as own:
                return cls.load(own, yunet, precision, device)
        if not Path(path).is_file():
            from wingloss.models.model_file import BadModel

            what = "a folder" if Path(path).is_dir() else "no such file"
            raise BadModel(f"{path}: {what}; a detector's file is needed")
        if Path(path).suffix == ".onnx":
            if device is not None and str(device).partition(":")[0] != "cpu":
                raise BadOnnx(f"{path}: ONNX runs on the processor, not on '{device}'")
            return cls(*onnx_file.load(Path(path), precision), yunet)
        from wingloss.detection import torch_networks

        return cls(*torch_networks.load(Path(path), precision, device), yunet)

    def __call__(
        self, image: Image, boxes: ArrayLike | None = None, disagreement: bool = True
    ) -> Detected:
        """The landmarks of the faces in a picture.

        ``boxes`` ``(N, 4)`` say where the faces are (x_min, y_min, x_max, y_max in 0-based pixels),
        drawn as those of the training faces are. Without them, faces are found, and their boxes
        are what the landmarks make of them. Without ``disagreement``, its values are NaN, and the
        last look at each face takes half the time.

        Raises:
            ValueError: this is no picture, or a box lies outside it; one line.
            NoFaceDetector: there are no boxes, and dlib isn't installed or can't be compared.
        """
        (found,) = self.batch([image], None if boxes is None else [boxes], disagreement)
        return found

    def batch(
        self,
        images: Iterable[Image],
        boxes: Iterable[ArrayLike] | None = None,
        disagreement: bool = True,
    ) -> list[Detected]:
        """What ``__call__`` finds in each of several pictures; their faces share the work.

        Raises:
            ValueError: see ``__call__``.
        """
        read = [as_rgb(image) for image in _several(images)]
        if boxes is None:
            frames = [self._found_frames(picture) for picture in read]
            return self._located(read, frames, LOOKS, disagreement)
        given_boxes = list(boxes)
        if len(given_boxes) != len(read):
            raise ValueError(f"there are boxes for {len(given_boxes)} pictures, of {len(read)}")
        given = [_checked(own, picture) for own, picture in zip(given_boxes, read, strict=True)]
        frames = [square_frames(own, self.card.boxes.scale) for own in given]
        found = self._located(read, frames, 0, disagreement)
        return [
            Detected(one.landmarks, own, one.disagreement)
            for one, own in zip(found, given, strict=True)
        ]

    def track(self, frames: Iterable[Image], every: int = EVERY) -> Iterator[Detected]:
        """What is found in each of a video's frames, in their order.

        A face's landmarks in one frame say where it is looked for in the next one. New faces are
        looked for where there is none, and ``every`` so many frames. A face that is followed is
        given up once its ``disagreement`` is larger than ``LOST``.

        Raises:
            ValueError: see ``__call__``; or ``every`` is below 1.
        """
        if every < 1:
            raise ValueError(f"every is at least 1, not {every}")
        known = np.empty((0, 4))
        for number, image in enumerate(_several(frames)):
            picture = as_rgb(image)
            known = known[_inside(known, picture)]
            looks, followed = 0, len(known)
            if not followed or number % every == 0:
                known = np.concatenate([known, _apart(self._found_frames(picture), known)])
                looks = LOOKS
            (found,) = self._located([picture], [known], looks)
            kept = (found.disagreement <= LOST) | (np.arange(len(known)) >= followed)
            yield Detected(found.landmarks[kept], found.boxes[kept], found.disagreement[kept])
            known = self._frames_again(found.landmarks[kept])

    def _found_frames(self, picture: Images) -> Array:
        """Where stage one looks first ``(N, 4)`` at the faces that are found in a picture."""
        if self._from_found is None:
            raise NoFaceDetector(
                "this detector can't locate faces: dlib found too few of "
                f"{self.card.trained_on.dataset}'s training faces to tell how its boxes compare. "
                "Give boxes (--boxes)"
            )
        found = displaced_squares(self._find(picture), self._from_found)
        return found[_inside(found, picture)]

    def _frames_again(self, points: Array) -> Array:
        """Frames ``(N, 4)`` by the landmarks ``(N, L, 2)`` that were found."""
        return displaced_squares(landmark_boxes(points), self.card.boxes.from_landmarks)

    def _located(
        self,
        read: Sequence[Images],
        frames: Sequence[Array],
        looks: int,
        disagreement: bool = True,
    ) -> list[Detected]:
        """The landmarks of faces that stage one first sees in ``frames``, a picture's ``(N, 4)``.

        It looks again ``looks`` times, each time by the landmarks that it found before.
        """
        if not read:
            return []
        counts = [len(own) for own in frames]
        flat = np.concatenate([np.empty((0, 4)), *frames])
        owner = np.repeat(np.arange(len(read)), counts)
        landmarks = np.empty((len(flat), self.card.landmarks, 2))
        away = np.full(len(flat), np.nan)
        for first in range(0, len(flat), AT_ONCE):
            part = slice(first, first + AT_ONCE)
            own = [read[index] for index in owner[part]]
            for _ in range(looks):
                again = self._frames_again(self._look(own, flat[part], self._stage_one))
                usable = [bool(_inside(f[None], p)[0]) for f, p in zip(again, own, strict=True)]
                flat[part] = np.where(np.array(usable)[:, None], again, flat[part])
            if disagreement:
                landmarks[part], away[part] = self._both_ways(own, flat[part])
            else:
                landmarks[part] = self._look(own, flat[part], self._all_stages)
        half = flat[:, 2:3] / self.card.boxes.scale / 2
        boxes = np.hstack([flat[:, :2] - half, flat[:, :2] + half])
        ends = np.cumsum(counts)[:-1]
        parts = (np.split(values, ends) for values in (landmarks, boxes, away))
        return [Detected(*one) for one in zip(*parts, strict=True)]

    def _both_ways(self, own: Sequence[Images], frames: Array) -> tuple[Array, Array]:
        """Landmarks ``(N, L, 2)`` in pictures ``own``, and their ``disagreement`` ``(N,)``."""
        context = self.card.context
        to_crops = context_maps(frames, context.scale, context.size)
        crops = self._crops(own, frames, to_crops)
        mirrored = [cv2.flip(crop, 1) for crop in crops]
        straight, turned = np.split(self._all_stages(np.concatenate([crops, mirrored])), 2)
        turned = flip(turned, self.card.flip_permutation, context.size)
        away = np.linalg.norm(straight - turned, axis=2).mean(axis=1)
        box = context.size / context.scale / self.card.boxes.scale  # its side in a crop
        return apply(invert(to_crops), straight), 100 * away / box

    def _look(
        self, own: Sequence[Images], frames: Array, stages: Callable[[Images], Array]
    ) -> Array:
        """What ``stages`` find in pictures ``own``, ``(N, L, 2)`` in these pictures' pixels."""
        context = self.card.context
        to_crops = context_maps(frames, context.scale, context.size)
        return apply(invert(to_crops), stages(self._crops(own, frames, to_crops)))

    def _crops(self, own: Sequence[Images], frames: Array, to_crops: Array) -> Images:
        size = self.card.context.size
        crops = np.empty((len(own), size, size, 3), np.uint8)
        for i, (picture, frame, to_crop) in enumerate(zip(own, frames, to_crops, strict=True)):
            crops[i] = context_crop(picture, "the picture", frame, to_crop, size)
        return crops

    def _all_stages(self, crops: Images) -> Array:
        """The last stage's landmarks ``(N, L, 2)`` in pixels of the context crops."""
        points = self._stage_one(crops)
        if self.card.stage_two is None:
            return points
        mean = np.array(self.card.stage_two.mean_shape)
        frames = corrected_frames(points, mean, self.card.stage_two.margin)
        usable = np.isfinite(frames).all(axis=1, keepdims=True) & (frames[:, 2:3] > 0)
        frames = np.where(usable, frames, self._middle(len(crops)))
        return _run(self.networks[1], crops, frames)

    def _stage_one(self, crops: Images) -> Array:
        """Stage one's landmarks ``(N, L, 2)`` in pixels of the context crops."""
        return _run(self.networks[0], crops, self._middle(len(crops)))

    def _middle(self, count: int) -> Array:
        """The frames ``(count, 4)`` about which context crops are cut, in their pixels."""
        size, scale = self.card.context.size, self.card.context.scale
        return np.tile([(size - 1) / 2, (size - 1) / 2, size / scale, 0.0], (count, 1))


def as_rgb(image: Image) -> Images:
    """A picture ``(H, W, 3)``, uint8 RGB, of what ``Detector`` takes for one.

    Raises:
        ValueError: it is none; one line.
    """
    if isinstance(image, str | Path):
        if Path(image).is_dir():
            raise ValueError(f"{image}: a folder; name a picture, or use `wingloss detect`")
        return pictures.read(Path(image))
    array = np.asarray(image)
    if array.dtype.kind in "OSU":  # objects, texts
        raise ValueError(f"a picture is an array or a path, not a {type(image).__name__}")
    if array.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"a picture is an array of uint8 or uint16, not of {array.dtype}")
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or not array.size:
        raise ValueError(
            f"a picture has the shape (H, W, 3), (H, W, 4) or (H, W), not {np.shape(image)}"
        )
    if array.dtype == np.uint16:
        array = array >> 8
    colours = array[..., :3] if array.shape[2] > 1 else array.repeat(3, axis=2)
    return np.ascontiguousarray(colours, np.uint8)


def displaced_squares(boxes: Array, by: Displacement) -> Array:
    """Frames ``(N, 4)`` that lie off the squares about ``boxes`` ``(N, 4)`` by ``by``."""
    return displaced(square_frames(boxes, scale=1), np.array([by]))


def _run(network: Network, crops: Images, frames: Array) -> Array:
    """A network's landmarks ``(N, L, 2)`` in pixels of the crops, seen in frames ``(N, 4)``."""
    inputs, to_inputs = network_inputs(crops, frames, network.input_size)
    return apply(invert(to_inputs), network(inputs))


def _several(images: Iterable[Image]) -> Iterable[Image]:
    """The pictures. A text's letters, or a picture's rows, would be taken for many."""
    if isinstance(images, str | Path):
        raise ValueError(f"{images}: one path, where several pictures or a video's frames go")
    if isinstance(images, np.ndarray) and images.ndim < 4:
        raise ValueError(
            f"one array of the shape {images.shape}, where several pictures or a video's frames "
            "go; give a list of them"
        )
    return images


def _checked(boxes: ArrayLike, picture: Images) -> Array:
    """The boxes ``(N, 4)`` that a user gave for a picture.

    Raises:
        ValueError: one is none, or lies outside the picture.
    """
    given = np.array(boxes, np.float64)  # a copy: the caller may go on using theirs
    given = given.reshape(-1, 4) if given.size in (0, 4) else given
    if given.ndim != 2 or given.shape[1] != 4:
        raise ValueError(f"boxes have the shape (N, 4), not {np.shape(boxes)}")
    height, width = picture.shape[:2]
    for number, box in enumerate(given):
        if not (np.abs(box) <= FARTHEST).all():
            raise ValueError(f"box {number}, {box.tolist()}, isn't within ±{FARTHEST:g} pixels")
        if (box[2:] <= box[:2]).any():
            raise ValueError(f"box {number}, {box.tolist()}, is empty")
        if (box[2:] - box[:2]).max() < SMALLEST:
            raise ValueError(
                f"box {number}, {box.tolist()}, is less than {SMALLEST:g} pixels large; are "
                "these shares of the picture?"
            )
        if (box[2:] < 0).any() or (box[:2] > (width - 1, height - 1)).any():
            raise ValueError(
                f"box {number}, {box.tolist()}, lies outside the picture of {width} x {height}"
            )
    return given


def _inside(frames: Array, picture: Images) -> NDArray[np.bool_]:
    """Which frames ``(N, 4)`` a picture holds a part of ``(N,)``."""
    height, width = picture.shape[:2]
    low, high = frames[:, :2] - frames[:, 2:3] / 2, frames[:, :2] + frames[:, 2:3] / 2
    known = (np.abs(frames) <= FARTHEST).all(axis=1) & (frames[:, 2] > 0)
    return known & (high >= 0).all(axis=1) & (low <= (width - 1, height - 1)).all(axis=1)


def _apart(frames: Array, known: Array) -> Array:
    """Those of ``frames`` ``(N, 4)`` whose middle lies in none of the known ones ``(M, 4)``."""
    away = np.abs(frames[:, None, :2] - known[None, :, :2]).max(axis=2)
    return frames[(away > known[None, :, 2] / 2).all(axis=1)]
