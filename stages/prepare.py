"""One table of samples and one array of context crops a split, from a raw data set."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
import pandas as pd

from stages import command, files, layout, pictures
from stages.command import log
from stages.errors import UserError
from stages.params import Context, Dataset, Params, Validation, load
from stages.progress import tracked
from wingloss import protocol
from wingloss.datasets import readers
from wingloss.datasets.record import BadSample, Record
from wingloss.geometry import (
    Array,
    compose,
    enlarge,
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
        records, bad = readers.read(files.existing(root), rules)
    except BadSample as error:
        raise UserError(f"{error}; mend or remove it and run again") from error
    records = _with_boxes(dataset, records, bad, params.dataset[dataset])
    if not any(record.part.split == "train" for record in records):
        _judge(dataset, bad, params)
        folders = ", ".join(part.path for part in rules.parts if part.split == "train")
        raise UserError(f"{root}: no training pictures; expected some in {folders}")
    if not any((root / record.image).is_file() for record in records):
        raise UserError(
            f"{root}: none of the {len(records)} pictures is there, {records[0].image} say"
        )
    samples = _table(records, params.dataset[dataset])
    with ExitStack() as outputs:  # all of them or none
        whole = np.ones(len(samples), dtype=bool)
        for split in SPLITS:
            rows = (samples.split == split).to_numpy()
            path = Path(layout.CROPS.format(dataset=dataset, split=split))
            partial = outputs.enter_context(files.whole_file(path))
            whole[rows] = _write_crops(partial, samples[rows], root, params.context, bad)
            log.info("%d context crops of %s written", whole[rows].sum(), split)
        _judge(dataset, bad, params)
        kept = [record for record, is_whole in zip(records, whole, strict=True) if is_whole]
        stamp = _stamp(dataset, samples[whole], kept, rules, params, skipped=len(bad))
    # Sizes in the table are in image pixels: three decimals are a thousandth of a pixel.
    table = samples[whole].round(3)
    files.write_samples(Path(layout.SAMPLES.format(dataset=dataset)), table)
    files.write_json(Path(layout.STAMP.format(dataset=dataset)), stamp)


def _with_boxes(
    dataset: str, records: list[Record], bad: list[BadSample], parameters: Dataset
) -> list[Record]:
    """The records that have the box that the parameters ask for; the others join ``bad``."""
    if parameters.box.source == "landmarks":
        return records
    kept = [record for record in records if record.box is not None]
    remedy = f"add it, or set dataset.{dataset}.box.source to landmarks in params.yaml"
    if records and not kept:
        raise UserError(f"{records[0].source}: no face box, nor has any other face; {remedy}")
    bad += [
        BadSample(f"{record.source}: no face box; {remedy}")
        for record in records
        if record.box is None
    ]
    return kept


def _judge(dataset: str, bad: list[BadSample], params: Params) -> None:
    """Says everything that is bad at once, and stops unless such faces are to be left out."""
    for sample in bad:
        log.warning("%s", sample)
    if not bad:
        return
    if params.on_bad_sample == "skip":
        log.warning("%s: %d faces left out; every result will be stamped so", dataset, len(bad))
        return
    others = f" (and {len(bad) - 1} more bad faces, all listed above)" if len(bad) > 1 else ""
    raise UserError(
        f"{bad[0]}{others}; mend or remove it, or set on_bad_sample: skip in params.yaml"
    )


def _table(records: list[Record], dataset: Dataset) -> pd.DataFrame:
    """The table of samples: who, where, and in which frame."""
    points = np.stack([record.points for record in records])
    boxes = _boxes(records, points, dataset)
    frames = square_frames(boxes, dataset.box.scale)
    yaw = [record.yaw for record in records]
    return pd.DataFrame(
        {
            "face": [record.face for record in records],
            "photograph": [record.photograph for record in records],
            "split": _splits(records, dataset.validation),
            "subsets": [record.subsets for record in records],
            "image": [record.image for record in records],
            **{f"box_{name}": boxes[:, i] for i, name in enumerate(("x0", "y0", "x1", "y1"))},
            **{f"frame_{name}": frames[:, i] for i, name in enumerate(("x", "y", "side", "angle"))},
            **({} if None in yaw else {files.YAW: yaw}),
            **files.point_columns(points),
        }
    )


def _boxes(records: list[Record], points: Array, dataset: Dataset) -> Array:
    """The face boxes ``(N, 4)`` in image pixels, from the parameter's source."""
    if dataset.box.source == "landmarks":
        return landmark_boxes(points)
    return np.stack([record.box for record in records if record.box is not None])


def _splits(records: list[Record], validation: Validation) -> list[str]:
    """Each face's split; validation takes the training faces of whole photographs.

    Photographs are ranked by a hash of their name, so that a face more or less leaves the others
    where they are. Test faces stay test faces, even where (on AFLW) a photograph has both.
    """
    training = {record.photograph for record in records if record.part.split == "train"}

    def rank(photograph: str) -> bytes:
        return hashlib.sha256(f"{validation.seed} {photograph}".encode()).digest()

    count = max(1, round(validation.share * len(training)))
    chosen = set(sorted(training, key=rank)[:count])
    return [
        "val" if r.part.split == "train" and r.photograph in chosen else r.part.split
        for r in records
    ]


def _stamp(
    dataset: str,
    samples: pd.DataFrame,
    records: list[Record],
    rules: Protocol,
    params: Params,
    skipped: int,
) -> dict:
    """How complete the data are; everything that is missing is said in the log."""
    tags = [set(record.subsets.split()) for record in records if record.part.split == "test"]
    counts = {part.name: sum(record.part is part for record in records) for part in rules.parts}
    subsets = {name: sum(name in own for own in tags) for name in rules.subsets}
    expected = {part.name: part.count for part in rules.parts} | rules.subsets
    missing = {}
    for name, found in (counts | subsets).items():
        count = expected[name]
        if count is not None and found != count:
            missing[name] = count - found
            log.warning("%s: %s has %d faces of the protocol's %d", dataset, name, found, count)
    if missing:
        log.warning("%s is PARTIAL: every result will be stamped so", dataset)
    rendered = params.raw[dataset] is not None
    data_stamp = "synthetic" if rendered else "partial" if missing else "full"
    splits = {split: int((samples.split == split).sum()) for split in SPLITS}
    assert splits["test"] == sum(counts[part.name] for part in rules.parts if part.split == "test")
    log.info("%s: %s", dataset, ", ".join(f"{n} {split}" for split, n in splits.items()))
    return {
        "data_stamp": data_stamp + (f", {skipped} skipped" if skipped else ""),
        "faces": splits,
        "parts": counts,
        "subsets": subsets,
        "missing": missing,
        "skipped": skipped,
    }


def _write_crops(
    path: Path, samples: pd.DataFrame, root: Path, context: Context, bad: list[BadSample]
) -> np.ndarray:
    """The samples' context crops ``(N, P, P, 3)`` uint8 RGB, never all in memory.

    Returns which of the samples have one; what is wrong with the others joins ``bad``.
    """
    whole = np.zeros(len(samples), dtype=bool)
    with path.open("wb") as file:
        _write_header(file, (0, context.size, context.size, 3))
        crops = tracked(_crops(samples, root, context), "cropping", len(samples), "faces")
        for i, crop in enumerate(crops):
            if isinstance(crop, BadSample):
                bad.append(crop)
            else:
                file.write(crop.tobytes())
                whole[i] = True
        file.seek(0)
        _write_header(file, (int(whole.sum()), context.size, context.size, 3))
    return whole


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    """The .npy header, which NumPy makes equally long for every number of crops."""
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _crops(samples: pd.DataFrame, root: Path, context: Context) -> Iterator[np.ndarray | BadSample]:
    """Context crops, or why there is none, in the order of the table, made on all threads."""
    frames = samples[["frame_x", "frame_y", "frame_side", "frame_angle"]].to_numpy(np.float64)
    maps = compose(unit_to_pixels(context.size), to_unit(enlarge(frames, context.scale)))
    cv2.setNumThreads(1)  # the pool has the threads

    def make(job: tuple[str, Array, Array]) -> np.ndarray | BadSample:
        try:
            path = root / job[0]
            return pictures.crop(pictures.read(path), path, job[1], job[2], context.size)
        except BadSample as error:
            return error

    jobs = list(zip(samples.image, frames, maps, strict=True))
    with ThreadPoolExecutor(command.threads()) as pool:
        for first in range(0, len(jobs), BLOCK):  # or crops pile up before a slow disk
            yield from pool.map(make, jobs[first : first + BLOCK])


if __name__ == "__main__":
    command.main(run)
