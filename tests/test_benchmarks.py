"""What the benchmarks count, against counts by hand."""

import pytest

from benchmarks.training import training_flops
from wingloss.networks import build


@pytest.mark.parametrize(
    ("network", "size", "widths"),
    [("cnn6", 64, (32, 64, 128, 256, 512)), ("cnn7", 128, (64, 128, 256, 512, 512, 512))],
)
def test_training_flops_by_hand(network: str, size: int, widths: tuple[int, ...]) -> None:
    """Of one sample: forward, by the weights and, but for the first layer, by the inputs."""
    forward, channels = [], 3
    for width in widths:
        forward.append(2 * 9 * channels * width * size * size)
        channels, size = width, size // 2
    forward += [2 * 2048 * 1024, 2 * 1024 * 136]
    assert training_flops(build(network, 68, seed=0), network) == (
        2 * forward[0] + 3 * sum(forward[1:])
    )
