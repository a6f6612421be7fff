# The checked parameters, and what every rule's inputs and parameters are made of.
# Commands begin with `exec`: no shell stands between a stage and its engine, with which it dies.

import shutil
import sys
from functools import reduce
from operator import getitem

import yaml

sys.path.insert(0, workflow.basedir)

from stages import layout, paper, rates
from stages.code import code_files
from stages.errors import UserError
from stages.params import load

try:
    PARAMS = load()
    TABLES = paper.tables()
except UserError as error:
    sys.exit(f"error: {error}")

RUNS = [run for dataset in PARAMS.datasets for run in layout.runs(PARAMS, dataset)]
SCORED = [run for dataset in PARAMS.datasets for run in layout.scored(PARAMS, dataset)]

protocol_file = layout.PROTOCOL  # an input of every rule

# A training asks for a GPU where there is one; the profile says how many there are.
GPUS = int(shutil.which("nvidia-smi") is not None)


wildcard_constraints:
    dataset="[a-z0-9]+",
    network="|".join(layout.STAGES),
    method="[a-z_]+",
    balance="[a-z0-9_]+",
    loss="[a-z0-9_]+",
    seed="[0-9]+",
    table="|".join(str(number) for number in TABLES),
    figure="|".join(str(number) for number in paper.FIGURES),


def refuse_overrides(config):
    """Stops where Snakemake's command line has changed parameters, which only it would see."""
    with open("params.yaml", encoding="utf-8") as file:
        if config != yaml.safe_load(file):
            sys.exit(
                "error: --config and --configfile reach neither DVC nor the stages; change params.yaml"
            )


def science(*keys):
    """The named parts of params.yaml, {wildcards} and {recipe} filled in.

    A rule that has them as a parameter makes its outputs again when one of them changes.
    """

    def values(wildcards):
        names = [key.format(recipe=PARAMS.recipe, **wildcards) for key in keys]
        # Snakemake's `lookup` walks through all of the parameters for each of them, which took a third
        # of the time for a graph of 500 runs
        return {name: reduce(getitem, name.split("."), config) for name in names}

    return values


def all_predictions(wildcards):
    """Those of all that is scored on the data set."""
    own = [run for run in SCORED if run.dataset == wildcards.dataset]
    return [run.path(layout.PREDICTIONS) for run in own]


def predictions_of(dataset, cells):
    """Those of the cells that the parameters ask for."""
    own = [run for run in SCORED if run.dataset == dataset and run.cell in cells]
    return [run.path(layout.PREDICTIONS) for run in own]


def what_a_table_shows(wildcards):
    """Speeds, or predictions of the table's own runs: `snakemake table3` makes no others."""
    one = TABLES[int(wildcards.table)]
    if one.of_speeds:
        return layout.SPEED.format(dataset=wildcards.dataset)
    return predictions_of(wildcards.dataset, one.cells)


def what_a_figure_shows(wildcards):
    """Predictions of the figure's own runs, or poses, or nothing, where it draws formulas."""
    one = paper.FIGURES[int(wildcards.figure)]
    files = [pattern.format(dataset=wildcards.dataset) for pattern in one.files]
    return [*files, *predictions_of(wildcards.dataset, one.cells)]


def of(network, pattern, stage=""):
    """A pattern of layout.py for one network and, where it has one, one stage."""
    return pattern.replace("{network}", network).replace("{stage}", str(stage))


def of_method(pattern):
    """A pattern of layout.py for the baselines, which balance nothing and have no loss."""
    own = pattern.replace("{network}", "{method}")
    return own.replace("{balance}", layout.NEITHER).replace("{loss}", layout.NEITHER)


def training_threads(_, attempt=None):
    """Runs side by side beat threads side by side, so a training has many only if runs are few."""
    return max(1, workflow.cores // max(1, len(RUNS)))


def training_work(network):
    """The seconds that the data set's budget takes, for the progress display."""

    def seconds(wildcards):
        return int(rates.training_seconds(PARAMS, wildcards.dataset, network)) + 5

    return seconds


def correction_work(wildcards):
    """The seconds of boxing all faces, and of the trainings that it takes out of fold."""
    more = PARAMS.correction.training_crops == "out_of_fold"
    return 8 + more * PARAMS.correction.folds * training_work("cnn6")(wildcards)
