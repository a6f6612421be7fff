"""The errors of a data set's runs, cell by cell, from their predictions files alone."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.config import paths
from pipeline.config.networks import STAGES
from pipeline.config.params import Params
from pipeline.config.paths import Cell, Run
from pipeline.errors import UserError
from pipeline.results import paper_spec
from pipeline.results.predictions_file import Predictions, scored_split
from pipeline.trainings import cost
from wingloss import protocol
from wingloss.evaluation import metrics
from wingloss.geometry import Array
from wingloss.recipe import ModelFile


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
    lengths: dict[str, Array]  # (N,) each face's, by the names of all normalisers

    def inside(self, subset: str) -> NDArray[np.bool_]:
        """The mask ``(N,)`` of a subset's faces; ``full`` is all of them."""
        return np.array(
            [subset == protocol.ALL or subset in own for own in self.subsets], dtype=bool
        )

    def errors_by(self, normaliser: str) -> Array:
        """The errors ``(S, N)`` in percent of another normaliser."""
        return self.errors * (self.lengths[self.normaliser] / self.lengths[normaliser])

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


WEIGHTS = {
    "none": "random weights, the paper's with ImageNet's",
    "imagenet": "ImageNet's weights, as the paper's did",
}
PARTS = {"test": "test faces", "val": "validation faces"}


@dataclass(frozen=True)
class Results:
    """The runs of one data set by one recipe, of those that were looked for and are asked for.

    Baselines, which have no recipe, are in the results of each.
    """

    dataset: str
    recipe: str
    params: Params
    cells: dict[Cell, Scored]

    @property
    def any(self) -> Scored:
        """One of the cells, for what all of them share: faces, split, normaliser, stamp."""
        return next(iter(self.cells.values()))

    @property
    def studied(self) -> bool:
        """Whether only studies ask for its runs: they answer their questions and fill no tables.

        Their entries of `runs` are those that `python -m workflow.paper` named after them.
        """
        grids = self.params.runs.items()
        asked = [key for key, one in grids if one.cells and self.recipe in one.recipe]
        return bool(asked) and all(
            any(key.startswith(paper_spec.study_key(name, "")) for name in self.params.studies)
            for key in asked
        )

    @property
    def weights(self) -> str:
        """What ResNet-50 begins with here, in words."""
        own = self.params.recipes[self.recipe].resnet50
        weights = own.weights if own else "none"
        return f"{weights.file}'s" if isinstance(weights, ModelFile) else WEIGHTS[weights]

    @property
    def faces(self) -> str:
        """What was scored, in words."""
        one, stamp = self.any, self.any.about[0]["data_stamp"]
        said = "" if stamp == self.dataset else f" ({stamp})"
        return f"{self.dataset}{said}, {one.errors.shape[1]} {PARTS[one.split]}"

    def elsewhere(self, theirs: list[str]) -> str | None:
        """What was scored, where that isn't the complete test part of one of the data sets."""
        if self.dataset not in theirs:
            return self.dataset
        if not self.cells:
            return None
        one = self.any
        whole = one.split == "test" and one.about[0]["data_stamp"] == "full"
        return None if whole else self.faces

    def named(self, cell: Cell) -> str:
        """A run as the papers would call it."""
        return paper_spec.named(cell, self.params.loss)

    def reduced(self, cells: Iterable[Cell]) -> str:
        """Which baselines among the cells fall short of their papers', and how; may be empty."""
        own = {cell: self.cells[cell].reduced for cell in cells if cell in self.cells}
        return "; ".join(f"{self.named(cell)}, {said}" for cell, said in own.items() if said)

    def minutes(self, network: str) -> tuple[float, str]:
        """What a run of the network takes here, in minutes, and how that is known."""
        own = [
            about
            for cell, scored in self.cells.items()
            for about in scored.about
            if cell.network == network
        ]
        # one alone says more than shares of the time that several took side by side
        alone = [about for about in own if about.get("trained_together", 1) == 1]
        if own:
            took = np.mean([about["train_seconds"] for about in alone or own])
            how = "" if alone else ", side by side with others on a GPU"
            return float(took) / 60, f"from what the runs here took each{how}"
        seconds = cost.run_seconds(self.params, self.dataset, self.recipe, network)
        return seconds / 60, "from rates measured elsewhere, for one thread"


def read(
    params: Params, dataset: str, wanted: Callable[[Run], bool] = lambda run: True
) -> list[Results]:
    """The results of every run that the parameters ask for and that is ``wanted``.

    A recipe each, as far as it has such runs; where none has, the first that is asked for.

    Raises:
        UserError: runs of different data or faces, which share no table.
    """
    rules = protocol.load(dataset)
    found: dict[str, dict[Cell, list[tuple[int, Predictions]]]] = {}
    for run in paths.scored(params, dataset):
        if wanted(run):
            data = Predictions.read(run.path(paths.PREDICTIONS))
            own = found.setdefault(run.recipe, {})
            own.setdefault(run.cell, []).append((run.seed, data))
    every = [data for own in found.values() for seeds in own.values() for _, data in seeds]
    _check_alike(every, dataset)
    scored = {
        recipe: {cell: _scored(seeds, rules.headline) for cell, seeds in own.items()}
        for recipe, own in found.items()
    }
    others = scored.pop(paths.NEITHER, {})
    first = paths.runs(params, dataset)[0].recipe
    return [
        Results(dataset, recipe, params, own | others)
        for recipe, own in (scored or {first: {}}).items()
    ]


def _check_alike(runs: list[Predictions], dataset: str) -> None:
    """Refuses runs that were not made on the same faces."""
    stamps = {one.about["data_stamp"] for one in runs}
    same_faces = all(
        np.array_equal(getattr(one, name), getattr(runs[0], name))
        for one in runs
        for name in ("face", "split", "true")
    )
    if len(stamps) > 1 or not same_faces:
        where = Path(paths.PREDICTIONS_FOLDER.format(dataset=dataset))
        raise UserError(f"{where}: results of different data share no table; run again")


def said(every: list[Results]) -> str:
    """On what, over what and how all of these were measured, in words."""
    one = every[0].any
    seeds = ", ".join(str(seed) for seed in one.seeds)
    recipes = ", ".join(results.recipe for results in every)
    return (
        f"{every[0].faces}, NME in percent of {one.normaliser}, "
        f"recipe{'s' * (len(every) > 1)} {recipes}, seed{'s' * (len(one.seeds) > 1)} {seeds}"
    )


def other_measures(errors: Array, threshold: float) -> dict[str, float]:
    """What a mean hides: median, area under the curve and failures, in percent.

    ``errors`` are ``(S, N)`` in percent; medians are averaged over the S seeds.
    """
    return {
        "median": float(np.median(errors, axis=1).mean()),
        "auc": 100 * metrics.auc(errors.ravel(), threshold),
        "failure_rate": 100 * metrics.failure_rate(errors.ravel(), threshold),
    }


def by_name(every: list[Results]) -> dict[str, Scored]:
    """All runs by their names, ``recipe/network/balance/loss``, each once."""
    return {
        f"{results.recipe if cell.network in STAGES else paths.NEITHER}/{cell}": one
        for results in every
        for cell, one in results.cells.items()
    }


def _scored(seeds: list[tuple[int, Predictions]], normaliser: str) -> Scored:
    first = seeds[0][1]
    split = scored_split(first.split)
    chosen = first.split == split
    return Scored(
        seeds=[seed for seed, _ in seeds],
        about=[one.about for _, one in seeds],
        split=split,
        normaliser=normaliser,
        photographs=first.photograph[chosen],
        subsets=[set(names.split()) for names in first.subsets[chosen]],
        errors=100 * np.stack([one.errors(normaliser)[chosen] for _, one in seeds]),
        lengths={name: lengths[chosen] for name, lengths in first.lengths.items()},
    )
