"""Looking at data: contact sheets, and what to know before trusting them.

Not a part of the graph: run it by hand on data that ``stages.prepare`` has made.
"""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from PIL import Image

from stages import files, layout
from stages.command import log, main
from stages.faces import context_maps, frames_of, read_crops, read_faces
from stages.params import Params, load
from stages.prepare import crop
from wingloss import duplicates, networks, pose, protocol
from wingloss.augmentation import Faces, augment
from wingloss.geometry import (
    Array,
    apply,
    compose,
    flip,
    invert,
    landmark_boxes,
    square_frames,
    to_unit,
    unit_to_pixels,
)
from wingloss.protocol import Protocol
from wingloss.sheet import Picture, Tile, sheet

FACES, COLUMNS = 48, 8
TILE = 200  # px
LARGE = 700  # px, of the picture with numbered landmarks
THUMBNAIL = 24  # px, of the likeness that near-duplicates are found by
ALIKE = 0.97  # correlation of two thumbnails above which they are shown as near-duplicates


def run(dataset: str, /) -> None:
    """Draws contact sheets of DATASET to results/DATASET/inspect and logs what is odd about it.

    The sheets show the same 48 faces, evenly over all poses: as they were read (every second one
    with its landmarks and box), as context crops, and as the networks get them.
    """
    params, rules = load(), protocol.load(dataset)
    samples = files.read_samples(Path(layout.SAMPLES.format(dataset=dataset)))
    points = files.points(samples, rules.n_landmarks)
    root = Path(layout.RAW.format(dataset=dataset))
    sizes = _picture_sizes(root, samples)
    _log_counts(samples, sizes)
    _log_boxes(samples, points, sizes)
    _log_duplicates(dataset, samples, points, params, rules)

    chosen = _over_all_poses(points, rules)
    rows, shapes = samples.iloc[chosen], points[chosen]
    read = [_as_read(root, rows.iloc[i], shapes[i]) for i in range(len(rows))]
    read[::2] = [Tile(tile.picture, tile.label) for tile in read[::2]]
    _save(dataset, "read", read)
    _save(dataset, "crops", _as_crops(dataset, samples, rows, params, rules))
    for network in networks.ARCHITECTURES:
        _save(dataset, network, _augmented(dataset, network, samples, rows, params, rules))
    middle = FACES // 2 if len(chosen) == FACES else 0
    _save(dataset, "numbers", _numbered(root, rows.iloc[middle], shapes[middle], rules), columns=2)


def _picture_sizes(root: Path, samples: pd.DataFrame) -> Array:
    """Width and height (N, 2) of each face's picture, px."""
    sizes = {}
    for name in samples.image.unique():
        with Image.open(files.existing(root / name)) as image:  # reads the header only
            sizes[name] = image.size
    return np.array([sizes[name] for name in samples.image], float)


def _log_counts(samples: pd.DataFrame, sizes: Array) -> None:
    for split, rows in samples.groupby("split"):
        tags = rows.subsets.str.split().explode().value_counts()
        named = ", ".join(f"{count} {tag}" for tag, count in sorted(tags.items()))
        photographs = rows.photograph.nunique()
        log.info("%s: %d faces in %d photographs; %s", split, len(rows), photographs, named or "-")
    (narrow, low), (wide, high) = sizes.min(axis=0), sizes.max(axis=0)
    log.info(
        "pictures: %d to %d px wide, median %d; %d to %d px high, median %d",
        *(narrow, wide, np.median(sizes[:, 0]), low, high, np.median(sizes[:, 1])),
    )


def _log_boxes(samples: pd.DataFrame, points: Array, sizes: Array) -> None:
    """How the face boxes lie to the landmarks, and which landmarks lie outside of what."""
    boxes = _boxes(samples)
    given, tight = square_frames(boxes, 1), square_frames(landmark_boxes(points), 1)
    ratio = given[:, 2] / tight[:, 2]
    shift = (given[:, :2] - tight[:, :2]) / tight[:, 2:3]
    log.info("face size (the landmarks' longer side): %s px", _spread(tight[:, 2], "%.0f"))
    log.info(
        "box side / face size: %s; standard deviation of its logarithm %.3f",
        _spread(ratio, "%.2f"),
        np.log(ratio).std(),
    )
    log.info(
        "box centre - landmarks' centre, in face sizes: mean %.3f right, %.3f down; standard "
        "deviation %.3f, %.3f",
        *shift.mean(axis=0),
        *shift.std(axis=0),
    )
    corners = np.concatenate([np.zeros((len(sizes), 2)), sizes - 1], axis=1)
    frames = frames_of(samples)
    half = frames[:, 2:3] / 2
    for name, limits in (
        ("the face box", boxes),
        ("stage one's frame", np.c_[frames[:, :2] - half, frames[:, :2] + half]),
        ("the picture", corners),
    ):
        beyond = np.maximum(limits[:, None, :2] - points, points - limits[:, None, 2:])
        beyond = beyond.max(axis=(1, 2)) / tight[:, 2]
        worst = int(beyond.argmax())
        log.info(
            "a landmark outside %s: %.1f %% of faces%s",
            name,
            100 * (beyond > 0).mean(),
            f"; farthest {beyond[worst]:.2f} face sizes ({samples.face.iloc[worst]})"
            if beyond[worst] > 0
            else "",
        )


def _log_duplicates(
    dataset: str, samples: pd.DataFrame, points: Array, params: Params, rules: Protocol
) -> None:
    """Faces that look the same, aligned by their landmarks, on both sides of a split."""
    maps = context_maps(samples, params.context)
    mean = pose.fit(points, rules.pose_mode).mean
    canonical = mean / np.ptp(mean, axis=0).max() * 0.8 * THUMBNAIL + (THUMBNAIL - 1) / 2
    likeness = {}
    for split, rows in samples.groupby("split"):
        crops = read_crops(Path(layout.CROPS.format(dataset=dataset, split=split)))
        at = samples.index.get_indexer(rows.index)
        places = apply(maps[at], points[at])
        thumbnails = [_thumbnail(*pair, canonical) for pair in zip(crops, places, strict=True)]
        likeness[split] = duplicates.normalise(np.stack(thumbnails)), rows.face.to_numpy()
    for split in sorted(set(likeness) - {"train"}):
        index, alike = duplicates.nearest(likeness[split][0], likeness["train"][0])
        found = np.flatnonzero(alike > ALIKE)
        log.info("%d faces of %s look like one of train", len(found), split)
        for face in found[np.argsort(-alike[found])][:10]:
            other = likeness["train"][1][index[face]]
            log.warning("%s looks like %s (%.3f)", likeness[split][1][face], other, alike[face])


def _thumbnail(picture: Picture, points: Array, canonical: Array) -> Picture:
    """The face in grey, turned, scaled and moved so that its landmarks fit the mean shape."""
    angle = pose.rotations(points[None], canonical)[0]
    scale = np.linalg.norm(canonical - canonical.mean(0)) / np.linalg.norm(points - points.mean(0))
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[cos, sin], [-sin, cos]])
    shift = canonical.mean(0) - linear @ points.mean(0)
    size = (THUMBNAIL, THUMBNAIL)
    small = cv2.GaussianBlur(picture, (0, 0), float(0.5 / scale)) if scale < 1 else picture
    warped = cv2.warpAffine(small, np.c_[linear, shift], size, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.cvtColor(warped, cv2.COLOR_RGB2GRAY), np.uint8)


def _over_all_poses(points: Array, rules: Protocol) -> Array:
    """Indices of faces whose pose coefficients are spread evenly, in their order."""
    count = min(FACES, len(points))
    left = pose.fit(points, rules.pose_mode).coefficients(points)
    wanted, chosen = np.linspace(left.min(), left.max(), count), []
    for value in wanted[np.argsort(-abs(wanted - np.median(left)))]:  # the rare poses first
        chosen.append(int(abs(left - value).argmin()))
        left[chosen[-1]] = np.inf
    coefficients = pose.fit(points, rules.pose_mode).coefficients(points)
    return np.array(sorted(chosen, key=lambda face: coefficients[face]))


def _as_read(root: Path, row: pd.Series, points: Array, size: int = TILE) -> Tile:
    """The face in its picture, with its box."""
    box = _boxes(row.to_frame().T)[0]
    low = np.minimum(points.min(axis=0), box[:2])
    high = np.maximum(points.max(axis=0), box[2:])
    frame = square_frames(np.concatenate([low, high])[None], 1.25)[0]
    transform = compose(unit_to_pixels(size), to_unit(frame[None])[0])
    corners = box[[[0, 1], [2, 1], [2, 3], [0, 3]]]
    return Tile(
        crop(root / row.image, frame, transform, size),
        " ".join([row.face, row.subsets]),
        apply(transform, points),
        [apply(transform, corners)],
    )


def _as_crops(
    dataset: str, samples: pd.DataFrame, rows: pd.DataFrame, params: Params, rules: Protocol
) -> list[Tile]:
    """Context crops with stage one's frame."""
    square = np.array([[0.0, 0.0], [1, 0], [1, 1], [0, 1]])
    tiles = []
    for face in _prepared(dataset, samples, rows, params, rules):
        to_tile = compose(unit_to_pixels(TILE), invert(unit_to_pixels(face.crops.shape[1])))
        picture = cv2.resize(face.crops[0], (TILE, TILE), interpolation=cv2.INTER_AREA)
        outline = apply(compose(to_tile, invert(face.to_unit[0])), square)
        points = apply(to_tile, face.points[0])
        tiles.append(Tile(np.asarray(picture, np.uint8), "", points, [outline]))
    return tiles


def _augmented(
    dataset: str,
    network: str,
    samples: pd.DataFrame,
    rows: pd.DataFrame,
    params: Params,
    rules: Protocol,
) -> list[Tile]:
    """A network's inputs after a draw of the augmentation, enlarged without smoothing.

    CNN-7's are shown in stage one's frames: which ones stage one finds depends on a training.
    """
    size = networks.ARCHITECTURES[network].input_size
    amount = getattr(params.augmentation, network)
    rng = np.random.default_rng(0)
    to_tile = compose(unit_to_pixels(TILE), invert(unit_to_pixels(size)))
    tiles = []
    for face in _prepared(dataset, samples, rows, params, rules):
        one = np.array([0])
        pictures, points = augment(face, one, amount, rng, size, rules.flip_permutation)
        large = cv2.resize(pictures[0], (TILE, TILE), interpolation=cv2.INTER_NEAREST)
        tiles.append(Tile(np.asarray(large, np.uint8), "", apply(to_tile, points[0])))
    return tiles


def _prepared(
    dataset: str, samples: pd.DataFrame, rows: pd.DataFrame, params: Params, rules: Protocol
) -> list[Faces]:
    """One face each of ``rows``, as the networks get them."""
    splits = {}
    for split in rows.split.unique():
        own = samples[samples.split == split]
        faces = read_faces(dataset, split, own, frames_of(own), params.context, rules)
        splits[split] = faces, {name: i for i, name in enumerate(own.index)}
    found = []
    for name, split in zip(rows.index, rows.split, strict=True):
        faces, place = splits[split]
        one = slice(place[name], place[name] + 1)
        found.append(Faces(faces.crops[one], faces.points[one], faces.to_unit[one]))
    return found


def _numbered(root: Path, row: pd.Series, points: Array, rules: Protocol) -> list[Tile]:
    """A face with its landmarks' numbers, and its mirror image with those after the flip."""
    tile = _as_read(root, row, points, LARGE)
    assert tile.points is not None
    mirrored = np.ascontiguousarray(tile.picture[:, ::-1])
    flipped = flip(tile.points, rules.flip_permutation, LARGE)
    return [
        Tile(tile.picture, row.face, tile.points, numbered=True),
        Tile(mirrored, "flipped", flipped, numbered=True),
    ]


def _boxes(samples: pd.DataFrame) -> Array:
    return samples[["box_x0", "box_y0", "box_x1", "box_y1"]].to_numpy(np.float64)


def _spread(values: Array, form: str) -> str:
    low, middle, high = np.quantile(values, (0.05, 0.5, 0.95))
    return f"{form}, {form} and {form} (5 %%, median, 95 %%)" % (low, middle, high)


def _save(dataset: str, name: str, tiles: list[Tile], columns: int = COLUMNS) -> None:
    path = Path(layout.INSPECT.format(dataset=dataset, name=name))
    picture = cv2.cvtColor(sheet(tiles, columns), cv2.COLOR_RGB2BGR)
    with files.whole_file(path) as partial:
        data = cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, 90))[1]
        partial.write_bytes(data.tobytes())
    log.info("%s written", path)


if __name__ == "__main__":
    main(run)
