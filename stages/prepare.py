"""One table of samples and one array of context crops a split, from a raw data set."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from stages import command, files, layout
from stages.command import log
from stages.errors import UserError
from stages.params import Context, Dataset, Validation, load
from wingloss import protocol
from wingloss.datasets import ibug
from wingloss.geometry import (
    Array,
    compose,
    enlarge,
    invert,
    landmark_boxes,
    square_frames,
    to_unit,
    unit_to_pixels,
)
from wingloss.protocol import SPLITS, Protocol

BLOCK = 256  # crops in memory at once


def run(dataset: str) -> None:
    """Writes data/prepared/DATASET: samples.csv, stamp.json and crops_SPLIT.npy."""
    params = load()
    rules = protocol.load(dataset)
    root = Path(layout.RAW.format(dataset=dataset))
    try:
        records = ibug.read(files.existing(root), rules)
    except ibug.BadSample as error:
        raise UserError(f"{error}; mend or remove it and run again") from error
    if not any(record.part.split == "train" for record in records):
        folders = ", ".join(part.folder for part in rules.parts if part.split == "train")
        raise UserError(f"{root}: no training pictures; expected some in {folders}")
    samples = _table(records, params.dataset[dataset], rules)
    stamp = _stamp(dataset, samples, records, rules, rendered=params.raw[dataset] is not None)
    for split in SPLITS:
        _write_crops(dataset, split, samples[samples.split == split], root, params.context)
    # Sizes in the table are in image pixels: three decimals are a thousandth of a pixel.
    files.write_table(Path(layout.SAMPLES.format(dataset=dataset)), samples.round(3), digits=10)
    files.write_json(Path(layout.STAMP.format(dataset=dataset)), stamp)


def _table(records: list[ibug.Record], dataset: Dataset, rules: Protocol) -> pd.DataFrame:
    """The table of samples: who, where, and in which frame."""
    points = np.stack([record.points for record in records])
    boxes = _boxes(records, points, dataset)
    frames = square_frames(boxes, dataset.box.scale)
    return pd.DataFrame(
        {
            "face": [Path(record.image).with_suffix("").as_posix() for record in records],
            "photograph": [record.photograph for record in records],
            "split": _splits(records, dataset.validation),
            "subsets": [record.subsets for record in records],
            "image": [record.image for record in records],
            **{f"box_{name}": boxes[:, i] for i, name in enumerate(("x0", "y0", "x1", "y1"))},
            **{f"frame_{name}": frames[:, i] for i, name in enumerate(("x", "y", "side", "angle"))},
            **files.point_columns(points),
        }
    )


def _boxes(records: list[ibug.Record], points: Array, dataset: Dataset) -> Array:
    """The face boxes ``(N, 4)`` in image pixels, from the parameter's source."""
    if dataset.box.source == "landmarks":
        return landmark_boxes(points)
    found = [record.detector_box for record in records if record.detector_box is not None]
    if len(found) < len(records):
        without = [record.image for record in records if record.detector_box is None]
        raise UserError(
            f"{without[0]}: no detector box in {ibug.BOXES} (nor for {len(without) - 1} others); "
            "add them, or set the data set's box source to landmarks in params.yaml"
        )
    return np.stack(found)


def _splits(records: list[ibug.Record], validation: Validation) -> list[str]:
    """Each face's split; validation takes whole photographs of the training part.

    Photographs are ranked by a hash of their name, so that a face more or less leaves the others
    where they are.
    """
    training = {record.photograph for record in records if record.part.split == "train"}

    def rank(photograph: str) -> bytes:
        return hashlib.sha256(f"{validation.seed} {photograph}".encode()).digest()

    count = max(1, round(validation.share * len(training)))
    chosen = set(sorted(training, key=rank)[:count])
    return ["val" if record.photograph in chosen else record.part.split for record in records]


def _stamp(
    dataset: str,
    samples: pd.DataFrame,
    records: list[ibug.Record],
    rules: Protocol,
    rendered: bool,
) -> dict:
    """How complete the data are; everything that is missing is said in the log."""
    counts, missing = {}, {}
    for part in rules.parts:
        found = sum(record.part is part for record in records)
        counts[part.folder] = found
        if part.count is not None and found != part.count:
            missing[part.folder] = part.count - found
            log.warning(
                "%s: %s has %d faces of the protocol's %d",
                dataset,
                part.folder,
                found,
                part.count,
            )
    if missing:
        log.warning("%s is PARTIAL: every result will be stamped so", dataset)
    data_stamp = "synthetic" if rendered else "partial" if missing else "full"
    splits = {split: int((samples.split == split).sum()) for split in SPLITS}
    log.info("%s: %s", dataset, ", ".join(f"{n} {split}" for split, n in splits.items()))
    return {
        "data_stamp": data_stamp,
        "faces": splits,
        "parts": counts,
        "missing": missing,
    }


def _write_crops(
    dataset: str, split: str, samples: pd.DataFrame, root: Path, context: Context
) -> None:
    """The split's context crops ``(N, P, P, 3)`` uint8 RGB, face by face, never all in memory."""
    path = Path(layout.CROPS.format(dataset=dataset, split=split))
    shape = (len(samples), context.size, context.size, 3)
    with files.whole_file(path) as partial:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        with partial.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for crop in _crops(samples, root, context):
                file.write(crop.tobytes())
    log.info("%d context crops of %s written", len(samples), split)


def _crops(samples: pd.DataFrame, root: Path, context: Context) -> Iterator[np.ndarray]:
    """Context crops in the order of the table, made on all threads."""
    frames = samples[["frame_x", "frame_y", "frame_side", "frame_angle"]].to_numpy(np.float64)
    maps = compose(unit_to_pixels(context.size), to_unit(enlarge(frames, context.scale)))
    cv2.setNumThreads(1)  # the pool has the threads
    jobs = list(zip(samples.image, frames, maps, strict=True))
    with ThreadPoolExecutor(command.threads()) as pool:
        for first in range(0, len(jobs), BLOCK):  # or crops pile up before a slow disk
            yield from pool.map(
                lambda job: crop(root / job[0], job[1], job[2], context.size),
                jobs[first : first + BLOCK],
            )


def crop(path: Path, frame: Array, transform: Array, size: int) -> np.ndarray:
    """One context crop ``(P, P, 3)``; outside of the picture its edge is repeated."""
    image = _picture(path)
    height, width = image.shape[:2]
    low, high = frame[:2] - frame[2] / 2, frame[:2] + frame[2] / 2
    if (high < 0).any() or (low > (width - 1, height - 1)).any():
        raise UserError(
            f"{path}: its face box lies outside the picture of {width} x {height} pixels; mend the "
            "box or remove the picture"
        )
    # A warp samples its source at points: average first where the crop is much smaller.
    reduction = int(1 / np.sqrt(abs(np.linalg.det(transform[:, :2]))))
    if reduction > 1:
        scale_x, scale_y = width // reduction / width, height // reduction / height
        image = cv2.resize(
            image,
            (width // reduction, height // reduction),
            interpolation=cv2.INTER_AREA,
        )
        shrunk = np.array([[scale_x, 0.0, (scale_x - 1) / 2], [0.0, scale_y, (scale_y - 1) / 2]])
        transform = compose(transform, invert(shrunk))
    return cv2.warpAffine(
        image,
        transform,
        (size, size),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _picture(path: Path) -> np.ndarray:
    """The picture as RGB uint8. Pillow, because OpenCV takes a truncated JPEG without a word."""
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(
            f"{path}: not a whole picture ({error}); replace or remove it and its .pts"
        ) from error


if __name__ == "__main__":
    command.main(run)
