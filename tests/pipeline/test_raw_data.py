"""What lies in a user's folder is read, or said: by ``stages.download`` and ``stages.prepare``."""

import json
import os
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from project import Project
from trees import FIVE_PROTOCOL, faces, five, picture, write_faces

from pipeline import files
from pipeline.data import origin
from stages import download, prepare
from wingloss import protocol
from wingloss.datasets import coco, csv_faces, ibug, readers
from wingloss.geometry import Array

FACES = 12
PATHS = {"ibug": "train", "csv": "train.csv", "coco": "train.json"}
AGAIN = (
    "run 'snakemake --forcerun data/raw/mine', or 'dvc repro --force --single-item download@mine' "
    "and then 'dvc repro'"
)


class Mine:
    """A project with twelve faces in ``data/incoming/mine``, five landmarks each."""

    def __init__(self, project: Project, call: Callable) -> None:
        self.project, self.call = project, call
        self.root = project.root / "data/incoming/mine"
        project.set(datasets=["mine"])
        self.points = five(faces("300w", FACES)[0])

    def write(self, reader: str = "ibug", boxes: Array | None = None) -> None:
        write_faces(self.root / "train", self.points)
        file = self.project.root / "wingloss/protocols/mine.yaml"
        file.write_text(FIVE_PROTOCOL.format(reader=reader, path=PATHS[reader]))
        protocol.load.cache_clear()
        if reader == "ibug":
            return
        records, *_ = readers.read(self.root, self.rules("ibug"))
        if boxes is not None:
            records = [
                readers.dataclasses.replace(r, box=b) for r, b in zip(records, boxes, strict=True)
            ]
        writer = csv_faces if reader == "csv" else coco
        writer.write(self.root / PATHS[reader], records)
        for path in self.root.glob("train/*.pts"):
            path.unlink()

    def rules(self, reader: str) -> protocol.Protocol:
        parts = (protocol.Part("train", "train", PATHS[reader]),)
        return readers.dataclasses.replace(protocol.load("mine"), reader=reader, parts=parts)

    def pts(self, name: str, line: int, text: str) -> None:
        """Puts ``text`` in the place of a line of a .pts file, counted from 1."""
        path = self.root / "train" / name
        lines = path.read_text(encoding="utf-8").splitlines()
        lines[line - 1] = text
        path.write_text("\n".join(lines), encoding="utf-8")

    def prepare(self) -> tuple[int, str]:
        return self.call(self.project, prepare, dataset="mine")

    def run(self) -> tuple[int, list[str]]:
        """Brings in and prepares; the last exit status, and what was said beyond progress."""
        protocol.load.cache_clear()
        status, said = self.call(self.project, download, dataset="mine")
        if status == 0:
            status, more = self.prepare()
            said += more
        lines = [line.removeprefix("[prepare mine] ") for line in said.splitlines()]
        return status, [line for line in lines if line.startswith(("warning: ", "error: "))]

    @property
    def stamp(self) -> dict:
        return json.loads(self.project.read("data/prepared/mine/stamp.json"))


@pytest.fixture
def mine(project: Project, call: Callable, monkeypatch: pytest.MonkeyPatch) -> Mine:
    monkeypatch.setattr(protocol, "FOLDER", project.root / "wingloss/protocols")
    made = Mine(project, call)
    made.write()
    return made


def test_whole_data_are_read_without_a_warning(mine: Mine) -> None:
    for reader in PATHS:
        mine.write(reader)
        assert mine.run() == (0, [])
        assert mine.stamp["left_out"] == [] and mine.stamp["data_stamp"] == "full"
        assert mine.stamp["files"] == {"found": 24 if reader == "ibug" else 13} | {
            "used": 24 if reader == "ibug" else 13
        }
        for path in mine.root.glob("*.*"):
            path.unlink()


def test_points_that_cannot_be_right_are_refused(mine: Mine) -> None:
    mine.pts("0001.pts", 4, "-1 -1")
    mine.pts("0002.pts", 5, "0 0")
    mine.pts("0003.pts", 6, "48250 55.5")
    status, said = mine.run()
    file = "data/incoming/mine/train/000"
    assert status == 1
    assert [line for line in said if "warning" in line] == [
        f"warning: {file}1.pts: point 1 isn't annotated (0 0 or -1 -1 stands there); every "
        "landmark must be",
        f"warning: {file}2.pts: point 2 isn't annotated (0 0 or -1 -1 stands there); every "
        "landmark must be",
        f"warning: {file}3.pts: point 3 lies far from all others; is its decimal point lost?",
    ]
    assert f"(the first of 3 bad faces, listed above); correct or remove it and {AGAIN}" in said[-1]


def test_a_point_far_outside_the_picture_is_refused(mine: Mine) -> None:
    Image.fromarray(picture(1)[:30, :30]).save(mine.root / "train/0002.jpg")
    status, said = mine.run()
    assert status == 1
    assert said[0].startswith("warning: data/incoming/mine/train/0002.pts: point ")
    assert said[0].endswith("px outside the picture of 30 x 30 pixels")


def turn(path: Path, orientation: int = 6) -> None:
    """Stores a picture on its side, with the note that turns it back."""
    exif = Image.Exif()
    exif[0x112] = orientation
    stored = Image.open(path).transpose(Image.Transpose.ROTATE_90)
    stored.save(path, exif=exif, quality=100, subsampling=0)


def test_pictures_are_seen_as_viewers_show_them(mine: Mine) -> None:
    mine.write("csv")
    flat = Image.fromarray(np.arange(90, dtype=np.uint8)[:, None].repeat(100, axis=1))
    for i in (1, 2):
        flat.convert("RGB").save(mine.root / f"train/000{i}.jpg", quality=100)
    mine.project.set(**{"dataset.mine.validation": {"share": 0.01, "seed": 0}})
    assert mine.run() == (0, [])
    crops = {s: mine.project.root / f"data/prepared/mine/crops_{s}.npy" for s in ("train", "val")}
    before = {split: np.load(path).astype(int) for split, path in crops.items()}
    turn(mine.root / "train/0001.jpg")
    turn(mine.root / "train/0002.jpg")
    status, (said,) = mine.run()
    assert status == 0 and mine.stamp["turned"] == 2
    assert "warning: mine: 2 pictures are turned by their EXIF orientation" in said
    for split, path in crops.items():
        assert abs(np.load(path).astype(int) - before[split]).max() < 5


def test_points_taken_in_the_stored_picture_are_noticed(mine: Mine) -> None:
    for i in range(1, FACES + 1):
        path = mine.root / f"train/{i:04d}.jpg"
        turn(path)
        x, y = mine.points[i - 1].T
        ibug.write_pts(path.with_suffix(".pts"), np.stack([y, 99 - x], axis=1))
    status, said = mine.run()
    assert status == 0 and mine.stamp["lying"] == FACES
    assert f"{FACES} faces lie on their side or head: data/incoming/mine/train/0001.pts" in said[-1]
    assert f"{FACES} of them in pictures with such a note; were their points taken in" in said[-1]


def test_faces_that_are_there_twice_and_unlike_the_others_are_said(mine: Mine) -> None:
    for name in ("0005.pts", "0005.jpg"):
        content = (mine.root / "train" / name).read_bytes()
        (mine.root / "train" / name.replace("5", "5 copy")).write_bytes(content)
    x, y = mine.points[2, 1] + 1, mine.points[2, 0] + 1
    mine.pts("0003.pts", 4, f"{x[0]} {x[1]}")
    mine.pts("0003.pts", 5, f"{y[0]} {y[1]}")
    status, said = mine.run()
    train = "data/incoming/mine/train"
    assert status == 0
    assert said == [
        f"warning: mine: 1 faces appear twice, with the same points: {train}/0005.pts "
        f"(as {train}/0005 copy.pts)",
        f"warning: mine: 1 faces have a shape that no others have: {train}/0003.pts; are points of "
        "them swapped or misplaced?",
    ]
    assert (mine.stamp["doubled"], mine.stamp["unlike"]) == (1, 1)


def test_test_faces_that_are_trained_on_are_said(mine: Mine) -> None:
    (mine.root / "test").mkdir()
    file = mine.project.root / "wingloss/protocols/mine.yaml"
    file.write_text(file.read_text() + "  - {name: test, path: test, split: test}\n")
    for name in ("0005.pts", "0005.jpg"):
        content = (mine.root / "train" / name).read_bytes()
        (mine.root / "test" / f"copy{name[4:]}").write_bytes(content)
    status, said = mine.run()
    assert status == 0
    assert said == [
        "warning: mine: 1 face is both among the training and among the test faces, with the same "
        "points; test errors come out too low: data/incoming/mine/test/copy.pts (as "
        "data/incoming/mine/train/0005.pts)"
    ]
    assert mine.stamp["doubled"] == 1


@pytest.mark.parametrize("reader", ["csv", "coco"])
def test_boxes_that_nobody_asks_for_are_not_checked(mine: Mine, reader: str) -> None:
    mine.write(reader, np.zeros((FACES, 4)))
    assert mine.run() == (0, [])
    mine.project.set(**{"dataset.mine.box": {"source": "given", "scale": 1.25}})
    status, (error,) = mine.run()
    assert status == 1
    assert "the box of 'train/0001.jpg' is empty or not finite, nor has any other face" in error


def test_boxes_in_another_order_are_one_refusal(mine: Mine) -> None:
    low, high = mine.points.min(axis=1) - 5, mine.points.max(axis=1) + 5
    mine.write("csv", np.concatenate([low, high - low], axis=1))
    mine.project.set(**{"dataset.mine.box": {"source": "given", "scale": 1.25}})
    status, said = mine.run()
    assert status == 1
    assert said == [
        "error: data/incoming/mine/train.csv:2: the boxes' numbers are taken for left, top, right, "
        "bottom, and by most faces' landmarks they are left, top, width, height; write them so and "
        + AGAIN
    ]


def test_a_box_beside_its_points_is_named_where_it_stands(mine: Mine) -> None:
    low, high = mine.points.min(axis=1) - 5, mine.points.max(axis=1) + 5
    rows = [
        f"train/{i + 1:04d}.jpg," + ",".join(map(str, [*low[i], *high[i]])) for i in range(FACES)
    ]
    rows[3] = "train/0004.jpg,0,0,9,9"
    table = mine.root / "detector_boxes.csv"
    table.write_text("\n".join(["image,x_min,y_min,x_max,y_max", *rows, "train/13.jpg,1,1,9,9"]))
    mine.project.set(**{"dataset.mine.box": {"source": "given", "scale": 1.25}})
    status, said = mine.run()
    place = "data/incoming/mine/detector_boxes.csv"
    assert status == 1
    assert said[0] == (
        f"warning: {place}: rows: 1 left out; they name no picture of a part, such as "
        "'train/13.jpg'"
    )
    assert said[1] == f"warning: {place}:5: the box of 'train/0004.jpg' lies beside its points"


def test_what_nobody_reads_is_counted(mine: Mine) -> None:
    for path in ("train/more/a.jpg", "train/more/a.pts", "Test/1.JPG", "notes.txt", "train/b.heic"):
        (mine.root / path).parent.mkdir(exist_ok=True)
        (mine.root / path).touch()
    (mine.root / ".hidden").mkdir()
    assert mine.call(mine.project, download, dataset="mine")[1].count(".hidden") == 1
    status, said = mine.run()
    assert status == 0
    assert said == [
        f"warning: data/incoming/mine/{line}"
        for line in (
            "*.txt: 1 left out; nothing reads them",
            "Test/*.jpg: 1 left out; no face is in them",
            "train/*.heic: 1 left out; nothing reads them",
            "train/more/*.jpg: 1 left out; no face is in them",
            "train/more/*.pts: 1 left out; they lie beside the parts' folders: train",
        )
    ]
    assert mine.stamp["files"] == {"found": 29, "used": 24}
    assert [one["count"] for one in mine.stamp["left_out"]] == 5 * [1]
    file = mine.project.root / "wingloss/protocols/mine.yaml"
    file.write_text(file.read_text() + "other_files: [notes.txt, train/more/*, Test/*, '*.heic']\n")
    assert mine.run() == (0, [])


def test_a_part_without_faces_is_said(mine: Mine) -> None:
    file = mine.project.root / "wingloss/protocols/mine.yaml"
    file.write_text(file.read_text() + "  - {name: held, path: trial, split: test}\n")
    assert mine.run() == (
        0,
        ["warning: mine: part held (trial) has no faces; did you mean 'train'?"],
    )


def test_names_that_are_not_utf8_are_escaped_and_skipped(mine: Mine) -> None:
    for name in (b"0001.jpg", b"0001.pts"):
        folder = os.fsencode(mine.root / "train")
        os.rename(folder + b"/" + name, folder + b"/caf\xe9" + name[4:])
    status, said = mine.run()
    message = (
        r"data/incoming/mine/train/caf\xe9.pts: the name 'train/caf\xe9.jpg' isn't UTF-8; "
        "rename the file"
    )
    assert status == 1 and said[0] == f"warning: {message}"
    mine.project.set(on_bad_sample="skip")
    assert mine.run()[0] == 0
    assert mine.stamp["skipped"] == 1 and sum(mine.stamp["faces"].values()) == FACES - 1


def test_names_may_hold_anything_but_line_breaks(mine: Mine) -> None:
    names = ["{x}", "%d%s", "#1", ' "a"', "[red]", '=HYPERLINK("x")', "@y", "-z", "a\nb", "c\rd"]
    for i, name in enumerate(names):
        for ending in ("jpg", "pts"):
            path = mine.root / f"train/{i + 1:04d}.{ending}"
            path.rename(path.with_name(f"{name}.{ending}"))
    mine.pts("{x}.pts", 4, "nan nan")
    status, said = mine.run()
    train = "data/incoming/mine/train"
    assert status == 1
    assert sorted(said)[1:] == [
        f"warning: {train}/a\\nb.pts: the name 'train/a\\nb.jpg' holds a line break or the like; "
        "rename the file",
        f"warning: {train}/c\\rd.pts: the name 'train/c\\rd.jpg' holds a line break or the like; "
        "rename the file",
        f"warning: {train}/{{x}}.pts:4: point 1 is 'nan nan', not finite",
    ]
    mine.pts("{x}.pts", 4, "40.5 30.5")
    mine.project.set(on_bad_sample="skip")
    assert mine.run()[0] == 0
    samples = files.read_samples(mine.project.root / "data/prepared/mine/samples.csv")
    assert {f"train/{name}.jpg" for name in names[:-2]} < set(samples.image)
    assert len(samples) == FACES - 2


@pytest.mark.parametrize(
    ("name", "there", "kind"),
    [
        ("Train/0001.jpg", "train/0001.jpg", "capitals"),
        ("train/0001.JPG", "train/0001.jpg", "capitals"),
        ("train\\0001.jpg", "train/0001.jpg", "slashes or blanks"),
        (
            f"train/{unicodedata.normalize('NFC', 'é')}.jpg",
            f"train/{unicodedata.normalize('NFD', 'é')}.jpg",
            "accents' Unicode form",
        ),
    ],
)
def test_a_picture_of_nearly_the_name_is_pointed_at(
    mine: Mine, name: str, there: str, kind: str
) -> None:
    mine.write("csv")
    (mine.root / "train/0001.jpg").rename(mine.root / there)
    table = mine.root / "train.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("train/0001.jpg,", f"{name},", 1))
    status, said = mine.run()
    assert status == 1
    assert said[-2].endswith(
        f"{name}: no such picture for data/incoming/mine/train.csv:2; there is '{there}', which "
        f"differs in {kind}"
    )


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("0001.jpg", "train/0001.jpg"),
        ("train/0001", "train/0001.jpg"),
        ("train/0001.jpeg", "train/0001.jpg"),
        ("..\\mine\\train\\0001.jpg", "train/0001.jpg"),
        ("\\etc\\passwd", ""),
    ],
)
def test_a_picture_elsewhere_is_pointed_at(mine: Mine, name: str, there: str) -> None:
    mine.write("csv")
    table = mine.root / "train.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("train/0001.jpg,", f"{name},", 1))
    status, said = mine.run()
    hint = f"; there is {there}" if there else ""
    assert status == 1
    assert said[-2].endswith(f"{name}: no such picture for data/incoming/mine/train.csv:2{hint}")


def test_the_users_folder_has_changed_since_it_was_copied(mine: Mine) -> None:
    mine.pts("0002.pts", 5, "nan nan")
    status, said = mine.run()
    assert status == 1
    assert said[-1].startswith(
        "error: data/incoming/mine/train/0002.pts:5: point 2 is 'nan nan', not finite; correct or"
    )
    mine.pts("0002.pts", 5, "60 41")
    for name in ("0003.pts", "0003.jpg"):
        (mine.root / "train" / name).rename(mine.root / "train" / name.replace("3", "9a"))
    (mine.root / "train/0004.pts").touch()
    status, text = mine.prepare()
    assert status == 1
    assert text.splitlines()[-1] == (
        "error: data/incoming/mine has changed since it was copied (2 added: train/0009a.jpg, "
        "train/0009a.pts; 2 removed: train/0003.jpg, train/0003.pts; 1 changed: train/0002.pts); "
        f"to take it as it is now, {AGAIN}"
    )
    assert mine.run() == (0, [])


def test_a_copy_that_was_brought_back_is_taken_and_said(mine: Mine) -> None:
    assert mine.run() == (0, [])
    raw = mine.project.root / "data/raw/mine/train/0001.pts"
    os.utime(raw, ns=(0, 0))
    assert origin.read("mine").replaced is False
    raw.write_text(raw.read_text().replace("1", "2"))  # as long as it was
    assert origin.read("mine").replaced and origin.changed("mine") is None
    status, text = mine.prepare()
    assert status == 0
    assert "data/raw/mine is taken as it is, and is another copy than the last of" in text


def test_only_files_are_brought_in(mine: Mine) -> None:
    for make, said in (
        (lambda path: os.mkfifo(path), "neither a file nor a folder; remove it"),
        (lambda path: path.symlink_to("/dev/zero"), "neither a file nor a folder; remove it"),
        (lambda path: path.symlink_to("nowhere"), "a link to nothing; remove it"),
    ):
        path = mine.root / "train/x.jpg"
        make(path)
        assert mine.run() == (1, [f"error: data/incoming/mine/train/x.jpg: {said}"])
        path.unlink()
    assert mine.run() == (0, []) and origin.changed("mine") is None
    os.mkfifo(mine.root / "x")
    assert origin.changed("mine") == "data/incoming/mine/x: neither a file nor a folder; remove it"
