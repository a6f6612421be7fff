"""Detectors as ONNX find what they find as PyTorch's networks, and nothing else is run."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from test_command_line import POPULATION
from test_detector import CARD, TWO

from wingloss import Detector
from wingloss.cli import main
from wingloss.cli.export import export
from wingloss.detection import detector_file, int8, onnx_file
from wingloss.detection.onnx_file import BadOnnx
from wingloss.models import networks
from wingloss.models.hourglass import Hourglasses
from wingloss.models.networks import Residual
from wingloss.recipe import CENTRED
from wingloss.synthetic.face import render_face

runtime = pytest.importorskip("onnxruntime", reason="ONNX Runtime isn't installed: nothing is run")
onnx = pytest.importorskip("onnx", reason="ONNX isn't installed: nothing is exported")
pytest.importorskip("onnxscript", reason="onnxscript isn't installed: nothing is exported")
FACES = 100
PIXELS = 0.01  # that PyTorch's and ONNX Runtime's landmarks may differ by


@pytest.fixture(scope="module")
def small() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(networks.ARCHITECTURES, "resnet50", Residual(224, 8, (1, 1, 1, 1)))
        patch.setitem(networks.ARCHITECTURES, "hourglass", Hourglasses(1, 16, 64, 16, sigma=1.25))
        yield


def written(
    folder: Path, names: tuple[str, ...], input_range: tuple[float, float] = CENTRED
) -> Path:
    """A detector of these networks as a file, and exported beside it; that one's path."""
    card = replace(TWO if len(names) == 2 else CARD, networks=names)
    built = [networks.build(name, 3, 0, input_range) for name in names]
    for network, name in zip(built, names, strict=True):
        if name in ("cnn6", "cnn7"):  # a face's landmarks, which depend on the picture a little
            middle = torch.tensor([20.0, 44, 32, 24, 24, 48])  # of an input of 64 px
            with torch.no_grad():
                network[-1].weight.mul_(10)
                network[-1].bias.copy_(middle if name == "cnn6" else 2 * middle)
    detector_file.save(folder / "face.safetensors", card, built)
    status = main.main(["export", str(folder / "face.safetensors"), str(folder / "face.onnx")])
    assert status == 0
    return folder / "face.onnx"


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("two"), ("cnn6", "cnn7"))


@pytest.fixture(scope="module")
def faces() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Rendered faces and their boxes."""
    turned = replace(POPULATION, image_size=96, yaw_scale=20, roll_std=15)
    rendered = [render_face(turned, seed=1, index=index) for index in range(FACES)]
    return [face.image for face in rendered], [face.box[None] for face in rendered]


def agree(path: Path, faces: tuple[list[np.ndarray], list[np.ndarray]]) -> None:
    ours, theirs = (
        Detector.load(one).batch(*faces) for one in (path, path.with_suffix(".safetensors"))
    )
    assert len(ours) == FACES
    points = np.concatenate([one.landmarks for one in ours])
    others = np.concatenate([one.landmarks for one in theirs])
    assert np.abs(points - others).max() < PIXELS
    assert np.ptp(points - points.mean(axis=1, keepdims=True), axis=0).max() > 1  # faces differ
    assert np.concatenate([one.disagreement for one in ours]) == pytest.approx(
        np.concatenate([one.disagreement for one in theirs]), abs=0.05
    )


def test_two_stages_find_the_same(two: Path, faces: tuple) -> None:
    agree(two, faces)


@pytest.mark.parametrize("name", ["cnn6", "resnet50", "hourglass"])
def test_every_kind_of_network_finds_the_same(
    small: None, tmp_path: Path, faces: tuple, name: str
) -> None:
    agree(written(tmp_path, (name,), input_range=(-1, 2)), faces)


def test_openvino_finds_nearly_the_same(two: Path, faces: tuple) -> None:
    pytest.importorskip("openvino", reason="OpenVINO isn't installed: nothing runs in bfloat16")
    few = faces[0][:8], faces[1][:8]
    exact, short = (
        np.concatenate(
            [one.landmarks for one in Detector.load(two, precision=precision).batch(*few)]
        )
        for precision in ("float32", "bfloat16")
    )
    assert np.abs(exact - short).max() < 1


def test_without_openvino_one_line_says_what_to_do(
    two: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(BadOnnx, match=r"^[^\n]*face\.onnx: [^\n]*pip install openvino$"):
        Detector.load(two, precision="bfloat16")


def test_the_card_is_the_same(two: Path) -> None:
    card, (first, second) = onnx_file.load(two, "float32")
    assert card == TWO and (first.input_size, second.input_size) == (64, 128)


def copied(two: Path, folder: Path) -> Path:
    for path in onnx_file.paths(two, 2):
        (folder / path.name).write_bytes(path.read_bytes())
    return folder / two.name


@pytest.mark.parametrize("length", [0, 9, 5000, 1_000_000])
def test_a_torn_file_is_named(two: Path, tmp_path: Path, length: int) -> None:
    path = copied(two, tmp_path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(
        BadOnnx, match=r"^[^\n]*face\.onnx: not a detector of this project \([^\n]+$"
    ):
        Detector.load(path)


def test_another_second_stage_is_refused(two: Path, tmp_path: Path) -> None:
    path = copied(two, tmp_path)
    _, second = onnx_file.paths(path, 2)
    model = onnx.load(second)
    onnx.helper.set_model_props(model, {onnx_file.HEADER: CARD.to_text()})
    onnx.save(model, second)
    with pytest.raises(BadOnnx, match=r"face\.stage2\.onnx is another detector's"):
        Detector.load(path)
    second.unlink()
    with pytest.raises(BadOnnx, match=r"^[^\n]*face\.stage2\.onnx: No such file or directory$"):
        Detector.load(path)


def model(card: str | None, shape: tuple[object, ...] = ("faces", 64, 64, 3)) -> bytes:
    """One that passes its pictures on."""
    kind = onnx.TensorProto.UINT8
    ends = [
        onnx.helper.make_tensor_value_info(name, kind, shape) for name in ("pictures", "landmarks")
    ]
    node = onnx.helper.make_node("Identity", ["pictures"], ["landmarks"])
    made = onnx.helper.make_model(
        onnx.helper.make_graph([node], "graph", ends[:1], ends[1:]),
        opset_imports=[onnx.helper.make_opsetid("", onnx_file.OPSET)],
        ir_version=10,
    )
    if card is not None:
        onnx.helper.set_model_props(made, {onnx_file.HEADER: card})
    return made.SerializeToString()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no model", ""),
        (lambda: model(None), "'detector'"),
        (lambda: model("[" * 100_000), "recursion"),
        (lambda: model("{}"), "format: None; this version reads 1"),
        (lambda: model(CARD.to_text()), "it takes .* and gives .*uint8"),
        (lambda: model(CARD.to_text(), ("faces", 64)), "its input is no picture"),
        (lambda: model(CARD.to_text(), ("faces", "any", "any", 3)), "its input is no picture"),
    ],
)  # fmt: skip
def test_another_model_is_refused(tmp_path: Path, content: object, reason: str) -> None:
    path = tmp_path / "face.onnx"
    path.write_bytes(content() if callable(content) else content)
    with pytest.raises(BadOnnx, match=rf"^[^\n]*: not a detector of this project \([^\n]*{reason}"):
        Detector.load(path)


def test_no_other_file_is_read(two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights may lie in another file, by its path; here they may not."""
    loaded = onnx.load(two)
    apart = tmp_path / "apart.onnx"
    onnx.save(loaded, apart, save_as_external_data=True, location="weights", size_threshold=0)
    monkeypatch.chdir(tmp_path)
    assert Path("weights").exists()
    with pytest.raises(BadOnnx, match=r"^apart\.onnx: not a detector"):
        Detector.load("apart.onnx")


def test_no_gpu_runs_it(two: Path) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]*: ONNX runs on the processor, not on 'cuda'$"):
        Detector.load(two, device="cuda")


def test_a_mistake_is_one_line(two: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    given = str(two.with_suffix(".safetensors"))
    assert main.main(["export", given, str(tmp_path / "face.pb")]) == 1
    assert main.main(["export", str(two), str(tmp_path / "face.onnx")]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith("face.pb: its name should end with .onnx")
    assert second.endswith("face.onnx: it is ONNX already; a detector's .safetensors is needed")
    assert not list(tmp_path.iterdir())


def pictures_of(folder: Path, faces: tuple[list[np.ndarray], list[np.ndarray]], count: int) -> Path:
    """A folder with the first pictures, and the table of their boxes in it."""
    folder.mkdir()
    lines = ["image,x_min,y_min,x_max,y_max"]
    for number, (image, box) in enumerate(zip(*faces, strict=True)):
        if number < count:
            Image.fromarray(image).save(folder / f"{number}.png")
            lines.append(",".join([f"{number}.png", *map(str, box[0])]))
    (folder / "boxes.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_eight_bits_take_a_quarter_and_find_nearly_the_same(
    two: Path, faces: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = pictures_of(tmp_path / "shown", faces, 16)
    held = [path.read_bytes() for path in onnx_file.paths(two, 2)]
    monkeypatch.setattr(onnx_file, "exported", lambda *_: held)  # once is enough
    model, short = two.with_suffix(".safetensors"), tmp_path / "short.onnx"
    options = ["--int8", str(shown), "--boxes", str(shown / "boxes.csv")]
    assert main.main(["export", str(model), str(short), *options]) == 0
    for own, exact in zip(onnx_file.paths(short, 2), onnx_file.paths(two, 2), strict=True):
        assert own.stat().st_size < 0.3 * exact.stat().st_size
        kinds = {one.data_type for one in onnx.load(own).graph.initializer if one.dims}
        assert onnx.TensorProto.INT8 in kinds
    exact, less = Detector.load(two), Detector.load(short)
    assert less.card == exact.card
    found, near = (
        np.concatenate([one.landmarks for one in each.batch(faces[0][16:32], faces[1][16:32])])
        for each in (exact, less)
    )
    away = np.linalg.norm(found - near, axis=2)
    assert 0 < away.mean() < 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--int8", "none.png"], "none.png: no such file"),
        (["--int8", "text.jpg"], "text.jpg: "),
        (["--int8", "shown", "--boxes", "empty.csv"], "there is no face in the pictures"),
        (["--int8", "shown", "--boxes", "outside.csv"], "shown/0.png: box 0, "),
        (["--boxes", "empty.csv"], "--boxes belongs to --int8"),
    ],
)
def test_a_mistake_about_eight_bits_is_one_line(
    two: Path,
    faces: tuple,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    options: list[str],
    said: str,
) -> None:
    pictures_of(tmp_path / "shown", faces, 1)
    (tmp_path / "text.jpg").write_text("text")
    head = "image,x_min,y_min,x_max,y_max\n"
    (tmp_path / "empty.csv").write_text(head)
    (tmp_path / "outside.csv").write_text(head + "shown/0.png,500,500,600,600\n")
    monkeypatch.chdir(tmp_path)
    model = str(two.with_suffix(".safetensors"))
    assert main.main(["export", model, "short.onnx", *options]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1 and said in error
    assert not (tmp_path / "short.onnx").exists()


def test_eight_bits_need_onnx_runtime(two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(BadOnnx, match="take the package 'onnxruntime': pip install"):
        int8.quantised([two.read_bytes()], [[]])


def test_pictures_without_boxes_in_the_table_are_not_read(
    two: Path, faces: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = pictures_of(tmp_path / "shown", faces, 1)
    (shown / "text.jpg").write_text("text")
    monkeypatch.setattr(onnx_file, "exported", lambda *_: [])
    monkeypatch.setattr(int8, "quantised", lambda _, seen: [bytes(len(own)) for own in seen])
    export(two.with_suffix(".safetensors"), tmp_path / "short.onnx", [shown], shown / "boxes.csv")
    assert all(path.exists() for path in onnx_file.paths(tmp_path / "short.onnx", 2))
