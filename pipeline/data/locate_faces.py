"""Locates the faces in a user's pictures: by a table of boxes, or by a detector."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.config import paths
from pipeline.config.params import Context, Params
from pipeline.data import files
from pipeline.data.prepared_faces import frames_of, read_crops
from pipeline.runtime.cli import log
from pipeline.runtime.errors import UserError
from wingloss import protocol
from wingloss.datasets import csv_table, names
from wingloss.datasets.csv_faces import BOX
from wingloss.datasets.face_record import FARTHEST, BadSample
from wingloss.datasets.ibug import BOXES
from wingloss.detection import face_detector
from wingloss.geometry import Array, landmark_boxes, square_frames
from wingloss.models.correction import displaced, frame_errors
from wingloss.pictures import Picture

KNOWN, FEWEST = 200, 20  # training faces that the detector is compared on, and that it must find


@dataclass(frozen=True)
class Boxing:
    """Where stage one looks: frames ``(N, 4)`` in image pixels."""

    locate: Callable[[str, Picture], Array]  # of a picture, given its path in the folder and itself
    again: list[Callable[[Array], Array]]  # then, by the landmarks (N, L, 2) that it found: in turn


def of(folder: Path, dataset: str, params: Params) -> Boxing:
    """The boxes of the folder's detector_boxes.csv; without one, dlib's detector.

    The detector's boxes are brought to those of the data set's training faces, in which networks
    were trained. As they scatter about twice as far, stage one then looks twice again, each time in
    boxes by the landmarks that it found (docs/guide/own-data.md has what that gains).

    Raises:
        UserError: the table is invalid, or names a picture that isn't below the folder; the
            detector finds too few of the training faces.
    """
    if (folder / BOXES).exists():
        given, scale = _given(folder / BOXES), params.dataset[dataset].box.scale
        if unknown := [name for name in sorted(given) if not _is_below(folder, name)]:
            raise UserError(
                f"{folder / BOXES}: there is no picture '{unknown[0]}' below {folder}"
                f"{names.alike(folder, unknown[0])}"
            )
        return Boxing(lambda image, _: square_frames(given.get(image, np.empty((0, 4))), scale), [])
    from_detector = _from_detector(dataset, params.context)
    from_landmarks = _from_landmarks(dataset)

    def locate(_: str, picture: Picture) -> Array:
        return displaced(square_frames(face_detector.find(picture), scale=1), from_detector)

    def again(points: Array) -> Array:
        return displaced(square_frames(landmark_boxes(points), scale=1), from_landmarks)

    return Boxing(locate, [again, again])


def _is_below(folder: Path, name: str) -> bool:
    """Whether ``name`` is a file's path below the folder, written as others write it."""
    return os.path.normpath(name) == name and os.path.isfile(folder / name)


def _given(path: Path) -> dict[str, Array]:
    """The boxes ``(N, 4)`` of a detector_boxes.csv, by picture."""
    boxes: dict[str, list[list[float]]] = {}
    try:
        for where, row in csv_table.rows(path, ("image", *BOX)):
            csv_table.check(row, ("image", *BOX), where)
            box = csv_table.numbers(row, BOX, where)
            if not (np.abs(box) <= FARTHEST).all() or box[0] >= box[2] or box[1] >= box[3]:
                raise BadSample(f"{where}: the box is empty or in no picture")
            boxes.setdefault(row["image"], []).append(box)
    except BadSample as error:
        raise UserError(str(error)) from error
    return {image: np.array(own) for image, own in boxes.items()}


def _from_detector(dataset: str, context: Context) -> Array:
    """From the detector's box to a face's frame: ``frame_errors`` ``(1, 4)``, medians."""
    crops = read_crops(Path(paths.CROPS.format(dataset=dataset, split="train")))
    middle = context.size / 2 - 0.5
    frame = np.array([middle, middle, context.size / context.scale, 0.0])  # in every crop
    chosen = np.unique(np.linspace(0, len(crops) - 1, KNOWN).astype(int))
    offsets = []
    for index in chosen:
        found = square_frames(face_detector.find(crops[index]), scale=1)
        found = found[np.abs(found[:, :2] - frame[:2]).max(axis=1) < frame[2] / 2]
        offsets.append(frame_errors(np.tile(frame, (len(found), 1)), found)[:1])  # the surest
    known = np.concatenate(offsets)
    if len(known) < FEWEST:
        raise UserError(
            f"dlib's detector finds {len(known)} of {len(chosen)} training faces of {dataset}, too "
            f"few to tell how these are boxed; say in a {BOXES} where the faces are"
        )
    log.info("dlib's detector finds %d of %d training faces", len(known), len(chosen))
    return np.median(known, axis=0, keepdims=True)


def _from_landmarks(dataset: str) -> Array:
    """From the box of a face's landmarks to its frame: ``frame_errors`` ``(1, 4)``, medians."""
    samples = files.read_samples(Path(paths.SAMPLES.format(dataset=dataset)))
    training = samples[samples.split == "train"]
    points = files.points(training, protocol.load(dataset).n_landmarks)
    boxes = square_frames(landmark_boxes(points), scale=1)
    return np.median(frame_errors(frames_of(training), boxes), axis=0, keepdims=True)
