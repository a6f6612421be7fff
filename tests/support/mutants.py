"""Mutated raw files of each format: what comes of them.

``python tests/support/mutants.py 1000`` prints it.

Each must end in faces that can be used and those that are named, or in one error that names the
file; never in anything else. tests/unit/test_mutants.py has 40 of each.
"""

import csv
import dataclasses
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from trees import WRITERS, faces, write_picture

from wingloss import protocol
from wingloss.datasets import coco, csv_faces, ibug, readers
from wingloss.datasets.face_record import BadSample
from wingloss.protocol import Part, Protocol

TRAIN, TEST = 6, 2  # faces
FILES = {  # the tree that holds it, its reader, and the file
    "aflw": ("aflw", "AFLWinfo_release.mat"),
    "cofw": ("cofw", "COFW_train_color.mat"),
    "wflw": ("wflw", protocol.load("wflw").parts[0].path),
    "official boxes": ("300w", "Bounding Boxes/bounding_boxes_lfpw_trainset.mat"),
    "pts": ("ibug", "train/0001.pts"),
    "boxes": ("ibug", "detector_boxes.csv"),
    "faces": ("ibug", "faces.csv"),
    "csv": ("csv", "train.csv"),
    "coco": ("coco", "train.json"),
}
OWN = {"ibug": "train", "csv": "train.csv", "coco": "train.json"}


def rules_of(tree: str) -> Protocol:
    """The tree's protocol."""
    if tree in OWN:
        part = Part("train", "train", OWN[tree])
        rules = protocol.load("synthetic")
        return dataclasses.replace(rules, reader=tree, parts=(part,))  # type: ignore[arg-type]
    rules = protocol.load(tree)
    parts = [dataclasses.replace(part, count=TRAIN) for part in rules.parts]
    return dataclasses.replace(rules, parts=tuple(parts))


def write(tree: str, root: Path) -> None:
    """A small whole data set."""
    if tree not in OWN:
        WRITERS[tree](root, TRAIN, TEST)
        return
    points, boxes = faces("300w", TRAIN)
    for i in range(TRAIN):
        path = root / f"train/{i:04d}.jpg"
        write_picture(path, i)
        ibug.write_pts(path.with_suffix(".pts"), points[i])
    rows = [(f"train/{i:04d}.jpg", *box) for i, box in enumerate(boxes)]
    tables = {
        ibug.BOXES: [("image", *ibug.BOX), *rows],
        ibug.FACES: [("image", "yaw", "subsets"), *((row[0], 3.5, "smiling") for row in rows)],
    }
    for name, table in tables.items():
        with (root / name).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(table)
    records = readers.read(root, rules_of("ibug")).records
    csv_faces.write(root / OWN["csv"], records)
    coco.write(root / OWN["coco"], records)


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """``content`` cut short, with flipped bits, or with bytes or lines repeated or left out."""
    data = bytearray(content)
    kind = rng.choice(["truncate", "flip", "repeat", "delete", "repeat lines", "delete lines"])
    if kind == "truncate":
        return bytes(data[: rng.integers(len(data))])
    if kind == "flip":
        for _ in range(rng.integers(1, 9)):
            data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        return bytes(data)
    units = (
        data.splitlines(keepends=True)
        if "lines" in kind
        else [data[i : i + 1] for i in range(len(data))]
    )
    first = int(rng.integers(len(units)))
    last = first + int(rng.integers(1, 9))
    kept = last if "repeat" in kind else first
    return b"".join([*units[:kept], *units[first if "repeat" in kind else last :]])


def outcome(root: Path, rules: Protocol, file: str) -> str:
    """What comes of a tree in which ``file`` was mutated."""
    try:
        reading = readers.read(root, rules)
        bad = list(reading.bad)
        bad += [one for one in readers.extract(root, rules) if isinstance(one, BadSample)]
    except BadSample as error:
        assert str(error).startswith(f"{root / file}: "), error
        return "file refused"
    assert all(np.isfinite(record.points).all() for record in reading.records)
    assert all("\n" not in str(error) for error in bad)
    faults = [record.box_fault for record in reading.records if record.box_fault]
    return "faces refused" if bad or faults else "read"


def outcomes(kind: str, count: int, root: Path) -> Counter[str]:
    """What comes of ``count`` mutants of a format's file, in a tree under ``root``."""
    tree, file = FILES[kind]
    rules, path = rules_of(tree), root / file
    write(tree, root)
    whole, found = path.read_bytes(), Counter[str]()
    assert outcome(root, rules, file) == "read"
    for seed in range(count):
        path.write_bytes(mutated(whole, np.random.default_rng(seed)))
        try:
            found[outcome(root, rules, file)] += 1
        except Exception as error:
            raise AssertionError(f"mutant {seed} of {kind}: {error!r}") from error
    return found


def main() -> None:
    count = int(sys.argv[1])
    print(f"{'format':16}{'read':>8}{'faces refused':>16}{'file refused':>16}{'seconds':>10}")
    for kind in FILES:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            found = outcomes(kind, count, Path(folder))
        numbers = f"{found['read']:8}{found['faces refused']:16}{found['file refused']:16}"
        print(f"{kind:16}{numbers}{time.monotonic() - began:10.0f}", flush=True)


if __name__ == "__main__":
    main()
