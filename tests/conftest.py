"""Tests are repeatable, take one core each, and slow machines don't fail them."""

import os

from hypothesis import settings

os.environ["OMP_NUM_THREADS"] = "1"  # of NumPy's and torch's libraries, which read it on import
settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=25)
settings.load_profile("repeatable")

pytest_plugins = ["project"]  # throw-away projects, as fixtures
