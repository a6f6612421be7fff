"""Landmarks in one's own pictures: as the pipeline scores them, wherever the boxes come from."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from project import Project

from commands import detect
from pipeline.config.params import load
from pipeline.data import locate_faces
from pipeline.runtime.errors import UserError
from wingloss import pictures
from wingloss.crops import context_crop
from wingloss.datasets.face_record import PICTURES, BadSample
from wingloss.detection import face_detector
from wingloss.geometry import Array, compose, enlarge, square_frames, to_unit, unit_to_pixels
from wingloss.models.correction import displaced, frame_errors

RUN, WING = "synthetic/fast/cnn6_7/pdb/wing/seed0", "synthetic/fast/cnn6/none/wing/seed0"
WHERE = "results/synthetic/detected/fast-cnn6_7-pdb-wing-seed0/mine"
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


@pytest.fixture
def detected(finished: Project, tiny_networks: None, done: Callable) -> Callable[[], str]:
    """Finds the landmarks in one's own pictures; what was said."""
    return lambda: done(finished, detect, RUN, "mine")


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


def test_landmarks_are_those_that_the_evaluation_finds(
    finished: Project, mine: Path, detected: Callable
) -> None:
    said = detected()
    table, points = found(finished)
    assert table.image.tolist() == sorted(f"test/{path.name}" for path in mine.glob("test/*.jpg"))
    np.testing.assert_allclose(points, scored(finished), atol=1e-3)
    numbers = "8 files = 8 with faces + 0 without + 0 unreadable + 0 left out"
    assert said.endswith(f"{WHERE}: 8 faces; {numbers}\n")
    np.testing.assert_allclose(squares(table), squares(given(mine, table)), atol=1e-3)
    drawn = cv2.imread(str(finished.root / WHERE / "sheet.jpg"))[..., ::-1].astype(int)
    assert drawn.shape == (200, 1600, 3)
    for tile in np.split(drawn, 8, axis=1):  # twice stage one's frame: a quarter down is its edge
        assert (tile[50, 60:140, 0] - tile[50, 60:140, 2]).mean() > 80  # orange


def test_a_picture_is_taken_as_it_is_shown(
    finished: Project, mine: Path, detected: Callable
) -> None:
    path = sorted(mine.glob("test/*.jpg"))[0]
    picture = Image.open(path)
    exif = picture.getexif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees clockwise
    path.unlink()
    picture.transpose(Image.Transpose.ROTATE_90).save(path.with_suffix(".png"), exif=exif)
    boxes = (mine / "detector_boxes.csv").read_text().replace(path.name, f"{path.stem}.png")
    (mine / "detector_boxes.csv").write_text(boxes)
    detected()
    table, points = found(finished)
    assert table.image[0] == f"test/{path.stem}.png"
    np.testing.assert_allclose(points, scored(finished), atol=1e-3)


def test_what_cannot_be_used_is_said_and_left_out(
    finished: Project, mine: Path, detected: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, *_ = sorted(mine.glob("test/*.jpg"))
    first.write_bytes(first.read_bytes()[:500])
    (mine / ".hidden.jpg").touch()
    header, *rows = (mine / "detector_boxes.csv").read_text().splitlines()
    beside = f"test/{second.name},900,900,990,990"  # and then another face in the same picture
    another = f"test/{second.name},30,30,130,130"
    (mine / "detector_boxes.csv").write_text("\n".join([header, beside, another, *rows]))
    monkeypatch.setattr(detect, "AT_ONCE", 3)
    said = detected()
    assert f"warning: mine/test/{first.name}: not a whole picture" in said
    assert f"warning: mine/test/{second.name}: its face box lies outside the picture" in said
    numbers = "9 files = 7 with faces + 0 without + 1 unreadable + 1 left out (1 hidden)"
    assert said.endswith(f": 8 faces; {numbers}\n")
    table, points = found(finished)
    assert table.image.tolist() == [f"test/{second.name}", *(row.split(",")[0] for row in rows[1:])]
    assert squares(table)[0].tolist() == [80, 80, 100, 0]
    np.testing.assert_allclose(points[1:], scored(finished)[1:], atol=1e-3)


def test_boxes_are_enlarged_as_the_training_faces_are(
    finished: Project, mine: Path, detected: Callable
) -> None:
    detected()
    _, points = found(finished)
    finished.set(**{"dataset.synthetic.box.scale": 1.25})
    boxes = pd.read_csv(mine / "detector_boxes.csv")
    frames = squares(boxes)
    boxes[BOX[:2]], boxes[BOX[2:]] = (
        frames[:, :2] + sign * frames[:, 2:3] / 2.5 for sign in (-1, 1)
    )
    boxes.to_csv(mine / "detector_boxes.csv", index=False)
    detected()
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
        (["synthetic/cnn6", "mine"], None, "is none of the 3 runs that params.yaml requests; on"),
        ([RUN.replace("seed0", "seed7"), "mine"], None, f"; one of them is {RUN}"),
        ([f"{RUN}/", "mine"], None, f"; one of them is {RUN}"),
        ([WING.replace("wing", "WING"), "mine"], None, f"is {WING}"),
        ([RUN, "nowhere"], None, "nowhere: no such folder or picture"),
        ([RUN, "workflow/schemas"], None, "workflow/schemas: no pictures there (.jpg, "),
        ([RUN, "workflow/schemas"], None, "; left out: 1 .json"),
        ([RUN, "params.yaml"], None, "params.yaml: not a picture by its ending; read are .jpg, "),
        ([RUN, "/dev/null"], None, "/dev/null: neither a folder nor a picture"),
        ([RUN, "mine"], f"{HEADER}\na.jpg,1,2,3\n", ".csv:2: too few columns"),
        ([RUN, "mine"], f"{HEADER}\na.jpg,3,2,3,4\n", ".csv:2: the box is empty or in no picture"),
        ([RUN, "mine"], f"{HEADER}\na.jpg,3,2,1e9,4\n", ".csv:2: the box is empty or in no pict"),
        ([RUN, "mine"], f"{HEADER}\na.jpg,3,2,5,4\n", ".csv: there is no picture 'a.jpg' below m"),
        ([RUN, "mine"], f"{HEADER}\n", "mine: no face was found; 8 files = 0 with faces + 8 wi"),
        ([RUN, "mine"], f"{HEADER}\n./test/a.jpg,3,2,5,4\n", "there is no picture './test/a.jpg'"),
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
def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks that find all landmarks at 0, for tests of what else is found, without torch."""
    monkeypatch.setattr(
        detect,
        "_landmarks",
        lambda _, faces, *__: (faces.frames, np.zeros((len(faces.crops), 68, 2))),
    )


@pytest.mark.usefixtures("blind")
def test_every_file_is_accounted_for(finished: Project, mine: Path, call: Callable) -> None:
    """By ending, by number and by name; whatever Pillow safely reads is read."""
    faces = sorted(mine.glob("test/*.jpg"))
    (mine / "detector_boxes.csv").unlink()
    shutil.copytree(mine / "test", mine / "deeper/than/this")
    faces[0].rename(faces[0].with_suffix(".JFIF"))
    Image.open(faces[1]).save(faces[1].with_suffix(".gif"))
    Image.open(faces[2]).save(faces[2].with_suffix(".ppm"))
    several = [Image.open(path) for path in faces[3:6]]
    several[0].save(mine / "pages.tif", save_all=True, append_images=several[1:])
    for name in ("a.HEIC", "b.heic", "c.nef", "notes.txt", "README", ".hidden.jpg", ".x/y.png"):
        (mine / name).parent.mkdir(exist_ok=True)
        (mine / name).write_text("no picture")
    (mine / "empty.jpg").touch()
    os.mkfifo(mine / "pipe.jpg")
    (mine / "round").symlink_to(mine)
    (mine / "lost.jpg").symlink_to("nowhere")
    bad = os.fsencode(mine) + b"/caf\xe9.jpg"
    shutil.copy(faces[3], bad)
    boxes = ["test/" + faces[0].with_suffix(".JFIF").name, "deeper/than/this/" + faces[4].name]
    rows = [f"{name},20,20,140,140" for name in boxes]
    (mine / "detector_boxes.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    status, said = call(finished, detect, RUN, "mine")
    assert status == 0, said
    counts = "31 files = 2 with faces + 16 without + 3 unreadable + 10 left out"
    kinds = "2 .heic, 1 .nef, 1 .txt, 1 a link to a folder, which is not followed, 1 a link to noth"
    assert f": 2 faces; {counts} ({kinds}" in said
    assert said.endswith(
        ", 2 hidden, 1 not a file to be opened, 1 without an ending; save .heic and .nef as JPEG "
        "to have them read)\n"
    )
    assert "\\xe9.jpg: its name is not UTF-8; rename it" in said
    table = pd.read_csv(finished.root / WHERE / "pictures.csv").set_index("file")
    assert len(table) == 31 and table.faces.sum() == 2
    outcomes = {"faces": 2, "no face": 16, "unreadable": 3, "left out": 10}
    assert table.outcome.value_counts().to_dict() == outcomes
    assert table.loc["a.HEIC"].why == ".heic is not read here; save it as JPEG"
    why = "3 pictures; save the one that is meant"
    assert table.loc["pages.tif"].why == why and f"mine/pages.tif: {why}" in said
    assert table.loc["empty.jpg"].outcome == "unreadable"
    assert table.loc[f"test/{faces[1].stem}.gif"].outcome == "no face"


def test_a_picture_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        BadSample, match=r"a\.jpg: it can't be opened \(No such file or directory\)"
    ):
        detect._read(tmp_path / "a.jpg")


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "the file is empty"),
        (b"\0\0\0\x18ftypheic" + bytes(99), "by its content it is HEIC, which is not read"),
        (b"\0\0\0\x18ftypavif" + bytes(99), "by its content it is AVIF, which is not read"),
        (b"\n<!DOCTYPE html>", "by its content it is a page of the web (or another te"),
        (b"PK\3\4", "by its content it is an archive, not a picture; unpack it"),
        (b"text", "not a whole picture (by its content none of JPEG, PNG, BMP, GIF, PPM"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_picture_is_named(tmp_path: Path, content: bytes, fault: str) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(BadSample, match=re.escape(f"a.jpg: {fault}")):
        pictures.read(tmp_path / "a.jpg")


def test_a_torn_note_of_a_camera_is_not_said(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.new("RGB", (20, 20)).save(path, exif=b"Exif\0\0II*\0" + bytes([8, 0, 0, 0, 9]))
    code = f"from wingloss import pictures as p; p.read(p.Path({str(path)!r}))"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert made.stderr == ""


@pytest.mark.parametrize("name", ["a.jpg", "a\nb.jpg", os.fsdecode(b"\xff.jpg")])
def test_what_is_said_of_a_picture_has_its_name_once(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(BadSample) as error:
        detect._read(tmp_path / name)
    said = detect._without(tmp_path / name, error.value)
    assert said in ("the file is empty", "its name is not UTF-8; rename it")


@pytest.mark.parametrize("name", ["A.JPG", "a.jpg", "\\elsewhere\\a", "./b/A.jpg"])
def test_a_box_of_no_picture_points_at_the_one_that_is_meant(tmp_path: Path, name: str) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b/A.jpg").touch()
    (tmp_path / "detector_boxes.csv").write_text(f"{HEADER}\n{name},1,2,3,4\n")
    with pytest.raises(UserError, match=rf"no picture '{re.escape(name)}' below .*b/A\.jpg"):
        locate_faces.of(tmp_path, "synthetic", load())


def test_every_ending_of_the_formats_is_taken() -> None:
    known = Image.registered_extensions()
    assert {ending: known[ending] for ending in PICTURES} == {
        ending: kind for ending, kind in known.items() if kind in pictures.FORMATS
    }


@pytest.mark.usefixtures("blind")
def test_folders_of_one_name_keep_their_results(
    finished: Project, mine: Path, call: Callable
) -> None:
    other = finished.root / "elsewhere/mine"
    shutil.copytree(mine, other)
    (other / "test").rename(other / "others")
    boxes = (other / "detector_boxes.csv").read_text().replace("test/", "others/")
    (other / "detector_boxes.csv").write_text(boxes)
    for folder, where in (("mine", WHERE), ("elsewhere/mine", f"{WHERE}-2"), ("mine", WHERE)):
        status, said = call(finished, detect, RUN, folder)
        assert status == 0 and f"{where}: 8 faces" in said
    for where, start in ((WHERE, "test/"), (f"{WHERE}-2", "others/")):
        table = pd.read_csv(finished.root / where / "landmarks.csv")
        assert table.image.str.startswith(start).all()
    # of a folder that names no source nobody knows whose results lie there
    (finished.root / WHERE / "source.txt").unlink()
    assert f"{WHERE}-3: 8 faces" in call(finished, detect, RUN, "mine")[1]
    (finished.root / WHERE / "source.txt").write_text("torn")
    assert f"{WHERE}-3: 8 faces" in call(finished, detect, RUN, "mine")[1]


@pytest.mark.usefixtures("blind")
def test_a_picture_in_place_of_a_folder(finished: Project, mine: Path, call: Callable) -> None:
    path = sorted(mine.glob("test/*.jpg"))[0]
    boxes = pd.read_csv(mine / "detector_boxes.csv")
    boxes.image = boxes.image.str.removeprefix("test/")
    boxes.to_csv(mine / "test/detector_boxes.csv", index=False)
    status, said = call(finished, detect, RUN, f"mine/test/{path.name}")
    assert status == 0 and said.endswith("1 face; 1 file = 1 with faces + 0 without + 0 unreadable "
                                         "+ 0 left out\n")  # fmt: skip
    table = pd.read_csv(finished.root / Path(WHERE).with_name(path.name) / "landmarks.csv")
    assert table.image.tolist() == [path.name]
    assert squares(table)[0, 2] == pytest.approx(squares(boxes)[0, 2], rel=1e-4)


def test_folders_that_give_nothing_are_one_line(
    finished: Project, mine: Path, call: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    (finished.root / "none/in/it").mkdir(parents=True)
    status, said = call(finished, detect, RUN, "none")
    assert status == 1 and said.startswith("error: none: the folder is empty; put pictures there")
    for path in mine.glob("test/*.jpg"):
        path.write_bytes(b"torn")
    status, said = call(finished, detect, RUN, "mine")
    assert status == 1
    assert said.endswith("\nerror: mine: none of the 8 pictures could be read\n")
    assert said.count("\n") == 9 and "no face" not in said
    assert not (finished.root / WHERE).exists()

    whole = os.walk

    def walk(top: Path, onerror: Callable) -> Iterator:
        """As for a user who may not open a folder; a test may run as one who may open all."""
        for above, folders, names in whole(top):
            if Path(above).name == locked:
                onerror(PermissionError(errno.EACCES, "Permission denied", above))
            else:
                yield above, folders, names

    monkeypatch.setattr(os, "walk", walk)
    locked = "mine"
    status, said = call(finished, detect, RUN, "mine")
    assert (status, said) == (1, "error: mine: the folder can't be opened (Permission denied)\n")
    locked = "test"
    status, said = call(finished, detect, RUN, "mine")
    assert status == 1 and "1 the folder can't be opened (Permission denied)" in said


@pytest.fixture
def seen(mine: Path) -> dict[Path, Array]:
    """The pictures in which the detector finds one face, and its box ``(1, 4)``."""
    boxes = {
        path: face_detector.find(pictures.read(path)) for path in sorted(mine.glob("test/*.jpg"))
    }
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
        (found,) = face_detector.find(wide)
        assert np.abs(found - box[0] - [1000, 0, 1000, 0]).max() < 0.2 * np.ptp(box[0, ::2])


def test_its_boxes_are_brought_to_those_of_the_training_faces(
    finished: Project,
    mine: Path,
    seen: dict[Path, Array],
    detected: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Training faces whose frames lie off the detector's boxes by what is known here."""
    finished.set(**{"context.size": 160})
    offset = np.array([[0.12, -0.08, np.log(1.3), 0]])
    frames = {path: displaced(square_frames(box, 1), offset) for path, box in seen.items()}
    crops = []
    for path, frame in frames.items():
        transform = compose(unit_to_pixels(160), to_unit(enlarge(frame, 2)))[0]
        crops.append(context_crop(pictures.read(path), path, frame[0], transform, 160))
    np.save(finished.root / "data/prepared/synthetic/crops_train.npy", np.stack(crops * 20))
    (mine / "detector_boxes.csv").unlink()

    monkeypatch.chdir(finished.root)
    boxes = locate_faces.of(mine, "synthetic", load())
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
    said = detected()
    table, landmarks = found(finished)
    assert "training faces\n" in said and np.isfinite(landmarks).all()
    assert set(table.image) >= {f"test/{path.name}" for path in frames}


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "CMYK", "RGBA", "LA", "1"])
def test_a_picture_is_converted_strip_by_strip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    monkeypatch.setattr(pictures, "STRIP", 7)
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    path = tmp_path / "a.tif"
    Image.fromarray(noise).convert(mode).save(path)
    whole = np.asarray(Image.open(path).convert("RGB"))
    assert (pictures.read(path) == whole).all()


def test_a_picture_of_too_many_pixels_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    path = tmp_path / "a.png"
    Image.new("1", (16_320, 12_240)).save(path)  # 200 million; 4 kB
    monkeypatch.setattr(pictures, "_pixels", lambda image: image.size)  # nothing is decoded
    assert pictures.read(path) == (16_320, 12_240)
    monkeypatch.setattr(pictures, "MOST_PIXELS", 199_000_000)
    with pytest.raises(
        BadSample, match=r"^[^\n]*a\.png: 16320 x 12240 pixels are more than the 199 m"
    ):
        pictures.read(path)
    assert not recwarn


def test_a_face_is_cut_out_of_a_picture_of_any_sides() -> None:
    """OpenCV warps none with a side of 32,768 pixels."""
    wide = np.zeros((120, 40_000, 3), np.uint8)
    face = np.random.default_rng(0).integers(0, 256, (120, 120, 3), dtype=np.uint8)
    frame = np.array([59.5, 59.5, 50, 0.3])

    def crop(picture: Array, left: int) -> Array:
        place = frame + [left, 0, 0, 0]
        to_crop = compose(unit_to_pixels(64), to_unit(enlarge(place[None], 2)))[0]
        return context_crop(picture, Path("a.jpg"), place, to_crop, 64)

    for left in (0, 35_000, 39_880):
        wide[:] = 0
        wide[:, left : left + 120] = face
        at_edges = [
            crop(wide, left),
            crop(wide[:, max(0, left - 200) : left + 320], min(left, 200)),
        ]
        np.testing.assert_array_equal(*at_edges)
