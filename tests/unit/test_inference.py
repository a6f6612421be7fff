"""Running a network over faces: inputs, precision and predictions."""

import numpy as np
import pytest
import torch
from tiny_training import CPU, CROP, whole_crops
from torch import Tensor, nn

from wingloss.augmentation.perturbation import Faces
from wingloss.models import inference
from wingloss.models.networks import Output
from wingloss.training.loop import validation


class Brightness(nn.Module):
    """Its one landmark: x = 31.5 (1 + the mean of the input's red), y = 31.5, input pixels."""

    def forward(self, pictures: Tensor) -> Tensor:
        assert not self.training
        red = pictures[:, 0].mean(dim=(1, 2))
        return torch.stack([31.5 * (red + 1), torch.full_like(red, 31.5)], dim=1)


def brightness() -> nn.Sequential:
    return nn.Sequential(Brightness(), nn.Identity())


@pytest.fixture(scope="module")
def greys() -> Faces:
    """More faces than a batch, as even grey crops of 32 px, 0, 1, 2, ... bright."""
    count = inference.EVALUATION_BATCH + 6
    grey = np.arange(count, dtype=np.uint8)[:, None, None, None]
    return whole_crops(
        np.broadcast_to(grey, (count, CROP, CROP, 3)).copy(), np.full((count, 1, 2), 15.5)
    )


def test_predictions_are_in_pixels_of_the_crops_and_in_their_order(greys: Faces):
    found = inference.predict(brightness(), "cnn6", greys, "float32", CPU)
    assert found.shape == greys.points.shape
    # input pixels are half as large; centres of pixels aren't at their corners
    expected = (63 * np.arange(len(greys)) / 255 + 0.5) / 2 - 0.5
    np.testing.assert_allclose(found[:, 0, 0], expected, atol=1e-5)
    np.testing.assert_allclose(found[:, 0, 1], 15.5, atol=1e-5)


def test_no_faces_have_no_predictions(greys: Faces):
    nobody = Faces(greys.crops[:0], greys.points[:0], greys.to_unit[:0])
    assert inference.predict(brightness(), "cnn6", nobody, "float32", CPU).shape == (0, 1, 2)


def test_validation_is_the_mean_error_in_percent(greys: Faces):
    dark = Faces(
        greys.crops[[0, 0]], np.array([[[2.75, 15.5]], [[-0.25, 21.5]]]), greys.to_unit[:2]
    )
    validate = validation("cnn6", dark, np.array([30.0, 60.0]), "float32", CPU)
    # both are found at (-0.25, 15.5): 3 px off of 30 and 6 px off of 60, that is 10 % each
    assert validate(brightness()) == pytest.approx(10, abs=1e-4)


def test_inputs_are_rgb_from_minus_one_to_one():
    pictures = np.zeros((2, 4, 5, 3), dtype=np.uint8)
    pictures[1, 2, 3] = (255, 51, 0)
    tensor = inference.to_input(torch.from_numpy(pictures), CPU)
    assert tensor.shape == (2, 3, 4, 5) and tensor.dtype == torch.float32
    assert tensor[1, :, 2, 3].tolist() == pytest.approx([1, -0.6, -1])
    assert tensor[0].eq(-1).all()
    assert tensor.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("native", [True, False])
def test_bfloat16_is_used_where_the_machine_has_it(monkeypatch, native: bool):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    found = inference.available_precision("bfloat16", CPU)
    assert found == ("bfloat16" if native else "float32")
    assert inference.available_precision("float32", CPU) == "float32"
    seen = []
    network = nn.Sequential(nn.Linear(2, 2), Output(2, 2))
    for layer in network:
        layer.register_forward_hook(lambda *hooked: seen.append(hooked[2].dtype))
    inference.forward(network, torch.ones(1, 2), found)
    assert seen == [getattr(torch, found), torch.float32]  # the last layer is exact
