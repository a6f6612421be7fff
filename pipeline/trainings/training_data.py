"""What a training reads: its faces, how often each is seen, and in which frames."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline import files
from pipeline.config import paths
from pipeline.data.prepared_faces import (
    face_boxes,
    frames_of,
    read_faces,
    read_frames,
)
from pipeline.trainings.spec import TrainingSpec
from wingloss import protocol
from wingloss.augmentation.perturbation import Faces, shrink, shrinkage
from wingloss.evaluation.metrics import normalisers
from wingloss.geometry import Array, context_maps
from wingloss.models import networks


def samples(spec: TrainingSpec, split: str) -> pd.DataFrame:
    """The split's rows of the table of samples, with the frames that the network sees."""
    return split_rows(*version(paths.SAMPLES.format(dataset=spec.dataset)), split)


def seen_frames(spec: TrainingSpec, samples: pd.DataFrame) -> Array:
    """The frames ``(N, 4)``, in image pixels, in which the network sees the samples' faces."""
    return read_frames(spec.frames, samples) if spec.frames else frames_of(samples)


def faces(spec: TrainingSpec, split: str) -> tuple[Faces, Array]:
    """A split's faces, and their headline normalisers ``(N,)`` in pixels of their crops."""
    rules = protocol.load(spec.dataset)
    rows, faces = samples(spec, split), _prepared(spec, split)
    small = shrink(faces, networks.ARCHITECTURES[spec.network].input_size)
    boxes = face_boxes(rows)
    points = files.points(rows, rules.n_landmarks)
    context = spec.context
    maps = context_maps(frames_of(rows), context.scale, context.size)
    scale = np.sqrt(np.linalg.det(maps[:, :, :2]))
    scale = scale * small.crops.shape[1] / faces.crops.shape[1]
    return small, scale * normalisers(points, boxes, rules)[rules.headline]


def crop_size(spec: TrainingSpec) -> int:
    """The side of the training faces' crops, in pixels."""
    faces = _prepared(spec, "train")
    factor = shrinkage(faces, networks.ARCHITECTURES[spec.network].input_size)
    return faces.crops.shape[1] // factor


def repetitions(spec: TrainingSpec) -> NDArray[np.int64]:
    """How often each training face is seen ``(N,)``: as balanced; 0 for those left out."""
    rows = samples(spec, "train")
    repeats = files.read_by_face(spec.repeats, rows.face, "repeats").repeats
    return np.where(rows.photograph.isin(spec.without), 0, repeats.to_numpy(np.int64))


def _prepared(spec: TrainingSpec, split: str) -> Faces:
    """A split's faces with their crops as prepared."""
    rows = samples(spec, split)
    rules = protocol.load(spec.dataset)
    return read_faces(spec.dataset, split, rows, seen_frames(spec, rows), spec.context, rules)


# Many trainings in one process ask for the same; a file that changes has another time.
def version(path: str) -> tuple[Path, int]:
    """The path, and when its file was changed last."""
    return Path(path), files.existing(Path(path)).stat().st_mtime_ns


@lru_cache(maxsize=4)
def split_rows(path: Path, changed: int, split: str) -> pd.DataFrame:
    """The split's rows of the table of samples; not to be written to."""
    table = files.read_samples(path)
    return table[table.split == split]
