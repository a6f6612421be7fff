"""ResNet-50: its size, its published names, and that it trains and comes back like the others."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from project import Project
from safetensors import safe_open
from tiny_training import LANDMARKS, beginning, run
from torch import nn

import pipeline.files
from benchmarks.flops import training_flops
from pipeline.config import paths
from pipeline.config.paths import Run
from pipeline.errors import UserError
from pipeline.trainings import pretrained
from stages import evaluate, summary, train
from wingloss.augmentation.perturbation import Faces
from wingloss.models import model_file
from wingloss.models.networks import ARCHITECTURES, RANGE, Residual, build, take_over

SMALL = Residual(64, 4, (1, 2))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ResNet of two groups in the place of ResNet-50."""
    monkeypatch.setitem(ARCHITECTURES, "resnet50", SMALL)


def published_names() -> set[str]:
    """The names in torchvision's file of weights, by the rule that its authors followed."""

    def normed(number: str, place: str) -> set[str]:
        kinds = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
        return {f"{place}conv{number}.weight"} | {f"{place}bn{number}.{kind}" for kind in kinds}

    names = normed("1", "") | {"fc.weight", "fc.bias"}
    for group, blocks in enumerate((3, 4, 6, 3), start=1):
        for block in range(blocks):
            for number in "123":
                names |= normed(number, f"layer{group}.{block}.")
        shortcut = normed("", f"layer{group}.0.downsample.")
        names |= {
            name.replace("downsample.conv", "downsample.0").replace("downsample.bn", "downsample.1")
            for name in shortcut
        }
    return names


@pytest.fixture(scope="module")
def whole() -> nn.Sequential:
    return build("resnet50", 68, seed=0)


def test_it_is_resnet_50(whole: nn.Sequential) -> None:
    classes = 1000  # with ImageNet's it has the 25,557,032 parameters that everybody counts
    count = sum(parameter.numel() for parameter in whole.parameters())
    assert count - (2048 + 1) * 136 + (2048 + 1) * classes == 25_557_032
    assert whole.state_dict().keys() == published_names()
    assert len(published_names()) == 320


def test_its_work_is_the_one_that_was_published(whole: nn.Sequential) -> None:
    """4.09 G multiplications forward; training takes three times that, but for the first layer."""
    forward = 4.089e9 - 2048 * (1000 - 136)
    first = 64 * 3 * 49 * 112 * 112
    assert training_flops(whole, 224) == pytest.approx(2 * (3 * forward - first), rel=1e-3)


def test_published_weights_are_taken_over_but_for_the_last_layer(whole: nn.Sequential) -> None:
    own = {name: value.clone() for name, value in whole.state_dict().items()}
    published = {name: torch.full_like(value, 2) for name, value in own.items()}
    published["fc.weight"], published["fc.bias"] = torch.ones(1000, 2048), torch.ones(1000)
    fresh = build("resnet50", 68, seed=0)
    take_over(fresh, published)
    for name, value in fresh.state_dict().items():
        assert torch.equal(value, own[name] if name.startswith("fc.") else published[name]), name
    with pytest.raises(RuntimeError, match="layer5"):
        take_over(fresh, {"layer5.0.conv1.weight": torch.zeros(1)})


def test_published_weights_see_inputs_in_the_recipes_range(small: None) -> None:
    published = build("resnet50", LANDMARKS, seed=1).state_dict()
    del published["fc.weight"], published["fc.bias"]
    fresh = build("resnet50", LANDMARKS, seed=0, input_range=(-2, 2.5))
    take_over(fresh, published)
    state = fresh.state_dict()
    assert state[RANGE].tolist() == [-2, 2.5]
    assert torch.equal(state["conv1.weight"], published["conv1.weight"])


def test_missing_and_wrong_files_of_weights_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="IMAGENET1K_V1 there, or set `weights: none`") as error:
        pretrained.read("imagenet", "resnet50")
    path = Path("data/incoming/weights/resnet50-0676ba61.pth")
    assert str(error.value).startswith(f"{path}: ")
    path.parent.mkdir(parents=True)
    torch.save({"conv1.weight": torch.ones(2), "fc.bias": torch.ones(1000)}, path)
    with pytest.raises(UserError, match="its SHA-256 is [0-9a-f]{64}, that of torchvision's"):
        pretrained.read("imagenet", "resnet50")
    one = replace(pretrained.PUBLISHED["imagenet"], sha256=pipeline.files.file_hash(path))
    monkeypatch.setitem(pretrained.PUBLISHED, "imagenet", one)
    read = pretrained.read("imagenet", "resnet50")
    assert list(read) == ["conv1.weight"] and read["conv1.weight"].tolist() == [1, 1]


def test_a_model_file_keeps_what_batch_normalisation_learnt(small: None, tmp_path: Path) -> None:
    network, picture = build("resnet50", LANDMARKS, seed=0), torch.rand(2, 3, 64, 64)
    network.train()
    network(picture)  # its running means move
    model_file.save(tmp_path / "model.safetensors", network, "resnet50", LANDMARKS)
    name, loaded = model_file.load(tmp_path / "model.safetensors")
    assert name == "resnet50" and loaded.state_dict()["bn1.num_batches_tracked"] == 1
    with torch.inference_mode():
        assert torch.equal(loaded.eval()(picture), network.eval()(picture))
        assert not torch.equal(network.train()(picture), loaded(picture))


def judged(network: nn.Sequential) -> float:
    """Leaves the network as a validation does."""
    network.eval()
    return 5.0


def test_an_interrupted_training_goes_on_bit_by_bit(small: None, faces: Faces) -> None:  # noqa: F811
    through, first, second = (beginning(faces, name="resnet50") for _ in range(3))
    run(through, faces, 12, validate=judged, name="resnet50")
    run(first, faces, 12, validate=judged, name="resnet50", until=7)
    file = io.BytesIO()
    torch.save(first.checkpoint(), file)
    file.seek(0)
    second.restore(torch.load(file, weights_only=True))
    run(second, faces, 12, validate=judged, name="resnet50")
    expected = through.model.state()
    assert expected["bn1.num_batches_tracked"] == 12
    for name, value in second.model.state().items():
        assert torch.equal(value, expected[name]), name


@pytest.mark.usefixtures("tiny_networks")
def test_it_goes_through_the_stages(finished: Project, call: Callable) -> None:
    """A tiny one: trained, taken from the store, scored, and in the summary with its weights."""
    finished.set(**{"runs.resnet50.balance": ["pdb"], "runs.resnet50.loss": ["wing"]})
    cell = Run("synthetic", "fast", "resnet50", "pdb", "wing", 0)
    run = dict(
        dataset="synthetic", recipe="fast", network="resnet50", balance="pdb", loss="wing", seed=0
    )
    status, said = call(finished, train, **run, stage=1)
    assert status == 0 and "3 steps of 2" in said
    assert call(finished, evaluate, **run)[0] == 0
    assert call(finished, summary, dataset="synthetic")[0] == 0
    about = json.loads(finished.read(str(cell.path(paths.MANIFEST, stage=1))))
    assert about["inputs"]["recipe"]["weights"] == "none" and about["samples_seen"] == 6
    with safe_open(finished.root / cell.path(paths.MODEL, stage=1), framework="pt") as file:
        assert file.get_tensor("bn1.num_batches_tracked") == 3
    rows = finished.read("results/synthetic/summary.csv").decode().splitlines()
    (own,) = [row for row in rows if ",resnet50,pdb,wing," in row and ",test,full," in row]
    assert own.startswith("synthetic,synthetic,fast,none,float32,")
    finished.set(**{"recipes.fast.resnet50.weights": "imagenet"})
    status, said = call(finished, train, **run, stage=1)
    assert status == 1 and "resnet50-0676ba61.pth: no such file; put" in said.splitlines()[-1]
