"""Bringing in raw data and preparing them: 300W's official layout, and all that can be wrong."""

import errno
import json
import os
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from project import Project
from scipy.io import savemat
from trees import FOLDERS, write_small_300w

from pipeline import files
from pipeline.errors import UserError
from stages import download, prepare
from wingloss import pictures
from wingloss.crops import context_crop
from wingloss.datasets.face_record import BadSample
from wingloss.datasets.ibug import write_pts

SHARING = ("afw", "helen/trainset", "helen/testset")  # a number at the end counts faces there
MIRROR = Path(os.environ.get("WINGLOSS_MIRROR", "/nowhere")) / "300w"


@pytest.fixture
def raw(project: Project) -> Path:
    """A small 300W as the download stage leaves it."""
    write_small_300w(project.root / "data/raw/300w")
    return project.root / "data/raw/300w"


def samples_of(project: Project, dataset: str = "300w") -> pd.DataFrame:
    path = project.root / "data/prepared" / dataset / "samples.csv"
    return pd.read_csv(path, keep_default_na=False)


def test_300w_in_its_official_layout(project: Project, call: Callable) -> None:
    images = write_small_300w(project.root / "data/incoming/300w")
    before = sorted(project.root.glob("data/incoming/300w/**/*"))
    assert call(project, download, dataset="300w")[0] == 0
    status, said = call(project, prepare, dataset="300w")
    assert status == 0, said
    assert sorted(project.root.glob("data/incoming/300w/**/*")) == before
    samples = samples_of(project)
    assert sorted(samples.image) == sorted(images)
    assert dict(samples[samples.split == "test"].groupby("subsets").size()) == {
        "challenge": 2,
        "common": 1,
    }
    assert set(samples[samples.split == "train"].subsets) == {""}
    stamp = json.loads(project.read("data/prepared/300w/stamp.json"))
    assert stamp["data_stamp"] == "partial"
    assert stamp["parts"]["afw"] == 7
    assert stamp["missing"]["helen/trainset"] == 2000 - 3
    assert stamp["missing"]["lfpw/testset"] == 224
    assert "warning: 300w: lfpw/testset has 0 faces of the protocol's 224" in said
    assert "300w is PARTIAL" in said
    crops = {s: np.load(project.root / f"data/prepared/300w/crops_{s}.npy").shape[0]
             for s in ("train", "val", "test")}  # fmt: skip
    assert crops == stamp["faces"] == dict(samples.groupby("split").size())


@pytest.mark.parametrize("seed", range(4))
def test_validation_takes_whole_photographs(
    project: Project, raw: Path, call: Callable, seed: int
) -> None:
    project.set(**{"dataset.300w.validation": {"share": 0.25, "seed": seed}})
    assert call(project, prepare, dataset="300w")[0] == 0
    samples = samples_of(project)
    split = samples.groupby("photograph").split.agg(set)
    assert (split.map(len) == 1).all()
    assert (split == {"val"}).sum() == 2  # a quarter of 8 training photographs
    # where a number at the end doesn't count faces, a picture is a photograph of its own
    assert samples[samples.image.str.startswith("ibug")].photograph.nunique() == 2
    assert samples[samples.image.str.startswith("afw")].photograph.nunique() == 4
    assert set(samples[samples.split == "test"].image.str.split("/").str[0]) == {"helen", "ibug"}


def test_no_photograph_is_held_out_where_test_faces_are_scored(
    project: Project, raw: Path, call: Callable
) -> None:
    project.set(**{"dataset.300w.validation.share": 0})
    assert call(project, prepare, dataset="300w")[0] == 0
    assert set(samples_of(project).split) == {"train", "test"}
    for folder in ("helen/testset", "lfpw/testset", "ibug"):
        shutil.rmtree(raw / folder, ignore_errors=True)
    status, said = call(project, prepare, dataset="300w")
    assert status == 1 and said.splitlines()[-1] == (
        "error: dataset.300w.validation.share: 0 leaves no faces to score, for the data set has no "
        "test faces; set it above 0"
    )


def test_a_single_training_photograph_isnt_all_held_out(
    project: Project, raw: Path, call: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "held_out", lambda photographs, *_: set(photographs))
    status, said = call(project, prepare, dataset="300w")
    assert status == 1
    assert re.search(
        r"all training faces are of 8 photographs, \S+ say; set dataset\.300w\.validation\.share",
        said.splitlines()[-1],
    )


def test_boxes_from_detector_or_landmarks(project: Project, raw: Path, call: Callable) -> None:
    assert call(project, prepare, dataset="300w")[0] == 0
    samples = samples_of(project)
    assert (samples[["box_x0", "box_y0", "box_x1", "box_y1"]] == [28, 23, 72, 67]).all(axis=None)
    assert np.allclose(samples.frame_side, 44)
    (raw / "detector_boxes.csv").unlink()
    project.set(**{"dataset.300w.box": {"source": "landmarks", "scale": 1.0}})
    assert call(project, prepare, dataset="300w")[0] == 0
    samples = samples_of(project)
    xs, ys = (samples[[f"{axis}{i}" for i in range(68)]] for axis in "xy")
    assert np.allclose(samples.box_x0, xs.min(axis=1), atol=2e-3)
    assert np.allclose(samples.box_y1, ys.max(axis=1), atol=2e-3)
    longer = np.maximum(xs.max(axis=1) - xs.min(axis=1), ys.max(axis=1) - ys.min(axis=1))
    assert np.allclose(samples.frame_side, longer, atol=2e-3)


def test_context_crops_show_the_frame_enlarged(project: Project, raw: Path, call: Callable) -> None:
    """A red square of the picture lies where box, scale and context say, to half a pixel."""
    picture = np.zeros((90, 100, 3), np.uint8)
    picture[40:50, 50:60] = (0, 0, 255)  # BGR; its middle is (54.5, 44.5)
    for path in raw.glob("lfpw/trainset/*.png"):
        cv2.imwrite(str(path), picture)
    project.set(**{"dataset.300w.validation": {"share": 0.01, "seed": 0}})
    assert call(project, prepare, dataset="300w")[0] == 0
    samples = samples_of(project)
    place = {image: i for i, image in enumerate(samples[samples.split == "train"].image)}
    crop = np.load(project.root / "data/prepared/300w/crops_train.npy")[
        place["lfpw/trainset/image_0002.png"]
    ].astype(float)
    assert crop[..., 1:].max() == 0  # red comes first in memory
    side = 44 * 2  # pixels of the picture, around the box's centre (50, 45)
    ys, xs = np.indices(crop.shape[:2])
    found = [(axis * crop[..., 0]).sum() / crop[..., 0].sum() for axis in (xs, ys)]
    expected = [(c - middle + side / 2) * 64 / side - 0.5
                for c, middle in ((54.5, 50), (44.5, 45))]  # fmt: skip
    assert np.allclose(found, expected, atol=0.5)


def truncate(raw: Path) -> None:
    path = raw / "afw/one_1.jpg"
    path.write_bytes(path.read_bytes()[:2000])


def points_67(raw: Path) -> None:
    write_pts(raw / "afw/one_1.pts", np.full((67, 2), 40.0))


def not_a_number(raw: Path) -> None:
    points = np.full((68, 2), 40.0)
    points[3, 1] = np.nan
    write_pts(raw / "afw/one_1.pts", points)


def no_points(raw: Path) -> None:
    (raw / "afw/one_1.pts").unlink()


def torn_points(raw: Path) -> None:
    (raw / "afw/one_1.pts").write_text("version: 1\nn_points: 68\n{\n1 2\n", encoding="utf-8")


def more_than_16_bits(raw: Path) -> None:
    (raw / "afw/one_1.jpg").unlink()
    deep = np.full((90, 100), 40_000, np.float32)
    (raw / "afw/one_1.jpg").write_bytes(cv2.imencode(".tiff", deep)[1].tobytes())


def box_elsewhere(raw: Path) -> None:
    edit_boxes(raw, "afw/one_1.jpg,28.0,23.0,72.0,67.0", "afw/one_1.jpg,0.0,0.0,20.0,20.0")


def face_outside(raw: Path) -> None:
    write_pts(raw / "afw/one_1.pts", np.random.default_rng(0).uniform(230, 270, (68, 2)))
    edit_boxes(raw, "afw/one_1.jpg,28.0,23.0,72.0,67.0", "afw/one_1.jpg,228.0,228.0,272.0,272.0")


def box_missing(raw: Path) -> None:
    edit_boxes(raw, "afw/one_1.jpg,28.0,23.0,72.0,67.0\n", "")


def no_boxes(raw: Path) -> None:
    (raw / "detector_boxes.csv").unlink()


def one_point(raw: Path) -> None:
    write_pts(raw / "afw/one_1.pts", np.full((68, 2), 40.0))


def box_empty(raw: Path) -> None:
    edit_boxes(raw, "afw/one_1.jpg,28.0,23.0,72.0,67.0", "afw/one_1.jpg,72.0,23.0,28.0,67.0")


def no_box_column(raw: Path) -> None:
    edit_boxes(raw, "x_max", "right")


def nothing_there(raw: Path) -> None:
    shutil.rmtree(raw)
    raw.mkdir()


def no_picture(raw: Path) -> None:
    (raw / "afw/one_1.jpg").unlink()
    (raw / "afw/one_1.jpg").symlink_to("nowhere.jpg")


def no_training_picture(raw: Path) -> None:
    for folder in ("afw", "helen/trainset", "lfpw/trainset"):
        shutil.rmtree(raw / folder)


def edit_boxes(raw: Path, old: str, new: str) -> None:
    path = raw / "detector_boxes.csv"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    "spoil, message",
    [
        (truncate, "data/raw/300w/afw/one_1.jpg: not a whole picture"),
        (points_67, "data/raw/300w/afw/one_1.pts: 67 points where 68 are expected"),
        (not_a_number, "data/raw/300w/afw/one_1.pts:7: point 4 is '41.000000 nan', not finite"),
        (no_points, "data/raw/300w/afw/one_1.pts: no such file; every picture needs its .pts"),
        (torn_points, "data/raw/300w/afw/one_1.pts: no points between braces"),
        (
            more_than_16_bits,
            "data/raw/300w/afw/one_1.jpg: more than 16 bits per channel; save it with 8",
        ),
        (
            box_elsewhere,
            "data/raw/300w/detector_boxes.csv:2: the box of 'afw/one_1.jpg' lies beside",
        ),
        (face_outside, "data/raw/300w/afw/one_1.pts: point 39 lies 181 px outside the picture"),
        (box_missing, "data/raw/300w/afw/one_1.pts: no face box; add it, or set dataset.300w.box"),
        (no_boxes, "data/raw/300w/afw/four_1.pts: no face box, nor has any other face a box;"),
        (one_point, "data/raw/300w/afw/one_1.pts: its points lie on one line or on one another"),
        (box_empty, "data/raw/300w/detector_boxes.csv:2: the box of 'afw/one_1.jpg' is empty"),
        (no_box_column, "data/raw/300w/detector_boxes.csv: no column x_max"),
        (no_picture, "data/raw/300w/afw/one_1.jpg: no such picture"),
        (nothing_there, "data/raw/300w: no training pictures; expected some in afw, helen"),
        (no_training_picture, "data/raw/300w: no training pictures"),
    ],
)
def test_bad_raw_data_is_one_line_and_leaves_nothing(
    project: Project, raw: Path, call: Callable, spoil: Callable[[Path], None], message: str
) -> None:
    spoil(raw)
    status, said = call(project, prepare, dataset="300w")
    errors = [line for line in said.splitlines() if not line.startswith("[prepare 300w] ")]
    assert status == 1
    assert len(errors) == 1
    assert errors[0].startswith(f"error: {message}")
    assert "Traceback" in project.log("prepare/300w.log")
    assert not project.left_over()
    assert not (project.root / "data/prepared/300w/samples.csv").exists()
    assert not (project.root / "data/prepared/300w/crops_train.npy").exists()


def lonely_points(raw: Path) -> None:
    write_pts(raw / "lfpw/trainset/lonely.pts", np.full((68, 2), 40.0))


def another_box_empty(raw: Path) -> None:
    edit_boxes(raw, "helen/testset/900_1.jpg,28.0,23.0,72", "helen/testset/900_1.jpg,72.0,23.0,28")


BAD = {  # what to spoil, and what is said of it
    another_box_empty: "data/raw/300w/detector_boxes.csv:12: the box of 'helen/testset/900_1.jpg'",
    lonely_points: "data/raw/300w/lfpw/trainset/lonely.pts: no picture of this name",
    truncate: "data/raw/300w/afw/one_1.jpg: not a whole picture",
    lambda raw: (raw / "afw/two_1.pts").unlink(): "data/raw/300w/afw/two_1.pts: no such file",
    lambda raw: write_pts(raw / "ibug/image_003_1.pts", np.full((68, 2), 40.0)): (
        "data/raw/300w/ibug/image_003_1.pts: its points lie on one line"
    ),
}


def test_all_bad_faces_are_listed_in_one_go(project: Project, raw: Path, call: Callable) -> None:
    for spoil in BAD:
        spoil(raw)
    status, said = call(project, prepare, dataset="300w")
    assert status == 1
    *listed, error = said.splitlines()
    for message in BAD.values():
        assert len([line for line in listed if f"warning: {message}" in line]) == 1
    assert error.startswith("error: data/raw/300w/afw/two_1.pts: no such file")
    assert "(the first of 5 bad faces, listed above)" in error
    assert not project.left_over()
    assert not list(project.root.glob("data/prepared/300w/*.*"))


def test_skipped_faces_are_counted_and_stamped(project: Project, raw: Path, call: Callable) -> None:
    for spoil in BAD:
        spoil(raw)
    project.set(on_bad_sample="skip")
    status, said = call(project, prepare, dataset="300w")
    assert status == 0, said
    assert "warning: 300w: 5 faces left out; every result will be stamped so" in said
    stamp = json.loads(project.read("data/prepared/300w/stamp.json"))
    assert (stamp["data_stamp"], stamp["skipped"]) == ("partial, 5 skipped", 5)
    samples = samples_of(project)
    assert len(samples) == sum(stamp["faces"].values()) == 15 - 4
    assert not {"afw/one_1", "afw/two_1", "helen/testset/900_1", "ibug/image_003_1"} & set(
        samples.face
    )
    for split, count in stamp["faces"].items():
        crops = np.load(project.root / f"data/prepared/300w/crops_{split}.npy")
        assert crops.shape == (count, 64, 64, 3)
        if count:
            assert crops.std(axis=(1, 2, 3)).min() > 0


def test_the_publishers_boxes_stand_in_for_the_table(
    project: Project, raw: Path, call: Callable
) -> None:
    (raw / "detector_boxes.csv").unlink()
    (raw / "Bounding Boxes").mkdir()
    for folder in FOLDERS:
        names = [path.name for path in (raw / folder).iterdir() if path.suffix != ".pts"]
        boxes = np.empty((1, len(names)), dtype=object)
        for i, name in enumerate(names):
            entry = {"imgName": f"{name} ", "bb_detector": [29.0, 24.0, 73.0, 68.0]}
            boxes[0, i] = entry | {"bb_ground_truth": [1.0, 1.0, 2.0, 2.0]}
        name = f"bounding_boxes_{folder.replace('/', '_')}.mat"
        savemat(raw / "Bounding Boxes" / name, {"bounding_boxes": boxes})
    assert call(project, prepare, dataset="300w")[0] == 0
    samples = samples_of(project)
    assert (samples[["box_x0", "box_y0", "box_x1", "box_y1"]] == [28, 23, 72, 67]).all(axis=None)


def test_an_empty_mirror_says_where_to_put_the_data(
    project: Project, call: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.root / "mirror").mkdir()
    monkeypatch.setenv("WINGLOSS_MIRROR", str(project.root / "mirror"))
    status, said = call(project, download, dataset="300w")
    assert status == 1
    assert said.startswith(
        f"error: {project.root}/mirror/300w and data/incoming/300w: there is nothing of 300w.\n"
    )
    assert "WINGLOSS_MIRROR" in said and "  afw\n" in said
    assert not (project.root / "data/raw/300w").exists() and not project.left_over()


def test_a_read_only_mirror_is_copied(
    project: Project, call: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = write_small_300w(project.root / "mirror/300w")
    for path in project.root.glob("mirror/300w/**/*.jpg"):
        path.chmod(0o444)
    monkeypatch.setenv("WINGLOSS_MIRROR", str(project.root / "mirror"))
    for _ in range(2):  # the second takes the place of the first
        status, said = call(project, download, dataset="300w")
        assert status == 0, said
    assert all(os.access(project.root / "data/raw/300w" / image, os.W_OK) for image in images)


def test_a_full_disk_keeps_nothing_half_written(
    project: Project, raw: Path, call: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "data/prepared/300w")

    monkeypatch.setattr("os.fsync", full)
    status, said = call(project, prepare, dataset="300w")
    assert status == 1
    assert said.splitlines()[-1].startswith("error: data/prepared/300w: no space left on the disk")
    assert not project.left_over()
    assert not [path for path in project.root.glob("data/prepared/300w/*") if path.is_file()]


@pytest.mark.parametrize("engine", ["snakemake", "dvc"])
def test_what_was_placed_by_hand_survives_a_failed_run(project: Project, engine: str) -> None:
    project.set(datasets=["300w"])
    root = project.root / "data/incoming/300w"
    write_small_300w(root)
    points_67(root)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    if engine == "snakemake":
        said = project.snakemake("data/prepared/300w/samples.csv", status=1)
    else:
        said = project.dvc("repro", "prepare@300w", status=255)
    message = "error: data/incoming/300w/afw/one_1.pts: 67 points where 68 are expected"
    assert len([line for line in said.splitlines() if line.startswith(message)]) == 1
    assert "Traceback" not in said
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
    assert not list(project.root.glob("data/prepared/300w/*.*"))
    assert not project.left_over()


# A picture of a format that Pillow knows, but of a kind that it doesn't.
DDS = b"DDS " + struct.pack("<7I44x2I4s40x", 124, 4103, 9, 9, 0, 0, 0, 32, 4, b"none")


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of spoilt TIFFs
@pytest.mark.parametrize("kind", [".jpg", ".png", ".bmp", ".webp", ".tiff", "dds"])
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_spoilt_picture_is_cropped_or_named(
    tmp_path: Path, kind: str, data: st.DataObject
) -> None:
    picture = np.arange(3072, dtype=np.uint16).reshape(32, 32, 3).astype(np.uint8)
    content = bytearray(DDS if kind == "dds" else cv2.imencode(kind, picture)[1].tobytes())
    del content[data.draw(st.integers(0, len(content)) | st.just(len(content)), label="length") :]
    for _ in range(data.draw(st.integers(0, 4), label="changes")):
        place = data.draw(st.integers(0, len(content)), label="place")
        content[place : place + 1] = data.draw(st.binary(max_size=3), label="bytes")
    path = tmp_path / "face.jpg"
    path.write_bytes(content)
    try:
        picture = pictures.read(path)
        frame = np.array([9.0, 9.0, 8.0, 0.0])
        crop = context_crop(picture, path, frame, np.eye(2, 3), 16)
    except BadSample as error:
        assert str(error).startswith(f"{path}: ")
    else:
        assert crop.shape == (16, 16, 3) and kind != "dds"
    assert [file.name for file in tmp_path.iterdir()] == ["face.jpg"]


def table_of_samples() -> pd.DataFrame:
    """Two faces of one photograph, with names that pandas takes for missing values."""
    numbers = {name: [1.5, 2.5] for name in (*files.NUMBERS, "x0", "x1", "x2", "y0", "y1", "y2")}
    text = {"face": ["NA", "None"], "photograph": ["null", "null"], "split": ["train", "test"]}
    return pd.DataFrame(text | {"subsets": ["", "nan"], "image": ["NA.jpg", "b.jpg"]} | numbers)


def test_names_in_the_table_of_samples_are_taken_as_they_stand(tmp_path: Path) -> None:
    files.write_samples(tmp_path / "samples.csv", table_of_samples())
    found = files.read_samples(tmp_path / "samples.csv")
    assert found.to_dict("list") == table_of_samples().to_dict("list")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop(columns="photograph"), "no column photograph"),
        (lambda table: table.drop(columns="frame_side"), "no column frame_side"),
        (lambda table: table.drop(columns="y2"), "its landmarks' columns aren't x0, x1, ..., y0"),
        (lambda table: table.assign(area=1), "its landmarks' columns aren't x0, x1, ..., y0"),
        (lambda table: table.assign(x1=[1, np.inf]), "a number in it is missing or not finite"),
        (lambda table: table.assign(box_x0=["a", 1]), "a number in it is missing or not finite"),
        (lambda table: table.assign(yaw=[1, None]), "a number in it is missing or not finite"),
        (lambda table: table.assign(split="held out"), "a split is none of train, val, test"),
        (lambda table: table.assign(face="x"), "two faces are called 'x'"),
    ],
)
def test_another_table_of_samples_is_neither_written_nor_read(
    tmp_path: Path, change: Callable[[pd.DataFrame], pd.DataFrame], message: str
) -> None:
    table, path = change(table_of_samples()), tmp_path / "samples.csv"
    with pytest.raises(UserError, match=message):
        files.write_samples(path, table)
    assert not path.exists()
    files.write_table(path, table)
    with pytest.raises(UserError, match=f"{path}: {message}"):
        files.read_samples(path)


@pytest.mark.skipif(not MIRROR.is_dir(), reason="no 300W: WINGLOSS_MIRROR names no folder with it")
def test_the_real_300w(project: Project, call: Callable) -> None:
    (project.root / "data/raw").mkdir(parents=True)
    (project.root / "data/raw/300w").symlink_to(MIRROR)
    status, said = call(project, prepare, dataset="300w")
    assert status == 0, said
    stamp = json.loads(project.read("data/prepared/300w/stamp.json"))
    assert stamp["faces"] == {"train": 1808, "val": 203, "test": 0}
    assert stamp["data_stamp"] == "partial"
    samples = samples_of(project)
    splits = samples.groupby("photograph").split.nunique()
    assert (splits == 1).all()
    face = samples[samples.image == "afw/1051618982_1.jpg"].iloc[0]
    lines = (MIRROR / "afw/1051618982_1.pts").read_text(encoding="utf-8").splitlines()
    x, y = (float(word) for word in lines[3 + 30].split())  # the tip of the nose
    assert (face.x30, face.y30) == pytest.approx((x - 1, y - 1), abs=1e-3)
