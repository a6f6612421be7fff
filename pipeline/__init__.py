"""What stages and commands share. Importing it checks the environment first."""

import getpass
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from pipeline.runtime.processes import is_engine

PARENT = os.getppid()  # before the seconds that importing torch takes
ENGINE = PARENT if is_engine(PARENT) else None  # that runs this stage; none if a person does


def misplaced(environment: Path) -> str | None:
    """What is wrong with an environment that the set-up made for another folder; else None.

    The programs of a copied or moved one run the code and the packages of the place it was made in.
    """
    try:
        place = (environment / ".complete").read_text(encoding="utf-8").partition("\n")[0]
    except OSError:  # not made by the set-up
        return None
    here = os.path.realpath(environment.parent)
    if place == here:
        return None
    return f"{here}/.venv was made in {place or 'another place'}; run 'make setup' in {here} once"


if _moved := misplaced(Path(sys.prefix)):
    raise SystemExit(f"error: {_moved}")

for _package in ("cv2", "numpy", "pandas", "PIL", "safetensors", "torch", "yaml"):
    if find_spec(_package) is None:
        raise SystemExit(
            f"error: {sys.executable} has no package '{_package}'; run 'make setup' once and put "
            "the project's .venv/bin first on PATH"
        )

# Of the project's own, whatever its user has in a home directory, which may not be writable.
os.environ.setdefault("MPLCONFIGDIR", os.path.abspath(".cache/matplotlib"))

try:
    getpass.getuser()  # Snakemake and torch ask for it
except (KeyError, OSError):  # the user of a container may have no name
    os.environ["USER"] = str(os.getuid())
