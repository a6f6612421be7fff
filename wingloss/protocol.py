"""A data set's protocol as data: one YAML file a data set under ``wingloss/protocols``.

A data set of one's own is one more file there; docs/own-data.md says how to write it.
"""

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import yaml
from numpy.typing import NDArray

FOLDER = Path(__file__).with_name("protocols")
Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
Reader = Literal["ibug", "aflw", "cofw", "wflw", "csv", "coco"]
Headline = Literal["inter_pupil", "inter_ocular", "box", "diag"]
CORNERS = ("left", "top", "right", "bottom")
COLUMNS = (*CORNERS, "width", "height")  # what a published box may be given by
OWN_BOXES = ("aflw", "cofw", "wflw")  # readers whose formats don't say which number is which
ALL = "full"  # what results call all faces of a split


@dataclass(frozen=True)
class Part:
    """One part of the raw data set and what the protocol says of it."""

    name: str
    path: str  # the folder or file that holds it, in the raw data set
    split: Literal["train", "test"]
    count: int | None  # faces in the complete data set; None where nobody can say
    subset: str | None  # a named subset of the test faces
    faces_share_photographs: bool  # 'name_2.jpg' is another face of the photograph of 'name_1.jpg'


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
    pupils: tuple[tuple[int, ...], tuple[int, ...]] | None  # left and right, as groups to average
    outer_eye_corners: tuple[tuple[int, ...], tuple[int, ...]] | None
    normalising_box: Literal["face", "landmarks"]
    boxes: Boxes
    bins: int  # K of PDB
    pose_mode: int  # which eigenvector is the pose's, counted from 1
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
        return _protocol(name, yaml.safe_load(file.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise BadProtocol(f"{where}: this is not YAML: {reason}") from error
    except BadProtocol as error:
        raise BadProtocol(f"{where}: {error}") from None


def _protocol(name: str, data: Any) -> Protocol:
    keys = _Keys(data, "")
    count = keys.whole("landmarks", minimum=3)  # two have no shape, wherever they lie
    reader = keys.choice("reader", get_args(Reader))
    protocol = Protocol(
        name=name,
        reader=reader,
        n_landmarks=count,
        flip_permutation=_permutation(keys.take("flip_pairs"), count),
        pupils=_groups(keys, "pupils", count),
        outer_eye_corners=_groups(keys, "outer_eye_corners", count),
        normalising_box=keys.choice("normalising_box", ("face", "landmarks"), "landmarks"),
        boxes=_boxes(keys.take("boxes", {}), reader),
        bins=keys.whole("bins", 9),
        pose_mode=keys.whole("pose_mode", 1),
        headline=keys.choice("headline", get_args(Headline)),
        threshold=keys.share("threshold"),
        parts=_parts(keys.take("parts")),
        subsets=_subsets(keys.take("subsets", {})),
        other_files=_patterns(keys.take("other_files", [])),
    )
    keys.end()
    eyes = {"pupils": protocol.pupils, "outer_eye_corners": protocol.outer_eye_corners}
    for key, groups in eyes.items():
        if groups and {int(protocol.flip_permutation[i]) for i in groups[0]} != set(groups[1]):
            raise BadProtocol(f"{key}: flip_pairs don't turn the left ones into the right ones")
        if groups and set(groups[0]) & set(groups[1]):
            raise BadProtocol(f"{key}: a landmark stands on both sides")
    lengths = {"inter_pupil": protocol.pupils, "inter_ocular": protocol.outer_eye_corners}
    if lengths.get(protocol.headline, ()) is None:
        raise BadProtocol(f"headline: {protocol.headline} needs the points of both eyes")
    if protocol.pose_mode > protocol.pose_modes:
        raise BadProtocol(f"pose_mode: {count} landmarks have {protocol.pose_modes} modes")
    _check_counts(protocol)
    return protocol


def _check_counts(protocol: Protocol) -> None:
    """Whether the parts that may hold a subset have as many faces as it."""
    for name, count in protocol.subsets.items():
        holding = [
            p.count for p in protocol.parts if p.split == "test" and p.subset in (None, name)
        ]
        known = [faces for faces in holding if faces is not None]
        if count is not None and len(known) == len(holding) and count > sum(known):
            raise BadProtocol(f"subsets.{name}: {count} faces, and its parts have {sum(known)}")


class _Keys:
    """A table of a protocol file, taken key by key; what is left over is a misspelling."""

    def __init__(self, data: Any, where: str) -> None:
        if not isinstance(data, dict):
            raise BadProtocol(f"{where or 'the file'}: this should be a table of keys and values")
        self.left = dict(data)
        self.where = where

    def take(self, key: str, *default: Any) -> Any:
        if key not in self.left and not default:
            raise BadProtocol(f"{self.where}{key}: this key is missing")
        return self.left.pop(key, *default)

    def whole(self, key: str, *default: int, minimum: int = 1, maximum: int = 1000) -> int:
        value = self.take(key, *default)
        if type(value) is int and value > maximum:
            raise BadProtocol(f"{self.where}{key}: {value} is more than {maximum}")
        if type(value) is not int or value < minimum:
            raise BadProtocol(
                f"{self.where}{key}: {value!r} should be a whole number of at least {minimum}"
            )
        return value

    def count(self, key: str) -> int | None:
        value = self.take(key, None)
        if value is not None and (type(value) is not int or value < 0):
            raise BadProtocol(f"{self.where}{key}: {value!r} should be a whole number")
        return value

    def share(self, key: str) -> float:
        value = self.take(key)
        if type(value) is not float or not 0 < value < 1:
            raise BadProtocol(f"{self.where}{key}: {value!r} should be a number between 0 and 1")
        return value

    def choice(self, key: str, allowed: tuple[str, ...], *default: str) -> Any:
        value = self.take(key, *default)
        if value not in allowed:
            raise BadProtocol(f"{self.where}{key}: {value!r} is not one of {', '.join(allowed)}")
        return value

    def flag(self, key: str) -> bool:
        value = self.take(key, False)
        if type(value) is not bool:
            raise BadProtocol(f"{self.where}{key}: {value!r} should be true or false")
        return value

    def text(self, key: str, *default: Any) -> Any:
        value = self.take(key, *default)
        if not isinstance(value, str) and value not in default:
            raise BadProtocol(f"{self.where}{key}: {value!r} should be text")
        return value

    def end(self) -> None:
        for key in self.left:
            raise BadProtocol(f"{self.where}{key}: no such key")


def _permutation(pairs: Any, count: int) -> NDArray[np.intp]:
    permutation = np.arange(count)
    seen: set[int] = set()
    for i, pair in enumerate(pairs if isinstance(pairs, list) else [pairs]):
        pair = _indices(pair, count, f"flip_pairs[{i}]")
        if len(pair) != 2 or pair[0] == pair[1]:
            raise BadProtocol(f"flip_pairs[{i}]: {list(pair)} should be two landmarks")
        if seen & set(pair):
            raise BadProtocol(f"flip_pairs[{i}]: {list(pair)}: a landmark stands in two flip pairs")
        seen.update(pair)
        permutation[list(pair)] = pair[::-1]
    return permutation


def _groups(keys: _Keys, key: str, count: int) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    value = keys.take(key, None)
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 2:
        raise BadProtocol(f"{key}: {value!r} should be two lists of landmarks, left and right")
    left, right = (_indices(group, count, f"{key}[{i}]") for i, group in enumerate(value))
    return left, right


def _indices(value: Any, count: int, where: str) -> tuple[int, ...]:
    if not isinstance(value, list) or not value or any(type(i) is not int for i in value):
        raise BadProtocol(f"{where}: {value!r} should be a list of landmarks")
    for i in value:
        if not 0 <= i < count:
            raise BadProtocol(f"{where}: there is no landmark {i}; they are 0 to {count - 1}")
    return tuple(value)


def _boxes(data: Any, reader: Reader) -> Boxes:
    keys = _Keys(data, "boxes.")
    if "columns" in keys.left and reader not in OWN_BOXES:
        raise BadProtocol(f"boxes.columns: the format of {reader} says where its numbers stand")
    columns = keys.take("columns", list(CORNERS))
    if (
        not isinstance(columns, list)
        or any(name not in COLUMNS for name in columns)
        or not len(columns) == len(set(columns)) == 4
        or not {"left", "top"} < set(columns)
        or len({"right", "width"} & set(columns)) != 1
    ):
        raise BadProtocol(f"boxes.columns: {columns!r} should be four of {', '.join(COLUMNS)}")
    boxes = Boxes(keys.text("source", "the data set's own"), tuple(columns))
    keys.end()
    return boxes


def _subsets(data: Any) -> dict[str, int | None]:
    keys = _Keys(data, "subsets.")
    for name in keys.left:
        if not isinstance(name, str) or " " in name or name == ALL:
            raise BadProtocol(f"subsets.{name}: a subset's name is a word, and not '{ALL}'")
    return {name: keys.count(name) for name in list(keys.left)}


def _patterns(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise BadProtocol(
            f"other_files: {value!r} should be a list of names, such as [notes/*.txt]"
        )
    return tuple(value)


def _parts(data: Any) -> tuple[Part, ...]:
    if not isinstance(data, list):
        raise BadProtocol("parts: this should be a list of parts")
    parts = []
    for i, value in enumerate(data):
        keys = _Keys(value, f"parts[{i}].")
        name = keys.text("name")
        place = keys.text("path", name)
        if Path(place).is_absolute() or ".." in Path(place).parts:
            raise BadProtocol(f"parts[{i}].path: {place!r} leads out of the data set's folder")
        parts.append(
            Part(
                name=name,
                path=place,
                split=keys.choice("split", ("train", "test")),
                count=keys.count("count"),
                subset=keys.text("subset", None),
                faces_share_photographs=keys.flag("faces_share_photographs"),
            )
        )
        keys.end()
    names = [part.name for part in parts]
    if len(set(names)) < len(names) or "train" not in {part.split for part in parts}:
        raise BadProtocol("parts: every part needs a name of its own, and one must be for training")
    return tuple(parts)
