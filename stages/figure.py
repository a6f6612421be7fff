"""One of the report's figures, as vectors and as pixels."""

import textwrap
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipeline import files
from pipeline.config import paths
from pipeline.config.arguments import among
from pipeline.config.networks import STAGES
from pipeline.config.params import load
from pipeline.config.paths import Cell
from pipeline.results import figure_file, paper_spec, run_results, scoring
from pipeline.results.run_results import Scored
from pipeline.runtime import cli
from wingloss import protocol
from wingloss.drawing import figures
from wingloss.evaluation.significance import Runs, compare, log_mean
from wingloss.geometry import Array
from wingloss.pose import projection

LEGEND = 34  # characters of a line in a legend
CED_UP_TO = 2.5  # thresholds of the protocol
POSES = 5  # groups of faces by how far they are turned


def run(dataset: str, figure: int) -> None:
    """Writes the figure as SVG and PNG."""
    among({"figure": figure}, "figure", FIGURES)
    drawn = FIGURES[figure](dataset)
    for pattern in (paths.FIGURE, paths.FIGURE_PIXELS):
        figure_file.save(drawn, Path(pattern.format(dataset=dataset, figure=figure)))


def _loss_shapes(_: str) -> Figure:
    return figures.simple_losses()


def _wing(_: str) -> Figure:
    return figures.wing_settings()


def _network(dataset: str) -> Figure:
    from wingloss.models.networks import (  # with torch, which the other figures do without
        ARCHITECTURES,
        Regression,
    )

    paper = {name: one for name, one in ARCHITECTURES.items() if isinstance(one, Regression)}
    return figures.architectures(paper, protocol.load(dataset).n_landmarks)


def _pose(dataset: str) -> Figure:
    """Fig. 5: the training faces' pose, before and after balancing."""
    rules = protocol.load(dataset)
    histogram = files.read_table(_path(paths.HISTOGRAM, dataset), "low", "high", "before", "after")
    bins = histogram[histogram.balance == "pdb"]
    edges = np.append(bins.low.to_numpy(), bins.high.to_numpy()[-1])
    samples = files.read_samples(_path(paths.SAMPLES, dataset))
    samples = samples[samples.split == "train"]
    model = files.read_json(_path(paths.POSE, dataset))
    aligned = projection.align(files.points(samples, rules.n_landmarks), np.array(model["mean"]))
    table = files.read_by_face(_path(paths.COEFFICIENTS, dataset), samples.face, "coefficient")
    own = table.coefficient.to_numpy()
    number = np.clip(np.searchsorted(edges, own, side="right") - 1, 0, len(bins) - 1)
    shapes = [
        aligned[number == k].mean(axis=0) if (number == k).any() else None for k in range(len(bins))
    ]
    before, after = bins.before.to_numpy(), bins.after.to_numpy()
    return figures.pose_bins(figures.Bins(edges, before, after, shapes))


def _errors(figure: int, dataset: str) -> Figure:
    """Figs. 4 and 6: a curve for each of the figure's runs that there is.

    The first recipe has a panel, and so has each other one that compares some of them.
    """
    chosen = paper_spec.FIGURES[figure].curves
    own = set(chosen.values())
    every = run_results.read(load(), dataset, lambda run: run.cell in own)
    panels = {
        results.recipe: {
            _named(name, results.cells[cell]): results.cells[cell].errors
            for name, cell in chosen.items()
            if cell in results.cells
        }
        for results in every
        if results is every[0] or sum(cell.network in STAGES for cell in results.cells) > 1
    }
    if not any(panels.values()):
        names = ", ".join(str(cell) for cell in chosen.values())
        return figures.nothing(f"not run: {names}")
    up_to = 100 * CED_UP_TO * protocol.load(dataset).threshold
    return figures.ced(panels, every[0].any.normaliser.replace("_", "-"), up_to)


def _by_pose(dataset: str) -> Figure:
    """What balancing changes for faces turned so far, a line a recipe.

    By the yaw where the data have it, or else by the pose coefficient.
    """
    own = paper_spec.FIGURES[7].cells
    every = run_results.read(load(), dataset, lambda run: run.cell in own)
    pairs = {}
    for results in every:
        losses = [
            loss
            for loss in paper_spec.LOSS_TITLES
            if all(
                cell in results.cells and not results.cells[cell].diverged
                for cell in (Cell("cnn6", "none", loss), Cell("cnn6", "pdb", loss))
            )
        ]
        if losses:
            pairs[results.recipe] = {
                balance: [results.cells[Cell("cnn6", balance, loss)] for loss in losses]
                for balance in ("none", "pdb")
            }
    if not pairs:
        return figures.nothing("not run: CNN-6 with one loss both balanced and not")
    one = every[0].any
    turned, pose = _turned(dataset, one.split)
    edges = np.unique(np.quantile(turned, np.linspace(0, 1, POSES + 1)))  # fewer if many are alike
    group = np.clip(np.searchsorted(edges, turned, side="right") - 1, 0, len(edges) - 2)
    lines = {
        recipe: np.array([_change(cells, group == k) for k in range(len(edges) - 1)])
        for recipe, cells in pairs.items()
    }
    if not any(np.isfinite(line).any() for line in lines.values()):
        return figures.nothing("too few photographs of faces that are turned less and more")
    return figures.by_pose({name: tuple(line.T) for name, line in lines.items()}, edges, pose)


def _change(cells: dict[str, list[Scored]], chosen: NDArray[np.bool_]) -> list[float]:
    """By how many percent balancing changes the error of the chosen faces, and its interval.

    The change is the losses' mean. They share their seeds' luck (initial weights, order of the
    faces), so each seed counts once. Not numbers where these faces are of one photograph, which
    tells nothing of others.
    """
    names, photographs = np.unique(cells["pdb"][0].photographs[chosen], return_inverse=True)
    if len(names) < 2:
        return [np.nan] * 3
    whole = np.ones(chosen.sum(), bool)
    runs = Runs(
        np.stack(
            [
                np.mean([log_mean(one.errors[:, chosen], whole) for one in cells[balance]], axis=0)
                for balance in ("pdb", "none")
            ]
        )
    )
    effect = compare(runs, 0, runs, 1, photographs)
    return [100 * float(np.expm1(end)) for end in (effect.value, *effect.interval())]


def _turned(dataset: str, split: str) -> tuple[Array, str]:
    """How far each scored face ``(N,)`` is turned, and the name of what says it."""
    rows = scoring.faces(dataset)[split]
    if files.YAW in rows:
        return rows[files.YAW].abs().to_numpy(), "yaw's size (degrees)"
    table = files.read_by_face(_path(paths.COEFFICIENTS, dataset), rows.face, "coefficient")
    return table.coefficient.abs().to_numpy(), "pose coefficient's size"


def _named(name: str, one: Scored) -> str:
    """The name in the legend, with how a baseline falls short of its paper's."""
    return textwrap.fill(f"{name}, {one.reduced}", LEGEND) if one.reduced else name


def _path(pattern: str, dataset: str) -> Path:
    return Path(pattern.format(dataset=dataset))


FIGURES: dict[int, Callable[[str], Figure]] = {
    1: _wing,
    2: _network,
    3: _loss_shapes,
    4: partial(_errors, 4),
    5: _pose,
    6: partial(_errors, 6),
    7: _by_pose,
}

if __name__ == "__main__":
    cli.main(run)
