"""``params.yaml`` as one typed model: science only, checked before anything runs."""

import re
from dataclasses import dataclass, fields, make_dataclass
from functools import reduce
from itertools import product
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import Field

from pipeline.config.networks import HEAT_MAPS, NETWORKS, SAMPLES_A_SECOND, STAGES
from pipeline.runtime.errors import UserError
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

Method = Literal["mean_shape", "ert"]  # what the networks are compared to
METHODS = get_args(Method)


@dataclass(frozen=True)
class Grid:
    """Runs of one network: every balance with every loss; with an empty list, none."""

    balance: list[Balance]
    loss: list[str]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Each run's balance and loss."""
        return list(product(self.balance, self.loss))


NO_RUNS = Grid([], [])


@dataclass(frozen=True)
class Runs:
    """The runs of each network, and those of CNN-6 that Table 2 alone has."""

    cnn6: Grid = NO_RUNS
    table2: Grid = NO_RUNS
    cnn6_7: Grid = NO_RUNS
    resnet50: Grid = NO_RUNS
    hourglass: Grid = NO_RUNS
    hourglass_plain: Grid = NO_RUNS
    hourglass4: Grid = NO_RUNS


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
    """One recipe, network by network."""

    cnn6: Recipe
    cnn7: Recipe
    resnet50: Recipe
    hourglass: Recipe
    hourglass_plain: Recipe
    hourglass4: Recipe

    def __post_init__(self) -> None:
        for name in sorted(HEAT_MAPS):
            if getattr(self, name).first_guess != "zero":
                raise ValueError(f"{name}.first_guess: heat maps begin with zero")
        for name, recipe in vars(self).items():
            if name != "resnet50" and recipe.weights == "imagenet":
                raise ValueError(
                    f"{name}.weights: nobody published any; only resnet50 can have them"
                )


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
    recipe: str
    runs: Runs
    baselines: list[Method]
    trees: str
    tables: list[Annotated[int, Field(ge=1, le=7)]]
    figures: list[Annotated[int, Field(ge=1, le=6)]]
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
        for name in (*self.loss, *self.recipes):  # losses become parts of paths
            if not re.fullmatch(f"[a-z0-9_]{{1,{LONGEST_NAME}}}", name) or name == "same":
                raise ValueError(
                    f"{shown(name)}: names have up to {LONGEST_NAME} small letters, digits and _, "
                    "and none is 'same'"
                )
        _among("recipe", [self.recipe], self.recipes)
        _among("trees", [self.trees], self.ert)
        for key, grid in self.grids.items():
            _among(f"runs.{key}.loss", grid.loss, self.loss)
            network = NETWORKS[key]
            last = STAGES[network][-1]
            for name in grid.loss if grid.balance else ():
                if (last in HEAT_MAPS) != (self.loss[name].kind in HEATMAP_LOSSES):
                    what = "heat maps" if last in HEAT_MAPS else "coordinates"
                    raise ValueError(f"runs.{key}.loss: {name} is no loss of {what}")
                if not self.loss[name].fits(last):
                    needed = self.loss[name].names
                    raise ValueError(f"loss.{name}.{last}: {network}'s runs need {needed} there")
        _among("stage_one.loss", [self.stage_one.loss], ["same", *self.loss])
        if self.stage_one.loss != "same" and not self.loss[self.stage_one.loss].fits("cnn6"):
            raise ValueError(f"stage_one.loss: {self.stage_one.loss} is no loss of CNN-6's")
        _check_datasets(self.datasets)
        _among("datasets", self.datasets, self.dataset)
        _among("datasets", self.datasets, self.raw)
        if self.correction.training_crops == "matched_jitter":
            for name in self.datasets:
                if self.dataset[name].validation.share == 0:
                    raise ValueError(
                        "correction.training_crops: matched_jitter needs validation faces; set "
                        f"dataset.{name}.validation.share above 0"
                    )
        if "synthetic" in self.datasets and self.raw["synthetic"] is None:
            raise ValueError("raw.synthetic: nobody publishes these faces; say how to render them")
        for network in vars(self.recipes[self.recipe]):
            budget = getattr(self.recipes[self.recipe], network).samples
            _among(f"recipes.{self.recipe}.{network}.samples", self.datasets, budget)
        lists: dict[str, list] = {
            "datasets": self.datasets,
            "seeds": self.seeds,
            "baselines": self.baselines,
            "tables": self.tables,
            "figures": self.figures,
        }
        for key, grid in self.grids.items():
            lists |= {f"runs.{key}.{axis}": names for axis, names in vars(grid).items()}
        for where, names in lists.items():
            if len(set(names)) < len(names):
                raise ValueError(f"{where}: an entry stands there twice")
        for balance, loss in set(self.runs.cnn6.pairs) & set(self.runs.table2.pairs):
            raise ValueError(f"runs.table2: {balance} with {loss} is among runs.cnn6 already")
        asked = any(grid.pairs for grid in self.grids.values())
        if not (self.datasets and self.seeds and asked):
            raise ValueError("datasets, seeds, runs: they ask for no run at all")
        count = sum(len(grid.balance) * len(grid.loss) for grid in self.grids.values())
        count *= len(self.datasets) * len(self.seeds)
        if count > MOST_RUNS:
            raise ValueError(
                f"datasets, seeds, runs: they ask for {count:,} runs; at most {MOST_RUNS:,} can be"
            )
        if not (self.tables and self.figures):
            raise ValueError("tables, figures: the report needs one of each at least")

    @property
    def grids(self) -> dict[str, Grid]:
        """The runs by their keys, which are those of NETWORKS."""
        return vars(self.runs)

    @property
    def regression_trees(self) -> RegressionTrees:
        """How the baseline of regression trees is trained."""
        return self.ert[self.trees]

    def key(self, network: str, loss: str) -> str:
        """The key of `runs` for a run of ``network`` with ``loss``; a baseline is its own."""
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
        for name in params.datasets:
            _check_boundaries(params, protocol.load(name))
    except Refused as error:
        raise UserError(f"{path}: {error}") from error
    except protocol.BadProtocol as error:
        raise UserError(str(error)) from error
    return params


def _check_boundaries(params: Params, rules: protocol.Protocol) -> None:
    """Hourglasses of a boundary need one."""
    for key in ("hourglass", "hourglass4"):
        if params.grids[key].pairs and not rules.boundaries:
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
                f"and docs/guide/own-data.md says how to write {protocol.FOLDER.name}/{name}.yaml"
            )


def _among(where: str, chosen, allowed) -> None:
    for name in chosen:
        if name not in allowed:
            known = ", ".join(str(a) for a in allowed)
            raise ValueError(
                f"{where}: {shown(name)} is not defined; {meant(name, allowed)}there are {known}"
            )
