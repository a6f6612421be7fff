"""What is said of a raw data set's faces before they are used, and what stops there."""

from dataclasses import asdict
from typing import Any

import numpy as np

from pipeline.config.params import Dataset, Params
from pipeline.data.origin import Origin
from pipeline.errors import UserError
from pipeline.runtime.cli import log
from wingloss import protocol
from wingloss.datasets import names, plausible, readers
from wingloss.datasets.face_record import BadSample, Record
from wingloss.datasets.readers import Reading
from wingloss.protocol import Protocol
from wingloss.validation import meant

SAID = 10  # lines about what is left out


def say_what_is_left_out(raw: Origin, reading: Reading, rules: Protocol) -> None:
    """Says what lies in the data set and isn't read, and which parts aren't there."""
    for one in reading.left_out[:SAID]:
        log.warning("%s", raw.named(f"{one.what}: {one.count} left out; {one.why}"))
    if more := reading.left_out[SAID:]:
        log.warning(
            "%s: %d more are left out elsewhere", raw.dataset, sum(one.count for one in more)
        )
    found = {record.part.name for record in reading.records}
    for part in rules.parts:
        if part.count is None and part.name not in found:  # the stamp says the others
            beside = sorted(path.name for path in raw.folder.iterdir())
            log.warning(
                "%s: part %s (%s) has no faces%s",
                *(raw.dataset, part.name, part.path),
                "" if part.path in beside else f"; {meant(part.path, beside)}".rstrip(" ;"),
            )


def files_stamp(reading: Reading) -> dict[str, Any]:
    """How many files there were and were read, and what of the data set wasn't."""
    left_out = [asdict(one) for one in reading.left_out]
    return {"files": {"found": reading.files, "used": reading.used}, "left_out": left_out}


def with_boxes(
    raw: Origin,
    records: list[Record],
    bad: list[BadSample],
    parameters: Dataset,
    rules: Protocol,
) -> list[Record]:
    """The records that have the box that the parameters ask for; the others join ``bad``."""
    if parameters.box.source == "landmarks":
        return records
    _check_order(raw, records, rules)
    remedy = f"add it, or set dataset.{raw.dataset}.box.source to landmarks in params.yaml"
    kept, faults = [], []
    for record in records:
        if record.box is not None and not record.box_fault:
            kept.append(record)
        else:
            fault = record.box_fault or f"{record.source}: no face box; {remedy}"
            faults.append(BadSample(fault, (record.image,)))
    if records and not kept:
        fault = raw.named(records[0].box_fault or f"{records[0].source}: no face box")
        raise UserError(f"{fault}, nor has any other face a box; {remedy}, and {raw.again}")
    bad += faults
    return kept


def _check_order(raw: Origin, records: list[Record], rules: Protocol) -> None:
    """Whether the boxes' numbers mean what they are taken for, by most faces' landmarks."""
    boxed = [record for record in records if record.box is not None]
    if not boxed:
        return
    columns = readers.box_columns(rules)
    boxes = np.stack([record.box for record in boxed if record.box is not None])
    points = np.stack([record.points for record in boxed])
    if order := plausible.other_order(boxes, points, columns):
        where = raw.named(boxed[0].box_source or boxed[0].source)
        remedy = (
            f"say so under boxes.columns in {protocol.path(raw.dataset).name}"
            if rules.reader in protocol.OWN_BOXES and set(order) <= set(protocol.COLUMNS)
            else f"write them so and {raw.again}"
        )
        raise UserError(
            f"{where}: the boxes' numbers are taken for {', '.join(columns)}, and by most faces' "
            f"landmarks they are {', '.join(order)}; {remedy}"
        )


def judge(raw: Origin, bad: list[BadSample], params: Params) -> None:
    """Says everything that is bad at once, and stops unless such faces are to be left out."""
    said = [raw.named(str(sample)) for sample in bad]
    for line in said:
        log.warning("%s", line)
    if not bad:
        return
    if params.on_bad_sample == "skip":
        log.warning("%s: %d faces left out; every result will be stamped so", raw.dataset, len(bad))
        return
    others = f" (the first of {len(bad)} bad faces, listed above)" if bad[1:] else ""
    raise UserError(
        f"{said[0]}{others}; correct or remove it and {raw.again}; or set on_bad_sample: "
        "skip in params.yaml"
    )


def oddities(
    raw: Origin, records: list[Record], orientations: np.ndarray, rules: Protocol
) -> dict[str, int]:
    """What may be wrong with faces that can be used, said and counted for the stamp.

    ``orientations`` ``(N,)`` are EXIF's of the faces' pictures.
    """
    points = np.stack([record.points for record in records])
    turned = {
        record.image: record.source
        for record, orientation in zip(records, orientations, strict=True)
        if orientation > 1
    }
    if turned:
        log.warning(
            "%s: %d pictures are turned by their EXIF orientation; their points are "
            "taken to be in the picture as viewers show it, such as those of %s",
            *(raw.dataset, len(turned), raw.named(next(iter(turned.values())))),
        )
    first: dict[bytes, Record] = {}
    doubled: list[str] = []
    leaked: list[str] = []
    for record in records:
        twin = first.setdefault(record.points.tobytes(), record)
        if twin is not record:
            across = record.part.split != twin.part.split
            (leaked if across else doubled).append(f"{record.source} (as {twin.source})")
    if leaked:
        log.warning(
            "%s: %s both among the training and among the test faces, with the same points; test "
            "errors come out too low: %s",
            raw.dataset,
            "1 face is" if len(leaked) == 1 else f"{len(leaked)} faces are",
            raw.named(names.some(leaked)),
        )
    if doubled:
        log.warning(
            "%s: %d faces appear twice, with the same points: %s",
            *(raw.dataset, len(doubled), raw.named(names.some(doubled))),
        )
    unlike = [records[i].source for i in plausible.unlike_the_others(points)]
    if unlike:
        log.warning(
            "%s: %d faces have a shape that no others have: %s; are points of them swapped or "
            "misplaced?",
            *(raw.dataset, len(unlike), raw.named(names.some(unlike))),
        )
    eyes = rules.pupils or rules.outer_eye_corners
    lying = [records[i] for i in np.flatnonzero(plausible.lying(points, *eyes))] if eyes else []
    if lying:
        noted = sum(record.image in turned for record in lying)
        cause = (
            f", {noted} of them in pictures with such a note; were their points taken in the "
            "picture as it is stored?"
            if noted
            else "; are their points right?"
        )
        said = names.some([record.source for record in lying])
        log.warning(
            "%s: %d faces lie on their side or head: %s%s",
            *(raw.dataset, len(lying), raw.named(said), cause),
        )
    counts = {"turned": turned, "doubled": doubled + leaked, "unlike": unlike, "lying": lying}
    return {name: len(found) for name, found in counts.items()}
