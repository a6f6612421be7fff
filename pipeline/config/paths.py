"""Where everything lies, as patterns whose {wildcards} name a run; and which runs there are."""

from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import get_args

from pipeline.config.networks import STAGES
from pipeline.config.params import Balance, Params
from wingloss import protocol

INCOMING = "data/incoming/{dataset}"  # the user's: only read, never an output
DOWNLOADS = "data/downloads/{dataset}"  # published files as fetched, no output either
PROTOCOL = "wingloss/protocols/{dataset}.yaml"
RAW = "data/raw/{dataset}"
RAW_LOCK = "data/raw/.{dataset}.lock"
ORIGIN = "data/raw/.{dataset}.origin.json"  # where that was copied from
SAMPLES = "data/prepared/{dataset}/samples.csv"
STAMP = "data/prepared/{dataset}/stamp.json"
CROPS = "data/prepared/{dataset}/crops_{split}.npy"
POSE = "data/pose/{dataset}/model.json"
COEFFICIENTS = "data/pose/{dataset}/coefficients.csv"
REPEATS = "data/balance/{dataset}/{balance}.csv"
HISTOGRAM = "data/balance/{dataset}/histogram.csv"

MODELS_FOLDER = "results/{dataset}/models"
TRAINED = MODELS_FOLDER + "/{recipe}/{network}/{balance}/{loss}/seed{seed}/stage{stage}"
MODEL = TRAINED + "/model.safetensors"
CURVE = TRAINED + "/curve.csv"
MANIFEST = TRAINED + "/manifest.json"
FRAMES = "results/{dataset}/models/{recipe}/{network}/{balance}/{loss}/seed{seed}/frames.csv"
PREDICTIONS_FOLDER = "results/{dataset}/predictions"
PREDICTIONS = PREDICTIONS_FOLDER + "/{recipe}/{network}/{balance}/{loss}/seed{seed}.npz"
CED = "results/{dataset}/ced/{recipe}-{network}-{balance}-{loss}-seed{seed}.csv"

TABLES_FOLDER = "results/{dataset}/tables"
TABLE = TABLES_FOLDER + "/table{table}.csv"
TABLE_TEXT = TABLES_FOLDER + "/table{table}.md"
FIGURES_FOLDER = "results/{dataset}/figures"
FIGURE = FIGURES_FOLDER + "/figure{figure}.svg"
FIGURE_PIXELS = FIGURES_FOLDER + "/figure{figure}.png"
STUDY = TABLES_FOLDER + "/study_{study}.csv"
STUDY_TEXT = TABLES_FOLDER + "/study_{study}.md"
STUDY_FIGURE = FIGURES_FOLDER + "/study_{study}.svg"
CLAIMS = "results/{dataset}/claims.json"
VERDICTS = "results/{dataset}/verdicts.json"
REPORT = "results/{dataset}/report.html"
SPEED = "results/{dataset}/speed.json"
SUMMARY = "results/{dataset}/summary.csv"
METRICS = "results/{dataset}/metrics"
DETECTORS = "results/{dataset}/detectors"
DETECTOR = DETECTORS + "/{network}.safetensors"
SCORES = "results/{dataset}/scores.json"
INSPECT = "results/{dataset}/inspect/{name}.jpg"

RUN_STORE = Path(".runs")
LOGS = Path("logs")

BALANCES = get_args(Balance)
SPLITS = protocol.SPLITS
NEITHER = "none"  # the recipe, the balance and the loss of what is no network


@dataclass(frozen=True)
class Cell:
    """What the paper's tables compare: a network, what balances its data, and its loss.

    A baseline stands in the network's place, with ``none`` for the other two.
    """

    network: str
    balance: str
    loss: str

    @classmethod
    def of(cls, name: str) -> "Cell":
        """From ``network/balance/loss``."""
        return cls(*name.split("/"))

    def __str__(self) -> str:
        return f"{self.network}/{self.balance}/{self.loss}"


@dataclass(frozen=True)
class Run:
    """One cell of the paper's tables by one recipe, with one seed."""

    dataset: str
    recipe: str
    network: str
    balance: str
    loss: str
    seed: int

    @property
    def cell(self) -> Cell:
        """What the paper's tables call it: the run without data set, recipe and seed."""
        return Cell(self.network, self.balance, self.loss)

    def path(self, pattern: str, **more: object) -> Path:
        """The pattern's path for this run."""
        return Path(pattern.format(**vars(self), **more))

    def __str__(self) -> str:
        return f"{self.dataset}/{self.recipe}/{self.cell}/seed{self.seed}"


def runs(params: Params, dataset: str) -> list[Run]:
    """The data set's runs that the parameters ask for."""
    return [
        Run(dataset, recipe, grid.network, balance, loss, seed)
        for grid in params.runs.values()
        for (recipe, balance, loss), seed in product(grid.cells, params.seeds)
    ]


def trained_as(params: Params, run: Run, stage: int) -> Run:
    """The run with the balance and the loss that its stage ``stage`` (from 1) is trained with."""
    own = params.stage_one
    if stage == len(STAGES[run.network]):
        return run
    return replace(
        run,
        balance=run.balance if own.balance == "same" else own.balance,
        loss=run.loss if own.loss == "same" else own.loss,
    )


def baselines(params: Params, dataset: str) -> list[Run]:
    """What the networks' runs are compared to."""
    return [
        Run(dataset, NEITHER, method, NEITHER, NEITHER, seed)
        for method, seed in product(params.baselines, params.seeds)
    ]


def scored(params: Params, dataset: str) -> list[Run]:
    """All that is scored on the data set: the networks' runs, then the baselines."""
    return [*runs(params, dataset), *baselines(params, dataset)]


def outputs(run: Run) -> list[Path]:
    """Every file that belongs to ``run`` alone."""
    stages = range(1, len(STAGES.get(run.network, ())) + 1)
    trained = [run.path(file, stage=i) for i in stages for file in (MODEL, CURVE, MANIFEST)]
    frames = [run.path(FRAMES)] if len(stages) == 2 else []
    return [*trained, *frames, run.path(PREDICTIONS), run.path(CED)]
