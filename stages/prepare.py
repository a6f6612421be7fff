"""One table of samples and one array of context crops a split, from a raw data set."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
import pandas as pd

from pipeline import files
from pipeline.config import paths
from pipeline.config.params import Context, Dataset, Params, Validation, load
from pipeline.data import checks, origin
from pipeline.data.prepared_faces import frames_of
from pipeline.errors import UserError
from pipeline.results.words import counted
from pipeline.runtime import cli
from pipeline.runtime.cli import log
from pipeline.runtime.progress import tracked
from wingloss import pictures, protocol
from wingloss.crops import context_crop
from wingloss.datasets import names, plausible, readers
from wingloss.datasets.face_record import BadSample, Record
from wingloss.datasets.validation_part import held_out
from wingloss.geometry import (
    Array,
    context_maps,
    landmark_boxes,
    square_frames,
)
from wingloss.protocol import SPLITS, Protocol

BLOCK = 256  # crops in memory at once


def run(dataset: str) -> None:
    """Writes data/prepared/DATASET: samples.csv, stamp.json and crops_SPLIT.npy."""
    params = load()
    rules = protocol.load(dataset)
    if rules.normalising_box == "face" and params.dataset[dataset].box.source == "landmarks":
        raise UserError(
            f"dataset.{dataset}.box.source is landmarks, and normalising_box: face in "
            f"{protocol.path(dataset)} divides errors by the data set's own boxes; set the one to "
            "given or the other to landmarks"
        )
    root = files.existing(Path(paths.RAW.format(dataset=dataset)))
    raw = origin.read(dataset)
    if stale := raw.changed():
        raise UserError(stale)
    if raw.replaced:
        log.warning(
            "%s is taken as it is, and is another copy than the last of %s (has DVC brought it "
            "back?); to take what is in %s, %s",
            *(root, raw.place, raw.place, raw.again),
        )
    try:
        reading = readers.read(root, rules)
    except BadSample as error:
        raise UserError(f"{raw.named(str(error))}; correct or remove it and {raw.again}") from error
    bad = reading.bad
    checks.say_what_is_left_out(raw, reading, rules)
    records = checks.with_boxes(raw, reading.records, bad, params.dataset[dataset], rules)
    if not any(record.part.split == "train" for record in records):
        checks.judge(raw, bad, params)
        folders = ", ".join(part.path for part in rules.parts if part.split == "train")
        raise UserError(f"{raw.named(str(root))}: no training pictures; expected some in {folders}")
    if not any((root / record.image).is_file() for record in records):
        raise UserError(
            f"{raw.named(str(root))}: none of the {len(records)} pictures is there, "
            f"{records[0].image} say{names.alike(root, records[0].image)}"
        )
    samples = _table(records, params.dataset[dataset])
    if (samples.split == "train").all():
        raise UserError(
            f"dataset.{dataset}.validation.share: 0 leaves no faces to score, for the data set has "
            "no test faces; set it above 0"
        )
    if not (samples.split == "train").any():
        checks.judge(raw, bad, params)  # faults of the faces that are missing come first
        held = samples[samples.split == "val"].photograph
        raise UserError(
            f"dataset.{dataset}.validation: it takes whole photographs, and all training faces are "
            f"of {counted(held.nunique(), 'photograph')}, {held.iloc[0]} say; set "
            f"dataset.{dataset}.validation.share to 0, or bring more photographs"
        )
    with ExitStack() as outputs:  # all of them or none
        orientations = np.zeros(len(samples), dtype=int)  # EXIF's, and 0 of what has no crop
        for split in SPLITS:
            rows = np.flatnonzero(samples.split == split)
            path = Path(paths.CROPS.format(dataset=dataset, split=split))
            partial = outputs.enter_context(files.whole_file(path))
            faces = [records[i] for i in rows]
            orientations[rows] = _write_crops(
                partial, samples.iloc[rows], faces, root, params.context, bad
            )
            log.info("%d context crops of %s written", (orientations[rows] > 0).sum(), split)
        checks.judge(raw, bad, params)
        whole = orientations > 0
        kept = [record for record, is_whole in zip(records, whole, strict=True) if is_whole]
        stamp = _stamp(dataset, samples[whole], kept, rules, params, skipped=len(bad))
        stamp |= checks.files_stamp(reading)
        stamp |= checks.oddities(raw, kept, orientations[whole], rules)
    # Sizes in the table are in image pixels: three decimals are a thousandth of a pixel.
    table = samples[whole].round(3)
    files.write_samples(Path(paths.SAMPLES.format(dataset=dataset)), table)
    files.write_json(Path(paths.STAMP.format(dataset=dataset)), stamp)


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

    Test faces stay test faces, even where (on AFLW) a photograph has both.
    """
    training = [record.photograph for record in records if record.part.split == "train"]
    chosen = held_out(training, validation.share, validation.seed)
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
    path: Path,
    samples: pd.DataFrame,
    records: list[Record],
    root: Path,
    context: Context,
    bad: list[BadSample],
) -> np.ndarray:
    """The samples' context crops ``(N, P, P, 3)`` uint8 RGB, never all in memory.

    Returns the orientation that EXIF tells of each picture, 0 where there is no crop; what is wrong
    there joins ``bad``.
    """
    orientations = np.zeros(len(samples), dtype=int)
    with path.open("wb") as file:
        _write_header(file, (0, context.size, context.size, 3))
        crops = _crops(samples, records, root, context)
        for i, made in enumerate(tracked(crops, "cropping", len(samples), "faces")):
            if isinstance(made, BadSample):
                bad.append(made)
            else:
                crop, orientations[i] = made
                file.write(crop.tobytes())
        file.seek(0)
        _write_header(file, (int((orientations > 0).sum()), context.size, context.size, 3))
    return orientations


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    """The .npy header, which NumPy makes equally long for every number of crops."""
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _crops(
    samples: pd.DataFrame, records: list[Record], root: Path, context: Context
) -> Iterator[tuple[np.ndarray, int] | BadSample]:
    """Context crops and their pictures' orientation, or why there is none, on all threads."""
    frames = frames_of(samples)
    maps = context_maps(frames, context.scale, context.size)
    cv2.setNumThreads(1)  # the pool has the threads

    def make(job: tuple[Record, Array, Array]) -> tuple[np.ndarray, int] | BadSample:
        record, frame, to_crop = job
        path = root / record.image
        try:
            picture = pictures.read(path)
            orientation = pictures.orientation(path)
            height, width = picture.shape[:2]
            if fault := plausible.outside_fault(record.points, width, height):
                turned = " as EXIF has it shown" if orientation > 1 else ""
                raise BadSample(f"{record.source}: {fault}{turned}")
            return context_crop(picture, path, frame, to_crop, context.size), orientation
        except BadSample as error:
            if path.exists():
                return error
            alike = names.alike(root, record.image)
            return BadSample(f"{error} for {record.source}{alike}")

    jobs = list(zip(records, frames, maps, strict=True))
    with ThreadPoolExecutor(cli.threads()) as pool:
        for first in range(0, len(jobs), BLOCK):  # or crops pile up before a slow disk
            yield from pool.map(make, jobs[first : first + BLOCK])


if __name__ == "__main__":
    cli.main(run)
