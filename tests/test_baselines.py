"""The mean shape, by hand."""

import numpy as np
import pytest

from wingloss.baselines import mean_shape


def test_the_mean_shape_stands_in_each_frame_as_in_the_training_frames() -> None:
    """Points at a quarter and at half of their frames' sides meet at 3/8, turned with the frame."""
    frames = np.array([[50.0, 50.0, 40.0, 0.0], [10.0, 20.0, 80.0, 0.0]])
    training = np.array([[[40.0, 50.0]], [[10.0, 20.0]]])  # unit (0.25, 0.5) and (0.5, 0.5)
    upright, turned = [100.0, 100.0, 16.0, 0.0], [100.0, 100.0, 16.0, np.pi / 2]
    placed = mean_shape(training, frames, np.array([upright, turned]))
    assert placed[:, 0] == pytest.approx(np.array([[98.0, 100.0], [100.0, 98.0]]))
