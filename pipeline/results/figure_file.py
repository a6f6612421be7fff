"""A figure as a file that has the same bytes whenever it is drawn."""

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from pipeline import files


def save(figure: Figure, path: Path) -> None:
    """Writes it as SVG, or as PNG of 150 pixels an inch, by the path's ending."""
    kind = path.suffix.removeprefix(".")
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    with matplotlib.rc_context({"svg.hashsalt": path.stem}), files.whole_file(path) as partial:
        figure.savefig(partial, format=kind, dpi=150, metadata=metadata)
