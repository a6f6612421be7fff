"""A data set's protocol as data: one YAML file a data set under ``wingloss/protocols``."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import yaml
from numpy.typing import NDArray

FOLDER = Path(__file__).with_name("protocols")
Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")


@dataclass(frozen=True)
class Part:
    """One folder of the raw data set and what the protocol says of it."""

    folder: str
    split: Literal["train", "test"]
    count: int | None  # faces in the complete data set; None where a parameter says how many
    subset: str | None  # a named subset of the test faces
    faces_share_photographs: bool  # 'name_2.jpg' is another face of the photograph of 'name_1.jpg'


@dataclass(frozen=True)
class Protocol:
    """Everything that tells one data set from another, save its raw format."""

    name: str
    n_landmarks: int
    flip_permutation: NDArray[np.intp]  # (L,): the landmark that takes each one's place
    pupils: tuple[tuple[int, ...], tuple[int, ...]] | None  # left and right, as groups to average
    outer_eye_corners: tuple[tuple[int, ...], tuple[int, ...]] | None
    normalising_box: Literal["face", "landmarks"]
    pose_mode: int  # which eigenvector is the pose's, counted from 1
    headline: str  # the normaliser that the field reports, and of AUC and failure rate
    threshold: float  # tau of AUC and failure rate, as a share of that normaliser
    parts: tuple[Part, ...]


def available() -> list[str]:
    """The names of the data sets that have a protocol."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def path(name: str) -> Path:
    """The file that holds the protocol of data set ``name``."""
    return FOLDER / f"{name}.yaml"


@cache
def load(name: str) -> Protocol:
    """The protocol of data set ``name``.

    Raises:
        KeyError: no such protocol.
        ValueError: a landmark stands in two flip pairs.
    """
    file = path(name)
    if not file.is_file():
        raise KeyError(f"no protocol '{name}'; there are {', '.join(available())}")
    data = yaml.safe_load(file.read_text(encoding="utf-8"))
    count = data["landmarks"]
    paired = [landmark for pair in data["flip_pairs"] for landmark in pair]
    if len(set(paired)) < len(paired):
        raise ValueError(f"{file.name}: a landmark stands in two flip pairs")
    permutation = np.arange(count)
    for left, right in data["flip_pairs"]:
        permutation[[left, right]] = permutation[[right, left]]
    return Protocol(
        name=name,
        n_landmarks=count,
        flip_permutation=permutation,
        pupils=_groups(data["pupils"]),
        outer_eye_corners=_groups(data["outer_eye_corners"]),
        normalising_box=data["normalising_box"],
        pose_mode=data["pose_mode"],
        headline=data["headline"],
        threshold=data["threshold"],
        parts=tuple(
            Part(
                folder=part["folder"],
                split=part["split"],
                count=part.get("count"),
                subset=part.get("subset"),
                faces_share_photographs=part.get("faces_share_photographs", False),
            )
            for part in data["parts"]
        ),
    )


def _groups(value: list | None) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    return None if value is None else (tuple(value[0]), tuple(value[1]))
