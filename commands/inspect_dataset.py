"""Looking at data: contact sheets, and what to know before trusting them.

Not a part of the graph: run it by hand on data that ``stages.prepare`` has made.
"""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from pipeline import files
from pipeline.config import paths
from pipeline.config.params import Params, load
from pipeline.data import dataset_report, images
from pipeline.data.prepared_faces import face_boxes, frames_of, read_faces
from pipeline.errors import UserError
from pipeline.runtime.cli import log, main
from wingloss import pictures, protocol
from wingloss.augmentation.perturbation import Faces, augment
from wingloss.crops import context_crop
from wingloss.datasets.face_record import BadSample
from wingloss.drawing.contact_sheet import Tile, sheet
from wingloss.geometry import (
    Array,
    apply,
    compose,
    flip,
    invert,
    square_frames,
    to_unit,
    unit_to_pixels,
)
from wingloss.models import networks
from wingloss.pose import projection
from wingloss.protocol import Protocol

FACES, COLUMNS = 48, 8
TILE = 200  # px
LARGE = 700  # px, of the picture with numbered landmarks


def run(dataset: str, /) -> None:
    """Draws contact sheets of DATASET to results/DATASET/inspect and logs what is odd about it.

    The sheets show the same 48 faces, evenly over all poses: as they were read (every second one
    with its landmarks and box), as context crops, and as the networks of its runs get them.
    """
    params, rules = load(), protocol.load(dataset)
    samples = files.read_samples(Path(paths.SAMPLES.format(dataset=dataset)))
    points = files.points(samples, rules.n_landmarks)
    root = Path(paths.RAW.format(dataset=dataset))
    dataset_report.tell(dataset, samples, points, params, rules)

    chosen = _over_all_poses(points, rules)
    rows, shapes = samples.iloc[chosen], points[chosen]
    read = [_as_read(root, rows.iloc[i], shapes[i]) for i in range(len(rows))]
    read[::2] = [Tile(tile.picture, tile.label) for tile in read[::2]]
    _save(dataset, "read", read)
    _save(dataset, "crops", _as_crops(dataset, samples, rows, params, rules))
    asked = {part for one in paths.runs(params, dataset) for part in paths.STAGES[one.network]}
    for network in sorted(asked):
        _save(dataset, network, _augmented(dataset, network, samples, rows, params, rules))
    middle = FACES // 2 if len(chosen) == FACES else 0
    _save(dataset, "numbers", _numbered(root, rows.iloc[middle], shapes[middle], rules), columns=2)


def _over_all_poses(points: Array, rules: Protocol) -> Array:
    """Indices of faces whose pose coefficients are spread evenly, in their order."""
    count = min(FACES, len(points))
    coefficients = projection.fit(points, rules).coefficients(points)
    left = coefficients.copy()
    wanted, chosen = np.linspace(left.min(), left.max(), count), []
    for value in wanted[np.argsort(-abs(wanted - np.median(left)))]:  # the rare poses first
        chosen.append(int(abs(left - value).argmin()))
        left[chosen[-1]] = np.inf
    return np.array(sorted(chosen, key=lambda face: coefficients[face]))


def _as_read(root: Path, row: pd.Series, points: Array, size: int = TILE) -> Tile:
    """The face in its picture, with its box."""
    box = face_boxes(row.to_frame().T)[0]
    low = np.minimum(points.min(axis=0), box[:2])
    high = np.maximum(points.max(axis=0), box[2:])
    frame = square_frames(np.concatenate([low, high])[None], 1.25)[0]
    transform = compose(unit_to_pixels(size), to_unit(frame[None])[0])
    corners = box[[[0, 1], [2, 1], [2, 3], [0, 3]]]
    try:
        path = root / row.image
        picture = context_crop(pictures.read(path), path, frame, transform, size)
    except BadSample as error:  # it was good when the samples were prepared
        raise UserError(f"{error}; run 'snakemake' to see to it") from error
    return Tile(
        picture,
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


def _save(dataset: str, name: str, tiles: list[Tile], columns: int = COLUMNS) -> None:
    path = Path(paths.INSPECT.format(dataset=dataset, name=name))
    images.write(path, sheet(tiles, columns))
    log.info("%s written", path)


if __name__ == "__main__":
    main(run)
