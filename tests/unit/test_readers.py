"""The raw formats of AFLW, COFW, WFLW and one's own, each read from a tree written here in it."""

import csv
import dataclasses
import json
import re
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.io import loadmat, savemat
from trees import HEIGHT, WIDTH, WRITERS, aflw_order, faces, picture

from pipeline.config.params import Validation
from stages import prepare
from wingloss import protocol
from wingloss.datasets import coco, cofw, csv_faces, csv_table, ibug, matlab, readers
from wingloss.datasets.face_record import BadSample, Record
from wingloss.protocol import Part, Protocol

OFFICIAL = {
    "aflw": "AFLWinfo_release.mat",
    "cofw": "COFW_train_color.mat",
    "wflw": protocol.load("wflw").parts[0].path,
}
OWN = ("ibug", "csv", "coco")


def rules_of(name: str) -> Protocol:
    """The data set's protocol, with 30 training faces where the file doesn't part them."""
    rules = protocol.load(name)
    parts = tuple(dataclasses.replace(part, count=30) for part in rules.parts)
    return dataclasses.replace(rules, parts=parts)


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One tree of each format; for all tests, so left as they are."""
    root = tmp_path_factory.mktemp("trees")
    for name in OFFICIAL:
        WRITERS[name](root / name)
    return root


def read(root: Path, rules: Protocol) -> list[Record]:
    records, bad, *_ = readers.read(root, rules)
    assert not bad
    return records


def good_and_faults(root: Path, rules: Protocol) -> tuple[list[Record], list[str]]:
    """The faces that can be used, box included, and what is wrong with the others."""
    records, bad, *_ = readers.read(root, rules)
    faults = [str(error) for error in bad] + [r.box_fault for r in records if r.box_fault]
    return [record for record in records if not record.box_fault], faults


@pytest.mark.parametrize("name", OFFICIAL)
def test_faces_are_as_they_were_written(trees: Path, name: str) -> None:
    found = read(trees / name, rules_of(name))
    assert [record.part.name for record in found] == 30 * ["train"] + 8 * ["test"]
    assert len({record.face for record in found}) == 38
    train, test = found[:30], found[30:]
    if name == "aflw":
        points, boxes = (both[aflw_order(38)] for both in faces(name, 38))  # as `ra` says
    else:
        points, boxes = (
            np.concatenate(both)
            for both in zip(faces(name, 30, 30), faces(name, 8, 8), strict=True)
        )
    np.testing.assert_allclose([r.points for r in (*train, *test)], points, atol=1e-6)
    whole = 1 if name == "wflw" else 1e-6  # its boxes are whole pixels
    np.testing.assert_allclose([r.box for r in (*train, *test)], boxes, atol=whole)


def test_aflw_frontal_is_all_visible_and_faces_share_photographs(trees: Path) -> None:
    found = read(trees / "aflw", rules_of("aflw"))
    assert [r.face for r in found[:2]] == ["0/image00000-1", "3/image00011-23"]
    assert found[0].image == "data/flickr/0/image00000.jpg"
    frontal = [r.subsets == "frontal" for r in found]
    assert not any(frontal[:30])
    assert frontal[30:] == [bool(r.visible.all()) for r in found[30:]]
    assert 0 < sum(frontal) < 8
    assert (trees / "aflw" / found[0].image).is_file()
    assert len({r.photograph for r in found}) == 19


@pytest.mark.parametrize("seed", range(3))
def test_test_faces_stay_so_where_a_photograph_has_training_faces_too(
    trees: Path, seed: int
) -> None:
    found = read(trees / "aflw", rules_of("aflw"))
    train, test = ({r.photograph for r in part} for part in (found[:30], found[30:]))
    splits = prepare._splits(found, Validation(share=0.5, seed=seed))
    validated = {r.photograph for r, split in zip(found, splits, strict=True) if split == "val"}
    assert len(train & test) > 3 and validated & test
    assert splits[30:] == 8 * ["test"] and set(splits[:30]) == {"train", "val"}
    assert not validated & {
        r.photograph for r, s in zip(found, splits, strict=True) if s == "train"
    }


@pytest.mark.parametrize("folder", ["data/flickr", "aflw/data/flickr", "flickr", "images"])
def test_aflw_pictures_are_found_as_people_unpack_them(
    trees: Path, tmp_path: Path, folder: str
) -> None:
    shutil.copy(trees / "aflw/AFLWinfo_release.mat", tmp_path)
    (tmp_path / folder).mkdir(parents=True)
    assert read(tmp_path, rules_of("aflw"))[0].image.startswith(f"{folder}/")


def test_wflw_attributes_are_subsets_of_the_test_faces(trees: Path) -> None:
    found = read(trees / "wflw", rules_of("wflw"))
    assert {r.subsets for r in found[:30]} == {""}
    assert [r.subsets for r in found[30:34]] == ["", "pose", "expression", "pose expression"]
    assert found[1].image == "WFLW_images/train--People 1/0.jpg"
    assert found[1].face == "train--People 1/0-train2"


def test_cofw_pictures_are_written_as_matlab_has_them(trees: Path, tmp_path: Path) -> None:
    shutil.copytree(trees / "cofw", tmp_path / "cofw")
    found = read(tmp_path / "cofw", rules_of("cofw"))
    written = list(cofw.extract(tmp_path / "cofw", rules_of("cofw")))
    assert written == [tmp_path / "cofw" / record.image for record in found]
    assert found[0].image == "COFW_train_color/0001.png"
    for i in (0, 3):
        image = cv2.imread(str(tmp_path / "cofw" / found[i].image), cv2.IMREAD_UNCHANGED)
        expected = picture(i, grey=i == 3)
        np.testing.assert_array_equal(image, expected if i == 3 else expected[:, :, ::-1])
    assert image.shape == (HEIGHT, WIDTH)
    assert [int((~r.visible).argmax()) for r in found[:3]] == [0, 1, 2]
    assert sum(1 for _ in (tmp_path / "cofw").rglob("*.png")) == 38


def test_cofw_pictures_are_not_all_in_memory(tmp_path: Path) -> None:
    count, side = 40, 500
    with h5py.File(tmp_path / "COFW_train_color.mat", "w") as file:
        cells = file.create_dataset("IsTr", (1, count), dtype=h5py.ref_dtype)
        for i in range(count):
            data = np.zeros((3, side, side), np.uint8)
            cells[0, i] = file.create_dataset(f"#refs#/{i}", data=data).ref
        file["phisTr"], file["bboxesTr"] = np.ones((87, count)), np.ones((4, count))
    tracemalloc.start()
    assert sum(1 for _ in cofw.extract(tmp_path, rules_of("cofw"))) == count
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * 3 * side * side < count * 3 * side * side / 4


def edit_mat(path: Path, name: str, value: object) -> None:
    content = {k: v for k, v in loadmat(path).items() if not k.startswith("__")}
    content[name] = value
    savemat(path, {k: v for k, v in content.items() if v is not None})


def edit_h5(path: Path, name: str, value: object) -> None:
    with h5py.File(path, "r+") as file:
        del file[name]
        if value is not None:
            file[name] = value


def edit_line(path: Path, number: int, change: Callable[[list[str]], list[str]]) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[number - 1] = " ".join(change(lines[number - 1].split(" ")))
    path.write_text("\n".join(lines), encoding="utf-8")


NAN = np.full((38, 38), np.nan)
AFLW_SPOILT = {  # a variable, its new value, and what is said
    "short permutation": ("ra", np.arange(1, 9)[None], r"ra: its size is \(8,\), not N x 38"),
    "0-based permutation": ("ra", np.arange(38)[None], "ra is not a permutation of 1 to 38"),
    "twice the same": ("ra", np.ones((1, 38)), "ra is not a permutation of 1 to 38"),
    "no boxes": ("bbox", None, "no variable bbox"),
    "boxes of three": ("bbox", np.zeros((38, 3)), r"bbox: its size is \(38, 3\), not N x 4"),
    "a text": ("data", "points", "data: not a matrix of numbers"),
    "too few masks": ("mask_new", np.ones((37, 19)), "data, bbox, mask_new and nameList differ in"),
}


@pytest.mark.parametrize("case", AFLW_SPOILT)
def test_a_broken_aflw_file_is_named(trees: Path, tmp_path: Path, case: str) -> None:
    name, value, message = AFLW_SPOILT[case]
    path = tmp_path / "AFLWinfo_release.mat"
    shutil.copy(trees / "aflw" / path.name, path)
    edit_mat(path, name, value)
    with pytest.raises(BadSample, match=rf"{path}: {message}"):
        readers.read(tmp_path, rules_of("aflw"))


def test_a_bad_face_of_aflw_is_named_and_the_others_are_read(trees: Path, tmp_path: Path) -> None:
    path = tmp_path / "AFLWinfo_release.mat"
    shutil.copy(trees / "aflw" / path.name, path)
    content = loadmat(path)
    content["data"][3, 20] = np.nan
    content["bbox"][5] = [9, 9, 5, 8]  # left, right, top, bottom
    content["nameList"][7, 0] = np.array(["../../secret.jpg"])
    for name in ("data", "bbox", "nameList"):
        edit_mat(path, name, content[name])
    records, faults = good_and_faults(tmp_path, rules_of("aflw"))
    assert len(records) == 35
    assert sorted(faults) == [
        f"{path}: face 4: point 2 is not finite",
        f"{path}: face 6: the box of 'data/flickr/3/image00002.jpg' is empty or not finite",
        f"{path}: face 8: 'data/flickr/../../secret.jpg' leads out of the data set's folder",
    ]


COFW_SPOILT = {
    "no points": ("phisTr", None, "no variables IsTr, phisTr, bboxesTr"),
    "points not transposed": ("phisTr", np.ones((30, 87)), "phisTr has size .*, not N x 87"),
    "boxes of text": ("bboxesTr", np.full((4, 30), b"x"), "bboxesTr has size"),
    "one box less": ("bboxesTr", np.ones((4, 29)), "IsTr, phisTr, bboxesTr differ in length"),
}


@pytest.mark.parametrize("case", COFW_SPOILT)
def test_a_broken_cofw_file_is_named(trees: Path, tmp_path: Path, case: str) -> None:
    name, value, message = COFW_SPOILT[case]
    path = tmp_path / "COFW_train_color.mat"
    shutil.copy(trees / "cofw" / path.name, path)
    edit_h5(path, name, value)
    with pytest.raises(BadSample, match=rf"{path}: {message}"):
        readers.read(tmp_path, rules_of("cofw"))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.zeros((4, 5, 5), np.uint8), "picture 2: 4 colours, not 3"),
        (np.zeros((3, 5, 5)), r"picture 2: float64 of size \(3, 5, 5\), not a picture"),
        (np.zeros((3, 0, 5), np.uint8), "picture 2: uint8 .*, not a picture"),
        ("bomb", r"picture 2: uint8 of size \(3, 50000, 50000\), not a picture"),
        (None, "picture 2: not there"),
    ],
)
def test_a_broken_cofw_picture_is_named(
    trees: Path, tmp_path: Path, value: object, message: str
) -> None:
    path = tmp_path / "COFW_train_color.mat"
    shutil.copy(trees / "cofw" / path.name, path)
    with h5py.File(path, "r+") as file:
        cells = file["IsTr"]
        if isinstance(value, str):  # gigabytes of nothing, in a few bytes
            bad = file.create_dataset(value, (3, 50000, 50000), np.uint8, chunks=(1, 500, 500))
        elif value is not None:
            bad = file.create_dataset("bad", data=value)
        cells[0, 1] = None if value is None else bad.ref
    made = list(cofw.extract(tmp_path, rules_of("cofw")))
    assert re.match(rf"{path}: {message}", str(made.pop(1)))
    assert len(made) == 29 and all(one.is_file() for one in made)


def test_cofw_takes_nothing_from_other_files(trees: Path, tmp_path: Path) -> None:
    """HDF5 can: an array's bytes may lie in any file, a name may lead into another."""
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(range(256)) * 200)
    outer, outside = tmp_path / "COFW_train_color.mat", [(str(secret), 0, 2700)]
    with h5py.File(tmp_path / "other.mat", "w") as file:
        file["boxes"] = np.ones((4, 30))
        file["picture"] = np.ones((3, 30, 30), np.uint8)
    virtual = h5py.VirtualLayout((3, 30, 30), np.uint8)
    virtual[:] = h5py.VirtualSource(tmp_path / "other.mat", "picture", (3, 30, 30))

    def spoil(name: str) -> h5py.File:
        shutil.copy(trees / "cofw" / outer.name, outer)
        file = h5py.File(outer, "r+")
        if name:
            del file[name]
        return file

    with spoil("") as file:
        array = file.create_dataset("x", (3, 30, 30), np.uint8, external=outside)
        file["IsTr"][0, 0] = array.ref
        file["IsTr"][0, 1] = file.create_virtual_dataset("y", virtual).ref
    made = list(cofw.extract(tmp_path, rules_of("cofw")))
    for i in (0, 1):
        assert str(made[i]) == f"{outer}: picture {i + 1} lies in another file"
    with spoil("bboxesTr") as file:
        outside = [(str(secret), 0, 4 * 30 * 8)]
        file.create_dataset("bboxesTr", (4, 30), np.float64, external=outside)
    with pytest.raises(BadSample, match=f"{outer}: bboxesTr lies in another file"):
        readers.read(tmp_path, rules_of("cofw"))
    with spoil("bboxesTr") as file:
        file["bboxesTr"] = h5py.ExternalLink(tmp_path / "other.mat", "boxes")
    with pytest.raises(BadSample, match=f"{outer}: no variables IsTr, phisTr, bboxesTr"):
        readers.read(tmp_path, rules_of("cofw"))
    with spoil("IsTr") as file:
        file["link"] = h5py.ExternalLink(tmp_path / "other.mat", "picture")
        file["IsTr"] = np.full((1, 30), b"link")
    with pytest.raises(BadSample, match=f"{outer}: IsTr has no references to pictures"):
        list(cofw.extract(tmp_path, rules_of("cofw")))


def test_a_file_of_another_matlab_is_named(trees: Path, tmp_path: Path) -> None:
    savemat(tmp_path / "COFW_train_color.mat", {"IsTr": np.zeros(3)})
    with pytest.raises(BadSample, match=r"color\.mat: of an older MATLAB, and .* \(-v7\.3\)$"):
        readers.read(tmp_path, rules_of("cofw"))
    hdf = (trees / "cofw/COFW_train_color.mat").read_bytes()
    (tmp_path / "AFLWinfo_release.mat").write_bytes(
        b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM" + bytes(384) + hdf
    )
    with pytest.raises(BadSample, match=r"release\.mat: of MATLAB 7\.3, and .* \(-v7\)$"):
        readers.read(tmp_path, rules_of("aflw"))


@pytest.mark.parametrize("headline", ["inter_pupil", "inter_ocular", "box"])
def test_eyes_on_one_another_divide_no_errors(tmp_path: Path, headline: str) -> None:
    profile, *others = own_records("csv")
    for eye in (slice(36, 42), slice(42, 48)):
        profile.points[eye] = profile.points[36]
    write(tmp_path, "csv", [profile, *others])
    rules = dataclasses.replace(own_rules("csv"), headline=headline)
    records, faults = good_and_faults(tmp_path, rules)
    said = "its eyes coincide, and errors are divided by their distance"
    assert faults == ([] if headline == "box" else [f"{tmp_path}/train.csv:2: {said}"])
    assert len(records) == len(others) + (headline == "box")


def test_a_packed_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where it lies in a cell, of which the header tells nothing."""
    monkeypatch.setattr(matlab, "MOST_BYTES", 1 << 20)
    cell = np.empty((1, 1), dtype=object)
    cell[0, 0] = np.zeros((400, 400))
    savemat(tmp_path / "AFLWinfo_release.mat", {"ra": cell}, do_compression=True)
    with pytest.raises(BadSample, match=r"release\.mat: it unpacks to more than 1 MiB"):
        readers.read(tmp_path, rules_of("aflw"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda words: words[1:], "205 numbers and a path|could not convert"),
        (lambda words: ["nose", *words[1:]], "could not convert string to float: 'nose'"),
        (lambda words: ["inf", *words[1:]], "point 1 is not finite"),
        (lambda words: [*words[:200], "2", *words[201:]], "an attribute is neither 0 nor 1"),
        (lambda words: [*words[:196], "9", "9", "9", "9", *words[200:]], "the box of .* is empty"),
        (lambda words: [*words[:206], "../../x.jpg"], "leads out of the data set's folder"),
        (lambda words: ["1"], "0 numbers and a path, where 206 are expected"),
    ],
)
def test_a_bad_line_of_wflw_is_named_and_the_others_are_read(
    trees: Path, tmp_path: Path, change: Callable[[list[str]], list[str]], message: str
) -> None:
    shutil.copytree(trees / "wflw" / "WFLW_annotations", tmp_path / "WFLW_annotations")
    path = tmp_path / OFFICIAL["wflw"]
    edit_line(path, 3, change)
    records, (error,) = good_and_faults(tmp_path, rules_of("wflw"))
    assert len(records) == 37
    _, bad, *_ = readers.read(tmp_path, rules_of("wflw"))
    if "leads out" not in message:  # or its picture would be said to be left out
        assert all(one.images for one in bad)
    assert str(error).startswith(f"{path}:3: ")
    assert re.search(message, str(error))


# One's own: three formats that say the same.

PARTS = {
    "ibug": (("train", "train"), ("test", "test")),
    "csv": (("train", "train.csv"), ("test", "test.csv")),
    "coco": (("train", "train.json"), ("test", "test.json")),
}


def own_rules(reader: str, n_landmarks: int = 68) -> Protocol:
    parts = tuple(Part(name, name, path) for name, path in PARTS[reader])
    rules = protocol.load("synthetic")
    return dataclasses.replace(rules, reader=reader, parts=parts, n_landmarks=n_landmarks)


def write(root: Path, reader: str, records: list[Record]) -> None:
    """Writes one file a part, or .pts files."""
    if reader == "ibug":
        ibug.write(root, records)
    for part in own_rules(reader).parts:
        mine = [record for record in records if record.part == part]
        if reader == "csv":
            csv_faces.write(root / part.path, mine)
        elif reader == "coco":
            coco.write(root / part.path, mine)


def own_records(reader: str) -> list[Record]:
    points, boxes = faces("300w", 4)
    ending = "" if reader == "ibug" else ".jpg"
    parts = own_rules(reader).parts
    return [
        Record(
            face="",
            image=f"{parts[i > 2].name}/picture, {i}.jpg",
            photograph=f"{parts[i > 2].name}/picture, {i}{ending}",
            part=parts[i > 2],
            subsets="glasses frontal" if i == 2 else "",
            points=points[i],
            box=boxes[i] if i != 1 else None,
            source="",
        )
        for i in range(4)
    ]


@pytest.mark.parametrize("reader", OWN)
def test_what_is_written_is_read(tmp_path: Path, reader: str) -> None:
    records = own_records(reader)
    for record in records:
        (tmp_path / record.image).parent.mkdir(exist_ok=True)
        (tmp_path / record.image).touch()
    write(tmp_path, reader, records)
    found = read(tmp_path, own_rules(reader))
    assert [(r.image, r.part) for r in found] == [(r.image, r.part) for r in records]
    for ours, theirs in zip(records, found, strict=True):
        np.testing.assert_allclose(theirs.points, ours.points, atol=1e-6)
        assert (ours.box is None) == (theirs.box is None)
        if ours.box is not None:
            np.testing.assert_allclose(theirs.box, ours.box, atol=1e-5)
        assert (theirs.photograph, theirs.subsets) == (ours.photograph, ours.subsets)


@pytest.mark.parametrize("reader", ["csv", "coco"])
def test_faces_may_share_pictures_and_photographs(tmp_path: Path, reader: str) -> None:
    first, second, third, last = own_records(reader)
    second = dataclasses.replace(second, image=first.image, photograph="roll 7")
    third = dataclasses.replace(third, photograph="roll 7")
    write(tmp_path, reader, [first, second, third, last])
    found = read(tmp_path, own_rules(reader))
    assert [r.image for r in found] == [first.image, first.image, third.image, last.image]
    assert [r.photograph for r in found[1:3]] == ["roll 7", "roll 7"]


@pytest.mark.parametrize(
    ("key", "message"), [("image", "share a picture"), ("photograph", "of one")]
)
def test_what_pts_files_cannot_say_is_not_written(tmp_path: Path, key: str, message: str) -> None:
    first, second, *_ = own_records("ibug")
    second = dataclasses.replace(second, **{key: getattr(first, key)})
    with pytest.raises(ValueError, match=message):
        ibug.write(tmp_path, [first, second])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("x67", "x76", r"train\.csv: no column x67"),
        ("image,photograph", "picture,photograph", r"train\.csv: no column image"),
        ("subsets", "x0", r"train\.csv: two columns x0"),
        ("subsets", "x_min", r"train\.csv: two columns x_min"),
        ("subsets", "y68", r"train\.csv: a column y68, where 68 landmarks are expected"),
    ],
)
def test_a_csv_with_other_columns_is_named(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    write(tmp_path, "csv", own_records("csv"))
    path = tmp_path / "train.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(BadSample, match=message):
        readers.read(tmp_path, own_rules("csv"))


LONG_ROW = (
    "more cells than columns; are there decimal commas, "
    "or commas in a name without quotation marks?"
)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: ["long", *row], LONG_ROW),
        (
            lambda row: [*row[:3], *row[3].split("."), *row[4:]],
            LONG_ROW,
        ),
        (lambda row: row[:9], "too few columns"),
        (lambda row: ["", *row[1:]], "no image is named"),
        (lambda row: [*row[:3], "1_0", *row[4:]], "x_min is '1_0', no number"),
    ],
)
def test_a_bad_row_of_a_csv_is_named_and_the_others_are_read(
    tmp_path: Path, change: Callable[[list[str]], list[str]], message: str
) -> None:
    write(tmp_path, "csv", own_records("csv"))
    path = tmp_path / "train.csv"
    with path.open(newline="", encoding="utf-8") as file:
        header, row, *others = csv.reader(file)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, change(row), *others])
    records, (error,) = good_and_faults(tmp_path, own_rules("csv"))
    assert len(records) == 3
    assert str(error) == f"{path}:2: {message}"


@pytest.mark.parametrize("wide", [0, 2])
def test_rows_and_columns_without_content_are_none(tmp_path: Path, wide: int) -> None:
    records = own_records("csv")
    write(tmp_path, "csv", records)
    path = tmp_path / "train.csv"
    header, *rows = csv.reader(path.read_text(encoding="utf-8").splitlines())
    table = [[*header, *[""] * wide], *([*row, "", " "] for row in rows), [""] * len(header)]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(table)
    found = read(tmp_path, own_rules("csv"))
    np.testing.assert_allclose([r.points for r in found], [r.points for r in records], atol=1e-6)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_csv_as_spreadsheets_write_it(tmp_path: Path, separator: str) -> None:
    records = own_records("csv")
    write(tmp_path, "csv", records)
    for path in tmp_path.glob("*.csv"):
        header, *rows = csv.reader(path.read_text(encoding="utf-8").splitlines())
        header = [f" {name.upper()} " for name in header]
        with path.open("w", newline="", encoding="utf-16") as file:
            csv.writer(file, delimiter=separator).writerows([header, *rows])
    found = read(tmp_path, own_rules("csv"))
    np.testing.assert_allclose([r.points for r in found], [r.points for r in records], atol=1e-6)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("x0,", "X,", "no column x0; its columns are image, photograph, subsets and 140 more"),
        ("image,", "Bild;", "no column image; its columns are bild;photograph, subsets, x_min and"),
        ("x67,y67", "", "no column x67, y67; its columns are image"),
    ],
)
def test_what_is_said_of_columns_is_short(tmp_path: Path, old: str, new: str, message: str) -> None:
    write(tmp_path, "csv", own_records("csv"))
    path = tmp_path / "train.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(BadSample) as error:
        readers.read(tmp_path, own_rules("csv"))
    assert str(error.value).startswith(f"{path}: {message}") and len(str(error.value)) < 250


def test_decimal_commas_are_named(tmp_path: Path) -> None:
    write(tmp_path, "csv", own_records("csv"))
    path = tmp_path / "train.csv"
    header, *rows = csv.reader(path.read_text(encoding="utf-8").splitlines())
    rows[1] = [rows[1][0], *(cell.replace(".", ",") for cell in rows[1][1:])]
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=";").writerows([header, *rows])
    _, (error,) = good_and_faults(tmp_path, own_rules("csv"))
    assert re.fullmatch(
        rf"{path}:3: x0 is '(\d+),(\d+)': decimals need a point, as in \1\.\2", error
    )


def test_a_quotation_mark_that_is_not_closed_swallows_no_rows_in_silence(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_text('image,x0,y0\na.jpg,1,2\n"b.jpg,3,4\nc.jpg,5,6\n', encoding="utf-8")
    _, (where, row) = csv_table.rows(path, ("image", "x0", "y0"))
    with pytest.raises(BadSample, match=r"csv:3-4: too few columns; is a quotation mark not cl"):
        csv_table.check(row, ("image", "x0", "y0"), where)


def test_images_without_annotation_and_empty_lines_are_counted(trees: Path, tmp_path: Path) -> None:
    write(tmp_path, "coco", own_records("coco"))
    path = tmp_path / "train.json"
    value = json.loads(path.read_text(encoding="utf-8"))
    value["images"].append({"id": 77, "file_name": "train/more.jpg"})
    path.write_text(json.dumps(value), encoding="utf-8")
    (one,) = readers.read(tmp_path, own_rules("coco")).left_out
    assert (one.what, one.count) == (f"{path}: images", 1)
    assert one.why == "no annotation is of them, such as 'train/more.jpg'"
    shutil.copytree(trees / "wflw" / "WFLW_annotations", tmp_path / "wflw/WFLW_annotations")
    path = tmp_path / "wflw" / OFFICIAL["wflw"]
    path.write_text(path.read_text(encoding="utf-8").replace("\n", "\n\n", 3))
    (one,) = readers.read(tmp_path / "wflw", rules_of("wflw")).left_out
    assert (one.what, one.count, one.why) == (f"{path}: lines", 3, "they are empty")


def test_a_key_that_stands_twice_in_coco_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "coco", own_records("coco"))
    path = tmp_path / "train.json"
    path.write_text(path.read_text(encoding="utf-8")[:-1] + ', "annotations": []}')
    with pytest.raises(BadSample, match="the key 'annotations' stands in one object twice"):
        readers.read(tmp_path, own_rules("coco"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda a: a.pop("keypoints"),
            r"annotations\[1\]: it has no keypoints",
        ),
        (lambda a: a.pop("image_id"), r"annotations\[1\]: no image_id and keypoints as COCO"),
        (
            lambda a: a.update(image_id=str(a["image_id"])),
            r"annotations\[1\]: there is no image '(\d+)'; there is \1$",
        ),
        (lambda a: a.update(image_id=9), r"annotations\[1\]: there is no image 9"),
        (
            lambda a: a["keypoints"].pop(),
            r"annotations\[1\]: 203 numbers of keypoints where 204 are",
        ),
        (lambda a: a.update(keypoints=[1, 2, 2]), r"annotations\[1\]: 3 numbers of keypoints whe"),
        (lambda a: a["keypoints"].__setitem__(2, 0), r"annotations\[1\]: landmark 0 is not ann"),
        (lambda a: a["keypoints"].__setitem__(2, 3), r"annotations\[1\]: landmark 0 has v = 3, wh"),
        (lambda a: a["keypoints"].__setitem__(5, 0.9), r"annotations\[1\]: landmark 1 has v = 0.9"),
        (
            lambda a: a["keypoints"].__setitem__(2, None),
            r"annotations\[1\]: landmark 0 has v = nan",
        ),
        (lambda a: a["keypoints"].__setitem__(1, None), r"annotations\[1\]: point 1 is not finite"),
        (lambda a: a["keypoints"].__setitem__(3, 1e300), r"annotations\[1\]: point 2 is in no pic"),
        (lambda a: a.update(bbox=[1, 2, 3]), r"annotations\[1\]: the bbox is no left, top, wid"),
        (lambda a: a.update(bbox=[1, 2, -3, 4]), r"annotations\[1\]: the box of .* is empty"),
    ],
)
def test_a_bad_annotation_of_coco_is_named(
    tmp_path: Path, change: Callable[[dict], object], message: str
) -> None:
    write(tmp_path, "coco", own_records("coco"))
    path = tmp_path / "train.json"
    value = json.loads(path.read_text(encoding="utf-8"))
    change(value["annotations"][1])
    path.write_text(json.dumps(value), encoding="utf-8")
    records, (error,) = good_and_faults(tmp_path, own_rules("coco"))
    assert len(records) == 3
    assert re.search(message, error)


def test_two_pictures_of_one_id_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "coco", own_records("coco"))
    path = tmp_path / "train.json"
    path.write_text(path.read_text(encoding="utf-8").replace('{"id": 2, "file', '{"id": 1, "file'))
    with pytest.raises(BadSample, match=r"train\.json: not a COCO file: two images have one id"):
        readers.read(tmp_path, own_rules("coco"))


def test_two_faces_of_one_name_are_refused(trees: Path) -> None:
    rules = rules_of("wflw")
    twice = dataclasses.replace(rules, parts=(rules.parts[0], rules.parts[0]))
    records, bad, *_ = readers.read(trees / "wflw", twice)
    assert (len(records), len(bad)) == (30, 30)
    assert "train.txt:1: 'train--People 0/0-train1' is the name of " in str(bad[0])


# Whatever stands in a file, each face is read or named, and nothing else happens.

FILES = {  # whose reader, the file, and how a face's place in it is named
    "aflw": ("aflw", OFFICIAL["aflw"], r": face \d+"),
    "cofw": ("cofw", OFFICIAL["cofw"], r": (face|picture) \d+"),
    "wflw": ("wflw", OFFICIAL["wflw"], r":\d+"),
    "csv": ("csv", "train.csv", r":\d+"),
    "coco": ("coco", "train.json", r": annotations\[\d+\]"),
    "ibug": ("ibug", "detector_boxes.csv", r":\d+"),
    "faces": ("ibug", "faces.csv", r":\d+"),
    "boxes": ("ibug", "Bounding Boxes/bounding_boxes_train.mat", r": entry \d+"),
    "pts": ("ibug", "train/picture.pts", r"(:\d+)?"),
}


@pytest.fixture(scope="module")
def whole(trees: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The bytes of a whole file of each kind."""
    root = tmp_path_factory.mktemp("whole")
    write(root, "csv", own_records("csv"))
    write(root, "coco", own_records("coco"))
    (root / "train").mkdir()
    ibug.write_pts(root / "train/picture.pts", faces("300w", 1)[0][0])
    (root / "detector_boxes.csv").write_text(
        "image,x_min,y_min,x_max,y_max\ntrain/picture.jpg,10,20,80,70\n"
    )
    (root / "faces.csv").write_text("image,yaw,subsets\ntrain/picture.jpg,-12.5,frontal\n")
    boxes = np.empty((1, 1), dtype=object)
    boxes[0, 0] = {"imgName": "picture.jpg", "bb_detector": [10.0, 20.0, 80.0, 70.0]}
    (root / "Bounding Boxes").mkdir()
    savemat(root / FILES["boxes"][1], {"bounding_boxes": boxes})
    return {
        kind: ((trees / name if name in OFFICIAL else root) / file).read_bytes()
        for kind, (name, file, _) in FILES.items()
    }


@pytest.mark.parametrize("kind", FILES)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_spoilt_file_is_read_or_named(
    whole: dict[str, bytes], tmp_path: Path, kind: str, data: st.DataObject
) -> None:
    content = bytearray(whole[kind])
    end = data.draw(st.integers(0, len(content)) | st.just(len(content)), label="length")
    del content[end:]
    for _ in range(data.draw(st.integers(0, 4), label="changes")):
        place = data.draw(st.integers(0, len(content)), label="place")
        content[place : place + 1] = data.draw(st.binary(max_size=3), label="bytes")
    name, file, place_in_it = FILES[kind]
    rules = rules_of(name) if name in OFFICIAL else own_rules(name)
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_bytes(content)
    if name == "ibug":
        (tmp_path / "train").mkdir(exist_ok=True)
        (tmp_path / "train/picture.jpg").touch()
        if kind != "pts":
            (tmp_path / "train/picture.pts").write_bytes(whole["pts"])
    before = set(tmp_path.rglob("*"))
    records, bad = [], []
    try:
        records, bad, *_ = readers.read(tmp_path, rules)
        bad += [one for one in readers.extract(tmp_path, rules) if isinstance(one, BadSample)]
    except BadSample as error:  # of the file as a whole
        assert str(error).startswith(f"{tmp_path / file}: ")
    for error in bad:
        misfit = "box of 'train/picture.jpg'" in str(error)  # it is whole, but not for these points
        assert re.match(rf"{tmp_path / file}{place_in_it}: ", str(error)) or misfit
    assert all(np.isfinite(record.points).all() for record in records)
    new = set(tmp_path.rglob("*")) - before
    assert name == "cofw" or not new
    assert all(path.parent == tmp_path or path.suffix == ".png" for path in new)
