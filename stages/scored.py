"""The errors of all runs of a data set, cell by cell, from their predictions files alone."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stages import files, layout
from stages.errors import UserError
from stages.layout import Cell
from stages.params import Params
from wingloss import metrics, protocol
from wingloss.geometry import Array


@dataclass(frozen=True)
class Scored:
    """One cell's runs on the same faces, a row a seed."""

    seeds: list[int]
    about: list[dict[str, Any]]  # what evaluation says of each run
    split: str  # test, or val where the data have no test faces
    normaliser: str
    subsets: list[set[str]]  # of each face
    errors: Array  # (S, N) in percent of the normaliser; a row of NaN for a training that diverged

    def inside(self, subset: str) -> Array:
        """The mask ``(N,)`` of a subset's faces; ``full`` is all of them."""
        return np.array([subset == "full" or subset in own for own in self.subsets], dtype=bool)

    @property
    def diverged(self) -> list[int]:
        """The seeds whose training diverged."""
        return [
            seed
            for seed, one in zip(self.seeds, self.about, strict=True)
            if one["status"] == "diverged"
        ]


@dataclass(frozen=True)
class Results:
    """All runs of one data set that the parameters ask for."""

    dataset: str
    cells: dict[Cell, Scored]

    @property
    def any(self) -> Scored:
        """One of the cells, for what all of them share: faces, split, normaliser, stamp, recipe."""
        return next(iter(self.cells.values()))

    @property
    def said(self) -> str:
        """On what, over what and how all of these were measured, in words."""
        one, about = self.any, self.any.about[0]
        part = {"test": "test faces", "val": "validation faces"}[one.split]
        stamp = "" if about["data_stamp"] == self.dataset else f" ({about['data_stamp']})"
        seeds = ", ".join(str(seed) for seed in one.seeds)
        return (
            f"{self.dataset}{stamp}, {one.errors.shape[1]} {part}, NME in percent of "
            f"{one.normaliser}, recipe {about['recipe']}, seed{'s' * (len(one.seeds) > 1)} {seeds}"
        )

    def minutes(self, network: str) -> float | None:
        """What a run of the network took here, in minutes; None where there is none."""
        took = [
            about["train_seconds"]
            for cell, scored in self.cells.items()
            for about in scored.about
            if cell.network == network
        ]
        return float(np.mean(took)) / 60 if took else None


def read(params: Params, dataset: str) -> Results:
    """The results of every run that the parameters ask for.

    Raises:
        UserError: runs of different data, recipes or faces, which share no table.
    """
    rules = protocol.load(dataset)
    found: dict[Cell, list[tuple[int, dict[str, Any]]]] = {}
    for run in layout.scored(params, dataset):
        with np.load(files.existing(run.path(layout.PREDICTIONS)), allow_pickle=False) as data:
            found.setdefault(run.cell, []).append((run.seed, dict(data)))
    cells = {cell: _scored(seeds, rules.headline) for cell, seeds in found.items()}
    every = [about for one in cells.values() for about in one.about]
    stamps = {about["data_stamp"] for about in every}
    recipes = {about["recipe"] for about in every} - {layout.NEITHER}
    shapes = {one.errors.shape for one in cells.values()}
    if max(len(stamps), len(recipes), len(shapes)) > 1:
        where = Path(layout.PREDICTIONS_FOLDER.format(dataset=dataset))
        raise UserError(f"{where}: results of different data or recipes share no table; run again")
    return Results(dataset, cells)


def how_to_run(cells: list[Cell], results: Results) -> list[str]:
    """What to set in params.yaml so that the cells run, and how long that takes, if known."""
    said = []
    for network in dict.fromkeys(cell.network for cell in cells):
        own = [cell for cell in cells if cell.network == network]
        if network not in layout.STAGES:
            said.append(f"Not run: {network}. Add it to `baselines` in params.yaml.")
            continue
        asked = [cell for cell in results.cells if cell.network == network]
        balances, losses = (
            list(dict.fromkeys(getattr(cell, key) for cell in [*asked, *own]))
            for key in ("balance", "loss")
        )
        new = len(balances) * len(losses) - len(asked)  # a grid may hold more than what is missing
        each, seeds = results.minutes(network), len(results.any.seeds)
        time = "nothing has been run yet that tells how long it takes"
        if each:
            total = max(1, round(each * new * seeds))
            time = f"about {total} minutes more, projected from what the runs here took each"
        grid = f"{{balance: [{', '.join(balances)}], loss: [{', '.join(losses)}]}}"
        said.append(
            f"Not run: {len(own)} cells of {network}. Set `runs.{network}: {grid}` in params.yaml"
            f" and run `snakemake --cores all`: {new * seeds} runs, {time}."
        )
    return said


def _scored(seeds: list[tuple[int, dict[str, Any]]], normaliser: str) -> Scored:
    split = "test" if (seeds[0][1]["split"] == "test").any() else "val"
    about = [json.loads(str(data["run"])) for _, data in seeds]
    errors = []
    for (_, data), one in zip(seeds, about, strict=True):
        chosen = data["split"] == split
        lengths = data[f"normaliser_{normaliser}"][chosen]
        own = metrics.nme(data["predicted"][chosen], data["true"][chosen], lengths)
        # its last weights may well be finite, but what they predict means nothing
        errors.append(np.full_like(own, np.nan) if one["status"] == "diverged" else own)
    chosen = seeds[0][1]["split"] == split
    return Scored(
        seeds=[seed for seed, _ in seeds],
        about=about,
        split=split,
        normaliser=normaliser,
        subsets=[set(names.split()) for names in seeds[0][1]["subsets"][chosen]],
        errors=100 * np.stack(errors),
    )
