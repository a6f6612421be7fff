"""A data set's protocol as data: one YAML file a data set under ``wingloss/protocols``.

A data set of one's own is one more file there; docs/guide/own-data.md says how to write it.
"""

import os
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from wingloss import yaml_files
from wingloss.validation import Refused, build

FOLDER = Path(__file__).with_name("protocols")
Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
Reader = Literal["ibug", "aflw", "cofw", "wflw", "csv", "coco"]
Headline = Literal["inter_pupil", "inter_ocular", "box", "diag"]
PoseAxis = Literal["antisymmetric", "eigenvector"]
Column = Literal["left", "top", "right", "bottom", "width", "height"]
COLUMNS: tuple[str, ...] = get_args(Column)  # what a published box may be given by
CORNERS = COLUMNS[:4]
OWN_BOXES = ("aflw", "cofw", "wflw")  # readers whose formats don't say which number is which
LONGEST = 500  # characters of a reason; a wrong value can be a long one
MOST = 1000  # landmarks, and bins of PDB
ALL = "full"  # what results call all faces of a split
Landmarks = Annotated[tuple[int, ...], Field(min_length=1)]  # by their numbers, from 0
Sides = tuple[Landmarks, Landmarks]  # left and right, as groups to average
Curve = Annotated[tuple[int, ...], Field(min_length=2)]  # landmarks in their order along it
Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class Part:
    """One part of the raw data set and what the protocol says of it."""

    name: str
    split: Literal["train", "test"]
    path: str = ""  # the folder or file that holds it, in the raw data set; by default its name
    count: Count | None = None  # faces in the complete data set; None where nobody can say
    subset: str | None = None  # a named subset of the test faces
    # 'name_2.jpg' is another face of the photograph of 'name_1.jpg'
    faces_share_photographs: bool = False

    def __post_init__(self) -> None:
        if not self.path:
            object.__setattr__(self, "path", self.name)
        if Path(self.path).is_absolute() or ".." in Path(self.path).parts:
            raise ValueError(f"path: {self.path!r} leads out of the data set's folder")


@dataclass(frozen=True)
class Boxes:
    """The face boxes that come with the data set."""

    source: str  # whose they are
    columns: tuple[str, ...]  # the order in which the raw format has their numbers


@dataclass(frozen=True)
class Protocol:
    """Everything that tells one data set from another."""

    name: str
    reader: Reader  # of the raw format
    n_landmarks: int
    flip_permutation: NDArray[np.intp]  # (L,): the landmark that takes each one's place
    pupils: Sides | None
    outer_eye_corners: Sides | None
    boundaries: tuple[Curve, ...]  # the contours that heat maps show beside the landmarks
    normalising_box: Literal["face", "landmarks"]
    boxes: Boxes
    bins: int  # K of PDB
    # what PDB takes for the pose: the first eigenvector that changes its sign in a mirror, or the
    # authors' eigenvector
    pose_axis: PoseAxis
    pose_mode: int  # which eigenvector is the authors', counted from 1
    headline: Headline  # the normaliser that the field reports, and of AUC and failure rate
    threshold: float  # tau of AUC and failure rate, as a share of that normaliser
    parts: tuple[Part, ...]
    subsets: dict[str, int | None]  # test faces of each named subset; None where nobody can say
    other_files: tuple[str, ...]  # patterns of the files that hold no face of this protocol

    @property
    def pose_modes(self) -> int:
        """How many eigenvectors shapes have: place, size and rotation are aligned away."""
        return 2 * self.n_landmarks - 4


class BadProtocol(ValueError):
    """A protocol file that says something impossible; the message names the file and the key."""


def available() -> list[str]:
    """The names of the data sets that have a protocol."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


def path(name: str) -> Path:
    """The file that holds the protocol of data set ``name``."""
    return FOLDER / f"{name}.yaml"


@dataclass(frozen=True)
class _Boxes:
    """What a file says of the boxes; some formats have an order of their own."""

    source: str = "the data set's own"
    columns: tuple[Column, ...] | None = None


@dataclass(frozen=True)
class _File:
    """A protocol as its file says it."""

    reader: Reader
    landmarks: Annotated[int, Field(ge=3, le=MOST)]  # two have no shape, wherever they lie
    flip_pairs: list[tuple[int, ...]]
    headline: Headline
    threshold: Annotated[float, Field(gt=0, lt=1)]
    parts: tuple[Part, ...]
    pupils: Sides | None = None
    outer_eye_corners: Sides | None = None
    boundaries: tuple[Curve, ...] = ()
    normalising_box: Literal["face", "landmarks"] = "landmarks"
    boxes: _Boxes = _Boxes()
    bins: Annotated[int, Field(ge=1, le=MOST)] = 9
    pose_axis: PoseAxis = "antisymmetric"
    pose_mode: Annotated[int, Field(ge=1, le=MOST)] = 1
    subsets: dict[str, Count | None] = field(default_factory=dict)
    other_files: tuple[str, ...] = ()


@cache
def load(name: str) -> Protocol:
    """The protocol of data set ``name``.

    Raises:
        KeyError: no such protocol.
        BadProtocol: one line that names the file, the key, and what is wrong with it.
    """
    file = path(name)
    if not file.is_file():
        raise KeyError(f"no protocol '{name}'; there are {', '.join(available())}")
    where = os.path.relpath(file)
    try:
        return _protocol(name, build(_File, yaml_files.read(file)))
    except (yaml_files.BadYaml, Refused, BadProtocol) as error:
        reason = " ".join(str(error).split())
        raise BadProtocol(f"{where}: {reason[:LONGEST]}") from None


def _protocol(name: str, file: _File) -> Protocol:
    """The protocol, once its keys are known to agree with each other."""
    _check_counts(file)
    protocol = Protocol(
        name=name,
        reader=file.reader,
        n_landmarks=file.landmarks,
        flip_permutation=_permutation(file.flip_pairs, file.landmarks),
        pupils=file.pupils,
        outer_eye_corners=file.outer_eye_corners,
        boundaries=file.boundaries,
        normalising_box=file.normalising_box,
        boxes=Boxes(file.boxes.source, _columns(file)),
        bins=file.bins,
        pose_axis=file.pose_axis,
        pose_mode=file.pose_mode,
        headline=file.headline,
        threshold=file.threshold,
        parts=file.parts,
        subsets=file.subsets,
        other_files=file.other_files,
    )
    for key in ("pupils", "outer_eye_corners"):
        _check_eyes(key, getattr(file, key), protocol.flip_permutation)
    for i, curve in enumerate(file.boundaries):
        _check_landmarks(curve, file.landmarks, f"boundaries[{i}]")
    lengths = {"inter_pupil": protocol.pupils, "inter_ocular": protocol.outer_eye_corners}
    if lengths.get(protocol.headline, ()) is None:
        raise BadProtocol(f"headline: {protocol.headline} needs the points of both eyes")
    if protocol.pose_mode > protocol.pose_modes:
        raise BadProtocol(f"pose_mode: {file.landmarks} landmarks have {protocol.pose_modes} modes")
    return protocol


def _check_counts(file: _File) -> None:
    """Whether parts have names, and those that may hold a subset as many faces as it."""
    names = [part.name for part in file.parts]
    if len(set(names)) < len(names) or "train" not in {part.split for part in file.parts}:
        raise BadProtocol("parts: every part needs a name of its own, and one must be for training")
    for name, count in file.subsets.items():
        if " " in name or name == ALL:
            raise BadProtocol(f"subsets.{name}: a subset's name is a word, and not '{ALL}'")
        holding = [p.count for p in file.parts if p.split == "test" and p.subset in (None, name)]
        known = [faces for faces in holding if faces is not None]
        if count is not None and len(known) == len(holding) and count > sum(known):
            raise BadProtocol(f"subsets.{name}: {count} faces, and its parts have {sum(known)}")


def _permutation(pairs: list[tuple[int, ...]], count: int) -> NDArray[np.intp]:
    permutation = np.arange(count)
    seen: set[int] = set()
    for i, pair in enumerate(pairs):
        _check_landmarks(pair, count, f"flip_pairs[{i}]")
        if len(pair) != 2 or pair[0] == pair[1]:
            raise BadProtocol(f"flip_pairs[{i}]: {list(pair)} should be two landmarks")
        if seen & set(pair):
            raise BadProtocol(f"flip_pairs[{i}]: {list(pair)}: a landmark stands in two flip pairs")
        seen.update(pair)
        permutation[list(pair)] = pair[::-1]
    return permutation


def _check_eyes(key: str, sides: Sides | None, flip_permutation: NDArray[np.intp]) -> None:
    """Whether left and right are two groups of landmarks, each the other one's mirror image."""
    if sides is None:
        return
    for i, group in enumerate(sides):
        _check_landmarks(group, len(flip_permutation), f"{key}[{i}]")
    left, right = map(set, sides)
    if {int(flip_permutation[i]) for i in left} != right:
        raise BadProtocol(f"{key}: flip_pairs don't turn the left ones into the right ones")
    if left & right:
        raise BadProtocol(f"{key}: a landmark stands on both sides")


def _check_landmarks(group: tuple[int, ...], count: int, where: str) -> None:
    for i in group:
        if not 0 <= i < count:
            raise BadProtocol(f"{where}: there is no landmark {i}; they are 0 to {count - 1}")


def _columns(file: _File) -> tuple[str, ...]:
    """The order of a box's numbers, where the raw format doesn't say it."""
    columns = file.boxes.columns
    if columns is None:
        return CORNERS
    if file.reader not in OWN_BOXES:
        reason = f"the format of {file.reader} says where its numbers stand"
        raise BadProtocol(f"boxes.columns: {reason}")
    there = set(columns)
    four = len(columns) == len(there) == 4
    if not (four and there > {"left", "top"} and len(there & {"right", "width"}) == 1):
        raise BadProtocol(f"boxes.columns: {list(columns)} should be four of {', '.join(COLUMNS)}")
    return columns
