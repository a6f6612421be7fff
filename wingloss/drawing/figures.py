"""The paper's six figures, drawn as it draws them, and others: arrays in, Matplotlib figures out.

torch takes longer to import than a figure to draw, so only the figures that need it do so.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle
from matplotlib.ticker import MaxNLocator

from wingloss.evaluation import metrics
from wingloss.geometry import Array

if TYPE_CHECKING:
    from wingloss.models.networks import Map, Plain, Residual

# Told apart by colour-blind readers too, and on paper by their dashes (Okabe and Ito's colours).
LINES = [
    ("#000000", "-"), ("#D55E00", "-"), ("#0072B2", "--"), ("#CC79A7", "-."),
    ("#009E73", ":"), ("#E69F00", "--"), ("#56B4E9", "-."), ("#999999", ":"),
]  # fmt: skip
SETTINGS = [(w, epsilon) for w in (5, 10) for epsilon in (0.5, 1, 2, 3)]  # of Fig. 1


def wing_settings() -> Figure:
    """Fig. 1: Wing loss (Eq. 5) for several w and epsilon, over errors in pixels."""
    import torch

    from wingloss import losses

    figure, axes = _figure("error x (pixels of the input crop)", "wing(x)")
    x = torch.linspace(-15, 15, 1201, dtype=torch.float64)
    for (w, epsilon), (colour, dashes) in zip(SETTINGS, LINES, strict=True):
        y = losses.Wing(w, epsilon)(x)
        axes.plot(x, y, dashes, color=colour, label=f"$w$ = {w}, $\\epsilon$ = {epsilon}")
    axes.set(xlim=(-15, 15), ylim=(0, None))
    axes.legend(ncols=2, loc="upper center", fontsize=8)
    return figure


def simple_losses() -> Figure:
    """Fig. 3: L1, L2 and smooth L1."""
    import torch

    from wingloss import losses

    figure, axes = _figure("error x (pixels of the input crop)", "loss(x)")
    x = torch.linspace(-3, 3, 601, dtype=torch.float64)
    curves: dict[str, losses.Loss] = {
        "L1": losses.L1(),
        "L2": losses.L2(),
        "smooth L1": losses.SmoothL1(),
    }
    for (name, loss), (colour, dashes) in zip(curves.items(), LINES, strict=False):
        axes.plot(x, loss(x), dashes, color=colour, label=name)
    axes.set(xlim=(-3, 3), ylim=(0, 4.5))
    axes.legend()
    return figure


def architectures(networks: "Mapping[str, Plain | Residual]", n_landmarks: int) -> Figure:
    """Fig. 2, and the other networks beneath it, for L landmarks."""
    figure = Figure(figsize=(8, 2.8 * len(networks)), layout="constrained")
    every = figure.subplots(len(networks), 1, sharex=True, squeeze=False)[:, 0]
    ends = []
    for axes, (name, network) in zip(every, networks.items(), strict=True):
        words = re.sub(r"(cnn|resnet)(\d+)", r"\1-\2", name).upper().replace("RESNET", "ResNet")
        title = f"{words}: {network.described}"
        ends.append(_layers(axes, title, network.maps, 2 * n_landmarks))
    every[0].set(xlim=(-0.6, max(ends)))
    return figure


def _layers(axes: Axes, title: str, maps: "Sequence[Map]", outputs: int) -> float:
    """A network's maps, each a block as high as it is large, labelled; where they end."""
    left, unit = 0.0, 2.4 / maps[0].size
    for one in maps:
        height, thick = max(0.12, unit * one.size), 0.16 + 0.1 * np.log2(one.channels)
        colour = "#dddddd" if one is maps[0] else "#9ec9e2"
        _block(axes, left, height, thick, colour)
        label = f"{one.size}×{one.size}\n×{one.channels}\n{one.made_by}"
        axes.text(left + thick / 2, -1.45, label, ha="center", va="top", fontsize=8)
        left += thick + 0.95
    axes.add_patch(Rectangle((left, -0.5), 0.16, 1, fc="#f3c47b", ec="black", lw=0.7))
    axes.text(left + 0.08, -1.45, f"2L =\n{outputs}\nlinear", ha="center", va="top", fontsize=8)
    axes.set_title(title, fontsize=9, loc="left")
    axes.set(ylim=(-2.6, 2.0))
    axes.set_axis_off()
    return left + 0.8


def ced(panels: Mapping[str, Mapping[str, Array]], normaliser: str, up_to: float) -> Figure:
    """Fig. 4 and 6: the share of faces below each error, a curve a method, a panel a recipe.

    The curves are errors ``(S, N)`` in percent of ``normaliser``, pooled over seeds; where some are
    NaN, of a training that diverged, the legend says so in place of a curve. ``up_to`` ends the
    horizontal axis, in percent.
    """
    figure = Figure(figsize=(6 * len(panels), 4.6), layout="constrained")
    names = list(dict.fromkeys(name for curves in panels.values() for name in curves))
    x = np.linspace(0, up_to, 301)
    every = figure.subfigures(1, len(panels), squeeze=False)[0]
    for part, (title, curves) in zip(every, panels.items(), strict=True):
        axes = part.subplots()
        for name, errors in curves.items():
            colour, dashes = LINES[names.index(name) % len(LINES)]
            diverged = np.isnan(errors).any()
            label = f"{name} ({'diverged' if diverged else f'{errors.mean():.2f} %'})"
            share = np.full_like(x, np.nan) if diverged else 100 * metrics.ced(errors.ravel(), x)
            axes.plot(x, share, dashes, color=colour, label=label)
        axes.set(xlim=(0, up_to), ylim=(0, 100))
        axes.set(xlabel=f"NME (% of {normaliser})", ylabel="share of faces (%)")
        axes.set_title(title if len(panels) > 1 else "")
        axes.grid(color="#e5e5e5", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        part.legend(loc="outside lower center", fontsize=8, ncols=2, title="method (mean error)")
    return figure


@dataclass(frozen=True)
class Bins:
    """The pose histogram: K bins, and the mean of the aligned training shapes in each."""

    edges: Array  # (K + 1,)
    before: Array  # faces a bin
    after: Array  # with repetitions
    shapes: Sequence[Array | None]  # (L, 2) each; None for an empty bin


def pose_bins(bins: Bins) -> Figure:
    """Fig. 5: pose coefficients of the training faces before and after balancing."""
    figure = Figure(figsize=(7, 4.4), layout="constrained")
    faces, axes = figure.subplots(2, 1, height_ratios=(1, 3.4))
    centres, widths = (bins.edges[:-1] + bins.edges[1:]) / 2, np.diff(bins.edges)
    axes.bar(centres, bins.after, 0.92 * widths, color="#9ec9e2", label="after balancing")
    axes.bar(centres, bins.before, 0.6 * widths, color="#D55E00", label="before")
    axes.set(xlabel="pose coefficient", ylabel="training faces", xlim=bins.edges[[0, -1]])
    axes.legend(fontsize=8, ncols=2, loc="lower right", bbox_to_anchor=(1, 1.0), frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    half = max(np.ptp(shape, axis=0).max() for shape in bins.shapes if shape is not None) / 1.9
    span = np.ptp(bins.edges)
    for low, width, shape in zip(bins.edges, widths, bins.shapes, strict=False):
        if shape is not None:
            own = faces.inset_axes(((low - bins.edges[0]) / span, 0, width / span, 1))
            middle = (shape.min(axis=0) + shape.max(axis=0)) / 2
            own.plot(*(shape - middle).T, ".", color="black", markersize=1.5)
            own.set(xlim=(-half, half), ylim=(half, -half), aspect="equal")
            own.set_axis_off()
    faces.set_axis_off()
    return figure


def by_pose(lines: Mapping[str, tuple[Array, Array, Array]], edges: Array, pose: str) -> Figure:
    """By how much an error changes in each of K groups of faces, from the frontal to the turned.

    ``lines`` are by name changes ``(K,)`` of an error in percent and the lower and upper ends of
    their intervals; group k reaches from one of the ``edges`` ``(K + 1,)`` of ``pose`` to the next.
    Of a group that is NaN nothing is drawn.
    """
    figure, axes = _figure(pose, "change of the NME (%)")
    centres = (edges[:-1] + edges[1:]) / 2
    apart = 0.06 * np.diff(edges).min()
    for i, (name, (value, low, high)) in enumerate(lines.items()):
        colour, _ = LINES[i % len(LINES)]
        ends = [value - low, high - value]
        axes.errorbar(
            centres + (i - (len(lines) - 1) / 2) * apart,
            value,
            ends,
            fmt="o",
            color=colour,
            label=name,
        )
        axes.hlines(value, edges[:-1], edges[1:], color=colour, linewidth=0.8, alpha=0.5)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.set(xlim=edges[[0, -1]])
    if len(lines) > 1:
        axes.legend(fontsize=8)
    return figure


def learning_curves(curves: Mapping[str, tuple[Array, Array]], normaliser: str) -> Figure:
    """Validation errors over samples seen, a curve a training.

    ``curves`` are samples ``(P,)`` and mean errors ``(P,)`` in percent of ``normaliser``.
    """
    figure, axes = _figure("samples seen", f"validation NME (% of {normaliser})")
    for i, (name, (samples, errors)) in enumerate(curves.items()):
        colour, dashes = LINES[i % len(LINES)]
        axes.plot(samples, errors, dashes, color=colour, label=f"{name} ({errors[-1]:.2f} %)")
        axes.plot(samples[-1], errors[-1], "o", color=colour)
    lowest = min(float(errors.min()) for _, errors in curves.values())
    axes.set(ylim=(np.floor(lowest), 3 * lowest))  # all begin far above
    _samples_seen(axes)
    axes.legend(title="training (at its end)", fontsize=8)
    return figure


def study(
    effects: Mapping[str, tuple[float, float, float]],
    curves: Mapping[str, tuple[Array, Array]],
    normaliser: str,
    setting: str,
    lines: Mapping[str, Mapping[float, Array]],
) -> Figure:
    """A study's effects with their intervals, and its runs' validation errors over samples seen.

    ``effects`` are changes of an error in percent and the ends of their 95 % intervals; ``curves``
    samples ``(P,)`` and errors ``(S, P)`` in percent of ``normaliser``, drawn as the mean over
    seeds and the band that holds all of them. These are NaN where there were no validation faces.
    ``lines`` are errors ``(S,)`` at their end by a ``setting``'s values, in a panel of their own if
    there are any; a line of one value goes all the way, and NaN is drawn nowhere.
    """
    rows = max(len(effects), len(curves) // 2, 5)
    panels = 3 if lines else 2
    figure = Figure(figsize=(5.5 * panels, 1.6 + 0.42 * rows), layout="constrained")
    forest, *middle, axes = figure.subplots(1, panels)
    for part in middle:
        _by_setting(part, lines, normaliser, setting)
    for i, (value, low, high) in enumerate(effects.values()):
        forest.errorbar(value, i, xerr=[[value - low], [high - value]], fmt="o", color="#0072B2")
    forest.axvline(0, color="black", linewidth=0.8)
    forest.set_yticks(range(len(effects)), [fill(name, 28) for name in effects], fontsize=8)
    forest.invert_yaxis()
    forest.set(xlabel="change of the error (%), 95 % interval")
    lowest = min(float(errors.min()) for _, errors in curves.values())
    for i, (name, (samples, errors)) in enumerate(curves.items()):
        colour, dashes = LINES[i % len(LINES)]
        axes.plot(samples, errors.mean(axis=0), dashes, color=colour, label=name)
        axes.fill_between(samples, errors.min(axis=0), errors.max(axis=0), color=colour, alpha=0.2)
    axes.set(xlabel="samples seen", ylabel=f"validation NME (% of {normaliser})")
    _samples_seen(axes)
    if np.isfinite(lowest):  # all begin far above, and what counts is how they end
        ends = max(float(errors[:, -1].max()) for _, errors in curves.values())
        axes.set(ylim=(np.floor(lowest), max(1.5 * lowest, 1.2 * ends)))
    axes.legend(fontsize=7)
    for part in (forest, *middle, axes):
        part.grid(color="#e5e5e5", linewidth=0.6)
        part.spines[["top", "right"]].set_visible(False)
    return figure


def _samples_seen(axes: Axes) -> None:
    """An axis of samples from zero on; few enough ticks that six digits don't touch."""
    axes.set_xlim(0, None)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter("{x:,.0f}")


def _by_setting(
    axes: Axes, lines: Mapping[str, Mapping[float, Array]], normaliser: str, setting: str
) -> None:
    """Errors by a setting's values: a mean, and a bar from the lowest seed to the highest."""
    values = sorted({value for line in lines.values() for value in line})
    for i, (name, line) in enumerate(lines.items()):
        colour, dashes = LINES[i % len(LINES)]
        errors = list(line.values())
        means = np.array([one.mean() for one in errors])
        ends = [means - [one.min() for one in errors], [one.max() for one in errors] - means]
        if len(line) == 1:
            axes.axhline(means[0], linestyle=dashes, color=colour, label=name)
            axes.axhspan(errors[0].min(), errors[0].max(), color=colour, alpha=0.15)
        else:
            axes.errorbar(
                list(line), means, ends, fmt=f"o{dashes}", color=colour, label=name, capsize=2
            )
    axes.set_xscale("log")
    axes.set_xticks(values, [f"{value:,g}" for value in values])
    axes.minorticks_off()
    axes.set(xlabel=setting, ylabel=f"NME (% of {normaliser})")
    axes.legend(fontsize=8)


def nothing(reason: str) -> Figure:
    """In place of a figure whose runs are missing."""
    figure = Figure(figsize=(6, 1.2))
    figure.text(0.5, 0.5, reason, ha="center", va="center", fontsize=9, wrap=True)
    return figure


def _figure(xlabel: str, ylabel: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot(xlabel=xlabel, ylabel=ylabel)
    axes.grid(color="#e5e5e5", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _block(axes: Axes, left: float, height: float, thick: float, colour: str) -> None:
    """A box in oblique projection: its front is ``thick`` wide and ``height`` high."""
    low, high, lean = -height / 2, height / 2, 0.22 * height
    right = left + thick
    axes.add_patch(Rectangle((left, low), thick, height, fc=colour, ec="black", lw=0.7))
    top = [(left, high), (left + lean, high + lean), (right + lean, high + lean), (right, high)]
    side = [(right, low), (right + lean, low + lean), (right + lean, high + lean), (right, high)]
    for corners in (top, side):
        axes.add_patch(Polygon(corners, fc=colour, ec="black", lw=0.7, alpha=0.6))
