"""AFLW-Full: ``AFLWinfo_release.mat`` (Zhu et al., CVPR 2016) and AFLW's photographs.

The file holds for each of its faces ``data`` (x1..x19, y1..y19), ``bbox``, ``mask_new`` (1: the
landmark is visible), ``nameList`` (the photograph's path) and the permutation ``ra`` (1-based) that
orders the faces: those of the protocol's first part come first. Pixels are taken as they stand,
0-based: the publishers don't say. Several faces may share a photograph.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from wingloss.datasets.face_record import BadSample, Found, Record, corners, stem
from wingloss.protocol import Protocol

FOLDERS = ("data/flickr", "aflw/data/flickr", "flickr", "images")  # as archives are unpacked
FRONTAL = "frontal"  # the subset of faces whose landmarks are all visible


def read(root: Path, protocol: Protocol) -> Iterator[Found]:
    """All faces, in the order of ``ra``.

    Raises:
        BadSample: the file can't be read as what it should be.
    """
    from wingloss.datasets import matlab  # which needs SciPy

    path = root / protocol.parts[0].path
    n_landmarks = protocol.n_landmarks
    order, data, boxes, masks, names = matlab.variables(
        path, ("ra", "data", "bbox", "mask_new", "nameList")
    )
    names = np.atleast_1d(names).ravel()
    data = matlab.matrix(data, 2 * n_landmarks, f"{path}: data")
    boxes = matlab.matrix(boxes, 4, f"{path}: bbox")
    masks = matlab.matrix(masks, n_landmarks, f"{path}: mask_new")
    if not len(names) == len(data) == len(boxes) == len(masks):
        raise BadSample(f"{path}: data, bbox, mask_new and nameList differ in length")
    order = matlab.matrix(np.ravel(order), len(names), f"{path}: ra")[0]
    if sorted(order) != list(range(1, len(names) + 1)):
        raise BadSample(f"{path}: ra is not a permutation of 1 to {len(names)}")
    folder = next((name for name in FOLDERS if (root / name).is_dir()), FOLDERS[0])
    order = order.astype(int) - 1
    first = 0
    for part in protocol.parts:
        last = len(order) if part is protocol.parts[-1] else first + (part.count or 0)
        for i in order[first:last]:
            name = str(names[i]).strip()
            visible = masks[i] == 1
            yield Record(
                face=f"{stem(name)}-{i + 1}",
                image=f"{folder}/{name}",
                photograph=name,
                part=part,
                subsets=FRONTAL if part.split == "test" and visible.all() else "",
                points=data[i].reshape(2, n_landmarks).T,
                box=corners(boxes[i], protocol.boxes.columns),
                source=f"{path}: face {i + 1}",
                visible=visible,
            )
        first = last
