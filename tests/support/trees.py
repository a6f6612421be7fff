"""Tiny data sets in the raw formats that the real ones are published in."""

import csv
from collections.abc import Callable
from pathlib import Path

import cv2
import h5py
import numpy as np
from scipy.io import savemat

from wingloss import protocol
from wingloss.datasets.ibug import write_pts
from wingloss.geometry import Array, landmark_boxes
from wingloss.synthetic.face import AFLW
from wingloss.synthetic.head import LANDMARKS

WIDTH, HEIGHT = 100, 90  # px of every picture

# The landmarks of other schemes as means of 300W's 68, each moved down (0.1 = a tenth of the
# distance between the eyes) so that no two are one. Written down from the publishers' figures.
COFW = [
    ([17], 0), ([26], 0), ([21], 0), ([22], 0), ([19], 0), ([19], 0.1), ([24], 0), ([24], 0.1),
    ([36], 0), ([45], 0), ([39], 0), ([42], 0), ([37, 38], 0), ([40, 41], 0), ([43, 44], 0),
    ([46, 47], 0), ([*range(36, 42)], 0), ([*range(42, 48)], 0), ([31], 0), ([35], 0), ([30], 0),
    ([33], 0), ([48], 0), ([54], 0), ([51], 0), ([62], 0), ([66], 0), ([57], 0), ([8], 0),
]  # fmt: skip
WFLW = [
    *(([i // 2, (i + 1) // 2], 0) for i in range(33)),
    *(([i], 0) for i in (17, 18, 19, 20, 21)), *(([i], 0.1) for i in (21, 20, 19, 18)),
    *(([i], 0) for i in (22, 23, 24, 25, 26)), *(([i], 0.1) for i in (25, 24, 23, 22)),
    *(([i], 0) for i in range(27, 36)),
    *((i, 0) for i in ([36], [37], [37, 38], [38], [39], [40], [40, 41], [41])),
    *((i, 0) for i in ([42], [43], [43, 44], [44], [45], [46], [46, 47], [47])),
    *(([i], 0) for i in range(48, 68)),
    ([*range(36, 42)], 0), ([*range(42, 48)], 0),
]  # fmt: skip
SCHEMES = {
    "300w": [([i], 0) for i in range(68)],
    "synthetic": [([i], 0) for i in range(68)],
    "aflw": [(group, 0) for group in AFLW],
    "cofw": COFW,
    "wflw": WFLW,
}


def drawn(name: str) -> Array:
    """A symmetric face ``(L, 3)`` with the data set's landmarks, the viewer's left at x < 0."""
    return np.array(
        [LANDMARKS[group].mean(axis=0) + [0, lower, 0] for group, lower in SCHEMES[name]]
    )


def faces(name: str, count: int, seed: int = 0) -> tuple[Array, Array]:
    """Landmarks ``(N, L, 2)`` and boxes ``(N, 4)`` of faces somewhere in a picture, 0-based px."""
    rng = np.random.default_rng(seed)
    shape = drawn(name)[:, :2] + rng.normal(0, 0.03, (count, len(SCHEMES[name]), 2))
    points = 16 * shape + rng.uniform((42, 35), (58, 45), (count, 1, 2))
    return points, landmark_boxes(points) + [-3, -5, 3, 1]


def picture(seed: int, grey: bool = False) -> np.ndarray:
    """Noise ``(H, W, 3)``, or ``(H, W)``."""
    shape = (HEIGHT, WIDTH) if grey else (HEIGHT, WIDTH, 3)
    return np.random.default_rng(seed).integers(0, 255, shape, dtype=np.uint8)


def write_picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture(seed))


def aflw_order(count: int) -> np.ndarray:
    """The faces ``(N,)``, counted from 0, as `ra` orders them."""
    return np.random.default_rng(count).permutation(count)


def write_aflw(root: Path, train: int = 30, test: int = 8) -> None:
    """Two faces a photograph; every third face has a hidden landmark; `ra` shuffles them.

    So one photograph may have a face to train and one to test, as the real ones do.
    """
    count = train + test
    points, boxes = faces("aflw", count)
    names = np.empty((count, 1), dtype=object)
    for i in range(count):
        names[i, 0] = f"{(0, 2, 3)[i // 2 % 3]}/image{i // 2:05d}.jpg"
        write_picture(root / "data/flickr" / names[i, 0], i // 2)
    mask = np.ones((count, 19), dtype=np.uint8)
    mask[::3, 4] = 0
    content = {
        "bbox": boxes[:, [0, 2, 1, 3]],
        "data": np.concatenate([points[:, :, 0], points[:, :, 1]], axis=1),
        "mask_new": mask,
        "nameList": names,
        "ra": aflw_order(count).astype(np.uint16)[None] + 1,
    }
    savemat(root / "AFLWinfo_release.mat", content)


def write_cofw(root: Path, train: int = 30, test: int = 8) -> None:
    """Every fourth picture is grey, as LFPW's are not; every face has a hidden landmark."""
    root.mkdir(parents=True, exist_ok=True)
    for part, ending, count in (("train", "Tr", train), ("test", "T", test)):
        path = root / f"COFW_{part}_color.mat"
        points, boxes = faces("cofw", count, seed=count)
        occluded = np.zeros((count, 29))
        occluded[np.arange(count), np.arange(count) % 29] = 1
        phis = np.concatenate([points[:, :, 0] + 1, points[:, :, 1] + 1, occluded], axis=1)
        corner, size = boxes[:, :2] + 1, boxes[:, 2:] - boxes[:, :2]
        with h5py.File(path, "w", userblock_size=512) as file:
            cells = file.create_dataset(f"Is{ending}", (1, count), dtype=h5py.ref_dtype)
            for i in range(count):
                image = picture(i, grey=i % 4 == 3)
                cells[0, i] = file.create_dataset(f"#refs#/{i}", data=image.T).ref
            file[f"phis{ending}"] = phis.T
            file[f"bboxes{ending}"] = np.concatenate([corner, size], axis=1).T
        with path.open("r+b") as raw:
            raw.write(b"MATLAB 7.3 MAT-file".ljust(128))


def write_wflw(root: Path, train: int = 30, test: int = 8) -> None:
    """Two faces a picture; a path with a space; face i has the attributes of i's binary digits."""
    rules = protocol.load("wflw")
    for part, count in zip(rules.parts, (train, test), strict=True):
        points, boxes = faces("wflw", count, seed=count)
        lines = []
        for i in range(count):
            name = f"{part.name}--People {i % 2}/{i // 2}.jpg"
            write_picture(root / "WFLW_images" / name, i // 2)
            attributes = [i >> bit & 1 for bit in range(6)]
            numbers = [f"{value:.6f}" for value in points[i].ravel()]
            box = [str(int(value)) for value in boxes[i]]
            lines.append(" ".join([*numbers, *box, *map(str, attributes), name]))
        path = root / part.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_300w(root: Path, train: int = 30, test: int = 8) -> None:
    """Pictures of LFPW and IBUG alone, with the publishers' boxes."""
    for folder, count in (("lfpw/trainset", train), ("lfpw/testset", test), ("ibug", test)):
        points, boxes = faces("300w", count, seed=count)
        entries = np.empty((1, count), dtype=object)
        for i in range(count):
            path = root / folder / f"image_{i:04d}.{'png' if 'lfpw' in folder else 'jpg'}"
            write_picture(path, i)
            write_pts(path.with_suffix(".pts"), points[i])
            entries[0, i] = {"imgName": f"{path.name} ", "bb_detector": boxes[i] + 1}
        mat = root / "Bounding Boxes" / f"bounding_boxes_{folder.replace('/', '_')}.mat"
        mat.parent.mkdir(exist_ok=True)
        savemat(mat, {"bounding_boxes": entries})


FIVE = [[*range(36, 42)], [*range(42, 48)], [30], [48], [54]]  # eyes, nose, mouth, as means of 68
FIVE_PROTOCOL = """reader: {reader}
landmarks: 5
flip_pairs: [[0, 1], [3, 4]]
pupils: [[0], [1]]
headline: inter_pupil
threshold: 0.1
parts:
  - {{name: train, path: {path}, split: train}}
"""


def five(points: Array) -> Array:
    """The five landmarks ``(..., 5, 2)`` of 300W's ``(..., 68, 2)``."""
    return np.stack([points[..., group, :].mean(axis=-2) for group in FIVE], axis=-2)


def write_faces(folder: Path, points: Array) -> None:
    """Pictures 0001.jpg, ..., each with a face's points in a .pts file beside it."""
    for i, own in enumerate(points):
        path = folder / f"{i + 1:04d}.jpg"
        write_picture(path, i)
        write_pts(path.with_suffix(".pts"), own)


WRITERS: dict[str, Callable[..., None]] = {
    "300w": write_300w, "aflw": write_aflw, "cofw": write_cofw, "wflw": write_wflw,
}  # fmt: skip


FOLDERS = {  # of 300W, with the photographs' names and how many faces each has
    "afw": {"one": 2, "two": 1, "three": 1, "four": 3},
    "helen/trainset": {"100_200": 1, "100_300": 2},
    "helen/testset": {"900": 1},
    "lfpw/trainset": {"image_0001": 0, "image_0002": 0},
    "ibug": {"image_003_1": 0, "image_003_2": 0},
}


def write_small_300w(root: Path, boxes: bool = True) -> list[str]:
    """A small 300W in its official layout; the names of its pictures."""
    rng = np.random.default_rng(0)
    rows = [("image", "x_min", "y_min", "x_max", "y_max")]
    for folder, photographs in FOLDERS.items():
        (root / folder).mkdir(parents=True)
        ending = ".png" if folder.startswith("lfpw") else ".jpg"
        for stem, faces in photographs.items():
            for name in [f"{stem}_{i + 1}" for i in range(faces)] or [stem]:
                picture = rng.integers(0, 255, (90, 100, 3), dtype=np.uint8)
                cv2.imwrite(str(root / folder / f"{name}{ending}"), picture)
                points = rng.uniform((30, 25), (70, 65), (68, 2))
                write_pts(root / folder / f"{name}.pts", points)
                rows.append((f"{folder}/{name}{ending}", "28.0", "23.0", "72.0", "67.0"))
    if boxes:
        with (root / "detector_boxes.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)
    return [row[0] for row in rows[1:]]
