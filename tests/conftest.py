"""Tests are repeatable, take one core each, and slow machines don't fail them."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

import wingloss

_tested, _here = (Path(file).resolve().parent.parent for file in (wingloss.__file__, __file__))
if _tested != _here:
    pytest.exit(f"error: {_tested} would be tested, not {_here}; run pytest in {_here}", 2)

os.environ["OMP_NUM_THREADS"] = "1"  # of NumPy's and torch's libraries, which read it on import
settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=25)
settings.load_profile("repeatable")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests come first: the last one would run while other processes have nothing to do."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


pytest_plugins = ["project", "paper_runs", "tiny_training"]  # their fixtures
