"""How trainings share out several GPUs."""

from pathlib import Path

import pytest
import torch

from pipeline.runtime.gpus import one_alone


@pytest.mark.parametrize("count, wanted", [(2, [0, 1, 1]), (1, [])])
def test_each_training_has_a_gpu_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, wanted: list[int]
) -> None:
    chosen: list[int] = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    with one_alone(tmp_path):
        with one_alone(tmp_path), one_alone(tmp_path):  # the third finds none
            pass
        with one_alone(tmp_path):  # the second's is free again
            pass
    assert chosen == wanted
