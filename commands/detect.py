"""Landmarks in one's own pictures, by a run's models.

Not a part of the graph: run it by hand once the run has been trained.
"""

import difflib
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from pipeline.config import paths
from pipeline.config.params import Context, Params, load
from pipeline.config.paths import Run
from pipeline.data import files, image_listing, images, locate_faces, predict
from pipeline.data.image_listing import Listing, said_count
from pipeline.data.locate_faces import Boxing
from pipeline.runtime import cli
from pipeline.runtime.cli import log
from pipeline.runtime.errors import UserError
from pipeline.runtime.progress import tracked
from wingloss import pictures
from wingloss.augmentation.perturbation import Faces, Images
from wingloss.crops import context_crop
from wingloss.datasets.csv_faces import BOX
from wingloss.datasets.face_record import BadSample
from wingloss.datasets.names import printable
from wingloss.drawing.contact_sheet import Tile, sheet
from wingloss.geometry import Array, apply, compose, enlarge, invert, to_unit, unit_to_pixels
from wingloss.models.correction import corrected_frames
from wingloss.pictures import Picture

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

    TRAINED is the run, such as 300w/fast/cnn6_7/pdb/wing/seed0; FOLDER may be a single picture too.
    A detector_boxes.csv in the folder says where faces are (image, x_min, y_min, x_max, y_max: a
    line a face, boxed as the training faces are); without one, dlib's detector looks for frontal
    faces.
    Writes landmarks.csv, sheet.jpg and pictures.csv, which says what became of each file, to
    results/DATASET/detected/RUN/NAME, with the folder's name; another folder of this name gets
    NAME-2. Pixels count from 0, in the picture as it is shown.
    """
    params, root = load(), Path(folder)
    one, found = _run(trained, params), image_listing.of(root)
    models = _models(one, params)
    boxes = locate_faces.of(found.folder, one.dataset, params)
    parts: list[pd.DataFrame] = []
    tiles: list[Tile] = []
    for faces in _faces(found, boxes, params.context):
        frames, points = _landmarks(models, faces, boxes, one.dataset, params)
        parts.append(_table(faces, frames, points, params.dataset[one.dataset].box.scale))
        tiles += _tiles(faces, frames, points, params.context, SHOWN - len(tiles))
    number = Counter(name for part in parts for name in part.image)
    read = len(found.pictures) - len(found.unreadable)
    if not read:
        raise UserError(f"{root}: none of the {len(found.pictures)} pictures could be read")
    if not parts:
        raise UserError(f"{root}: no face was found; {found.summary(number)}")
    where = _own_folder(one, root)
    images.write(where / "sheet.jpg", sheet(tiles, COLUMNS))
    files.write_table(where / "pictures.csv", found.table(number))
    files.write_table(where / "landmarks.csv", pd.concat(parts))
    log.info("%s: %s; %s", where, said_count(number.total(), "face"), found.summary(number))


def _run(name: str, params: Params) -> Run:
    """The run of this name."""
    asked = {str(one): one for dataset in params.datasets for one in paths.runs(params, dataset)}
    if name not in asked:
        (nearest,) = difflib.get_close_matches(name.lower(), asked, n=1, cutoff=0)
        raise UserError(
            f"'{name}' is none of the {len(asked)} runs that params.yaml requests; one of them is "
            f"{nearest}"
        )
    return asked[name]


def _own_folder(one: Run, source: Path) -> Path:
    """The folder of the results on ``source``, which it names; made if there is none.

    A folder that names another source, or none, is never written to.
    """
    name = Path(os.path.abspath(source)).name or "root"
    own = os.fsencode(os.path.realpath(source) + "\n")
    for number in count(1):
        where = one.path(paths.DETECTED, folder=name if number == 1 else f"{name}-{number}")
        record = where / "source.txt"
        try:
            where.mkdir(parents=True)
        except FileExistsError:
            if record.is_file() and record.read_bytes() == own:
                break
        else:
            with files.whole_file(record) as partial:
                partial.write_bytes(own)
            break
    return where


def _models(one: Run, params: Params) -> list[Path]:
    """The run's models, stage by stage, if they are whole and of these parameters."""
    stages = range(1, len(paths.STAGES[one.network]) + 1)
    for stage in stages:
        manifest = files.read_json(one.path(paths.MANIFEST, stage=stage))
        if manifest["status"] == "diverged":
            raise UserError(f"{one}: the training of stage {stage} diverged, so it finds nothing")
        if manifest["inputs"]["context"] != asdict(params.context):
            raise UserError(
                f"{one} was trained with another `context`; run 'snakemake --cores all'"
            )
    return [files.existing(one.path(paths.MODEL, stage=stage)) for stage in stages]


def _faces(found: Listing, boxes: Boxing, context: Context) -> Iterator[Batch]:
    """The faces in pictures, many at a time. What can't be used is said, noted and left out."""
    names: list[str] = []
    frames: list[Array] = []
    crops: list[Images] = []
    names_found = found.pictures
    for name in tracked(names_found, "looking for faces", len(names_found), "pictures"):
        path = found.folder / name
        try:
            picture = _read(path)
        except BadSample as error:
            log.warning("%s", error)
            found.unreadable[name] = _without(path, error)
            continue
        for frame in boxes.locate(name, picture):
            to_crop = _to_crops(frame[None], context)[0]
            try:
                crops.append(context_crop(picture, path, frame, to_crop, context.size))
            except BadSample as error:
                log.warning("%s", error)
                found.remark(name, _without(path, error))
            else:
                frames.append(frame)
                names.append(name)
        if len(names) >= AT_ONCE:
            yield Batch(names, np.stack(frames), np.stack(crops))
            names, frames, crops = [], [], []
    if names:
        yield Batch(names, np.stack(frames), np.stack(crops))


def _read(path: Path) -> Picture:
    """A picture as it is shown."""
    try:
        path.name.encode()
        path.open("rb").close()
    except UnicodeEncodeError:  # it could stand in no table
        raise BadSample(f"{path}: its name is not UTF-8; rename it") from None
    except OSError as error:
        raise BadSample(f"{path}: it can't be opened ({error.strerror})") from None
    return pictures.read(path)


def _without(path: Path, error: BadSample) -> str:
    """What an error says of a picture, without its name."""
    return str(error).removeprefix(printable(f"{path}: "))


def _landmarks(
    models: list[Path], faces: Batch, boxes: Boxing, dataset: str, params: Params
) -> tuple[Array, Array]:
    """Where stage one looked at last ``(N, 4)``, and the last stage's landmarks ``(N, L, 2)``."""

    def look(model: Path, frames: Array) -> Array:
        return predict.predict(model, faces.seen_in(frames, params.context), frames)

    frames = faces.frames
    points = look(models[0], frames)
    for again in boxes.again:
        frames = again(points)
        points = look(models[0], frames)
    for model in models[1:]:
        mean = np.array(files.read_json(Path(paths.POSE.format(dataset=dataset)))["mean"])
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
    cli.main(run)
