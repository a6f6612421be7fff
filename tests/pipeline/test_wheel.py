"""The library by itself: its wheel, where there is what it asks for and nothing else."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from PIL import Image
from project import ROOT

from wingloss.synthetic.face import render_face
from wingloss.synthetic.population import FaceDistribution

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PACKAGES = ("commands", "pipeline", "snakemake_logger_plugin_wingloss", "stages", "workflow")
OTHERS = {  # named too, because a distribution may not say what its modules are
    *PACKAGES,
    *("snakemake", "dvc", "pandas", "matplotlib", "scipy", "sklearn", "dlib", "h5py"),
    *("psutil", "requests", "rich", "threadpoolctl", "vl_convert", "pytest"),
}
FACE = (
    {"image_size": 160, "yaw_scale": 0}
    | dict.fromkeys(
        ("yaw_tail", "pitch_std", "roll_std", "box_shift", "box_scale", "occlusion", "expression"),
        0,
    )
    | {"illumination": 0, "blur": 0}
)
USE = """
import importlib, json, pkgutil, sys
from pathlib import Path

target, absent, out = sys.argv[1], set(json.loads(sys.argv[2])), Path(sys.argv[3])

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)

sys.meta_path.insert(0, Absent())
# Without the folder that the environment was made for.
sys.path[:] = [target, *(one for one in sys.path if not (Path(one) / "wingloss").exists())]

import numpy as np
import torch
import wingloss
from wingloss import protocol
from wingloss.augmentation.perturbation import Faces
from wingloss.losses import LOSSES, Wing, landmark_loss
from wingloss import Detector
from wingloss.cli.main import main
from wingloss.crops import Context
from wingloss.detection import detector_file
from wingloss.detection.card import Boxes, Card, TrainedOn, flip_pairs
from wingloss.models import inference, model_file, networks

assert Path(wingloss.__file__).is_relative_to(target), wingloss.__file__
count = protocol.load("300w").n_landmarks
network = networks.build("cnn6", count, seed=0)
model_file.save(out / "model.safetensors", network, "cnn6", count)
name, again = model_file.load(out / "model.safetensors")
pictures = np.random.default_rng(0).integers(0, 256, (2, 80, 80, 3), dtype=np.uint8)
frames = np.tile([[1 / 80, 0, 0], [0, 1 / 80, 0]], (2, 1, 1))
faces = Faces(pictures, np.zeros((2, count, 2)), frames)
one, other = (
    inference.predict(some, "cnn6", faces, "float32", torch.device("cpu"))
    for some in (network, again)
)
assert np.isfinite(one).all() and np.array_equal(one, other)
rules = protocol.load("300w")
card = Card(
    run="synthetic/cnn6/none/wing/seed0", networks=("cnn6",), landmarks=count,
    flip_pairs=flip_pairs(rules.flip_permutation), context=Context(2.0, 224),
    boxes=Boxes(1.0, (0.0, 0.0, 0.0, 0.0), None), stage_two=None,
    trained_on=TrainedOn("synthetic", "synthetic", 0, "MIT"), commit="unknown", scores={},
)
detector_file.save(out / "face.safetensors", card, [network])
detector = Detector.load(out / "face.safetensors")
detected = detector(out / "face.png", np.loadtxt(out / "box.txt"))
words = ["face.png", "nothing.png", "--boxes", "boxes.csv"]
status = main(["detect", *words, "--model", "face.safetensors", "--out", "found"])
truth, predicted = torch.full((2, 2 * count), 30.0), torch.full((2, 2 * count), 31.0)
losses = {
    kind: float(landmark_loss(predicted, truth, Wing(10.0, 2.0) if loss is Wing else loss()))
    for kind, loss in LOSSES.items()
}
unusable = {}
for module in pkgutil.walk_packages(wingloss.__path__, "wingloss."):
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        unusable[module.name] = error.name
print(json.dumps({
    "protocols": protocol.available(), "network": name, "shape": one.shape, "losses": losses,
    "unusable": unusable, "landmarks": detected.landmarks.tolist(), "status": status,
}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of the packages, because a build writes into its folder."""
    source = tmp_path_factory.mktemp("source")
    for name in (*PACKAGES, "wingloss"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    built = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-build-isolation", "--wheel-dir", str(built), str(source))
    (found,) = built.iterdir()
    return found


def pip(*arguments: str) -> None:
    command, *others = arguments
    call = [sys.executable, "-I", "-m", "pip", command, "--no-deps", "--no-index", "--quiet"]
    environment = os.environ | {"PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    subprocess.run([*call, *others], check=True, cwd="/", env=environment)


def absent() -> set[str]:
    """The modules of this environment that a wheel's installation wouldn't bring."""
    needed = {"wingloss", *closure(Requirement(one) for one in PROJECT["dependencies"])}
    there = metadata.packages_distributions()
    return {
        module
        for module, owners in there.items()
        if not needed & {normal(owner) for owner in owners}
    }


def closure(requirements: Iterable[Requirement]) -> set[str]:
    """The names of all that the requirements need, as installed here."""
    found: set[str] = set()
    waiting = list(requirements)
    while waiting:
        one = waiting.pop()
        applies = one.marker is None or one.marker.evaluate({"extra": ""})
        if applies and (name := normal(one.name)) not in found:
            found.add(name)
            try:
                waiting += map(Requirement, metadata.requires(name) or ())
            except metadata.PackageNotFoundError:  # CUDA's, on a machine that has none
                continue
    return found


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_wheel_holds_the_library_and_its_data_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    package = ROOT / "wingloss"
    wanted = [file for file in package.rglob("*") if "__pycache__" not in file.parts]
    assert held == {str(file.relative_to(ROOT)) for file in wanted if file.is_file()}
    assert {"wingloss/py.typed", "wingloss/protocols/300w.yaml"} < held
    assert "wingloss/synthetic/face_model.json" in held
    assert wheel.name == f"wingloss-{PROJECT['version']}-py3-none-any.whl"


def test_the_library_does_without_the_pipelines_packages(wheel: Path, tmp_path: Path) -> None:
    """In a folder of its own; what it can't import there is what draws, and renders faces."""
    target = tmp_path / "installed"
    pip("install", "--no-compile", "--target", str(target), str(wheel))
    out = tmp_path / "elsewhere"
    out.mkdir()
    face = render_face(FaceDistribution(**FACE), seed=0, index=0)
    Image.fromarray(face.image).save(out / "face.png")
    np.savetxt(out / "box.txt", face.box)
    cells = ",".join(f"{value:.6f}" for value in face.box)
    (out / "boxes.csv").write_text(f"image,x_min,y_min,x_max,y_max\nface.png,{cells}\n")
    missing = absent() | OTHERS
    given = [str(target), json.dumps(sorted(missing)), str(out)]
    call = [sys.executable, "-I", "-c", USE, *given]
    done = subprocess.run(call, cwd=out, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *_, last = done.stdout.splitlines()
    said = json.loads(last)
    assert set(said["protocols"]) >= {"300w", "aflw", "cofw", "synthetic", "wflw"}
    assert (said["network"], said["shape"]) == ("cnn6", [2, 68, 2])
    assert said["losses"].items() >= {"l2": 68.0, "l1": 136.0, "smooth_l1": 68.0}.items()
    # the network is untrained, but its landmarks lie in the face's frame or near it
    found = np.array(said["landmarks"])
    assert found.shape == (1, 68, 2) and np.abs(found - 80).max() < 160
    with (out / "found/landmarks.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["image"] == "face.png"
    assert (float(row["x0"]), float(row["y67"])) == pytest.approx(
        (found[0, 0, 0], found[0, 67, 1]), abs=0.001
    )
    assert said["status"] == 1 and "nothing.png: no such file" in done.stderr
    assert os.access(target / "bin/wingloss", os.X_OK)
    needs = {
        re.sub(r"(drawing|synthetic)\..*", r"\1", name): of for name, of in said["unusable"].items()
    }
    assert needs == {
        "wingloss.datasets.cofw": "h5py",
        "wingloss.datasets.matlab": "scipy",
        "wingloss.drawing": "matplotlib",
        "wingloss.evaluation.significance": "scipy",
        "wingloss.synthetic": "scipy",
    }


def test_the_lock_has_a_version_for_all_that_is_asked_for() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    locked: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE):
        locked.setdefault(name, set()).add(version)
    for line in sum(PROJECT["optional-dependencies"].values(), PROJECT["dependencies"]):
        one = Requirement(line)
        if one.name == "torch":  # see workflow/setup.py
            continue
        versions = locked.get(normal(one.name), set())
        assert versions and all(version in one.specifier for version in versions), line


def test_the_version_is_said_the_same_everywhere() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\nversion: {PROJECT['version']}\n" in citation
    assert f"\n## {PROJECT['version']}\n" in changes
