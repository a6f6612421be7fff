"""How far Wing loss is ahead of L1, or behind it, by recipe and faces: all that was measured.

``python -m benchmarks.wing_against_l1 docs/results`` prints a line each, and draws
``wing-against-l1.svg`` there, from the files of that folder alone. CNN-6 without PDB.
"""

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from benchmarks import arguments
from benchmarks.step_size import difference
from pipeline import files
from pipeline.results import figure_file

PAPERS = 100 * (1.88 / 2.00 - 1)  # Table 1, on AFLW
CLAIM = "Wing loss lowers CNN-6's error by at least 5 % of L1's"
RENDERED = "18,000 rendered faces"
Interval = tuple[float, float, float]  # a change of the error in percent, and its 95 % interval


def main() -> None:
    (folder,) = map(Path, arguments(__doc__))
    found = measured(folder)
    for name, (value, low, high) in found.items():
        print(f"{name.replace(chr(10), ': ')}: {value:+.1f} % ({low:+.1f} to {high:+.1f})")
    figure_file.save(drawn(found), folder / "wing-against-l1.svg")


def measured(folder: Path) -> dict[str, Interval]:
    """Wing's error against L1's, by how and on what both were trained."""
    unsaid = folder / "300w/tables/study_unsaid.csv"
    data = folder / "renderedaflw/tables/study_data.csv"
    turn = folder / "renderedaflw/tables/study_turn.csv"
    precision = folder / "300w/tables/study_precision.csv"
    return {
        "SGD, log-linear decay, inputs in [−1, 1]\n300W, 315,696 samples, 4 seeds": _steps(
            folder / "step-size/runs.csv"
        ),
        "SGD, log-linear decay, inputs in [0, 1]\n300W, 240,000 samples, 3 seeds": _effect(
            unsaid, "Wing against L1, log-linear decay"
        ),
        f"SGD, log-linear decay, inputs in [0, 1]\n{RENDERED}, 240,000 samples, 3 seeds": _effect(
            data, "Wing against L1, log-linear decay"
        ),
        "SGD, linear decay, inputs in [0, 1]\n300W, 240,000 samples, 3 seeds": _effect(
            unsaid, "Wing against L1, linear decay"
        ),
        f"SGD, linear decay, inputs in [0, 1]\n{RENDERED}, 240,000 samples, 3 seeds": _effect(
            data, "Wing against L1, linear decay"
        ),
        f"SGD, linear decay, start of fast (fast_sgd)\n{RENDERED}, 120,000 samples, 3 seeds": (
            _effect(turn, "Wing against L1, the paper's optimiser, fast's start")
        ),
        f"AdamW, float32 (fast_float32)\n{RENDERED}, 120,000 samples, 3 seeds": _effect(
            turn, "Wing against L1, fast's optimiser and start"
        ),
        "AdamW, float32 (fast_float32)\n300W, 120,000 samples, 3 seeds": _effect(
            precision, "Wing against L1, float32"
        ),
        "AdamW, bfloat16 (fast)\n300W, 120,000 samples, 7 seeds": _claim(
            folder / "300w/seven-seeds-claims.json"
        ),
        f"AdamW, bfloat16 (fast)\n{RENDERED}, 120,000 samples, 3 seeds": _claim(
            folder / "renderedaflw/claims.json"
        ),
    }


def _steps(path: Path) -> Interval:
    """Of the experiment that has points: in percent of L1's mean."""
    table = pd.read_csv(path)
    own = difference(table, ("wing", 1.0), ("l1", 1.0))
    mean = table[(table.loss == "l1") & (table.multiple == 1)].nme.mean()
    return 100 * own.value / mean, 100 * own.low / mean, 100 * own.high / mean


def _effect(path: Path, name: str) -> Interval:
    row = files.read_table(path).set_index("name").loc[name]
    return float(row.value), float(row.low), float(row.high)


def _claim(path: Path) -> Interval:
    (one,) = [one for one in files.read_json(path)["fast"] if one["text"] == CLAIM]
    (pair,) = one["comparisons"]
    return pair["effect"], pair["low"], pair["high"]


def drawn(found: dict[str, Interval]) -> Figure:
    """A line each: the effect, its interval, and the paper's own effect across all."""
    figure = Figure(figsize=(8.5, 0.8 + 0.5 * len(found)), layout="constrained")
    axes = figure.subplots()
    for i, (value, low, high) in enumerate(found.values()):
        colour = "#0072B2" if high < 0 else "#D55E00" if low > 0 else "#777777"
        axes.errorbar(
            value, i, xerr=[[value - low], [high - value]], fmt="o", color=colour, capsize=3
        )
    axes.axvline(0, color="black", linewidth=0.8)
    axes.axvline(PAPERS, color="black", linewidth=0.8, linestyle=":")
    axes.text(PAPERS + 0.1, -0.6, "the paper, on AFLW", fontsize=8)
    axes.set_yticks(range(len(found)), list(found), fontsize=8)
    axes.set_ylim(len(found) - 0.5, -0.9)
    axes.set_xlabel("← Wing better     error with Wing against L1, %     L1 better →")
    axes.grid(axis="x", color="#e5e5e5", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    main()
