"""One's own faces as COCO keypoints: a JSON file a part, a face an annotation.

``keypoints`` is x, y, v a landmark (0-based pixels; v = 2 visible, 1 hidden, 0 not annotated, which
isn't enough here) and ``bbox`` left, top, width, height. Pictures' ``file_name`` is a path in the
data set's folder. Two keys beyond COCO's may be there: ``photograph`` (which faces of one share;
otherwise the picture is meant) and ``subsets`` (names between spaces).
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from wingloss.datasets.face_record import BadSample, Found, LeftOut, Record, corners, opened, stem
from wingloss.datasets.names import printable
from wingloss.protocol import Part, Protocol

COLUMNS = ("left", "top", "width", "height")


def read(root: Path, protocol: Protocol) -> Iterator[Found]:
    """All faces, part by part, in the files' order. A part that isn't there has none.

    Raises:
        BadSample: a file is no JSON, or has no lists of images and annotations.
    """
    for part in protocol.parts:
        path = root / part.path
        if not path.exists():
            continue
        names, annotations = _load(path)
        annotated = set()
        for i, annotation in enumerate(annotations):
            where = f"{path}: annotations[{i}]"
            image = ""
            try:
                image = names.get(annotation["image_id"], "")
                annotated.add(annotation["image_id"])
                yield _record(annotation, where, i, part, names, protocol.n_landmarks)
            except BadSample as error:
                yield BadSample(str(error), (image,))
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                yield BadSample(
                    f"{where}: no image_id and keypoints as COCO has them "
                    f"({type(error).__name__}: {error})",
                    (image,),
                )
        bare = [name for number, name in names.items() if number not in annotated]
        if bare:
            why = f"no annotation is of them, such as '{bare[0]}'"
            yield LeftOut(f"{path}: images", len(bare), printable(why))


def write(path: Path, records: list[Record]) -> None:
    """Writes faces as one JSON file."""
    images = {name: i + 1 for i, name in enumerate(dict.fromkeys(r.image for r in records))}
    annotations = []
    for i, record in enumerate(records):
        flags = np.full(len(record.points), 2)
        if record.visible is not None:
            flags[~record.visible] = 1
        annotation: dict[str, Any] = {
            "id": i + 1,
            "image_id": images[record.image],
            "category_id": 1,
            "num_keypoints": len(flags),
            "keypoints": np.column_stack([record.points, flags]).ravel().tolist(),
            "photograph": record.photograph,
            "subsets": record.subsets,
        }
        if record.box is not None:
            left, top, right, bottom = record.box.tolist()
            annotation["bbox"] = [left, top, right - left, bottom - top]
        annotations.append(annotation)
    value = {
        "images": [{"id": number, "file_name": name} for name, number in images.items()],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "face"}],
    }
    path.write_text(json.dumps(value), encoding="utf-8")


def _load(path: Path) -> tuple[dict[Any, str], list[Any]]:
    """The pictures' paths by id, and the annotations."""
    try:
        with opened(path) as file:
            data = json.load(file, object_pairs_hook=_each_key_once)
        if not isinstance(data, dict) or not {"images", "annotations"} <= data.keys():
            raise BadSample(f"{path}: not a COCO file: it has no images and annotations")
        names = {image["id"]: str(image["file_name"]) for image in data["images"]}
        images, annotations = len(data["images"]), data["annotations"]
    except BadSample:
        raise
    except (ValueError, RecursionError) as error:
        raise BadSample(f"{path}: not JSON in UTF-8 ({error})") from error
    except (KeyError, TypeError) as error:
        raise BadSample(f"{path}: not a COCO file: images need id and file_name") from error
    if len(names) < images:
        raise BadSample(f"{path}: not a COCO file: two images have one id")
    if not isinstance(annotations, list):
        raise BadSample(f"{path}: not a COCO file: annotations should be a list")
    return names, annotations


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; Python would take the last of two entries of one key, and say nothing."""
    table = dict(pairs)
    if len(table) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key '{max(keys, key=keys.count)}' stands in one object twice")
    return table


def _record(
    annotation: dict[str, Any],
    where: str,
    index: int,
    part: Part,
    names: dict[Any, str],
    n_landmarks: int,
) -> Record:
    number = annotation["image_id"]
    if number not in names:
        other = next((f"; there is {one!r}" for one in names if str(one) == str(number)), "")
        raise BadSample(f"{where}: there is no image {number!r}{other}")
    image = names[number]
    if "keypoints" not in annotation:
        raise BadSample(f"{where}: it has no keypoints")
    keypoints = np.array(annotation["keypoints"], dtype=np.float64)
    if keypoints.size != 3 * n_landmarks:
        raise BadSample(
            f"{where}: {keypoints.size} numbers of keypoints where {3 * n_landmarks} are expected "
            f"(x, y and v of {n_landmarks} landmarks)"
        )
    keypoints = keypoints.reshape(-1, 3)
    seen = keypoints[:, 2]
    if len(unknown := np.flatnonzero(seen == 0)):
        raise BadSample(f"{where}: landmark {unknown[0]} is not annotated")
    if len(unknown := np.flatnonzero(~np.isin(seen, (1, 2)))):
        first = f"landmark {unknown[0]} has v = {seen[unknown[0]]:g}"
        raise BadSample(f"{where}: {first}, where 1 (hidden) or 2 (seen) is expected")
    box, fault = annotation.get("bbox"), ""
    try:
        box = None if box is None else corners(box, COLUMNS)
    except (TypeError, ValueError, OverflowError):
        box, fault = None, f"{where}: the bbox is no left, top, width and height"
    return Record(
        face=f"{stem(image)}-{part.name}{index + 1}",
        image=image,
        photograph=str(annotation.get("photograph") or image),
        part=part,
        subsets=str(annotation.get("subsets") or part.subset or ""),
        points=keypoints[:, :2],
        box=box,
        source=where,
        visible=seen == 2,
        box_fault=fault,
    )
