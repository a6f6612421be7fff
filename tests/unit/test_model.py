"""Model files: what is saved comes back, and nothing else is taken for a model."""

import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from pipeline.config import networks
from wingloss.models import model_file
from wingloss.models.hourglass import Hourglasses
from wingloss.models.networks import ARCHITECTURES, build


@pytest.fixture(scope="module")
def network() -> nn.Module:
    # as the training keeps it in memory
    return build("cnn6", 2, seed=3).to(memory_format=torch.channels_last)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def test_a_saved_network_comes_back(path: Path, network: nn.Module):
    model_file.save(path, network, "cnn6", 2)
    name, loaded = model_file.load(path)
    assert name == "cnn6"
    saved = network.state_dict()
    assert loaded.state_dict().keys() == saved.keys()
    assert all(torch.equal(value, saved[key]) for key, value in loaded.state_dict().items())
    picture = torch.linspace(0, 1, 3 * 64 * 64).reshape(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(loaded(picture), network(picture))


@pytest.mark.parametrize("name", ["cnn6", "hourglass"])
def test_the_range_of_its_inputs_comes_with_it(path: Path, name: str):
    saved = build(name, 2, seed=3, input_range=(0, 255)).eval()
    model_file.save(path, saved, name, 2)
    _, loaded = model_file.load(path)
    side = ARCHITECTURES[name].input_size
    picture = torch.linspace(-1, 1, 3 * side * side).reshape(1, 3, side, side)
    with torch.inference_mode():
        torch.testing.assert_close(loaded.eval()(picture), saved(picture))
        centred = build(name, 2, seed=3).eval()
        assert not torch.allclose(centred(picture), saved(picture))


def test_the_header_says_what_it_is(path: Path, network: nn.Module):
    model_file.save(path, network, "cnn6", 2)
    with safe_open(path, framework="pt") as file:
        assert file.metadata() == {"model": '{"network": "cnn6", "landmarks": 2}'}


def test_whoever_may_read_other_files_may_read_it(path: Path, network: nn.Module):
    other = path.with_name("other")
    other.touch()
    model_file.save(path, network, "cnn6", 2)
    assert path.stat().st_mode == other.stat().st_mode


def test_equal_models_are_equal_files(path: Path, network: nn.Module):
    model_file.save(path, network, "cnn6", 2)
    model_file.save(path.with_name("again.safetensors"), network, "cnn6", 2)
    assert path.read_bytes() == path.with_name("again.safetensors").read_bytes()


@pytest.mark.parametrize("length", [0, 5, 400, 10_000_000])
def test_a_torn_file_is_named(path: Path, network: nn.Module, length: int):
    model_file.save(path, network, "cnn6", 2)
    whole = path.read_bytes()
    assert length < len(whole)
    path.write_bytes(whole[:length])
    with pytest.raises(model_file.BadModel, match=r"model\.safetensors: not a model"):
        model_file.load(path)


class Payload:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


def test_a_pickle_is_refused_and_not_run(path: Path, tmp_path: Path):
    path.write_bytes(pickle.dumps(Payload(tmp_path / "run")))
    with pytest.raises(model_file.BadModel, match=r"model\.safetensors: not a model"):
        model_file.load(path)
    assert not (tmp_path / "run").exists()
    pickle.loads(path.read_bytes())
    assert (tmp_path / "run").exists()


def test_a_torch_file_is_refused(path: Path, network: nn.Module):
    torch.save(network.state_dict(), path)
    with pytest.raises(model_file.BadModel, match=r"model\.safetensors: not a model"):
        model_file.load(path)


@pytest.mark.parametrize(
    "header",
    [
        None,
        {"network": "cnn6"},
        {"network": "resnet50", "landmarks": 2},
        {"network": "cnn8", "landmarks": 2},
        {"network": "cnn6", "landmarks": "two"},
        {"network": "cnn6", "landmarks": -2},
        {"network": "cnn6", "landmarks": 3},
        {"network": "cnn7", "landmarks": 2},
        {"network": "cnn6", "landmarks": 10**9},  # whose last layer alone would take 8 TB
        {"network": "cnn6", "landmarks": 10**30},
        {"network": "cnn6", "landmarks": 2.0},
        {"network": ["cnn6"], "landmarks": 2},
        ["cnn6", 2],
    ],
)
def test_a_wrong_header_is_refused(path: Path, network: nn.Module, header: dict | list | None):
    tensors = {key: value.contiguous() for key, value in network.state_dict().items()}
    metadata = None if header is None else {"model": json.dumps(header)}
    save_file(tensors, path, metadata=metadata)
    with pytest.raises(model_file.BadModel, match=r"model\.safetensors: not a model"):
        model_file.load(path)


def test_other_weights_are_refused(path: Path):
    header = json.dumps({"network": "cnn6", "landmarks": 2})
    save_file({"0.weight": torch.zeros(3)}, path, {"model": header})
    with pytest.raises(model_file.BadModel, match=r"model\.safetensors: not a model"):
        model_file.load(path)


@pytest.mark.parametrize(
    "harm, reason",
    [
        (
            lambda t: t.update({"0.bias": t["0.bias"][:-1]}),
            "0.bias is ('F32', [31]), not ('F32', [32])",
        ),
        (lambda t: t.update({"0.bias": t["0.bias"].double()}), "0.bias is ('F64', [32])"),
        (lambda t: t.update({"0.bias": t["0.bias"].half()}), "0.bias is ('F16', [32])"),
        (lambda t: t.pop("0.bias"), "0.bias is missing"),
        (lambda t: t.update(more=torch.zeros(1)), "more is none of its tensors"),
    ],
)
def test_other_tensors_are_named_in_one_line(path: Path, network: nn.Module, harm, reason: str):
    tensors = {key: value.contiguous() for key, value in network.state_dict().items()}
    harm(tensors)
    save_file(tensors, path, {"model": json.dumps({"network": "cnn6", "landmarks": 2})})
    with pytest.raises(model_file.BadModel) as error:
        model_file.load(path)
    assert reason in str(error.value) and "\n" not in str(error.value)


def test_a_header_of_brackets_is_refused(path: Path, network: nn.Module):
    save_file({"a": torch.zeros(1)}, path, {"model": "[" * 100_000})
    with pytest.raises(model_file.BadModel, match=r"model\.safetensors: not a model[^\n]*$"):
        model_file.load(path)


def test_a_folder_is_no_model(tmp_path: Path):
    with pytest.raises(model_file.BadModel, match=r"not a model[^\n]*$"):
        model_file.load(tmp_path)


def test_what_needs_no_torch_agrees_with_the_architectures() -> None:
    """Parameters are checked by these tables, on machines that have no torch too."""
    hourglasses = {n: one for n, one in ARCHITECTURES.items() if isinstance(one, Hourglasses)}
    assert hourglasses.keys() == networks.HEAT_MAPS
    assert {name for name, one in hourglasses.items() if one.boundary} == networks.BOUNDED
    assert {part for parts in networks.STAGES.values() for part in parts} == ARCHITECTURES.keys()
