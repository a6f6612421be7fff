"""Validation errors over samples seen of several trainings, drawn into one figure.

``python -m benchmarks.curves NORMALISER OUT.svg NAME=CURVE.CSV...``, each a training's
``curve.csv`` under ``results/<dataset>/models/``.
"""

import sys
from pathlib import Path

import pandas as pd

from pipeline.results import figure_file
from wingloss.drawing import figures


def main() -> None:
    match sys.argv[1:]:
        case [normaliser, out, *curves] if curves and all("=" in curve for curve in curves):
            draw(normaliser, Path(out), dict(curve.split("=", 1) for curve in curves))
        case _:
            sys.exit("usage: python -m benchmarks.curves NORMALISER OUT.svg NAME=CURVE.CSV...")


def draw(normaliser: str, out: Path, curves: dict[str, str]) -> None:
    """Writes the figure, as SVG or PNG by its name; ``curves`` are the paths by name."""
    tables = {name: pd.read_csv(path) for name, path in curves.items()}
    points = {
        name: (table.samples.to_numpy(float), table.val_nme.to_numpy(float))
        for name, table in tables.items()
    }
    figure_file.save(figures.learning_curves(points, normaliser), out)


if __name__ == "__main__":
    main()
