"""Trainings that begin with a model's weights."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from project import Project
from tiny_training import LANDMARKS

from pipeline import files
from pipeline.config import paths
from pipeline.config.paths import Run
from pipeline.errors import UserError
from pipeline.trainings import pretrained
from wingloss.models import model_file
from wingloss.models.networks import build, take_over
from wingloss.recipe import CENTRED, ModelFile

pytestmark = pytest.mark.usefixtures("tiny_networks")


def saved(path: Path, name: str = "cnn6", input_range: tuple[float, float] = CENTRED) -> ModelFile:
    """A model's file with its hash."""
    model_file.save(path, build(name, LANDMARKS, 1, input_range), name, LANDMARKS)
    return ModelFile(str(path), files.file_hash(path))


def test_all_tensors_are_taken_over_but_those_of_other_landmarks(tmp_path: Path) -> None:
    given = pretrained.read(saved(tmp_path / "model.safetensors"), "cnn6")
    same, more = build("cnn6", LANDMARKS, seed=0), build("cnn6", LANDMARKS + 1, seed=0)
    untouched = {name: value.clone() for name, value in more.state_dict().items()}
    for network in (same, more):
        take_over(network, given)
    assert all(torch.equal(value, given[name]) for name, value in same.state_dict().items())
    last = {"18.weight", "18.bias"}
    for name, value in more.state_dict().items():
        assert torch.equal(value, (untouched if name in last else given)[name]), name


def test_a_wrong_file_is_one_line(tmp_path: Path) -> None:
    one = saved(tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="it holds cnn6, and no cnn7"):
        pretrained.read(one, "cnn7")
    with pytest.raises(UserError, match="SHA-256 is [0-9a-f]{64}; `weights` in the recipe says"):
        pretrained.read(replace(one, sha256=64 * "0"), "cnn6")
    with pytest.raises(UserError, match="gone: no such file; `weights` in the recipe names it"):
        pretrained.read(replace(one, file="gone"), "cnn6")
    with pytest.raises(UserError, match="no such file; `weights` in the recipe names it"):
        pretrained.read(replace(one, file=str(tmp_path)), "cnn6")
    torn = tmp_path / "torn"
    torn.write_bytes(Path(one.file).read_bytes()[:-9])
    with pytest.raises(UserError, match="torn: not a model of this project"):
        pretrained.read(ModelFile(str(torn), files.file_hash(torn)), "cnn6")


@pytest.mark.parametrize("own, recipes", [((0.1, 1), (-1, 1)), ((-1, 1), (0.1, 1))])
def test_weights_for_inputs_of_another_range_are_one_line(
    tmp_path: Path, own: tuple[float, float], recipes: tuple[float, float]
) -> None:
    one = saved(tmp_path / "model.safetensors", input_range=own)
    with pytest.raises(UserError, match=r"its inputs are in \[.*\]; `input_range` in the recipe"):
        pretrained.read(one, "cnn6", recipes)
    take_over(build("cnn6", LANDMARKS, 0, own), pretrained.read(one, "cnn6", own))


def test_a_training_begins_with_a_runs_weights(finished: Project) -> None:
    """Without a step worth the name it ends where the other training did."""
    run = Run("synthetic", "fast", "cnn6", "none", "wing", 0)
    model = run.path(paths.MODEL, stage=1)
    weights = ModelFile(str(model), files.file_hash(finished.root / model))
    copied = finished.root / "mine.safetensors"
    copied.write_bytes((finished.root / model).read_bytes())
    recipe = finished.params()["recipes"]["fast"]["cnn6"] | {
        "weights": asdict(replace(weights, file="mine.safetensors")),
        "learning_rate": 1e-12,
        "final_learning_rate": 1e-12,
        "weight_decay": 0,
    }
    finished.set(**{"recipes.fast.cnn6": recipe})
    words = ["--dataset=synthetic", "--recipe=fast", "--network=cnn6", "--balance=none"]
    finished.run("stages.train", *words, "--loss=wing", "--seed=0", "--stage=1")
    before, after = (
        model_file.load(path)[1].state_dict() for path in (copied, finished.root / model)
    )
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert torch.allclose(value, after[name], atol=1e-7), name
    about = json.loads(finished.read(str(run.path(paths.MANIFEST, stage=1))))
    assert about["inputs"]["recipe"]["weights"] == weights.sha256
