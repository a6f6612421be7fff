"""WFLW: a face a line in ``list_98pt_rect_attr_{train,test}.txt``, pictures in ``WFLW_images``.

A line is 98 points (x, y), a box, six attributes (0 or 1) and the picture's path. Pixels are taken
as they stand, 0-based: the publishers don't say. Several faces may share a picture.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from wingloss.datasets.face_record import (
    BadSample,
    Found,
    LeftOut,
    Record,
    corners,
    number,
    opened,
    stem,
)
from wingloss.protocol import Part, Protocol

PICTURES = "WFLW_images"
ATTRIBUTES = ("pose", "expression", "illumination", "make-up", "occlusion", "blur")


def read(root: Path, protocol: Protocol) -> Iterator[Found]:
    """All faces, part by part, in the lists' order. A part that isn't there has none.

    Raises:
        BadSample: a list is no text.
    """
    for part in protocol.parts:
        path = root / part.path
        if not path.exists():
            continue
        blank = 0
        with opened(path) as file:
            for place, line in enumerate(file, start=1):
                if not line.strip():
                    blank += 1
                    continue
                try:
                    yield _record(line, f"{path}:{place}", place, part, protocol)
                except BadSample as error:
                    yield error
        if blank:
            yield LeftOut(f"{path}: lines", blank, "they are empty")


def _record(line: str, where: str, place: int, part: Part, protocol: Protocol) -> Record:
    n_landmarks = protocol.n_landmarks
    count = 2 * n_landmarks + 4 + len(ATTRIBUTES)
    *words, name = line.strip().split(maxsplit=count)  # a path may hold spaces
    image = f"{PICTURES}/{name}"
    if len(words) != count:
        said = f"{len(words)} numbers and a path, where {count} are expected"
        raise BadSample(f"{where}: {said}", (image,))
    try:
        values = np.array([number(word) for word in words])
    except ValueError as error:
        raise BadSample(f"{where}: {error}", (image,)) from None
    attributes = values[-len(ATTRIBUTES) :]
    if not np.isin(attributes, (0, 1)).all():
        raise BadSample(f"{where}: an attribute is neither 0 nor 1", (image,))
    named = [word for word, has in zip(ATTRIBUTES, attributes, strict=True) if has]
    return Record(
        face=f"{stem(name)}-{part.name}{place}",
        image=image,
        photograph=name,
        part=part,
        subsets=" ".join(named) if part.split == "test" else "",
        points=values[: 2 * n_landmarks].reshape(n_landmarks, 2),
        box=corners(values[2 * n_landmarks :][:4], protocol.boxes.columns),
        source=where,
    )
