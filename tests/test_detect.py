"""Landmarks in one's own pictures: as the pipeline scores them, wherever the boxes come from."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from project import Project

from stages import detect, pictures
from wingloss import detector
from wingloss.correction import displaced
from wingloss.geometry import Array, compose, enlarge, square_frames, to_unit, unit_to_pixels

RUN = "synthetic/cnn6_7/pdb/wing/seed0"
TABLE = "results/synthetic/detected/mine/landmarks.csv"
BOX = ["x_min", "y_min", "x_max", "y_max"]


@pytest.fixture
def mine(finished: Project) -> Path:
    """The project's folder of one's own pictures: the test faces, with the boxes they came with."""
    raw, folder = finished.root / "data/raw/synthetic", finished.root / "mine"
    shutil.copytree(raw / "test", folder / "test", ignore=shutil.ignore_patterns("*.pts"))
    shutil.copy(raw / "detector_boxes.csv", folder)
    return folder


def found(project: Project) -> tuple[pd.DataFrame, Array]:
    """The table of faces, and their landmarks ``(N, 68, 2)``."""
    table = pd.read_csv(project.root / TABLE)
    axes = [table[[f"{axis}{i}" for i in range(68)]].to_numpy() for axis in "xy"]
    return table, np.stack(axes, axis=-1)


def scored(project: Project) -> Array:
    """What the evaluation found in the test faces ``(N, 68, 2)``."""
    with np.load(project.root / f"results/{RUN.replace('/', '/predictions/', 1)}.npz") as data:
        return data["predicted"][data["split"] == "test"]


def test_landmarks_are_those_that_the_evaluation_finds(finished: Project, mine: Path) -> None:
    said = finished.run("stages.detect", RUN, "mine")
    table, points = found(finished)
    assert table.image.tolist() == sorted(f"test/{path.name}" for path in mine.glob("test/*.jpg"))
    np.testing.assert_allclose(points, scored(finished), atol=1e-3)
    assert said.endswith(f"{TABLE}: 8 faces in 8 of 8 pictures\n")
    with (mine / "detector_boxes.csv").open() as file:
        given = {row["image"]: [float(row[name]) for name in BOX] for row in csv.DictReader(file)}
    frames = square_frames(np.array([given[image] for image in table.image]), 1)
    centres = (table[BOX[:2]].to_numpy() + table[BOX[2:]].to_numpy()) / 2
    np.testing.assert_allclose(centres, frames[:, :2], atol=1e-3)
    drawn = cv2.imread(str((finished.root / TABLE).with_name("sheet.jpg")))
    assert drawn.shape == (200, 1600, 3) and drawn.std() > 20


def test_a_picture_is_taken_as_it_is_shown(finished: Project, mine: Path) -> None:
    path = sorted(mine.glob("test/*.jpg"))[0]
    picture = Image.open(path)
    exif = picture.getexif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees clockwise
    path.unlink()
    picture.transpose(Image.Transpose.ROTATE_90).save(path.with_suffix(".png"), exif=exif)
    boxes = (mine / "detector_boxes.csv").read_text().replace(path.name, f"{path.stem}.png")
    (mine / "detector_boxes.csv").write_text(boxes)
    finished.run("stages.detect", RUN, "mine")
    table, points = found(finished)
    assert table.image[0] == f"test/{path.stem}.png"
    np.testing.assert_allclose(points, scored(finished), atol=1e-3)


def test_what_cannot_be_used_is_said_and_left_out(finished: Project, mine: Path) -> None:
    first, second, *_ = sorted(mine.glob("test/*.jpg"))
    first.write_bytes(first.read_bytes()[:500])
    with (mine / "detector_boxes.csv").open("a") as file:  # another face, and one in no picture
        file.write(f"test/{second.name},30,30,130,130\ntest/{second.name},900,900,990,990\n")
    said = finished.run("stages.detect", RUN, "mine")
    assert f"warning: mine/test/{first.name}: not a whole picture" in said
    assert f"warning: mine/test/{second.name}: its face box lies outside the picture" in said
    assert said.endswith(": 8 faces in 7 of 8 pictures\n")


@pytest.mark.parametrize(
    "arguments, boxes, message",
    [
        (["synthetic/cnn6", "mine"], None, "'synthetic/cnn6' names no run; one is such as"),
        ([RUN.replace("0", "one"), "mine"], None, "a seed is a whole number"),
        ([RUN.replace("seed0", "seed7"), "mine"], None, "model.safetensors: no such file; run"),
        ([RUN, "nowhere"], None, "nowhere: no pictures there (.jpg, "),
        ([RUN, "mine"], "image,x_min,y_min,x_max,y_max\na.jpg,1,2,3\n", ".csv:2: too few columns"),
        ([RUN, "mine"], "image,x_min,y_min,x_max,y_max\na.jpg,3,2,3,4\n", ".csv:2: the box is e"),
        ([RUN, "mine"], "image,x_min,y_min,x_max,y_max\n", "mine: no face was found in 8 pictures"),
        # context crops of 64 px hold faces of 32, which the detector can't see
        ([RUN, "mine"], "", "of 27 training faces of synthetic, too few to tell how"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(
    finished: Project,
    mine: Path,
    call: Callable,
    arguments: list[str],
    boxes: str | None,
    message: str,
) -> None:
    if boxes == "":
        (mine / "detector_boxes.csv").unlink()
    elif boxes:
        (mine / "detector_boxes.csv").write_text(boxes)
    status, said = call(finished, detect, *arguments)
    assert status == 1 and message in said
    assert said.startswith("error: ") and said.count("\n") == 1


@pytest.fixture
def seen(mine: Path) -> dict[Path, Array]:
    """The pictures in which the detector finds one face, and its box ``(1, 4)``."""
    boxes = {path: detector.find(pictures.read(path)) for path in sorted(mine.glob("test/*.jpg"))}
    return {path: box for path, box in boxes.items() if len(box) == 1}


def test_the_detector_finds_faces_where_they_are(
    finished: Project, seen: dict[Path, Array]
) -> None:
    samples = pd.read_csv(finished.root / "data/prepared/synthetic/samples.csv").set_index("image")
    assert len(seen) >= 3
    for path, box in seen.items():
        row = samples.loc[f"test/{path.name}"]
        nose = np.array([row.x30, row.y30])
        assert (box[0, :2] < nose).all() and (nose < box[0, 2:]).all()
        wide = np.zeros((160, 1600, 3), np.uint8)  # is shrunk to 1280 px
        wide[:, 1000:1160] = pictures.read(path)
        (found,) = detector.find(wide)
        assert np.abs(found - box[0] - [1000, 0, 1000, 0]).max() < 0.2 * np.ptp(box[0, ::2])


def test_its_boxes_are_brought_to_those_of_the_training_faces(
    finished: Project, mine: Path, seen: dict[Path, Array]
) -> None:
    """Training faces whose frames lie off the detector's boxes by what is known here."""
    finished.set(**{"context.size": 160})
    offset = np.array([[0.12, -0.08, np.log(1.3), 0]])
    frames = {path: displaced(square_frames(box, 1), offset) for path, box in seen.items()}
    crops = []
    for path, frame in frames.items():
        transform = compose(unit_to_pixels(160), to_unit(enlarge(frame, 2)))[0]
        crops.append(pictures.crop(pictures.read(path), path, frame[0], transform, 160))
    np.save(finished.root / "data/prepared/synthetic/crops_train.npy", np.stack(crops * 20))
    (mine / "detector_boxes.csv").unlink()
    said = finished.run("stages.detect", RUN, "mine")
    table, points = found(finished)
    assert "training faces\n" in said and np.isfinite(points).all()
    for path, frame in frames.items():
        box = table.set_index("image").loc[f"test/{path.name}", BOX].to_numpy(float)
        (square,) = square_frames(box[None], 1)
        assert np.abs(square[:2] - frame[0, :2]).max() < 0.06 * frame[0, 2]
        assert abs(np.log(square[2] / frame[0, 2])) < 0.12
