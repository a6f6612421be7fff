"""The errors of a data set's runs, cell by cell, from their predictions files alone."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.config import paths
from pipeline.config.params import Params
from pipeline.config.paths import Cell
from pipeline.data import files
from pipeline.runtime.errors import UserError
from pipeline.trainings import cost
from wingloss import protocol
from wingloss.evaluation import metrics
from wingloss.geometry import Array


@dataclass(frozen=True)
class Scored:
    """One cell's runs on the same faces, a row a seed."""

    seeds: list[int]
    about: list[dict[str, Any]]  # what evaluation says of each run
    split: str  # test, or val where the data have no test faces
    normaliser: str
    photographs: NDArray[np.str_]  # (N,) of which each face is
    subsets: list[set[str]]  # of each face
    errors: Array  # (S, N) in percent of the normaliser; a row of NaN for a training that diverged

    def inside(self, subset: str) -> NDArray[np.bool_]:
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

    @property
    def reduced(self) -> str:
        """How a baseline falls short of its paper's, as "reduced: ..."; may be empty."""
        return self.about[0].get("reduced", "")


METHODS = {"ert": "regression trees", "mean_shape": "the mean shape"}
WEIGHTS = {
    "none": "random weights, the paper's with ImageNet's",
    "imagenet": "ImageNet's weights, as the paper's did",
}
PARTS = {"test": "test faces", "val": "validation faces"}


@dataclass(frozen=True)
class Results:
    """The runs of one data set, of those cells that were looked for and the parameters ask for."""

    dataset: str
    params: Params
    cells: dict[Cell, Scored]

    @property
    def any(self) -> Scored:
        """One of the cells, for what all of them share: faces, split, normaliser, stamp, recipe."""
        return next(iter(self.cells.values()))

    @property
    def weights(self) -> str:
        """The weights that ResNet-50 begins with here, one of WEIGHTS."""
        return self.params.recipes[self.params.recipe].resnet50.weights

    @property
    def faces(self) -> str:
        """What was scored, in words."""
        one, stamp = self.any, self.any.about[0]["data_stamp"]
        said = "" if stamp == self.dataset else f" ({stamp})"
        return f"{self.dataset}{said}, {one.errors.shape[1]} {PARTS[one.split]}"

    @property
    def said(self) -> str:
        """On what, over what and how all of these were measured, in words."""
        one = self.any
        seeds = ", ".join(str(seed) for seed in one.seeds)
        return (
            f"{self.faces}, NME in percent of {one.normaliser}, recipe {self.params.recipe}, "
            f"seed{'s' * (len(one.seeds) > 1)} {seeds}"
        )

    def elsewhere(self, theirs: list[str]) -> str | None:
        """What was scored, where that isn't the complete test part of one of the data sets."""
        if self.dataset not in theirs:
            return self.dataset
        if not self.cells:
            return None
        one = self.any
        whole = one.split == "test" and one.about[0]["data_stamp"] == "full"
        return None if whole else self.faces

    def reduced(self, cells: Iterable[Cell]) -> str:
        """Which baselines among the cells fall short of their papers', and how; may be empty."""
        own = {cell: self.cells[cell].reduced for cell in cells if cell in self.cells}
        return "; ".join(f"{METHODS[cell.network]}, {said}" for cell, said in own.items() if said)

    def minutes(self, network: str) -> tuple[float, str]:
        """What a run of the network takes here, in minutes, and how that is known."""
        took = [
            about["train_seconds"]
            for cell, scored in self.cells.items()
            for about in scored.about
            # side by side with others its share of the time says little of one alone
            if cell.network == network and about.get("trained_together", 1) == 1
        ]
        if took:
            return float(np.mean(took)) / 60, "from what the runs here took each"
        seconds = cost.run_seconds(self.params, self.dataset, network)
        return seconds / 60, "from rates measured elsewhere, for one thread"


def read(params: Params, dataset: str, cells: list[Cell] | None = None) -> Results:
    """The results of every run that the parameters ask for, or of the runs of ``cells`` alone.

    Raises:
        UserError: runs of different data, recipes or faces, which share no table.
    """
    rules = protocol.load(dataset)
    found: dict[Cell, list[tuple[int, dict[str, Any]]]] = {}
    for run in paths.scored(params, dataset):
        if cells is None or run.cell in cells:
            data = files.read_arrays(run.path(paths.PREDICTIONS))
            found.setdefault(run.cell, []).append((run.seed, data))
    _check_alike([data for seeds in found.values() for _, data in seeds], dataset)
    scored = {cell: _scored(seeds, rules.headline) for cell, seeds in found.items()}
    return Results(dataset, params, scored)


def _check_alike(runs: list[dict[str, Any]], dataset: str) -> None:
    """Refuses runs that were not made on the same faces, with one recipe."""
    abouts = [json.loads(str(data["run"])) for data in runs]
    stamps = {about["data_stamp"] for about in abouts}
    recipes = {about["recipe"] for about in abouts} - {paths.NEITHER}
    same_faces = all(
        np.array_equal(data[key], runs[0][key])
        for data in runs
        for key in ("face", "split", "true")
    )
    if len(stamps) > 1 or len(recipes) > 1 or not same_faces:
        where = Path(paths.PREDICTIONS_FOLDER.format(dataset=dataset))
        raise UserError(f"{where}: results of different data or recipes share no table; run again")


def how_to_run(cells: list[Cell], results: Results) -> list[str]:
    """What to set in params.yaml so that the cells run, and how long that takes."""
    params, seeds, said = results.params, len(results.params.seeds), []
    keys = {cell: params.key(cell.network, cell.loss) for cell in cells}
    for key in dict.fromkeys(keys.values()):
        own = [cell for cell in cells if keys[cell] == key]
        if key not in params.grids:
            said.append(f"Not run: {key}. Add it to `baselines` in params.yaml.")
            continue
        there = params.grids[key].pairs
        balances, losses = (
            list(dict.fromkeys(names))
            for names in zip(*there, *((cell.balance, cell.loss) for cell in own), strict=True)
        )
        new = len(balances) * len(losses) - len(there)  # a grid may hold more than what is missing
        each, known = results.minutes(own[0].network)
        total = max(1, round(each * new * seeds))
        grid = f"{{balance: [{', '.join(balances)}], loss: [{', '.join(losses)}]}}"
        said.append(
            f"Not run: {_count(len(own), 'cell')} of {key}. Set `runs.{key}: {grid}` in "
            f"params.yaml and run `snakemake --cores all`: {_count(new * seeds, 'run')}, about "
            f"{_count(total, 'minute')} more, estimated {known}."
        )
    return said


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


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
        photographs=seeds[0][1]["photograph"][chosen],
        subsets=[set(names.split()) for names in seeds[0][1]["subsets"][chosen]],
        errors=100 * np.stack(errors),
    )
