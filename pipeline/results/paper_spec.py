"""The paper as data: its tables and figures with the runs they name, and its claims.

Tables, claims and the studies beyond them stand in ``paper/*.yaml``.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args

from pydantic import Field

from pipeline.config import networks, paths
from pipeline.config.params import Grid, LossEntry, NetworkRecipes
from pipeline.config.paths import Cell
from pipeline.errors import UserError
from wingloss import yaml_files
from wingloss.protocol import ALL
from wingloss.protocol import Headline as Normaliser
from wingloss.validation import Refused, build, meant

TABLES = Path("paper/tables.yaml")
CLAIMS = Path("paper/claims.yaml")
STUDIES = Path("paper/studies.yaml")

# As the paper says
LOSS_TITLES = {"l2": "L2", "l1": "L1", "smooth_l1": "smooth L1", "wing": "Wing"}
KIND_TITLES = LOSS_TITLES | {"heatmap_mse": "squared error", "adaptive_wing": "Adaptive Wing"}
SYMBOLS = {"epsilon": "ε", "alpha": "α", "omega": "ω", "theta": "θ", "weight": "W"}
BALANCE_TITLES = {"none": "", "pdb": "PDB", "pdb_authors": "PDB (the authors' code)"}
BASELINE_TITLES = {"ert": "regression trees", "mean_shape": "the mean shape"}
SAMPLES = 120_000 * 8  # that each training sees: iterations x faces, Section 7.1


def named(cell: Cell, losses: Mapping[str, LossEntry]) -> str:
    """A run as the papers would call it."""
    if cell.network in BASELINE_TITLES:
        return BASELINE_TITLES[cell.network]
    parts = [networks.TITLES[cell.network], BALANCE_TITLES[cell.balance]]
    loss = _loss(cell.loss, networks.STAGES[cell.network][-1], losses)
    return f"{' + '.join(part for part in parts if part)} ({loss})"


def _loss(name: str, network: str, losses: Mapping[str, LossEntry]) -> str:
    """A loss's kind, and the parameters that aren't those of the loss with the kind's own name.

    If that leaves them out, or names two losses alike, its own name.
    """
    title = _parameters(name, network, losses)
    alike = [one for one in losses if _parameters(one, network, losses) == title]
    return title if title and alike == [name] else name


def _parameters(name: str, network: str, losses: Mapping[str, LossEntry]) -> str:
    """The title by what a network's loss differs in; empty if that can't be said."""
    own, usual = losses[name], losses.get(losses[name].kind)
    title = KIND_TITLES.get(own.kind, own.kind)
    if name == own.kind:
        return title
    if usual is None or not usual.fits(network) or not own.fits(network):
        return ""
    before = vars(usual.on(network))
    changed = [
        f"{SYMBOLS.get(key, key)} = {value:g}"
        for key, value in vars(own.on(network)).items()
        if value != before[key]
    ]
    return ", ".join([title, *changed]) if changed else ""


@dataclass(frozen=True)
class Figure:
    """A figure of the report: its caption, said of what is drawn here, and what it is drawn of.

    ``curves`` are runs, each with its name in the figure; ``files`` are patterns of other files.
    """

    caption: str
    curves: dict[str, Cell] = field(default_factory=dict)
    files: tuple[str, ...] = ()

    @property
    def cells(self) -> list[Cell]:
        """The runs that the figure needs."""
        return list(self.curves.values())


FIGURES = {
    1: Figure("Wing loss (Eq. 5) for several w and ε."),
    2: Figure(
        "The layers of CNN-6 and, beyond the paper's figure, of CNN-7 and ResNet-50. Blocks are"
        " feature maps, after pooling or the last of a group's residual blocks; the larger, the"
        " higher."
    ),
    3: Figure("The L1, L2 and smooth L1 losses."),
    4: Figure(
        "Cumulative error distributions of CNN-6 by loss, pooled over seeds.",
        curves={
            f"CNN-6 ({name})": Cell("cnn6", "none", loss) for loss, name in LOSS_TITLES.items()
        },
    ),
    5: Figure(
        "Pose coefficients of the training faces before and after pose-based data balancing;"
        " above each bin the mean of its aligned faces.",
        files=(paths.SAMPLES, paths.POSE, paths.COEFFICIENTS, paths.HISTOGRAM),
    ),
    6: Figure(
        "Cumulative error distributions of CNN-6/7 with balancing by loss, and of the other"
        " methods that were asked for: CNN-6, ResNet-50, an ensemble of regression trees (ERT), the"
        " mean shape, which looks at no picture.",
        curves={
            **{
                f"CNN-6/7 + PDB ({name})": Cell("cnn6_7", "pdb", loss)
                for loss, name in LOSS_TITLES.items()
            },
            "CNN-6 + PDB (Wing)": Cell("cnn6", "pdb", "wing"),
            "ResNet-50 + PDB (Wing)": Cell("resnet50", "pdb", "wing"),
            **{
                name: Cell(method, paths.NEITHER, paths.NEITHER)
                for method, name in BASELINE_TITLES.items()
            },
        },
    ),
    7: Figure(
        "Beyond the paper: what balancing changes for CNN-6, by pose. The faces are in five groups"
        " of the same size. A point is the losses' mean change, with its 95 % interval over seeds"
        " and photographs.",
        curves={
            f"CNN-6, {balance} ({name})": Cell("cnn6", balance, loss)
            for loss, name in LOSS_TITLES.items()
            for balance in ("none", "pdb")
        },
        files=(paths.SAMPLES, paths.COEFFICIENTS),
    ),
}


OfErrors = Literal["nme", "failure_rate", "auc"]
OfSpeed = Literal["parameters", "size", "gpu_speed", "cpu_speed"]


@dataclass(frozen=True)
class Column:
    """What a column of a table measures, and on which data the paper did."""

    name: str
    data: str
    subset: str = ALL
    measure: Literal[OfErrors, OfSpeed] = "nme"  # failures and AUC by the protocol's threshold
    normaliser: Normaliser | None = None  # of errors; None for the protocol's headline


@dataclass(frozen=True)
class Row:
    """A method: its published figures, one a column, and the runs that stand beside them."""

    method: str
    published: list[float | None]
    network: str | None = None
    balance: str | None = None
    loss: list[str] = field(default_factory=list)  # one a column, or one for all

    def cell(self, column: int) -> Cell | None:
        """The run of this row that belongs to column number ``column``."""
        if self.network is None or self.balance is None:
            return None
        return Cell(self.network, self.balance, self.loss[column if len(self.loss) > 1 else 0])

    @property
    def cells(self) -> list[Cell]:
        """The runs of this row, each once."""
        every = (self.cell(column) for column in range(len(self.published)))
        return list(dict.fromkeys(cell for cell in every if cell is not None))


@dataclass(frozen=True)
class Table:
    """One of the paper's tables."""

    title: str
    place: str
    columns: list[Column]
    rows: list[Row]
    study: str | None = None  # which asks for its runs, where that isn't `make paper`

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row.published) != len(self.columns):
                raise ValueError(f"{row.method}: one published figure (or null) a column")
            if row.balance is not None and len(row.loss) not in (1, len(self.columns)):
                raise ValueError(f"{row.method}: one loss a column, or one for all")

    @property
    def of_speeds(self) -> bool:
        """Whether it compares sizes and speeds, and no errors."""
        return self.columns[0].measure in get_args(OfSpeed)

    @property
    def cells(self) -> list[Cell]:
        """The runs that the table needs, each once."""
        return list(dict.fromkeys(cell for row in self.rows for cell in row.cells))


@dataclass(frozen=True)
class Claim:
    """One of the paper's claims and its test; ``paper/claims.yaml`` says what the keys mean."""

    claim: str
    place: str
    data: str
    lower: list[list[str]] = field(default_factory=list)
    diverges: list[str] = field(default_factory=list)
    faster: list[str] = field(default_factory=list)
    device: Literal["cpu", "gpu"] | None = None
    factor: Annotated[float, Field(gt=0)] = 1.0
    margin: Annotated[float, Field(ge=0)] = 0.0
    measure: Literal["nme", "large_errors"] = "nme"
    subset: str = ALL
    gains_on: str | None = None

    def __post_init__(self) -> None:
        for name in [*self.diverges, *(name for pair in self.lower for name in pair)]:
            network, *others = name.split("/")
            known = network in {*networks.STAGES, *BASELINE_TITLES}
            if not known or len(others) != 2 or others[0] not in BALANCE_TITLES:
                raise ValueError(f"{self.claim}: {name} is no run, as network/balance/loss")
        if odd := set(self.faster) - {*networks.STAGES}:
            raise ValueError(f"{self.claim}: {min(odd)} is no network")
        kinds = (self.lower, self.diverges, self.faster)
        pairs = [*self.lower, *([self.faster] if self.faster else [])]
        if sum(map(bool, kinds)) != 1 or any(len(pair) != 2 for pair in pairs):
            raise ValueError(
                f"{self.claim}: pairs of runs under lower, or runs under diverges, or a pair of "
                "networks under faster"
            )
        if bool(self.faster) != bool(self.device):
            raise ValueError(f"{self.claim}: speeds, and no errors, are compared on a cpu or a gpu")
        if alike := [pair[0] for pair in pairs if pair[0] == pair[1]]:
            raise ValueError(f"{self.claim}: {alike[0]} can't be compared with itself")
        if (self.factor != 1 and (self.measure != "nme" or self.gains_on)) or (
            self.margin and self.measure == "nme"
        ):
            raise ValueError(f"{self.claim}: errors have a factor, shares of the faces a margin")

    @property
    def plain(self) -> bool:
        """Whether it says of errors that one is lower than another, by however little."""
        return bool(self.lower) and self.measure == "nme" and not self.gains_on and self.factor == 1

    def testable(self, recipe: NetworkRecipes) -> bool:
        """Whether a recipe can show it.

        AdamW divides each gradient by its usual size, so under it none explodes.
        """
        parts = [part for cell in self.cells for part in networks.STAGES.get(cell.network, ())]
        own = [recipe.own.get(part) for part in parts]
        return not self.diverges or all(one is not None and one.optimiser == "sgd" for one in own)

    @property
    def pairs(self) -> list[tuple[Cell, Cell]]:
        """The runs compared, that with the lower error first."""
        return [(Cell.of(first), Cell.of(second)) for first, second in self.lower]

    @property
    def cells(self) -> list[Cell]:
        """The runs that the claim needs, each once."""
        named = [*self.diverges, *(name for pair in self.lower for name in pair)]
        return [Cell.of(name) for name in dict.fromkeys(named)]


@dataclass(frozen=True)
class Family:
    """Claims that one question has in common; chance is shared out among those that have a test."""

    family: str
    claims: list[Claim]
    study: str | None = None  # which asks for its runs, where that isn't `make paper`

    @property
    def cells(self) -> set[Cell]:
        """The cells that its claims compare."""
        return {cell for claim in self.claims for cell in claim.cells}

    @property
    def size(self) -> int:
        """How many of its claims have a test, whether or not their runs are there."""
        return sum(bool(claim.lower) for claim in self.claims)


@dataclass(frozen=True)
class Claims:
    """All of ``paper/claims.yaml``; its first lines say what the keys mean."""

    equivalent_within: Annotated[float, Field(gt=0)]
    families: list[Family]

    def __post_init__(self) -> None:
        if twice := _twice(family.family for family in self.families):
            raise ValueError(f"families: two are called {twice}")


Pair = tuple[str, str]  # names of runs


@dataclass(frozen=True)
class Study:
    """Runs beyond the paper's tables; ``paper/studies.yaml`` says what the keys mean."""

    question: str
    seeds: Annotated[int, Field(ge=1)]
    runs: dict[str, Grid]
    effects: dict[str, Pair | tuple[Pair, Pair]]
    setting: str = ""
    lines: dict[str, list[tuple[Annotated[float, Field(gt=0)], str]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.cells:
            raise ValueError("runs: it has none")
        if twice := _twice(self.cells):
            raise ValueError(f"runs: {twice} stands there twice")
        if bool(self.lines) != bool(self.setting):
            raise ValueError("lines: they are drawn over a setting; give both or neither")
        for name, line in self.lines.items():
            if missing := {cell for _, cell in line} - set(self.cells):
                raise ValueError(f"lines.{name}: {min(missing)} is none of the study's runs")
        for name, sides in self.effects.items():
            for pair in self._pairs(name):
                if missing := set(pair) - set(self.cells):
                    raise ValueError(f"effects.{name}: {min(missing)} is none of the study's runs")
                if pair[0] == pair[1]:
                    raise ValueError(f"effects.{name}: {pair[0]} can't be compared with itself")
            if sides[0] == sides[1]:
                raise ValueError(f"effects.{name}: {sides[0]} can't be compared with itself")

    @property
    def cells(self) -> list[str]:
        """The runs by their names, ``recipe/network/balance/loss``."""
        return [
            f"{recipe}/{grid.network}/{balance}/{loss}"
            for grid in self.runs.values()
            for recipe, balance, loss in grid.cells
        ]

    def weights(self, effect: str) -> dict[str, int]:
        """The runs that an effect compares, each with how often its mean is added."""
        found: Counter[str] = Counter()
        for sign, (first, second) in zip((1, -1), self._pairs(effect), strict=False):
            found[first] += sign
            found[second] -= sign
        return {name: weight for name, weight in found.items() if weight}

    def sides(self, effect: str) -> tuple[str, str]:
        """What an effect compares, in words: two runs, or two differences of runs."""
        pairs = self._pairs(effect)
        if len(pairs) == 1:
            return pairs[0]
        first, second = (" against ".join(pair) for pair in pairs)
        return first, second

    def _pairs(self, effect: str) -> list[Pair]:
        """The pair of runs that an effect compares, or the two pairs."""
        sides = self.effects[effect]
        pairs = [side for side in sides if not isinstance(side, str)]
        return pairs or [cast(Pair, sides)]


def _twice(names: Iterable[str]) -> str | None:
    """The first of the names that stands there twice."""
    return next((name for name, number in Counter(names).items() if number > 1), None)


_StudyName = Annotated[str, Field(pattern="^[a-z0-9_]+$")]
_TableName = Annotated[str, Field(pattern="^table[1-9][0-9]*$")]


def studies() -> dict[str, Study]:
    """The studies by name."""
    return _load(STUDIES, dict[_StudyName, Study])


def study_key(study: str, key: str) -> str:
    """The name that an entry of a study's `runs` has among those of ``params.yaml``."""
    return f"{study}_{key}"


def families() -> Claims:
    """The paper's claims by family, and the margin within which errors are equivalent."""
    found: Claims = _load(CLAIMS, Claims)
    _check_studies(CLAIMS, {one.family: one.study for one in found.families})
    return found


def claims() -> list[Claim]:
    """The paper's claims, family by family."""
    return [claim for family in families().families for claim in family.claims]


def tables() -> dict[int, Table]:
    """The papers' tables by number."""
    found: dict[str, Table] = _load(TABLES, dict[_TableName, Table])
    _check_studies(TABLES, {name: table.study for name, table in found.items()})
    return {int(name.removeprefix("table")): table for name, table in found.items()}


def _check_studies(path: Path, named: Mapping[str, str | None]) -> None:
    """Refuses studies that the tables or families of a file name, and that there aren't."""
    if any(named.values()):
        known = studies()
        for own, study in named.items():
            if study is not None and study not in known:
                raise UserError(
                    f"{path}: {own}: study: {study!r} is none of {STUDIES}; "
                    f"{meant(study, known)}there are {', '.join(known)}"
                )


Published = dict[tuple[Cell, str, str], float]  # errors in percent, by run, data set and subset


def published() -> Published:
    """The tables' errors."""
    return {
        (cell, column.data, column.subset): figure
        for row, i, column, figure in _printed()
        if (cell := row.cell(i)) is not None and column.measure == "nme" and not column.normaliser
    }


def published_speeds() -> dict[tuple[str, str], float]:
    """The tables' sizes and speeds, by network and measure."""
    return {
        (row.network, column.measure): figure
        for row, _, column, figure in _printed()
        if row.network is not None and column.measure in get_args(OfSpeed)
    }


def _printed() -> Iterator[tuple[Row, int, Column, float]]:
    """Every published figure with its row and column."""
    for table in tables().values():
        for row in table.rows:
            for i, column in enumerate(table.columns):
                if (figure := row.published[i]) is not None:
                    yield row, i, column, figure


def _load(path: Path, kind: Any) -> Any:
    try:
        return build(kind, yaml_files.read(path))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; `git checkout {path}` brings it back") from None
    except (yaml_files.BadYaml, Refused) as error:
        raise UserError(f"{path}: {' '.join(str(error).split())}") from error
