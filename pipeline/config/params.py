"""``params.yaml`` as one typed model: science only, checked before anything runs."""

import re
from dataclasses import dataclass, fields, make_dataclass
from functools import reduce
from itertools import combinations, product
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import Field

from pipeline.config.networks import BOUNDED, HEAT_MAPS, SAMPLES_A_SECOND, STAGES
from pipeline.errors import UserError
from wingloss import losses, protocol, yaml_files
from wingloss.augmentation.perturbation import Augmentation
from wingloss.crops import Context
from wingloss.evaluation.baselines import RegressionTrees
from wingloss.heatmap_losses import HEATMAP_LOSSES, HeatmapLoss
from wingloss.losses import LOSSES
from wingloss.pose.balancing import Balance
from wingloss.recipe import Recipe
from wingloss.synthetic.population import FaceDistribution
from wingloss.validation import Refused, build, meant, shown

ALL_LOSSES: dict[str, Any] = {**LOSSES, **HEATMAP_LOSSES}
PARAMS = Path("params.yaml")
LONGEST_NAME = 60  # characters: names become parts of paths
MOST_RUNS = 10_000
RENDERED = ("synthetic", "renderedaflw")  # data sets that nobody publishes

Method = Literal["mean_shape", "ert"]  # what the networks are compared to
METHODS = get_args(Method)


@dataclass(frozen=True)
class Grid:
    """Runs of one network: every recipe, balance and loss; with an empty list, none."""

    network: str
    recipe: list[str]
    balance: list[Balance]
    loss: list[str]

    @property
    def cells(self) -> list[tuple[str, Balance, str]]:
        """Each run's recipe, balance and loss."""
        return list(product(self.recipe, self.balance, self.loss))


@dataclass(frozen=True)
class StageOne:
    """Which CNN-6 stands before CNN-7: ``same`` as stage two's, or one for all."""

    balance: Literal["same", "none", "pdb", "pdb_authors"]
    loss: str


@dataclass(frozen=True)
class LossEntry:
    """A loss by name: its kind, and its parameters for each network in that network's input pixels.

    One with parameters for CNN-6 alone is for CNN-6 alone. A loss of heat maps is for the networks
    that predict them, and its parameters are in units of a map's values.
    """

    kind: str

    def fits(self, network: str) -> bool:
        """Whether it has what it needs for a network."""
        if (network in HEAT_MAPS) != (self.kind in HEATMAP_LOSSES):
            return False
        return not self._has_parameters() or getattr(self, network) is not None

    def on(self, network: str) -> losses.Loss | HeatmapLoss:
        """The loss with its parameters for a network that it fits."""
        return getattr(self, network) if self._has_parameters() else LOSSES[self.kind]()

    def for_cnn6_alone(self) -> bool:
        """Whether it has parameters, and for no other network."""
        others = SAMPLES_A_SECOND.keys() - {"cnn6"}
        return self._has_parameters() and not any(map(self.fits, others))

    @property
    def names(self) -> str:
        """Its parameters' names, to be told."""
        return ", ".join(own.name for own in fields(ALL_LOSSES[self.kind]))

    def _has_parameters(self) -> bool:
        return bool(self.names)


def _entry(kind: str) -> type:
    """What ``params.yaml`` holds of a loss of this kind: ``cnn6: {w: 10, epsilon: 2}``, ..."""
    parameters = ALL_LOSSES[kind]
    first = "hourglass" if kind in HEATMAP_LOSSES else "cnn6"  # has them always, others perhaps
    others = [
        name
        for name in SAMPLES_A_SECOND
        if name != first and (name in HEAT_MAPS) == (first in HEAT_MAPS)
    ]
    networks: list[Any] = [
        (first, parameters),
        *((name, parameters | None, None) for name in others),
    ]
    own = [("kind", Literal[kind]), *(networks if fields(parameters) else [])]
    return make_dataclass(parameters.__name__ + "Entry", own, bases=(LossEntry,), frozen=True)


if TYPE_CHECKING:
    AnyLoss = LossEntry
else:
    AnyLoss = Annotated[reduce(or_, map(_entry, ALL_LOSSES)), Field(discriminator="kind")]


@dataclass(frozen=True)
class Box:
    """Where a face's input square comes from: the box given with the data, or its landmarks'."""

    source: Literal["given", "landmarks"]
    scale: Annotated[float, Field(gt=0, le=20)]


@dataclass(frozen=True)
class Validation:
    """The part of the training photographs that is set aside for validation; 0 for none."""

    share: Annotated[float, Field(ge=0, le=0.5)]
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)]


@dataclass(frozen=True)
class Dataset:
    """What a data set's preparation leaves open; ``bins`` is the protocol's K where it is null."""

    box: Box
    bins: Annotated[int, Field(ge=1, le=1000)] | None
    validation: Validation


@dataclass(frozen=True)
class Rendered:
    """How many faces are rendered, from which seed, from which population."""

    train: Annotated[int, Field(ge=20, le=1_000_000)]
    test: Annotated[int, Field(ge=1, le=1_000_000)]
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)]
    faces: FaceDistribution


@dataclass(frozen=True)
class Correction:
    """How stage one's landmarks re-box a face, and in which boxes stage two is trained.

    ``folds`` are those of ``out_of_fold``.
    """

    margin: Annotated[float, Field(gt=0, le=10)]
    training_crops: Literal["in_sample", "matched_jitter", "out_of_fold"]
    folds: Annotated[int, Field(ge=2, le=100)]


@dataclass(frozen=True)
class NetworkRecipes:
    """One recipe, for the networks that are trained by it."""

    cnn6: Recipe | None = None
    cnn7: Recipe | None = None
    resnet50: Recipe | None = None
    hourglass: Recipe | None = None
    hourglass_plain: Recipe | None = None
    hourglass4: Recipe | None = None

    def __post_init__(self) -> None:
        for name, recipe in self.own.items():
            if name in HEAT_MAPS and recipe.first_guess != "zero":
                raise ValueError(f"{name}.first_guess: heat maps begin with zero")
            if name != "resnet50" and recipe.weights == "imagenet":
                raise ValueError(
                    f"{name}.weights: nobody published any; only resnet50 can have them"
                )

    @property
    def own(self) -> dict[str, Recipe]:
        """The recipe of each network that has one."""
        return {name: recipe for name, recipe in vars(self).items() if recipe is not None}

    def of(self, part: str) -> Recipe:
        """The recipe of a network (cnn6, cnn7, ...) that has one."""
        return self.own[part]


@dataclass(frozen=True)
class Augmentations:
    """Section 7.1's augmentation, network by network."""

    cnn6: Augmentation
    cnn7: Augmentation
    resnet50: Augmentation
    hourglass: Augmentation
    hourglass_plain: Augmentation
    hourglass4: Augmentation


@dataclass(frozen=True)
class Params:
    """All of ``params.yaml``."""

    datasets: list[str]
    seeds: list[Annotated[int, Field(ge=0, le=2**32 - 1)]]
    runs: dict[str, Grid]
    baselines: list[Method]
    trees: str
    tables: list[Annotated[int, Field(ge=1, le=10)]]
    figures: list[Annotated[int, Field(ge=1, le=7)]]
    studies: list[str]
    stage_one: StageOne
    loss: dict[str, AnyLoss]
    dataset: dict[str, Dataset]
    raw: dict[str, Rendered | None]
    on_bad_sample: Literal["stop", "skip"]
    context: Context
    ert: dict[str, RegressionTrees]
    correction: Correction
    augmentation: Augmentations
    recipes: dict[str, NetworkRecipes]

    def __post_init__(self) -> None:
        for name in (*self.loss, *self.recipes, *self.runs):  # parts of paths, and of stages' names
            if not re.fullmatch(f"[a-z0-9_]{{1,{LONGEST_NAME}}}", name) or name == "same":
                raise ValueError(
                    f"{shown(name)}: names have up to {LONGEST_NAME} small letters, digits and _, "
                    "and none is 'same'"
                )
        if "none" in self.recipes:
            raise ValueError("recipes.none: baselines have this in a recipe's place; rename it")
        _among("trees", [self.trees], self.ert)
        _among("stage_one.loss", [self.stage_one.loss], ["same", *self.loss])
        if self.stage_one.loss != "same" and not self.loss[self.stage_one.loss].fits("cnn6"):
            raise ValueError(f"stage_one.loss: {self.stage_one.loss} is no loss of CNN-6's")
        _check_datasets(self.datasets)
        for table in ("dataset", "raw"):
            if missing := [name for name in self.datasets if name not in getattr(self, table)]:
                raise ValueError(
                    f"datasets: '{missing[0]}' has no entry in `{table}`; copy {table}.mine"
                )
        if self.correction.training_crops == "matched_jitter":
            for name in self.datasets:
                if self.dataset[name].validation.share == 0:
                    raise ValueError(
                        "correction.training_crops: matched_jitter needs validation faces; set "
                        f"dataset.{name}.validation.share above 0"
                    )
        for name in RENDERED:
            if name in self.datasets and self.raw[name] is None:
                raise ValueError(
                    f"raw.{name}: nobody publishes these faces; say how to render them"
                )
        lists: dict[str, list] = {
            "datasets": self.datasets,
            "seeds": self.seeds,
            "baselines": self.baselines,
            "tables": self.tables,
            "figures": self.figures,
            "studies": self.studies,
        }
        for key, grid in self.runs.items():
            lists[f"runs.{key}.recipe"] = grid.recipe
            lists[f"runs.{key}.balance"] = grid.balance
            lists[f"runs.{key}.loss"] = grid.loss
        for where, names in lists.items():
            if len(set(names)) < len(names):
                raise ValueError(f"{where}: an entry stands there twice")
        if not (self.tables and self.figures):
            raise ValueError("tables, figures: the report needs one of each at least")

    @property
    def regression_trees(self) -> RegressionTrees:
        """How the baseline of regression trees is trained."""
        return self.ert[self.trees]

    def key(self, network: str, loss: str) -> str:
        """The key of `runs` that has ``network`` with ``loss`` for the paper's tables."""
        alone = loss in self.loss and self.loss[loss].for_cnn6_alone()
        return "table2" if network == "cnn6" and alone else network


def load(path: Path = PARAMS) -> Params:
    """The checked parameters.

    Raises:
        UserError: one line that names the key and what is allowed.
    """
    try:
        data = yaml_files.read(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run from the project's root") from None
    except yaml_files.BadYaml as error:
        raise UserError(f"{path}: {error}") from error
    try:
        params = build(Params, data)
        _check_runs(params)
        for name in params.datasets:
            _check_boundaries(params, protocol.load(name))
    except Refused as error:
        raise UserError(f"{path}: {error}") from error
    except protocol.BadProtocol as error:
        raise UserError(str(error)) from error
    return params


def _check_runs(params: Params) -> None:
    """What `runs` name is there, fits together, and is neither nothing, nor twice, nor too much."""
    count = 0
    for key, grid in params.runs.items():
        _among(f"runs.{key}.network", [grid.network], STAGES)
        _among(f"runs.{key}.recipe", grid.recipe, params.recipes)
        _among(f"runs.{key}.loss", grid.loss, params.loss)
        axes = len(grid.recipe), len(grid.balance), len(grid.loss)
        count += axes[0] * axes[1] * axes[2] * len(params.datasets) * len(params.seeds)
        if not all(axes):
            continue
        last = STAGES[grid.network][-1]
        for name in grid.loss:
            if (last in HEAT_MAPS) != (params.loss[name].kind in HEATMAP_LOSSES):
                what = "heat maps" if last in HEAT_MAPS else "coordinates"
                raise Refused(f"runs.{key}.loss: {name} is no loss of {what}")
            if not params.loss[name].fits(last):
                needed = params.loss[name].names
                raise Refused(f"loss.{name}.{last}: {grid.network}'s runs need {needed} there")
        for name, part in product(grid.recipe, STAGES[grid.network]):
            own = params.recipes[name].own
            if part not in own:
                raise Refused(f"recipes.{name}.{part}: runs.{key} need it; there is none")
            _among(f"recipes.{name}.{part}.samples", params.datasets, own[part].samples)
    if not count:
        raise Refused("datasets, seeds, runs: they ask for no run at all")
    if count > MOST_RUNS:
        raise Refused(
            f"datasets, seeds, runs: they ask for {count:,} runs; at most {MOST_RUNS:,} can be"
        )
    for (first, one), (second, other) in combinations(params.runs.items(), 2):
        if one.network == other.network:
            for both in set(one.cells) & set(other.cells):
                raise Refused(f"runs.{second}: {'/'.join(both)} is among runs.{first} already")


def _check_boundaries(params: Params, rules: protocol.Protocol) -> None:
    """Hourglasses of a boundary need one."""
    for key, grid in params.runs.items():
        if grid.network in BOUNDED and grid.cells and not rules.boundaries:
            raise Refused(
                f"runs.{key}: the protocol of {rules.name} has no boundaries; add them "
                "(docs/guide/own-data.md), or take hourglass_plain"
            )


def _check_datasets(names: list[str]) -> None:
    """Each has a protocol, and a name that can be part of paths."""
    for name in names:
        if not re.fullmatch(f"[a-z0-9]{{1,{LONGEST_NAME}}}", name):
            raise ValueError(f"datasets: {shown(name)}: names have small letters and digits only")
        if name not in protocol.available():
            raise ValueError(
                f"datasets: {shown(name)} has no protocol; {meant(name, protocol.available())}"
                f"there are {', '.join(protocol.available())}, "
                f"and docs/guide/own-data.md says how to write wingloss/protocols/{name}.yaml"
            )


def _among(where: str, chosen, allowed) -> None:
    for name in chosen:
        if name not in allowed:
            known = ", ".join(str(a) for a in allowed)
            raise Refused(
                f"{where}: {shown(name)} is not defined; {meant(name, allowed)}there are {known}"
            )
