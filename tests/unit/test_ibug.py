"""300W's raw format, read from a small tree that is written here as the data set is published."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.io import savemat

from wingloss import protocol
from wingloss.datasets import readers
from wingloss.datasets.face_record import BadSample, Record
from wingloss.datasets.ibug import read_pts, write_pts
from wingloss.geometry import Array

RULES = protocol.load("300w")
HEAD = "image,x_min,y_min,x_max,y_max"
IMAGES = (
    "afw/134212_1.jpg",
    "afw/134212_2.jpg",
    "afw/1051618982_1.jpg",
    "helen/trainset/100032540_1.jpg",
    "helen/trainset/100032540_2.jpg",
    "helen/testset/30427236_1.jpg",
    "lfpw/trainset/image_0001.png",
    "lfpw/trainset/image_0002.png",
    "lfpw/testset/image_0001.png",
    "ibug/image_003_1.jpg",
)


def read(root: Path, rules: protocol.Protocol) -> list[Record]:
    """All faces; the first bad one is raised."""
    records, bad, *_ = readers.read(root, rules)
    for error in bad:
        raise error
    return records


def points_of(image: str) -> Array:
    """68 points ``(68, 2)`` in 0-based pixels, other ones for every picture."""
    return np.column_stack([np.arange(68.0), 100 + IMAGES.index(image) - np.arange(68) / 4])


def lines(points: Array) -> list[str]:
    """The lines of an official .pts file, 1-based."""
    rows = [f"{x + 1:.6f} {y + 1:.6f}" for x, y in points]
    return ["version: 1", f"n_points:  {len(points)}", "{", *rows, "}", ""]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for image in IMAGES:
        path = tmp_path / image
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()  # pictures are found here, and opened by others
        path.with_suffix(".pts").write_text("\n".join(lines(points_of(image))), encoding="utf-8")
    return tmp_path


def faces(root: Path) -> dict[str, Record]:
    return {record.image: record for record in read(root, RULES)}


def test_every_picture_is_a_face_in_the_order_of_the_protocol(root: Path):
    assert [record.image for record in read(root, RULES)] == [
        "afw/1051618982_1.jpg",
        "afw/134212_1.jpg",
        "afw/134212_2.jpg",
        "helen/trainset/100032540_1.jpg",
        "helen/trainset/100032540_2.jpg",
        "lfpw/trainset/image_0001.png",
        "lfpw/trainset/image_0002.png",
        "helen/testset/30427236_1.jpg",
        "lfpw/testset/image_0001.png",
        "ibug/image_003_1.jpg",
    ]


def test_points_are_turned_to_pixel_centres_from_nought(root: Path):
    for image, face in faces(root).items():
        np.testing.assert_allclose(face.points, points_of(image), atol=1e-6)
    assert faces(root)[IMAGES[0]].points[3].tolist() == [3, 99.25]


def test_faces_of_one_photograph_are_kept_together_where_files_say_so(root: Path):
    photograph = {image: face.photograph for image, face in faces(root).items()}
    assert photograph["afw/134212_1.jpg"] == photograph["afw/134212_2.jpg"]
    assert (
        photograph["helen/trainset/100032540_1.jpg"] == photograph["helen/trainset/100032540_2.jpg"]
    )
    assert len(set(photograph.values())) == len(IMAGES) - 2  # LFPW's image_0001 is no group


def test_parts_and_subsets_are_the_protocols(root: Path):
    found = {image: (face.part.split, face.subsets) for image, face in faces(root).items()}
    assert found["afw/134212_1.jpg"] == found["lfpw/trainset/image_0001.png"] == ("train", "")
    assert found["helen/testset/30427236_1.jpg"] == ("test", "common")
    assert found["lfpw/testset/image_0001.png"] == ("test", "common")
    assert found["ibug/image_003_1.jpg"] == ("test", "challenge")


def test_other_files_and_folders_are_left_alone(root: Path):
    (root / "afw" / "readme.txt").touch()
    (root / "Thumbs").mkdir()
    (root / "Thumbs" / "a.jpg").touch()
    assert len(read(root, RULES)) == len(IMAGES)


def test_a_missing_part_is_no_faces(tmp_path: Path):
    assert read(tmp_path, RULES) == []


def test_detector_boxes_belong_to_their_pictures(root: Path):
    (root / "detector_boxes.csv").write_text(
        "image,x_max,y_max,x_min,y_min\nafw/134212_2.jpg,30,140.5,-2,4\n", encoding="utf-8"
    )
    found = faces(root)
    assert found["afw/134212_2.jpg"].box.tolist() == [-2, 4, 30, 140.5]
    assert found["afw/134212_1.jpg"].box is None


def test_a_table_may_name_subsets_where_the_protocol_does_not(root: Path):
    (root / "faces.csv").write_text(
        "image,yaw,subsets\nafw/134212_1.jpg,3,frontal\nibug/image_003_1.jpg,9,frontal\n",
        encoding="utf-8",
    )
    found = faces(root)
    assert found["afw/134212_1.jpg"].subsets == "frontal"
    assert found["afw/134212_2.jpg"].subsets == ""
    assert found["ibug/image_003_1.jpg"].subsets == "challenge"


GOOD = lines(points_of(IMAGES[0]))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (GOOD[:9] + GOOD[10:], "67 points where 68 are expected"),
        ([*GOOD[:-2], "1 2", *GOOD[-2:]], "69 points where 68 are expected"),
        ([*GOOD[:3], "nan 5.0", *GOOD[4:]], "4: point 1 is 'nan 5.0', not finite"),
        ([*GOOD[:4], "1.0 inf", *GOOD[5:]], "5: point 2 is '1.0 inf', not finite"),
        ([*GOOD[:5], "12.0 nose", *GOOD[6:]], "6: point 3 is '12.0 nose', not x and y"),
        ([*GOOD[:6], "12.0", *GOOD[7:]], "7: point 4 is '12.0', not x and y"),
        ([*GOOD[:6], "1 2 3", *GOOD[7:]], "7: point 4 is '1 2 3', not x and y"),
        ([*GOOD[:6], "1_0 2", *GOOD[7:]], "7: point 4 is '1_0 2', not x and y"),
        (["n_points: 67", *GOOD[2:]], "n_points is 67, and there are 68 points"),
        ([line for line in GOOD if line not in "{}"], "no points between braces"),
        (GOOD[:-2], "no points between braces"),  # a torn file
        ([], "no points between braces"),
    ],
)
def test_a_bad_pts_file_is_named(root: Path, text: list[str], reason: str):
    (root / "afw" / "134212_1.pts").write_text("\n".join(text), encoding="utf-8")
    with pytest.raises(BadSample, match=rf"afw/134212_1\.pts: ?{reason}"):
        read(root, RULES)


def test_a_missing_pts_file_is_named(root: Path):
    (root / "afw" / "134212_1.pts").unlink()
    with pytest.raises(BadSample, match=r"afw/134212_1\.pts: no such file"):
        read(root, RULES)


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        ("", "no picture of this name beside it"),
        (
            ".HEIC",
            "its picture 134212_1.HEIC can't be read; save it as 134212_1.jpg or 134212_1.png",
        ),
        (".txt", "134212_1.txt beside it is none of the pictures that can be read"),
    ],
)
def test_a_pts_file_without_a_picture_is_named(root: Path, ending: str, reason: str):
    path = root / "afw" / "134212_1.jpg"
    path.rename(path.with_suffix(ending)) if ending else path.unlink()
    records, (error,), *_ = readers.read(root, RULES)
    assert len(records) == len(IMAGES) - 1
    assert str(error) == f"{path.with_suffix('.pts')}: {reason}"


def test_capital_endings_are_read(root: Path):
    path = root / "afw" / "134212_1.jpg"
    path.rename(path.with_suffix(".JPG"))
    path.with_suffix(".pts").rename(path.with_suffix(".PTS"))
    assert "afw/134212_1.JPG" in faces(root)


@pytest.mark.parametrize("ending", [".bmp", ".tif", ".webp", ".jfif", ".gif"])
def test_all_pictures_that_can_be_opened_are_faces(root: Path, ending: str):
    path = root / "afw" / "134212_1.jpg"
    path.rename(path.with_suffix(ending))
    assert f"afw/134212_1{ending}" in faces(root)


def test_two_pictures_of_one_pts_file_are_both_named(root: Path):
    (root / "afw" / "134212_1.png").touch()
    records, (error,), *_ = readers.read(root, RULES)
    assert len(records) == len(IMAGES) - 1
    assert str(error) == (
        f"{root}/afw/134212_1.jpg and 134212_1.png share 134212_1.pts; remove or rename all but one"
    )


def test_two_pts_files_of_one_picture_are_both_named(root: Path):
    (root / "afw" / "134212_1.PTS").touch()
    _, (error,), *_ = readers.read(root, RULES)
    assert str(error) == (
        f"{root}/afw/134212_1.PTS and 134212_1.pts are both of 134212_1.jpg; remove all but one"
    )


@pytest.mark.parametrize(
    ("name", "kind"), [("FACE é", "capitals"), ("face e\u0301", "accents' Unicode form")]
)
def test_names_that_look_alike_are_pointed_at(root: Path, name: str, kind: str):
    path = root / "afw" / "134212_1.jpg"
    path.rename(path.with_name("face é.jpg"))
    path.with_suffix(".pts").rename(path.with_name(f"{name}.pts"))
    said = [str(error) for error in readers.read(root, RULES).bad]
    assert said == [
        f"{root}/afw/{name}.pts: no picture of this name beside it; there is 'face é', which "
        f"differs in {kind}",
        f"{root}/afw/face é.pts: no such file; every picture needs its .pts beside it; there is "
        f"'{name}.pts', which differs in {kind}",
    ]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-8"])
def test_text_of_other_encodings_is_read(root: Path, encoding: str):
    text = "\r\n".join(lines(points_of("afw/134212_1.jpg")))
    (root / "afw" / "134212_1.pts").write_bytes(text.encode(encoding))
    np.testing.assert_allclose(
        faces(root)["afw/134212_1.jpg"].points, points_of("afw/134212_1.jpg"), atol=1e-6
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("# left eye", "5: point 2 is '# left eye', not x and y"),
        ("1.5 2.5 // nose", "5: point 2 is '1.5 2.5 // nose', not x and y"),
        ("1,5 2,5", "5: point 2 is '1,5 2,5', not x and y; decimals need a point, and blanks"),
    ],
)
def test_an_odd_line_is_named_before_points_are_counted(root: Path, line: str, reason: str):
    text = "\n".join([*GOOD[:4], line, *GOOD[4:]])
    (root / "afw" / "134212_1.pts").write_text(text, encoding="utf-8")
    (error,) = readers.read(root, RULES).bad
    assert str(error).startswith(f"{root}/afw/134212_1.pts:{reason}")


def test_a_large_file_is_no_pts_file(root: Path):
    (root / "afw" / "134212_1.pts").write_text("\n".join(GOOD) + " " * (1 << 20))
    (error,) = readers.read(root, RULES).bad
    assert str(error).endswith("134212_1.pts: larger than 1 MiB, which no such file is")


def test_rows_that_name_no_picture_are_counted(root: Path):
    rows = [f"{image},0,80,70,130" for image in ("AFW/134212_1.jpg", "nowhere.jpg")]
    (root / "detector_boxes.csv").write_text("\n".join([HEAD, *rows]), encoding="utf-8")
    (root / "faces.csv").write_text("image,subsets\nafw/1.jpg,\n", encoding="utf-8")
    said = {one.what.rpartition("/")[2]: one for one in readers.read(root, RULES).left_out}
    assert {what: one.count for what, one in said.items()} == {
        "detector_boxes.csv: rows": 2,
        "faces.csv: rows": 1,
    }
    assert said["detector_boxes.csv: rows"].why == (
        "they name no picture of a part, such as 'AFW/134212_1.jpg'; there is 'afw/134212_1.jpg', "
        "which differs in capitals"
    )


def test_a_second_row_of_a_picture_is_named(root: Path):
    rows = "image,subsets\nafw/134212_1.jpg,a\nafw/134212_1.jpg,b\n"
    (root / "faces.csv").write_text(rows, encoding="utf-8")
    (error,) = readers.read(root, RULES).bad
    assert str(error).endswith("faces.csv:3: a second row of 'afw/134212_1.jpg'")


def test_a_binary_pts_file_is_named(root: Path):
    (root / "afw" / "134212_1.pts").write_bytes(bytes(range(128, 256)))
    with pytest.raises(BadSample, match=r"134212_1\.pts: no points between braces"):
        read(root, RULES)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ("image,x_min,y_min,x_max\na.jpg,1,2,3", r"csv: no column y_max"),
        ("", r"csv: no column image, x_min, y_min and 2 more; its first line has no names"),
        (f"{HEAD}\nb.jpg,1,2,3,4\na.jpg,1,2,3", r"csv:3: too few columns"),
        (f"{HEAD}\na.jpg,1,2,3,4\na.jpg,1,2,5,6", r"csv:3: a second box of 'a\.jpg'"),
        (f"{HEAD}\na.jpg,1,2,3,4,5", r"csv:2: more cells than columns"),
        (f"{HEAD}\na.jpg,1,2,wide,4", r"csv:2: x_max is 'wide', no number"),
        (f"{HEAD}\na.jpg,1,2,,4", r"csv:2: x_max is '', no number"),
        (f"{HEAD}\na.jpg,1,2,nan,4", r"csv:2: the box of 'a\.jpg' is empty or not finite"),
        (f"{HEAD}\na.jpg,1,2,inf,4", r"csv:2: the box of 'a\.jpg' is empty or not finite"),
        (f"{HEAD}\na.jpg,1,2,1,4", r"csv:2: the box of 'a\.jpg' is empty or not finite"),
        (f"{HEAD}\na.jpg,1,4,3,2", r"csv:2: the box of 'a\.jpg' is empty or not finite"),
    ],
)
def test_a_bad_table_of_boxes_is_named(root: Path, table: str, reason: str):
    """In the record of the face, since its box may not be needed."""
    image = "afw/134212_1.jpg"
    (root / "detector_boxes.csv").write_text(table.replace("a.jpg", image), encoding="utf-8")
    fault = faces(root)[image].box_fault
    assert re.search(f"detector_boxes.{reason}".replace("a\\.jpg", image), fault)


def test_bad_rows_are_listed_in_one_go_and_the_other_faces_are_read(root: Path):
    rows = [f"{image},0,80,70,130" for image in IMAGES]
    rows[0] = f"{IMAGES[0]},9,9,9,9"
    rows[3] = f"{IMAGES[3]},1"
    rows.append(rows[5])  # twice
    (root / "detector_boxes.csv").write_text("\n".join([HEAD, *rows]), encoding="utf-8")
    told = f"image,yaw,subsets\n{IMAGES[1]},left,\n{IMAGES[2]},-30.5,frontal\n"
    (root / "faces.csv").write_text(told, encoding="utf-8")
    records, (bad,), *_ = readers.read(root, RULES)
    assert str(bad).endswith("faces.csv:2: yaw is 'left', no number")
    assert sorted(r.box_fault.rpartition("/")[2] for r in records if r.box_fault) == [
        "134212_1.jpg' is empty or not finite",
        "30427236_1.jpg'; keep its face's",
        "detector_boxes.csv:5: too few columns",
    ]
    assert {record.image: record.yaw for record in records}[IMAGES[2]] == -30.5


def test_a_picture_with_a_space_too_many_has_its_box(root: Path):
    path = root / "ibug" / "image_092 _01.jpg"
    path.touch()
    path.with_suffix(".pts").write_text("\n".join(GOOD), encoding="utf-8")
    entries = np.empty((1, 2), dtype=object)
    for i, name in enumerate(("image_092_01.jpg", "image_003_1.jpg ")):
        entries[0, i] = {"imgName": name, "bb_detector": [1.0, 1.0, 99.0, 199.0]}
    (root / "Bounding Boxes").mkdir()
    savemat(root / "Bounding Boxes/bounding_boxes_ibug.mat", {"bounding_boxes": entries})
    found = faces(root)
    for image in ("ibug/image_092 _01.jpg", "ibug/image_003_1.jpg"):
        assert found[image].box.tolist() == [0, 0, 98, 198]


def test_a_torn_file_of_boxes_refuses_its_own_part_alone(root: Path):
    (root / "Bounding Boxes").mkdir()
    for part, image in (("lfpw_trainset", "image_0001.png"), ("ibug", "image_003_1.jpg")):
        entries = np.empty((1, 1), dtype=object)
        entries[0, 0] = {"imgName": image, "bb_detector": [1.0, 1.0, 99.0, 199.0]}
        path = root / f"Bounding Boxes/bounding_boxes_{part}.mat"
        savemat(path, {"bounding_boxes": entries})
    path.write_bytes(path.read_bytes()[:100])
    found = faces(root)
    assert found["lfpw/trainset/image_0001.png"].box.tolist() == [0, 0, 98, 198]
    faulty = [image for image, record in found.items() if record.box_fault]
    assert faulty == ["ibug/image_003_1.jpg"]


def test_a_bad_table_of_faces_is_named(root: Path):
    (root / "faces.csv").write_text("image,yaw\na.jpg,3\n", encoding="utf-8")
    with pytest.raises(BadSample, match=r"faces\.csv: no column subsets"):
        read(root, RULES)


@given(points=arrays(np.float64, (5, 2), elements=st.floats(-5000, 5000)))
def test_points_written_and_read_are_the_same(tmp_path_factory, points: Array):
    path = tmp_path_factory.mktemp("pts") / "face.pts"
    write_pts(path, points)
    np.testing.assert_allclose(read_pts(path, 5), points, atol=1e-6)


def test_written_points_count_from_one(tmp_path: Path):
    write_pts(tmp_path / "face.pts", np.array([[0.0, 0.0], [10.25, -3.0]]))
    assert (tmp_path / "face.pts").read_text(encoding="utf-8").splitlines() == [
        "version: 1",
        "n_points: 2",
        "{",
        "1.000000 1.000000",
        "11.250000 -2.000000",
        "}",
    ]
