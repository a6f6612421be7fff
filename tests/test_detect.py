"""Landmarks in one's own pictures: as the pipeline scores them, wherever the boxes come from."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from project import Project

from stages import boxing, detect, pictures
from stages.params import load
from wingloss import detector
from wingloss.correction import displaced, frame_errors
from wingloss.geometry import Array, compose, enlarge, square_frames, to_unit, unit_to_pixels

RUN = "synthetic/cnn6_7/pdb/wing/seed0"
WHERE = "results/synthetic/detected/cnn6_7-pdb-wing-seed0/mine"
BOX = ["x_min", "y_min", "x_max", "y_max"]
HEADER = ",".join(["image", *BOX])


@pytest.fixture
def mine(finished: Project) -> Path:
    """The project's folder of one's own pictures: the test faces, with the boxes they came with."""
    raw, folder = finished.root / "data/raw/synthetic", finished.root / "mine"
    shutil.copytree(raw / "test", folder / "test", ignore=shutil.ignore_patterns("*.pts"))
    boxes = pd.read_csv(raw / "detector_boxes.csv")
    boxes = boxes[boxes.image.str.startswith("test/")]
    boxes.to_csv(folder / "detector_boxes.csv", index=False)
    return folder


def points(table: pd.DataFrame) -> Array:
    """The landmarks ``(N, 68, 2)`` in a table."""
    axes = [table[[f"{axis}{i}" for i in range(68)]].to_numpy() for axis in "xy"]
    return np.stack(axes, axis=-1)


def found(project: Project) -> tuple[pd.DataFrame, Array]:
    """The table of faces, and their landmarks ``(N, 68, 2)``."""
    table = pd.read_csv(project.root / WHERE / "landmarks.csv")
    return table, points(table)


def squares(table: pd.DataFrame) -> Array:
    """The boxes as upright squares, ``(N, 4)`` frames."""
    return square_frames(table[BOX].to_numpy(float), 1)


def given(mine: Path, table: pd.DataFrame) -> pd.DataFrame:
    """The boxes that the folder's table has for the pictures in ``table``, in its order."""
    return pd.read_csv(mine / "detector_boxes.csv").set_index("image").loc[table.image]


def scored(project: Project) -> Array:
    """What the evaluation found in the test faces ``(N, 68, 2)``."""
    with np.load(project.root / f"results/{RUN.replace('/', '/predictions/', 1)}.npz") as data:
        return data["predicted"][data["split"] == "test"]


def test_landmarks_are_those_that_the_evaluation_finds(finished: Project, mine: Path) -> None:
    said = finished.run("stages.detect", RUN, "mine")
    table, points = found(finished)
    assert table.image.tolist() == sorted(f"test/{path.name}" for path in mine.glob("test/*.jpg"))
    np.testing.assert_allclose(points, scored(finished), atol=1e-3)
    assert said.endswith(f"{WHERE}: 8 faces in 8 of 8 pictures\n")
    np.testing.assert_allclose(squares(table), squares(given(mine, table)), atol=1e-3)
    drawn = cv2.imread(str(finished.root / WHERE / "sheet.jpg"))[..., ::-1].astype(int)
    assert drawn.shape == (200, 1600, 3)
    for tile in np.split(drawn, 8, axis=1):  # twice stage one's frame: a quarter down is its edge
        assert (tile[50, 60:140, 0] - tile[50, 60:140, 2]).mean() > 80  # orange


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
    (mine / ".hidden.jpg").touch()
    header, *rows = (mine / "detector_boxes.csv").read_text().splitlines()
    beside = f"test/{second.name},900,900,990,990"  # and then another face in the same picture
    another = f"test/{second.name},30,30,130,130"
    (mine / "detector_boxes.csv").write_text("\n".join([header, beside, another, *rows]))
    finished.replace("stages/detect.py", "AT_ONCE = 256", "AT_ONCE = 3")
    said = finished.run("stages.detect", RUN, "mine")
    assert f"warning: mine/test/{first.name}: not a whole picture" in said
    assert f"warning: mine/test/{second.name}: its face box lies outside the picture" in said
    assert said.endswith(": 8 faces in 7 of 8 pictures\n")
    table, points = found(finished)
    assert table.image.tolist() == [f"test/{second.name}", *(row.split(",")[0] for row in rows[1:])]
    assert squares(table)[0].tolist() == [80, 80, 100, 0]
    np.testing.assert_allclose(points[1:], scored(finished)[1:], atol=1e-3)


def test_boxes_are_enlarged_as_the_training_faces_are(finished: Project, mine: Path) -> None:
    finished.run("stages.detect", RUN, "mine")
    _, points = found(finished)
    finished.set(**{"dataset.synthetic.box.scale": 1.25})
    boxes = pd.read_csv(mine / "detector_boxes.csv")
    frames = squares(boxes)
    boxes[BOX[:2]], boxes[BOX[2:]] = (
        frames[:, :2] + sign * frames[:, 2:3] / 2.5 for sign in (-1, 1)
    )
    boxes.to_csv(mine / "detector_boxes.csv", index=False)
    finished.run("stages.detect", RUN, "mine")
    table, same = found(finished)
    np.testing.assert_allclose(same, points, atol=1e-2)
    np.testing.assert_allclose(squares(table), squares(boxes), atol=1e-3)  # as they were given


def test_a_run_that_cannot_be_used_is_refused(
    finished: Project, mine: Path, call: Callable
) -> None:
    path = finished.root / f"results/{RUN.replace('/', '/models/', 1)}/stage2/manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"status": "diverged"}))
    status, said = call(finished, detect, RUN, "mine")
    assert status == 1 and "the training of stage 2 diverged" in said
    path.unlink()
    assert "manifest.json: no such file; run 'snakemake" in call(finished, detect, RUN, "mine")[1]
    finished.set(**{"context.scale": 3})
    assert "trained with another `context`; run" in call(finished, detect, RUN, "mine")[1]


@pytest.mark.parametrize(
    "arguments, boxes, message",
    [
        (["synthetic/cnn6", "mine"], None, "is none of the 3 runs that params.yaml asks for; o"),
        ([RUN.replace("seed0", "seed7"), "mine"], None, f"; one of them is {RUN}"),
        ([RUN, "nowhere"], None, "nowhere: no such folder"),
        ([RUN, "stages"], None, "stages: no pictures there (.jpg, "),
        ([RUN, "mine"], f"{HEADER}\na.jpg,1,2,3\n", ".csv:2: too few columns"),
        ([RUN, "mine"], f"{HEADER}\na.jpg,3,2,3,4\n", ".csv:2: the box is empty or in no picture"),
        ([RUN, "mine"], f"{HEADER}\na.jpg,3,2,1e9,4\n", ".csv:2: the box is empty or in no pict"),
        ([RUN, "mine"], f"{HEADER}\na.jpg,3,2,5,4\n", ".csv: there is no picture 'a.jpg' below m"),
        ([RUN, "mine"], f"{HEADER}\n", "mine: no face was found in 8 pictures"),
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
    finished: Project, mine: Path, seen: dict[Path, Array], monkeypatch: pytest.MonkeyPatch
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

    monkeypatch.chdir(finished.root)
    boxes = boxing.of(mine, [], "synthetic", load())
    for path, frame in frames.items():
        (box,) = boxes.locate("", pictures.read(path))
        assert np.abs(box[:2] - frame[0, :2]).max() < 0.06 * frame[0, 2]
        assert abs(np.log(box[2] / frame[0, 2])) < 0.12 and box[3] == 0
    # and twice from the landmarks' box to where training faces with such landmarks have theirs
    samples = pd.read_csv("data/prepared/synthetic/samples.csv")
    samples = samples[samples.split == "train"]
    first, second = (again(points(samples)) for again in boxes.again)
    assert (first == second).all()
    true = samples[["frame_x", "frame_y", "frame_side", "frame_angle"]].to_numpy()
    assert np.median(frame_errors(true, first), axis=0) == pytest.approx([0] * 4, abs=0.01)

    for stage in (1, 2):  # the tiny networks don't mind
        path = (
            finished.root / f"results/{RUN.replace('/', '/models/', 1)}/stage{stage}/manifest.json"
        )
        path.write_text(path.read_text().replace('"size": 64', '"size": 160'))
    said = finished.run("stages.detect", RUN, "mine")
    table, landmarks = found(finished)
    assert "training faces\n" in said and np.isfinite(landmarks).all()
    assert set(table.image) >= {f"test/{path.name}" for path in frames}
