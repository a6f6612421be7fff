"""Landmarks in one's own pictures, by a run's models.

Not a part of the graph: run it by hand once the run has been trained.
"""

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
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
class Batch:
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
    to results/DATASET/detected/RUN/NAME, with the folder's name. Pixels count from 0, in the
    picture as it is shown.
    """
    params, root = load(), Path(folder)
    one, images = _run(trained, params), _pictures(root)
    models = _models(one, params)
    boxes = boxing.of(root, images, one.dataset, params)
    parts: list[pd.DataFrame] = []
    tiles: list[Tile] = []
    for faces in _faces(root, images, boxes, params.context):
        frames, points = _landmarks(models, faces, boxes, one.dataset, params)
        parts.append(_table(faces, frames, points, params.dataset[one.dataset].box.scale))
        tiles += _tiles(faces, frames, points, params.context, SHOWN - len(tiles))
    if not parts:
        raise UserError(f"{root}: no face was found in {len(images)} pictures")
    where = one.path(layout.DETECTED, folder=Path(os.path.abspath(root)).name)
    table = pd.concat(parts)
    pictures.write(where / "sheet.jpg", sheet(tiles, COLUMNS))
    files.write_table(where / "landmarks.csv", table)
    with_faces = table.image.nunique()
    log.info("%s: %d faces in %d of %d pictures", where, len(table), with_faces, len(images))


def _run(name: str, params: Params) -> Run:
    """The run of this name."""
    asked = {str(one): one for dataset in params.datasets for one in layout.runs(params, dataset)}
    if name not in asked:
        raise UserError(
            f"'{name}' is none of the {len(asked)} runs that params.yaml asks for; one of them is "
            f"{list(asked)[-1]}"
        )
    return asked[name]


def _pictures(root: Path) -> list[str]:
    """The pictures' paths below the folder, in order; what is hidden is left alone."""
    if not root.is_dir():
        raise UserError(f"{root}: no such folder")
    names = [
        path.relative_to(root)
        for path in sorted(root.rglob("*"))
        if path.suffix.lower() in ENDINGS and path.is_file()
    ]
    found = [str(name) for name in names if not any(part[0] == "." for part in name.parts)]
    if not found:
        raise UserError(f"{root}: no pictures there ({', '.join(ENDINGS)})")
    return found


def _models(one: Run, params: Params) -> list[Path]:
    """The run's models, stage by stage, if they are whole and of these parameters."""
    stages = range(1, len(layout.STAGES[one.network]) + 1)
    for stage in stages:
        manifest = files.read_json(one.path(layout.MANIFEST, stage=stage))
        if manifest["status"] == "diverged":
            raise UserError(f"{one}: the training of stage {stage} diverged, so it finds nothing")
        if manifest["inputs"]["context"] != asdict(params.context):
            raise UserError(
                f"{one} was trained with another `context`; run 'snakemake --cores all'"
            )
    return [files.existing(one.path(layout.MODEL, stage=stage)) for stage in stages]


def _faces(root: Path, images: list[str], boxes: Boxing, context: Context) -> Iterator[Batch]:
    """The faces in pictures, many at a time. What can't be used is said and left out."""
    names: list[str] = []
    frames: list[Array] = []
    crops: list[Images] = []
    for name in tracked(images, "looking for faces", len(images), "pictures"):
        path = root / name
        try:
            name.encode()
            picture = pictures.read(path)
        except (BadSample, UnicodeEncodeError) as error:
            log.warning("%s", error)
            continue
        for frame in boxes.locate(name, picture):
            to_crop = _to_crops(frame[None], context)[0]
            try:
                crops.append(pictures.crop(picture, path, frame, to_crop, context.size))
            except BadSample as error:
                log.warning("%s", error)
            else:
                frames.append(frame)
                names.append(name)
        if len(names) >= AT_ONCE:
            yield Batch(names, np.stack(frames), np.stack(crops))
            names, frames, crops = [], [], []
    if names:
        yield Batch(names, np.stack(frames), np.stack(crops))


def _landmarks(
    models: list[Path], faces: Batch, boxes: Boxing, dataset: str, params: Params
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


def _table(faces: Batch, frames: Array, points: Array, box_scale: float) -> pd.DataFrame:
    """A row a face, as the reader of CSV takes it; the box is that of stage one's last frame."""
    half = frames[:, 2:3] / box_scale / 2
    sides = np.hstack([frames[:, :2] - half, frames[:, :2] + half])
    axes = [f"{axis}{i}" for i in range(points.shape[1]) for axis in "xy"]
    numbers = pd.DataFrame(np.hstack([sides, points.reshape(len(points), -1)]), columns=BOX + axes)
    numbers.insert(0, "image", faces.images)
    return numbers


def _tiles(
    faces: Batch, frames: Array, points: Array, context: Context, at_most: int
) -> list[Tile]:
    """Context crops with stage one's last frame and the landmarks that were found."""
    to_tile = compose(unit_to_pixels(TILE), to_unit(enlarge(faces.frames, context.scale)))
    outlines = apply(compose(to_tile, invert(to_unit(frames))), SQUARE)
    drawn = apply(to_tile, points)
    tiles = []
    for i, crop in enumerate(faces.crops[:at_most]):
        picture = cv2.resize(crop, (TILE, TILE), interpolation=cv2.INTER_AREA)
        tiles.append(Tile(np.asarray(picture, np.uint8), faces.images[i], drawn[i], [outlines[i]]))
    return tiles


def _to_crops(frames: Array, context: Context) -> Array:
    """The maps ``(N, 2, 3)`` from a picture's pixels to those of its faces' context crops."""
    return compose(unit_to_pixels(context.size), to_unit(enlarge(frames, context.scale)))


if __name__ == "__main__":
    command.main(run)
