"""The detector, with networks that find what was drawn: three dots of the primary colours."""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from wingloss.crops import Context
from wingloss.detection import card as cards
from wingloss.detection import detector, detector_file, face_detector
from wingloss.detection.card import Boxes, Card, StageTwo, TrainedOn
from wingloss.detection.detector import Detector, as_rgb
from wingloss.geometry import Array
from wingloss.models import inference
from wingloss.models.model_file import BadModel
from wingloss.models.networks import build
from wingloss.synthetic.face import render_face
from wingloss.synthetic.population import FaceDistribution

DOTS = np.array([[-18.0, -12.0], [18.0, -12.0], [0.0, 24.0]])  # red, green, blue; px off the middle
CARD = Card(
    run="drawn/cnn6/none/wing/seed0",
    networks=("cnn6",),
    landmarks=3,
    flip_pairs=(),
    context=Context(2.0, 224),
    boxes=Boxes(1.0, (0.0, 0.0, float(np.log(1.5)), 0.0), (0.0, 0.0, 0.0, 0.0)),
    stage_two=None,
    trained_on=TrainedOn("drawn", "synthetic", 9, "MIT"),
    commit="abc",
    scores={"val NME by box, percent": 1.5},
)
TWO = dataclasses.replace(
    CARD,
    networks=("cnn6", "cnn7"),
    stage_two=StageTwo(1.6, tuple((float(x), float(y)) for x, y in DOTS)),
)


class Dots:
    """A network that finds the middle of each colour, and guesses where there is none."""

    def __init__(self, input_size: int) -> None:
        self.input_size = input_size
        self.seen: list[np.ndarray] = []

    def __call__(self, inputs: np.ndarray) -> Array:
        self.seen.append(inputs)
        y, x = np.mgrid[: self.input_size, : self.input_size]
        colours = np.maximum(inputs.astype(float) - 40, 0) + 1e-9  # (N, S, S, 3)
        total = colours.sum(axis=(1, 2))
        axes = [(colours * one[..., None]).sum(axis=(1, 2)) / total for one in (x, y)]
        found = np.stack(axes, axis=-1)
        guessed = np.random.default_rng(0).uniform(0, self.input_size, found.shape)
        return np.where(total[..., None] > 1e-3, found, guessed)


def drawn(
    middle: tuple[float, float] = (120, 100), angle: float = 0, size: tuple[int, int] = (200, 260)
) -> tuple[np.ndarray, Array]:
    """A picture with a face, and the face's landmarks ``(3, 2)``."""
    picture = np.zeros((*size, 3), np.uint8)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = DOTS @ turn.T + middle
    for point, colour in zip(points, np.eye(3) * 255, strict=True):
        cv2.circle(picture, np.rint(point * 16).astype(int), 64, colour, -1, cv2.LINE_AA, 4)
    return picture, points


def box(middle: tuple[float, float] = (120, 100), half: float = 36) -> Array:
    return np.array([[*np.subtract(middle, half), *np.add(middle, half)]])


@pytest.fixture
def one(finds: list[Array]) -> Detector:
    return Detector(CARD, [Dots(64)])


@pytest.fixture
def finds(monkeypatch: pytest.MonkeyPatch) -> list[Array]:
    """What dlib finds, picture by picture; the last for all others."""
    boxes: list[Array] = []
    monkeypatch.setattr(
        face_detector, "find", lambda _: boxes.pop(0) if len(boxes) > 1 else boxes[0]
    )
    return boxes


def test_landmarks_are_in_the_pictures_pixels(one: Detector) -> None:
    picture, points = drawn()
    found = one(picture, box())
    assert found.landmarks == pytest.approx(points[None], abs=0.1)
    assert (found.boxes == box()).all() and len(found) == 1
    assert found.disagreement == pytest.approx([0], abs=0.05)  # a mirror moves no colour's middle


def test_a_second_stage_sees_faces_upright_and_close() -> None:
    middle, angle = (120.0, 100.0), np.deg2rad(30)
    picture, points = drawn(middle, angle)
    networks = [Dots(64), Dots(128)]
    found = Detector(TWO, networks)(picture, box(middle, 50))
    assert found.landmarks == pytest.approx(points[None], abs=0.1)
    (seen,) = networks[1].seen  # the face and its mirror image
    (red, green, blue), _ = Dots(128)(seen)
    side = 1.6 * np.ptp(DOTS, axis=0).max() / 128  # px of the picture in one of the input
    assert red[1] == pytest.approx(green[1], abs=1)
    assert green[0] - red[0] == pytest.approx(36 / side, abs=1)
    assert [*(red + green) / 2] == pytest.approx([blue[0], 63.5 - 18 / side], abs=1)


def test_without_disagreement_a_face_is_seen_once() -> None:
    picture, points = drawn()
    networks = [Dots(64), Dots(128)]
    found = Detector(TWO, networks)(picture, box(half=50), disagreement=False)
    assert found.landmarks == pytest.approx(points[None], abs=0.1)
    assert np.isnan(found.disagreement).all() and found.disagreement.shape == (1,)
    assert [len(seen) for network in networks for seen in network.seen] == [1, 1]


def test_disagreement_is_in_percent_of_the_box() -> None:
    picture, points = drawn()
    swapped = dataclasses.replace(CARD, flip_pairs=((0, 1),))
    found = Detector(swapped, [Dots(64)])(picture, box())
    # red and green are taken for each other in the mirror: two points of three are off by 36 px
    assert found.disagreement == pytest.approx([100 * 2 / 3 * 36 / 72], rel=0.01)
    assert found.landmarks == pytest.approx(points[None], abs=0.1)


@pytest.mark.parametrize("kind", ["rgba", "16-bit", "grey", "grey 16-bit", "grey (H, W, 1)"])
def test_pictures_of_every_kind_are_taken(kind: str) -> None:
    picture, _ = drawn()
    grey = picture.max(axis=2)
    wide = picture.astype(np.uint16) * 257
    given, meant = {
        "rgba": (np.dstack([picture, np.zeros_like(grey)]), picture),
        "16-bit": (wide, picture),
        "grey": (grey, np.dstack([grey] * 3)),
        "grey 16-bit": (wide.max(axis=2), np.dstack([grey] * 3)),
        "grey (H, W, 1)": (grey[..., None], np.dstack([grey] * 3)),
    }[kind]
    taken = as_rgb(given)
    assert taken.dtype == np.uint8 and (taken == meant).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_files_are_read_as_they_are_shown(one: Detector, tmp_path: Path, orientation: int) -> None:
    picture, points = drawn()
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = Image.fromarray(picture)
    if orientation > 1:
        stored = stored.transpose(undo[orientation])
    exif = stored.getexif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "face.png", exif=exif)
    assert one(str(tmp_path / "face.png"), box()).landmarks == pytest.approx(points[None], abs=0.1)


def test_a_file_of_16_bits_is_read(tmp_path: Path) -> None:
    levels = np.arange(60, dtype=np.uint16).reshape(6, 10) * 1111
    for name in ("a.png", "a.tif", "a.pgm"):
        assert cv2.imwrite(str(tmp_path / name), levels)
        assert (as_rgb(tmp_path / name) == (levels >> 8)[..., None]).all()


@pytest.mark.parametrize("middle", [(10.0, 20.0), (250.0, 180.0)])
def test_a_face_may_lie_across_the_border(one: Detector, middle: tuple[float, float]) -> None:
    picture, points = drawn(middle)
    found = one(picture, box(middle))
    inside = (points >= 4).all(axis=1) & (points <= (255, 195)).all(axis=1)
    assert inside.any() and found.landmarks[0, inside] == pytest.approx(points[inside], abs=0.3)


def test_no_face_is_no_landmarks(one: Detector, finds: list[Array]) -> None:
    finds.append(np.empty((0, 4)))
    picture, _ = drawn()
    for found in (one(picture), one(picture, []), one(picture, np.empty((0, 4)))):
        assert found.landmarks.shape == (0, 3, 2) and found.boxes.shape == (0, 4)
        assert found.disagreement.shape == (0,)


def test_faces_are_found_and_looked_at_again(one: Detector, finds: list[Array]) -> None:
    """From a box that is much too large to one by the landmarks."""
    picture, points = drawn()
    finds.append(box((115, 104), 60))
    found = one(picture)
    assert found.landmarks == pytest.approx(points[None], abs=0.1)
    side = 1.5 * np.ptp(points, axis=0).max()
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    wanted = np.hstack([middle - side / 2, middle + side / 2])
    assert found.boxes[0] == pytest.approx(wanted, abs=0.3)


def test_a_batch_is_its_pictures_one_by_one(one: Detector, finds: list[Array]) -> None:
    first, second = drawn()[0], drawn((60, 70), 0.2, (150, 140))[0]
    nothing = np.zeros((1, 1, 3), np.uint8)
    boxes = [np.concatenate([box(), box((118, 99))]), np.empty((0, 4)), box((60, 70))]
    finds += [*boxes, boxes[0]]
    for given in (None, boxes):
        found = one.batch([first, nothing, second], given)
        assert [len(one) for one in found] == [2, 0, 1]
        finds[:] = [boxes[0]]
        alone = one(first, None if given is None else boxes[0])
        np.testing.assert_array_equal(found[0].landmarks, alone.landmarks)
        np.testing.assert_array_equal(found[0].disagreement, alone.disagreement)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4, 3)), "an array of uint8 or uint16, not of float64"),
        (np.zeros((4, 4, 2), np.uint8), r"not \(4, 4, 2\)"),
        (np.zeros((4,), np.uint8), r"not \(4,\)"),
        (np.zeros((0, 4, 3), np.uint8), r"not \(0, 4, 3\)"),
        (np.zeros((1, 4, 4, 3), np.uint8), r"not \(1, 4, 4, 3\)"),
        ("nowhere.jpg", r"nowhere\.jpg: no such picture"),
        (None, "an array or a path, not a NoneType"),
        (["one.jpg"], "an array or a path, not a list"),
        (".", r"\.: a folder; name a picture, or use `wingloss detect`"),
    ],
)
def test_what_is_no_picture_is_refused(one: Detector, image: object, message: str) -> None:
    with pytest.raises(ValueError, match=f"^[^\n]*{message}[^\n]*$"):
        one(image, box())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([[1, 2, 3]], r"boxes have the shape \(N, 4\), not \(1, 3\)"),
        ([1, 2, 1, 5], r"box 0, .*, is empty"),
        (
            [0.2, 0.2, 0.8, 0.8],
            r"box 0, .*, is less than 4 pixels large; are these shares of the picture\?",
        ),
        ([[1, 2, 5, 6], [1, 2, np.nan, 6]], r"box 1, .*, isn't within ±1e\+06 pixels"),
        ([[1, 2, 1e9, 6]], r"box 0, .*, isn't within ±1e\+06 pixels"),
        ([[300, 2, 320, 6]], r"box 0, .*, lies outside the picture of 260 x 200"),
    ],
)
def test_wrong_boxes_are_refused(one: Detector, boxes: list, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        one(drawn()[0], boxes)


def test_boxes_of_another_number_of_pictures_are_refused(one: Detector) -> None:
    with pytest.raises(ValueError, match="^there are boxes for 1 pictures, of 2$"):
        one.batch([drawn()[0], drawn()[0]], [box()])


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="^precision 'float16': there are bfloat16, float32$"):
        Detector.load(precision="float16")  # type: ignore[arg-type]


def test_a_video_is_followed(one: Detector, finds: list[Array]) -> None:
    """Faces are searched for in the first frame and once the face is lost."""
    middles = [(60.0 + 3 * i, 80.0 + 2 * i) for i in range(10)]
    frames = [drawn(middle)[0] for middle in middles]
    frames[4][:] = 0
    asked: list[int] = []
    finder = face_detector.find
    finds += [box(middles[0]), np.empty((0, 4)), box(middles[6])]

    def counted(picture: np.ndarray) -> Array:
        asked.append(next(i for i, frame in enumerate(frames) if (frame == picture).all()))
        return finder(picture)

    one._find = counted
    found = list(one.track(frames, every=100))
    assert [len(face) for face in found] == [1, 1, 1, 1, 0, 0, 1, 1, 1, 1]
    for i in (0, 1, 2, 3, 6, 7, 8, 9):
        assert found[i].landmarks == pytest.approx(drawn(middles[i])[1][None], abs=0.3)
    assert asked == [0, 5, 6]


def test_new_faces_join_a_video(one: Detector, finds: list[Array]) -> None:
    left, right = (60.0, 60.0), (190.0, 120.0)
    both = np.maximum(drawn(left)[0], drawn(right)[0])
    finds += [box(left), np.concatenate([box((62, 60)), box(right)])]
    found = list(one.track([drawn(left)[0], *[both] * 3], every=2))
    assert [len(faces) for faces in found] == [1, 1, 2, 2]
    wanted = np.stack([drawn(left)[1], drawn(right)[1]])
    assert found[3].landmarks == pytest.approx(wanted, abs=0.3)


def test_a_lost_face_is_given_up_in_frames_with_a_search_too(
    one: Detector, finds: list[Array]
) -> None:
    frames = [drawn()[0]] * 2 + [np.zeros_like(drawn()[0])] * 2
    finds += [box(), np.empty((0, 4)), np.empty((0, 4))]
    assert [len(faces) for faces in one.track(frames, every=2)] == [1, 1, 0, 0]


@pytest.mark.parametrize("path", ["photo.jpg", Path("photo.jpg")])
def test_one_path_is_not_several_pictures(one: Detector, path: str | Path) -> None:
    for call in (one.batch, lambda video: list(one.track(video))):
        with pytest.raises(ValueError, match="^photo.jpg: one path, where several pictures"):
            call(path)


def test_one_picture_is_not_several(one: Detector) -> None:
    for call in (one.batch, lambda video: list(one.track(video))):
        with pytest.raises(ValueError, match=r"one array of the shape \(160, 160, 3\)"):
            call(np.zeros((160, 160, 3), np.uint8))
    pictures = np.stack([drawn()[0]] * 2)
    assert len(one.batch(pictures, [box(), box()])) == 2


def test_a_video_is_searched_every_so_many_frames(one: Detector) -> None:
    with pytest.raises(ValueError, match="every is at least 1, not 0"):
        list(one.track([drawn()[0]], every=0))


def test_given_boxes_stay_the_callers(one: Detector) -> None:
    boxes = box()
    found = one(drawn()[0], boxes)
    before = found.boxes.copy()
    boxes[:] = 0
    assert np.array_equal(found.boxes, before) and before.any()


def test_without_dlib_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    face_detector._detector.cache_clear()
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(face_detector.NoFaceDetector, match=r"^[^\n]*wingloss\[dlib\][^\n]*$"):
        Detector(CARD, [Dots(64)])(drawn()[0])


def test_boxes_that_nobody_has_compared_are_refused(finds: list[Array]) -> None:
    unknown = dataclasses.replace(CARD, boxes=dataclasses.replace(CARD.boxes, from_dlib=None))
    with pytest.raises(
        face_detector.NoFaceDetector,
        match="too few of drawn's training faces .* Give boxes .--boxes.$",
    ):
        Detector(unknown, [Dots(64)])(drawn()[0])


def test_another_file_is_no_yunet(tmp_path: Path) -> None:
    path = tmp_path / "yunet.onnx"
    with pytest.raises(face_detector.NoFaceDetector, match=r"yunet\.onnx: it can't be read"):
        face_detector.yunet(path)
    path.write_bytes(b"another")
    with pytest.raises(face_detector.NoFaceDetector, match=f"SHA-256 {face_detector.YUNET_SHA256}"):
        face_detector.yunet(path)


def test_yunets_boxes_are_in_the_pictures_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its file, which is no part of this project: by one that answers as it does."""
    path = tmp_path / "yunet.onnx"
    path.write_bytes(b"weights")
    digest = "9b1f8a2ba3a12a28b0ebd8fba8b8a0ce5e4a7bb6e4ca1cd3e1a4e85b7a0a5d0f"
    monkeypatch.setattr(face_detector.hashlib, "sha256", lambda _: Digest(digest))
    monkeypatch.setattr(face_detector, "YUNET_SHA256", digest)
    monkeypatch.setattr(face_detector.cv2.FaceDetectorYN, "create", lambda *_: network)
    network = Answers()
    find = face_detector.yunet(path)
    found = find(np.zeros((320, 2560, 3), np.uint8))  # is halved
    assert network.size == (1280, 160)
    assert found.tolist() == [[200.5, 40.5, 280.5, 140.5], [20.5, 20.5, 60.5, 60.5]]
    network.faces = None
    assert find(np.zeros((9, 9, 3), np.uint8)).shape == (0, 4)


class Digest:
    def __init__(self, text: str) -> None:
        self.text = text

    def hexdigest(self) -> str:
        return self.text


class Answers:
    """OpenCV's: left, top, width, height, ten numbers, score."""

    faces: np.ndarray | None = np.array(
        [[10, 10, 20, 20, *range(10), 0.8], [100, 20, 40, 50, *range(10), 0.9]], np.float32
    )

    def setInputSize(self, size: tuple[int, int]) -> None:  # noqa: N802
        self.size = tuple(size)

    def detect(self, picture: np.ndarray) -> tuple[int, np.ndarray | None]:
        assert picture.shape[1::-1] == self.size
        return 1, self.faces


def test_importing_the_package_imports_no_torch() -> None:
    words = "import sys, wingloss; assert 'torch' not in sys.modules; print(wingloss.Detector)"
    call = [sys.executable, "-c", words]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    assert done.stdout == "<class 'wingloss.detection.detector.Detector'>\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A detector of two stages, as a file."""
    path = tmp_path / "face.safetensors"
    detector_file.save(path, TWO, [build(name, 3, seed=i) for i, name in enumerate(TWO.networks)])
    return path


def test_a_file_brings_the_detector_back(path: Path) -> None:
    card, networks = detector_file.load(path)
    assert card == TWO
    assert card.flip_permutation.tolist() == [0, 1, 2]
    for seed, (name, network) in enumerate(zip(TWO.networks, networks, strict=True)):
        for key, value in build(name, 3, seed).state_dict().items():
            assert torch.equal(network.state_dict()[key], value)
    picture, _ = drawn()
    found = Detector.load(path)(picture, box())
    assert found.landmarks.shape == (1, 3, 2) and np.isfinite(found.landmarks).all()
    again = path.with_name("again.safetensors")
    detector_file.save(again, card, networks)
    assert again.read_bytes() == path.read_bytes()


def test_the_packages_own_is_loaded_without_a_name(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detector, "BUNDLED", path)
    assert Detector.load().card == TWO


def changed(**values: object) -> Callable[[dict], dict]:
    return lambda card: card | values


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (changed(format=2), "format: 2; this version reads 1"),
        (changed(landmarks=True), "landmarks: True should be a whole number"),
        (changed(landmarks=0), "landmarks: 0 is out of range"),
        (changed(landmarks=4), "mean_shape: 3 points"),
        (changed(landmarks=10**9), "landmarks: 1000000000 is out of range"),
        (changed(networks=["cnn6"]), "stage_two: doesn't fit 1 networks"),
        (changed(networks=["cnn6", "cnn8"]), "cnn8"),
        (changed(networks=["cnn7", "cnn6"]), "stage1.0.bias is ('F32', [32])"),
        (changed(networks=[]), "networks: [] should have at least 1 entries"),
        (changed(flip_pairs=[[0, 0]]), "flip_pairs: should be pairs of different"),
        (changed(flip_pairs=[[0, 7]]), "flip_pairs: should be pairs of different"),
        (changed(context={"scale": 2.0, "size": 10**6}), "context.size: 1000000 is out of range"),
        (changed(context={"scale": float("nan"), "size": 64}), "context.scale: nan should be a nu"),
        (changed(commit=None), "commit: None should be text"),
        (changed(more=1), "more: no such key"),
        (lambda card: {}, "format: None; this version reads 1"),
        (lambda card: [], "[] should be a table"),
    ],
)  # fmt: skip
def test_a_wrong_card_is_refused(path: Path, change: Callable, reason: str) -> None:
    plain = change(json.loads(TWO.to_text()))
    save_file(load_file(path), path, {"detector": json.dumps(plain)})
    with pytest.raises(BadModel) as error:
        Detector.load(path)
    assert reason in str(error.value) and "\n" not in str(error.value)
    assert str(error.value).startswith(f"{path}: not a detector of this project (")


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (None, "its header says nothing of it"),
        ({"model": '{"network": "cnn6", "landmarks": 3}'}, "a single network; snakemake makes"),
        ({"detector": "{"}, "Expecting"),
        ({"detector": "[" * 100_000}, "recursion"),
        ({"detector": "1" * (cards.LONGEST + 1)}, f"a header of {cards.LONGEST + 1} characters"),
    ],
)
def test_a_wrong_header_is_refused(path: Path, header: dict | None, reason: str) -> None:
    save_file(load_file(path), path, header)
    with pytest.raises(BadModel) as error:
        Detector.load(path)
    assert reason in str(error.value) and "\n" not in str(error.value)


def test_a_tensor_too_many_is_refused(path: Path) -> None:
    with safe_open(path, framework="pt") as file:
        header = file.metadata()
    save_file(load_file(path) | {"stage3.0.bias": torch.zeros(1)}, path, header)
    with pytest.raises(BadModel, match=r"stage3\.0\.bias is none of its tensors"):
        Detector.load(path)


@pytest.mark.parametrize("length", [0, 7, 300, 10_000_000])
def test_a_torn_file_is_named(path: Path, length: int) -> None:
    whole = path.read_bytes()
    assert length < len(whole)
    path.write_bytes(whole[:length])
    with pytest.raises(BadModel, match=r"face\.safetensors: not a detector[^\n]*$"):
        Detector.load(path)


def test_a_folder_and_nothing_are_no_detectors(tmp_path: Path) -> None:
    for path, what in (
        (tmp_path, "a folder"),
        (tmp_path / "nowhere", "no such file"),
        (tmp_path / "nowhere.onnx", "no such file"),
    ):
        with pytest.raises(BadModel, match=f": {what}; a detector's file is needed$"):
            Detector.load(path)


def test_bfloat16_is_nearly_float32(path: Path) -> None:
    if not torch.cpu._is_avx512_bf16_supported():
        pytest.skip("this processor has no bfloat16")
    picture, _ = drawn()
    exact, short = (
        Detector.load(path, precision=one)(picture, box()).landmarks
        for one in ("float32", "bfloat16")
    )
    assert 0 < np.abs(exact - short).max() < 1


def test_the_device_can_be_chosen(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "device", lambda: torch.device("meta"))
    networks: list[Any] = list(Detector.load(path, device="cpu").networks)
    assert {one.on.type for one in networks} == {"cpu"}
    for name in ("cuda:99", "nowhere", "meta", "hpu"):
        with pytest.raises(ValueError, match=f"^PyTorch has no device '{name}' on this machine$"):
            Detector.load(path, device=name)


def test_networks_run_with_cudnn_and_without_tf32(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def predict(*given: object) -> Array:
        seen.append((torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32))
        return whole(*given)  # type: ignore[arg-type]

    whole = inference.predict_inputs
    monkeypatch.setattr(inference, "predict_inputs", predict)
    picture, _ = drawn()
    Detector.load(path)(picture, box())
    assert set(seen) == {(True, False)}


def test_no_pictures_have_no_results(path: Path) -> None:
    own = Detector.load(path)
    assert own.batch([]) == own.batch([], []) == [] and not list(own.track([]))


def test_the_packages_own_model_finds_rendered_faces() -> None:
    """Others than those that it was trained on. Its file is small, and no licence binds it."""
    assert Path(str(detector.BUNDLED)).stat().st_size < 10 * 2**20
    own = Detector.load()
    assert own.card.trained_on.licence == "rendered by this project, MIT"
    population = FaceDistribution(
        image_size=160, yaw_scale=10, yaw_tail=0, pitch_std=5, roll_std=10, box_shift=0.03,
        box_scale=0.06, occlusion=0, expression=0.2, illumination=0, blur=0,
    )  # fmt: skip
    faces = [render_face(population, seed=77, index=index) for index in range(8)]
    found = own.batch([face.image for face in faces], [face.box[None] for face in faces])
    away = [
        np.linalg.norm(one.landmarks[0] - face.points, axis=1).mean() / np.ptp(face.points[:, 1])
        for one, face in zip(found, faces, strict=True)
    ]
    assert np.mean(away) < 0.05
