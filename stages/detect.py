"""Landmarks in one's own pictures, by a run's models.

Not a part of the graph: run it by hand once the run has been trained.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from stages import boxing, command, files, layout, pictures, predicting
from stages.boxing import Boxing
from stages.command import log
from stages.errors import UserError
from stages.layout import Run
from stages.params import Context, Params, load
from stages.progress import tracked
from wingloss.augmentation import Faces, Images
from wingloss.correction import corrected_frames
from wingloss.datasets.csvs import BOX
from wingloss.datasets.record import BadSample
from wingloss.geometry import Array, apply, compose, enlarge, invert, to_unit, unit_to_pixels
from wingloss.sheet import Tile, sheet

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
AT_ONCE = 256  # faces in memory, about
SHOWN, COLUMNS, TILE = 48, 8, 200  # on the sheet; px
SQUARE = np.array([[0.0, 0.0], [1, 0], [1, 1], [0, 1]])


@dataclass(frozen=True)
class Found:
    """Faces in a folder's pictures."""

    images: list[str]  # (N,) paths below the folder
    frames: Array  # (N, 4) where stage one looks first, in pixels of the picture as it is shown
    crops: Images  # (N, P, P, 3) context crops

    def seen_in(self, frames: Array, context: Context) -> Faces:
        """The faces to be seen in ``frames`` ``(N, 4)``, of which nobody knows a point."""
        to_image = invert(_to_crops(self.frames, context))
        nothing = np.empty((len(frames), 0, 2))
        return Faces(self.crops, nothing, compose(to_unit(frames), to_image))


def run(trained: str, folder: str, /) -> None:
    """Finds the landmarks of the faces in all pictures below FOLDER, with the models of a run.

    TRAINED is the run, such as 300w/cnn6_7/pdb/wing/seed0. A detector_boxes.csv in FOLDER says
    where faces are (image, x_min, y_min, x_max, y_max: a line a face, boxed as the training faces
    are); without one, dlib's detector looks for frontal faces. Writes landmarks.csv and sheet.jpg
    to results/DATASET/detected/NAME, with the folder's name. Pixels count from 0, in the picture as
    it is shown.
    """
    params, one, root = load(), _run(trained), Path(folder)
    if not (images := sorted(p for p in root.rglob("*") if p.suffix.lower() in ENDINGS)):
        raise UserError(f"{root}: no pictures there ({', '.join(ENDINGS)})")
    stages = range(1, len(layout.STAGES[one.network]) + 1)
    models = [files.existing(one.path(layout.MODEL, stage=stage)) for stage in stages]
    boxes = boxing.of(root, one.dataset, params)
    parts: list[pd.DataFrame] = []
    tiles: list[Tile] = []
    for faces in _faces(root, images, boxes, params.context):
        frames, points = _landmarks(models, faces, boxes, one.dataset, params)
        parts.append(_table(faces, frames, points))
        tiles += _tiles(faces, frames, points, params.context)[: SHOWN - len(tiles)]
    if not parts:
        raise UserError(f"{root}: no face was found in {len(images)} pictures")
    where = {"dataset": one.dataset, "folder": root.resolve().name}
    table, path = pd.concat(parts), Path(layout.LANDMARKS.format(**where))
    files.write_table(path, table)
    pictures.write(Path(layout.DETECTED_SHEET.format(**where)), sheet(tiles, COLUMNS))
    with_faces = table.image.nunique()
    log.info("%s: %d faces in %d of %d pictures", path, len(table), with_faces, len(images))


def _run(name: str) -> Run:
    """The run of a name such as 300w/cnn6_7/pdb/wing/seed0."""
    parts = name.split("/")
    if len(parts) != 5 or parts[1] not in layout.STAGES or not parts[4].startswith("seed"):
        raise UserError(f"'{name}' names no run; one is such as 300w/cnn6_7/pdb/wing/seed0")
    try:
        return Run(parts[0], parts[1], parts[2], parts[3], int(parts[4].removeprefix("seed")))
    except ValueError:
        raise UserError(f"'{name}': a seed is a whole number") from None


def _faces(root: Path, images: list[Path], boxes: Boxing, context: Context) -> Iterator[Found]:
    """The faces in pictures, many at a time. What can't be read is said and left out."""
    names: list[str] = []
    frames: list[Array] = []
    crops: list[Images] = []
    for path in tracked(images, "looking for faces", len(images), "pictures"):
        name = path.relative_to(root).as_posix()
        try:
            picture = pictures.read(path, as_shown=True)
            for frame in boxes.locate(name, picture):
                to_crop = _to_crops(frame[None], context)[0]
                crops.append(pictures.crop(picture, path, frame, to_crop, context.size))
                frames.append(frame)
                names.append(name)
        except BadSample as error:
            log.warning("%s", error)
        if len(names) >= AT_ONCE:
            yield Found(names, np.stack(frames), np.stack(crops))
            names, frames, crops = [], [], []
    if names:
        yield Found(names, np.stack(frames), np.stack(crops))


def _landmarks(
    models: list[Path], faces: Found, boxes: Boxing, dataset: str, params: Params
) -> tuple[Array, Array]:
    """Where stage one looked at last ``(N, 4)``, and the last stage's landmarks ``(N, L, 2)``."""

    def look(model: Path, frames: Array) -> Array:
        return predicting.predict(model, faces.seen_in(frames, params.context), frames)

    frames = faces.frames
    points = look(models[0], frames)
    for again in boxes.again:
        frames = again(points)
        points = look(models[0], frames)
    for model in models[1:]:
        mean = np.array(files.read_json(Path(layout.POSE.format(dataset=dataset)))["mean"])
        points = look(model, corrected_frames(points, mean, params.correction.margin))
    return frames, points


def _table(faces: Found, frames: Array, points: Array) -> pd.DataFrame:
    """A row a face, with the columns that the reader of CSV takes: the box is stage one's."""
    half = frames[:, 2:3] / 2
    sides = np.hstack([frames[:, :2] - half, frames[:, :2] + half]).T
    columns = {"image": faces.images, **dict(zip(BOX, sides, strict=True))}
    return pd.DataFrame(columns | files.point_columns(points))


def _tiles(faces: Found, frames: Array, points: Array, context: Context) -> list[Tile]:
    """Context crops with stage one's frame and the landmarks that were found."""
    to_tile = compose(unit_to_pixels(TILE), to_unit(enlarge(faces.frames, context.scale)))
    outlines = apply(compose(to_tile, invert(to_unit(frames))), SQUARE)
    tiles = []
    for i, crop in enumerate(faces.crops):
        picture = cv2.resize(crop, (TILE, TILE), interpolation=cv2.INTER_AREA)
        drawn = apply(to_tile[i], points[i])
        tiles.append(Tile(np.asarray(picture, np.uint8), faces.images[i], drawn, [outlines[i]]))
    return tiles


def _to_crops(frames: Array, context: Context) -> Array:
    """The maps ``(N, 2, 3)`` from a picture's pixels to those of its faces' context crops."""
    return compose(unit_to_pixels(context.size), to_unit(enlarge(frames, context.scale)))


if __name__ == "__main__":
    command.main(run)
