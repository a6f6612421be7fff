"""One module a node of the graph: files in, files out. See docs/architecture.md."""

import os
import sys
from importlib.util import find_spec

PARENT = os.getppid()  # the engine, before the seconds that importing torch takes

for _package in ("cv2", "numpy", "pandas", "PIL", "safetensors", "torch", "yaml"):
    if find_spec(_package) is None:
        raise SystemExit(
            f"error: {sys.executable} has no package '{_package}'; run 'make setup' once and put "
            "the project's .venv/bin first on PATH"
        )
