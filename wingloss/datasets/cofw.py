"""COFW: ``COFW_{train,test}_color.mat``, MATLAB 7.3 (HDF5), which hold the pictures too.

``IsTr`` (``IsT`` of the test file) is a cell array of pictures, grey or in colour; ``phisTr`` has a
row x1..x29, y1..y29, o1..o29 a face (o = 1: occluded) and ``bboxesTr`` a row a face. HDF5 shows
every array with its axes reversed. Coordinates are MATLAB's, 1-based.

Pictures are written as .png files once (:func:`extract`), one in memory at a time, and are from
then on like any other data set's.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path

import cv2
import h5py
import numpy as np

from wingloss.datasets.apart import apart
from wingloss.datasets.face_record import BadSample, Found, Record, corners, stem
from wingloss.protocol import Part, Protocol

MOST_BYTES = 300_000_000  # of one picture or table: a file that claims more is broken
OLDER = b"MATLAB 5.0"  # how files of versions 5 to 7.2 begin


def read(root: Path, protocol: Protocol) -> Iterator[Found]:
    """All faces, part by part, in the files' order. A part that isn't there has none.

    Raises:
        BadSample: a file can't be read as what it should be.
    """
    n_landmarks = protocol.n_landmarks
    for part in protocol.parts:
        path = root / part.path
        if not path.exists():
            continue
        ((phis, boxes),) = apart(path, partial(_annotations, path, n_landmarks))
        for i, (phi, box) in enumerate(zip(phis, boxes, strict=True)):
            x, y, occluded = phi.reshape(3, n_landmarks)
            image = picture_name(part, i)
            yield Record(
                face=stem(image),
                image=image,
                photograph=image,
                part=part,
                subsets="",
                points=np.column_stack([x, y]) - 1,
                box=corners(box, protocol.boxes.columns) - 1,
                source=f"{path}: face {i + 1}",
                visible=occluded == 0,
            )


def extract(root: Path, protocol: Protocol) -> Iterator[Path | BadSample]:
    """Writes the pictures of all .mat files under ``root``: each one's path, or why it has none.

    Raises:
        BadSample: a file can't be read as what it should be.
    """
    for part in protocol.parts:
        path = root / part.path
        if not path.exists():
            continue
        targets = (root / picture_name(part, i) for i in count())
        for target, fault in zip(
            targets, apart(path, partial(_pictures, path, root, part)), strict=False
        ):
            yield BadSample(fault) if fault else target


def _annotations(path: Path, n_landmarks: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """A row a face of points, and of boxes."""
    with _opened(path) as file:
        names = _names(file, path)
        phis = _matrix(file, names[1], 3 * n_landmarks, path)
        boxes = _matrix(file, names[2], 4, path)
        if not len(phis) == len(boxes) == _cells(file, names[0], path).size:
            raise BadSample(f"{path}: {', '.join(names)} differ in length")
        yield phis, boxes


def _pictures(path: Path, root: Path, part: Part) -> Iterator[str]:
    """Writes a file's pictures; for each, what is wrong with it, or nothing."""
    with _opened(path) as file:
        for i, reference in enumerate(_cells(file, _names(file, path)[0], path)):
            target = root / picture_name(part, i)
            target.parent.mkdir(exist_ok=True)
            try:
                picture = _picture(file, reference, f"{path}: picture {i + 1}")
            except BadSample as error:
                yield str(error)
                continue
            target.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
            yield ""


def picture_name(part: Part, index: int) -> str:
    """The path of a part's picture, counted from 0, in the raw data set."""
    return f"{stem(part.path)}/{index + 1:04d}.png"


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    try:
        with h5py.File(path, "r") as file:
            yield file
    except BadSample:
        raise
    except Exception as error:  # whatever a broken file makes h5py raise
        if path.is_file() and path.open("rb").read(len(OLDER)) == OLDER:
            fault = "of an older MATLAB, and the published one is of 7.3 (-v7.3)"
            raise BadSample(f"{path}: {fault}") from None
        raise BadSample(f"{path}: not a whole MATLAB 7.3 file ({error})") from error


def _names(file: h5py.File, path: Path) -> tuple[str, str, str]:
    """The names of pictures, points and boxes in this file.

    Links are not followed: they may lead to any file of this machine.
    """
    for ending in ("Tr", "T"):
        names = (f"Is{ending}", f"phis{ending}", f"bboxes{ending}")
        linked = any(not isinstance(file.get(name, getlink=True), h5py.HardLink) for name in names)
        if not linked and all(isinstance(file[name], h5py.Dataset) for name in names):
            return names
    raise BadSample(f"{path}: no variables IsTr, phisTr, bboxesTr (or IsT, phisT, bboxesT)")


def _content(value: h5py.Dataset, where: str) -> np.ndarray:
    """What stands in this file of an array; HDF5 would take it from others too."""
    if value.external or value.is_virtual:
        raise BadSample(f"{where} lies in another file")
    if not value.size * value.dtype.itemsize < MOST_BYTES:
        raise BadSample(f"{where} has size {value.shape[::-1]}")
    return np.asarray(value[()])


def _cells(file: h5py.File, name: str, path: Path) -> np.ndarray:
    """The references to the pictures ``(N,)``; names in their place could be those of links."""
    if h5py.check_ref_dtype(file[name].dtype) is not h5py.Reference:
        raise BadSample(f"{path}: {name} has no references to pictures")
    return _content(file[name], f"{path}: {name}").ravel()


def _matrix(file: h5py.File, name: str, columns: int, path: Path) -> np.ndarray:
    value = file[name]
    if value.ndim != 2 or value.shape[0] != columns or value.dtype.kind not in "fiu":
        raise BadSample(f"{path}: {name} has size {value.shape[::-1]}, not N x {columns}")
    return _content(value, f"{path}: {name}").astype(np.float64).T


def _picture(file: h5py.File, reference: h5py.Reference, where: str) -> np.ndarray:
    """A picture ``(H, W)`` or ``(H, W, 3)`` uint8 in OpenCV's order of colours."""
    try:
        value = file[reference]
        dtype, shape = value.dtype, value.shape
        if dtype != np.uint8 or len(shape) not in (2, 3) or not 0 < value.size < MOST_BYTES:
            raise BadSample(f"{where}: {dtype} of size {shape}, not a picture")
        picture = _content(value, where)
    except BadSample:
        raise
    except Exception as error:  # whatever a dangling reference makes h5py raise
        raise BadSample(f"{where}: not there ({error})") from error
    if picture.ndim == 2:
        return np.ascontiguousarray(picture.T)
    if picture.shape[0] != 3:
        raise BadSample(f"{where}: {picture.shape[0]} colours, not 3")
    return np.ascontiguousarray(picture.transpose(2, 1, 0)[:, :, ::-1])
