"""`wingloss detect` over all that a folder may hold: a message each, and the rest goes on."""

import csv
import json
import os
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from test_detector import CARD, DOTS

from wingloss.cli import main, results, sources
from wingloss.cli.results import Results
from wingloss.datasets import ibug
from wingloss.detection import detector_file, face_detector, onnx_file
from wingloss.detection.detector import Detected, Detector
from wingloss.models import inference
from wingloss.models.networks import build
from wingloss.synthetic.face import render_face
from wingloss.synthetic.population import FaceDistribution

POPULATION = FaceDistribution(
    image_size=160,
    yaw_scale=0,
    yaw_tail=0,
    pitch_std=0,
    roll_std=0,
    box_shift=0,
    box_scale=0,
    occlusion=0,
    expression=0,
    illumination=0,
    blur=0,
)
MEMORY = 1 << 30  # bytes at most, of which importing torch and dlib takes a fifth
HOSTILE: dict[str, tuple[str, str]] = {  # what becomes of each file, and what is said
    "good.jpg": ("faces", ""),
    "again/good.png": ("faces", ""),
    "with blanks  .jpg": ("faces", ""),
    "bell\\x07\\x1b[31m.jpg": ("faces", ""),
    "lines\\nbroken.jpg": ("faces", ""),
    "CAPITALS.JPG": ("faces", ""),
    "=formula.jpg": ("faces", ""),
    "grey.png": ("faces", ""),
    "rgba.png": ("faces", ""),
    "cmyk.jpg": ("faces", ""),
    "palette.gif": ("faces", ""),
    "16bit.png": ("faces", ""),
    "turned.jpg": ("faces", ""),
    "clip.avi": ("faces", ""),
    "torn.avi": ("faces", "torn: "),
    "1x1.png": ("no face", ""),
    "1x3000.png": ("no face", ""),
    "wide.png": ("no face", ""),
    "bilevel.tif": ("no face", ""),
    "float.tif": ("unreadable", "more than 16 bits per channel; save it with 8"),
    "animated.gif": ("unreadable", "3 pictures; save the one that is meant"),
    "pages.tif": ("unreadable", "2 pictures; save the one that is meant"),
    "truncated.jpg": ("unreadable", "not a whole picture"),
    "truncated.png": ("unreadable", "not a whole picture"),
    "empty.jpg": ("unreadable", "the file is empty"),
    "text.jpg": ("unreadable", "not a whole picture (by its content none of JPEG, PNG"),
    "page.png": ("unreadable", "by its content it is a page of the web"),
    "heic.jpg": ("unreadable", "by its content it is HEIC, which is not read here; save it as J"),
    "bomb.png": ("unreadable", "60000 x 60000 pixels are more than the 256 million"),
    "postscript.jpg": ("unreadable", "not a whole picture (by its content none of JPEG, PNG"),
    "empty.mp4": ("unreadable", "not a whole video, or of a kind that isn't read"),
    "text.mp4": ("unreadable", "not a whole video, or of a kind that isn't read"),
    "playlist.mp4": ("unreadable", "not a whole video, or of a kind that isn't read"),
    "picture.mp4": ("unreadable", "not a whole video, or of a kind that isn't read"),
    "n" * 220 + ".jpg": ("unreadable", "its name is too long; shorten it"),
    "\\xff.jpg": ("unreadable", "its name is not UTF-8; rename it"),
    "notes.txt": ("left out", "by its ending neither a picture ("),
    "raw.nef": ("left out", ".nef is not read here; save it as JPEG"),
    ".hidden.jpg": ("left out", "hidden"),
    "lost.jpg": ("left out", "a link to nothing"),
    "round": ("left out", "a link to a folder, which is not followed"),
    "pipe.jpg": ("left out", "not a file to be opened"),
}  # fmt: skip


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    """A rendered face ``(160, 160, 3)`` that dlib finds."""
    for index in range(20):
        picture = render_face(POPULATION, seed=0, index=index).image
        if len(face_detector.find(picture)) == 1:
            return picture
    raise AssertionError("dlib finds no rendered face")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that finds three points below each other wherever it looks, and mirrored too."""
    path = tmp_path_factory.mktemp("model") / "face.safetensors"
    network = build("cnn6", len(DOTS), seed=0)
    with torch.no_grad():
        network[-1].weight.zero_()
        network[-1].bias.copy_(torch.tensor([31.5] * 3 + [20, 25, 45]))
    detector_file.save(path, CARD, [network])
    return path


def write_video(path: Path, frames: list[np.ndarray]) -> None:
    size = frames[0].shape[1::-1]
    file = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 25, size)
    for frame in frames:
        file.write(frame[..., ::-1])
    file.release()


def hostile(folder: Path, face: np.ndarray) -> None:
    """Writes the files of ``HOSTILE``."""
    (folder / "again").mkdir(parents=True)
    picture = Image.fromarray(face)
    good = ["good.jpg", "again/good.png", "with blanks  .jpg", "bell\x07\x1b[31m.jpg"]
    for name in [*good, "lines\nbroken.jpg", "CAPITALS.JPG", "=formula.jpg", "n" * 220 + ".jpg"]:
        picture.save(folder / name)
    picture.convert("L").save(folder / "grey.png")
    picture.convert("RGBA").save(folder / "rgba.png")
    picture.convert("CMYK").save(folder / "cmyk.jpg")
    picture.quantize(256).save(folder / "palette.gif")
    cv2.imwrite(str(folder / "16bit.png"), face[..., ::-1].astype(np.uint16) * 257)
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.transpose(Image.Transpose.ROTATE_90).save(folder / "turned.jpg", exif=exif)
    write_video(folder / "clip.avi", [face] * 4)
    write_video(folder / "torn.avi", [face] * 40)
    video = (folder / "torn.avi").read_bytes()
    (folder / "torn.avi").write_bytes(video[: len(video) // 2])
    Image.new("RGB", (1, 1)).save(folder / "1x1.png")
    Image.new("RGB", (1, 3000)).save(folder / "1x3000.png")
    Image.new("RGB", (20_000, 500)).save(folder / "wide.png")
    Image.new("1", (300, 300)).save(folder / "bilevel.tif")
    Image.new("F", (30, 30)).save(folder / "float.tif")
    others = [picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), picture.rotate(9)]
    picture.save(folder / "animated.gif", save_all=True, append_images=others)
    picture.save(folder / "pages.tif", save_all=True, append_images=others[:1])
    for name in ("good.jpg", "again/good.png"):
        whole = (folder / name).read_bytes()
        (folder / f"truncated.{name[-3:]}").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("no picture")
    (folder / "page.png").write_text("<!DOCTYPE html><p>log in")
    (folder / "heic.jpg").write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))
    size = b"IHDR" + struct.pack(">II", 60_000, 60_000) + b"\1\0\0\0\0"
    check = struct.pack(">I", zlib.crc32(size))
    pixels = b"\0\0\0\x0aIDAT" + bytes(14)
    (folder / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\r" + size + check + pixels)
    (folder / "postscript.jpg").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("no video")
    (folder / "playlist.mp4").write_text(
        f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{folder}/clip.avi\n#EXT-X-ENDLIST\n"
    )
    picture.save(folder / "picture.mp4", format="JPEG")
    (folder / os.fsdecode(b"\xff.jpg")).write_bytes((folder / "good.jpg").read_bytes())
    (folder / "notes.txt").touch()
    (folder / "raw.nef").touch()
    (folder / ".hidden.jpg").touch()
    (folder / "lost.jpg").symlink_to("nowhere")
    (folder / "round").symlink_to(folder)
    os.mkfifo(folder / "pipe.jpg")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, face: np.ndarray, model: Path) -> dict[str, Any]:
    """One run over them all, in a process of its own: what came of it."""
    root = tmp_path_factory.mktemp("hostile")
    hostile(root / "in", face)
    # not ru_maxrss, which begins with the memory of the process that started this one
    code = (
        "import re, sys; from wingloss.cli.main import main; status = main(); "
        "own = open('/proc/self/status').read(); "
        r"print(re.search(r'VmHWM:\s+(\d+)', own)[1]); sys.exit(status)"
    )
    words = ["detect", "in", "--model", str(model), "--out", "out"]
    call = [sys.executable, "-c", code, *words, "--format", "csv,json,pts,overlay"]
    run = subprocess.run(call, cwd=root, capture_output=True, timeout=200)
    *said, memory = run.stdout.decode().splitlines()
    with (root / "out/files.csv").open(newline="") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    found = {"root": root, "status": run.returncode, "rows": rows, "said": said}
    return found | {"memory": 1024 * int(memory), "errors": run.stderr.decode()}


@pytest.mark.parametrize("name", HOSTILE)
def test_each_file_is_accounted_for(done: dict[str, Any], name: str) -> None:
    outcome, why = HOSTILE[name]
    row = done["rows"][name]
    assert row["outcome"] == outcome and row["why"].startswith(why), row
    assert bool(why) == bool(row["why"]) and (int(row["faces"]) > 0) == (outcome == "faces")
    if outcome == "unreadable" or row["why"].startswith("torn"):
        (line,) = [one for one in done["errors"].splitlines() if f"in/{name}: " in one]
        assert line.startswith("warning: ") and line.endswith(f"{name}: {row['why']}")


def test_that_is_all(done: dict[str, Any]) -> None:
    assert set(done["rows"]) == set(HOSTILE) and len(HOSTILE) >= 30
    assert done["status"] == 1
    warnings = done["errors"].splitlines()
    assert len(warnings) == 1 + sum(outcome == "unreadable" for outcome, _ in HOSTILE.values())
    assert all(map(str.isprintable, warnings))
    assert done["said"] == [
        "out: 15 faces in 42 files: 15 with faces, 4 without, 17 unreadable, 6 left out (1 .nef, "
        "1 .txt, 1 a link to a folder, which is not followed, 1 a link to nothing, 1 hidden, 1 not "
        "a file to be opened; save .nef as JPEG to have them read)"
    ]
    assert done["memory"] < MEMORY


def test_results_agree_with_each_other(done: dict[str, Any]) -> None:
    out = done["root"] / "out"
    faces = json.loads((out / "landmarks.json").read_text())
    with (out / "landmarks.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["image"], row["frame"]) for row in rows] == [
        (face["image"], "" if face["frame"] is None else str(face["frame"])) for face in faces
    ]
    assert {face["image"] for face in faces} >= {"good.jpg", "lines\nbroken.jpg", "=formula.jpg"}
    assert sorted({face["frame"] for face in faces if face["image"] == "clip.avi"}) == [0, 1, 2, 3]
    (good,) = [face for face in faces if face["image"] == "good.jpg"]
    (row,) = [row for row in rows if row["image"] == "good.jpg"]
    points = np.array([[float(row[f"{axis}{i}"]) for axis in "xy"] for i in range(3)])
    assert points == pytest.approx(np.array(good["landmarks"]))
    stored = ibug.read_pts(out / "pts/good.jpg.pts", 3)
    assert stored == pytest.approx(points, abs=1e-3)
    picture = cv2.imread(str(out / "overlay/good.jpg.jpg"))
    assert picture.shape == (160, 160, 3)
    (turned,) = [face for face in faces if face["image"] == "turned.jpg"]
    assert np.array(turned["box"]) == pytest.approx(np.array(good["box"]), abs=8)
    video = cv2.VideoCapture(str(out / "overlay/clip.avi.mp4"))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 4
    assert not list(out.rglob("*.partial*"))


@pytest.fixture
def two(tmp_path: Path, face: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two faces in two folders; it is where one is."""
    monkeypatch.chdir(tmp_path)
    for name in ("a/one.png", "b/two.png"):
        Path(name).parent.mkdir()
        Image.fromarray(face).save(name)
    return tmp_path


def detect(model: Path, *words: str) -> int:
    return main.main(["detect", *words, "--model", str(model), "--out", "out"])


def images() -> list[str]:
    with open("out/landmarks.csv", newline="") as file:
        return [row["image"] for row in csv.DictReader(file)]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["a"], ["one.png"]),
        (["a/one.png"], ["one.png"]),
        (["a", "b"], ["a/one.png", "b/two.png"]),
        (["b/two.png", "a"], ["a/one.png", "b/two.png"]),
        (["a/one.png", "a/one.png", "./a"], ["a/one.png"]),
        (["."], ["a/one.png", "b/two.png"]),
    ],
)
def test_names_are_below_what_holds_all(
    two: Path, model: Path, words: list[str], names: list[str]
) -> None:
    assert detect(model, *words) == 0
    assert images() == names


def test_results_are_no_sources(two: Path, model: Path) -> None:
    for _ in range(2):
        assert detect(model, ".", "--format", "csv,overlay") == 0
        assert images() == ["a/one.png", "b/two.png"]


def test_results_among_the_sources_are_none_either(two: Path, model: Path) -> None:
    for _ in range(2):
        words = ["detect", ".", "--model", str(model), "--out", ".", "--format", "csv,overlay"]
        assert main.main(words) == 0
        with (two / "landmarks.csv").open(encoding="utf-8") as file:
            assert [row["image"] for row in csv.DictReader(file)] == ["a/one.png", "b/two.png"]


def test_one_bad_file_of_several(two: Path, model: Path, capsys: pytest.CaptureFixture) -> None:
    assert detect(model, "a/one.png", "nowhere.jpg", "/dev/null") == 1
    said = capsys.readouterr()
    assert said.err == (
        f"warning: {two}/nowhere.jpg: no such file\nwarning: /dev/null: not a file to be opened\n"
    )
    assert said.out.startswith("out: 1 face in 3 files: 1 with faces, 0 without, 2 unreadable, 0")


def test_a_slip_leaves_earlier_results_alone(
    two: Path, model: Path, capsys: pytest.CaptureFixture
) -> None:
    assert detect(model, "a", "b") == 0
    before = Path("out/landmarks.csv").read_bytes()
    capsys.readouterr()
    assert detect(model, "nowhere.jpg") == 1
    assert capsys.readouterr().err == f"error: {two}/nowhere.jpg: no such file or folder\n"
    assert Path("out/landmarks.csv").read_bytes() == before


def test_points_of_faces_that_are_there_no_more_go(tmp_path: Path) -> None:
    many = Detected(np.zeros((3, 3, 2)), np.zeros((3, 4)), np.zeros(3))
    few = Detected(many.landmarks[:1], many.boxes[:1], many.disagreement[:1])
    none = Detected(many.landmarks[:0], many.boxes[:0], many.disagreement[:0])
    left = []
    for found in (many, few, none):
        with Results(tmp_path / "out", ("pts",), 3) as results:
            results.add("a.png", found)
            results.add("a.png", many, frame=4)
        left.append(len(list((tmp_path / "out/pts").iterdir())) - 3)
    assert left == [3, 1, 0]


def test_results_of_files_that_are_torn_now_go_in_the_same_format(
    two: Path, model: Path, capsys: pytest.CaptureFixture
) -> None:
    """Points stay where none are asked for, and those of files that the run isn't about."""
    mine = Path("out/pts/mine.pts")
    mine.parent.mkdir(parents=True)
    mine.touch()
    every = ("--format", "csv,pts,overlay")
    assert detect(model, "a", "b", *every) == 0
    results = [Path(f"out/{one}") for one in ("pts/b/two.png.pts", "overlay/b/two.png.jpg")]
    assert all(path.exists() for path in results)
    assert detect(model, "a", *every) == 0
    assert all(path.exists() for path in results)
    Path("b/two.png").write_bytes(b"torn")
    assert detect(model, "a", "b") == 1
    assert all(path.exists() for path in results)
    assert detect(model, "a", "b", *every) == 1
    assert not any(path.exists() for path in results)
    assert mine.exists() and Path("out/pts/a/one.png.pts").exists()
    Path("b/two.png").unlink()


@pytest.mark.parametrize("name", ["v.mp4", "v.mp4-2", "v.mp4-frame7", "v.mp4-frame7-2"])
def test_a_result_is_known_by_its_file(name: str) -> None:
    assert "v.mp4" in results._names_of(name)


@pytest.mark.parametrize("words", [("detect", "", "--out", "o"), ("detect", "a", "--out", "")])
def test_an_empty_path_is_not_the_current_folder(
    words: tuple[str, ...], two: Path, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main.main(words)
    assert capsys.readouterr().err.endswith(": it is empty\n")


def test_a_folder_is_no_detector(two: Path, capsys: pytest.CaptureFixture) -> None:
    assert main.main(["info", "a"]) == 1
    assert capsys.readouterr().err == "error: a: a folder; a detector's file is needed\n"


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit, match="0"):
        main.main(["--version"])
    assert re.fullmatch(r"wingloss \d+\.\d+\.\d+\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("16 GiB"), RuntimeError("can't allocate memory"), MemoryError()],
)
def test_too_little_memory_for_one_picture_stops_no_other(
    two: Path, model: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    find, seen = Detector.__call__, []

    def full(*given: Any, **more: Any) -> Detected:
        seen.append(given)
        if len(seen) == 1:
            raise error
        return find(*given, **more)

    monkeypatch.setattr(Detector, "__call__", full)
    detect(model, ".")
    with Path("out/files.csv").open(encoding="utf-8") as file:
        rows = {row["outcome"]: row for row in csv.DictReader(file)}
    assert len(seen) > 1 and "not enough memory" in rows["unreadable"].values()


def test_bfloat16_is_passed_on(two: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def available(wanted: str, on: object) -> str:
        seen.append(wanted)
        return "float32"

    monkeypatch.setattr(inference, "available_precision", available)
    assert detect(model, "a/one.png", "--precision", "bfloat16") == 0
    assert seen == ["bfloat16"]


def test_boxes_say_where_faces_are(two: Path, model: Path, capsys: pytest.CaptureFixture) -> None:
    header = "image,x_min,y_min,x_max,y_max"
    (two / "boxes.csv").write_text(f"{header}\na/one.png,30,30,120,120\na/one.png,9,9,99,99\n")
    assert detect(model, ".", "--boxes", "boxes.csv") == 0
    assert images() == ["a/one.png", "a/one.png"]
    (two / "a/boxes.csv").write_text(f"{header}\none.png,900,30,990,120\n")
    assert detect(model, ".", "--boxes", "a/boxes.csv") == 1
    assert "a/one.png: box 0, [900.0, 30.0, 990.0, 120.0], lies out" in capsys.readouterr().err
    for row, fault in {
        "b.png,1,2,3,4": "boxes.csv:2: 'b.png' is none of the pictures that are read",
        "clip.avi,1,2,3,4": "boxes.csv:2: 'clip.avi' is none of the pictures that are read",
        "one.png,1,2,3": "boxes.csv:2: too few columns",
    }.items():
        (two / "a/boxes.csv").write_text(f"{header}\n{row}\n")
        (two / "a/clip.avi").touch()
        assert detect(model, "a", "--boxes", "a/boxes.csv") == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: ") and fault in line


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (
            ["detect", "a", "--model", "no.safetensors", "--out", "out"],
            1,
            "no.safetensors: no such file; a detector's file is needed",
        ),
        (["detect", "a", "--model", "a", "--out", "out", "--format", "xml"], 2, "'xml' is none of"),
        (["detect", "--model", "a", "--out", "out"], 2, "required: PICTURE|VIDEO|FOLDER"),
        (["detect", "a", "--out", "out", "--device", "cuda:99"], 1, "has no device 'cuda:99'"),
        (["info", "a/one.png"], 1, "a/one.png: not a detector of this project"),
        ([], 2, "required: COMMAND"),
    ],
)
def test_a_mistake_is_one_line(
    two: Path, capsys: pytest.CaptureFixture, words: list[str], status: int, message: str
) -> None:
    try:
        assert main.main(words) == status
    except SystemExit as end:
        assert end.code == status
    *_, line = capsys.readouterr().err.splitlines()
    assert "error: " in line and message in line
    assert not Path("out").exists()


def test_out_that_is_a_file_is_one_line(
    two: Path, model: Path, capsys: pytest.CaptureFixture
) -> None:
    Path("out").touch()
    assert detect(model, "a") == 1
    assert capsys.readouterr().err == "error: out: File exists\n"


def test_a_detector_is_described(model: Path, capsys: pytest.CaptureFixture) -> None:
    assert main.main(["info", str(model)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "run: drawn/cnn6/none/wing/seed0",
        "networks: cnn6",
        "landmarks: 3",
        "trained on: 9 faces of drawn, stamped 'synthetic'",
        "licence of these: MIT",
        "commit: abc",
        "val NME by box, percent: 1.5",
    ]


def test_a_folder_that_cannot_be_opened_is_said(two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A test may run as one who may open all."""
    whole = os.walk

    def walk(top: Path, onerror: Any) -> Any:
        for above, *rest in whole(top):
            if Path(above).name == "b":
                onerror(PermissionError(13, "Permission denied", above))
            else:
                yield above, *rest

    monkeypatch.setattr(sources.os, "walk", walk)
    found = sources.of([Path()], Path("out"))
    assert found.readable == ["a/one.png"]
    assert found.unreadable == {"b": "the folder can't be opened (Permission denied)"}


def test_without_a_name_the_packages_own_model_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_file, "exported", lambda card, _: [card.run.encode()])
    assert main.main(["export", str(tmp_path / "own.onnx")]) == 0
    assert (tmp_path / "own.onnx").read_text() == Detector.load().card.run
