# The checked parameters, and what every rule's inputs and parameters are made of.
# Commands begin with `exec`: no shell stands between a stage and its engine, with which it dies.

import glob
import os
import shutil
import sys
from functools import reduce
from operator import getitem
from pathlib import Path

import yaml

sys.path.insert(0, workflow.basedir)

import pipeline
from pipeline.config import paths
from pipeline.config.params import load
from pipeline.data import origin
from pipeline.results import paper_spec
from pipeline.runtime import engines
from pipeline.runtime.code_hash import code_files
from pipeline.errors import UserError
from pipeline.trainings import cost

# The `python` of the rules' commands is the PATH's.
if moved := pipeline.misplaced(
    Path(shutil.which("python") or sys.executable).parent.parent
):
    sys.exit(f"error: {moved}")

# Snakemake's records, which it reads for every graph and writes for their owner alone.
for record in sorted(glob.glob(".snakemake/metadata/**", recursive=True)):
    if os.path.lexists(record) and not os.access(record, os.R_OK):
        sys.exit(
            f"error: {os.path.abspath(record)}: can't be read; its owner must let you, or work in "
            "a clone of your own"
        )

try:
    PARAMS = load()
    TABLES = paper_spec.tables()
    STUDIES = paper_spec.studies()
except UserError as error:
    sys.exit(f"error: {error}")

if unknown := set(PARAMS.studies) - STUDIES.keys():
    sys.exit(
        f"error: params.yaml: studies: {min(unknown)!r} is none of {paper_spec.STUDIES}; there are "
        f"{', '.join(STUDIES)}"
    )

RUNS = [run for dataset in PARAMS.datasets for run in paths.runs(PARAMS, dataset)]
SCORED = [run for dataset in PARAMS.datasets for run in paths.scored(PARAMS, dataset)]

ONE_STAGE = [network for network, parts in paths.STAGES.items() if len(parts) == 1]

protocol_file = paths.PROTOCOL  # an input of every rule
LICENCES = sorted(glob.glob("pipeline/acquire/catalogue/*.yaml"))
FIGURE_FILES = dict.fromkeys(
    file for figure in paper_spec.FIGURES.values() for file in figure.files
)

# Here, Snakemake is a batch system's job, whose executor started it.
if workflow.remote_exec:
    os.environ[engines.BATCH_JOB] = "1"

# A training asks for a GPU where there is one; the profile says how many there are.
GPUS = int(shutil.which("nvidia-smi") is not None)


wildcard_constraints:
    dataset="[a-z0-9]+",
    recipe="[a-z0-9_]+",
    network="|".join(paths.STAGES),
    method="[a-z_]+",
    balance="[a-z0-9_]+",
    loss="[a-z0-9_]+",
    seed="[0-9]+",
    table="|".join(str(number) for number in TABLES),
    figure="|".join(str(number) for number in paper_spec.FIGURES),
    study="|".join(STUDIES),


def alone():
    """Keeps DVC and other Snakemakes out until this process ends; stops where one is at work."""
    global LOCK
    for pattern in (".", ".snakemake", ".snakemake/*/", "logs/**"):
        for path in glob.glob(pattern, recursive=True):
            if os.path.lexists(path) and not os.access(path, os.W_OK):
                sys.exit(
                    f"error: {os.path.abspath(path)}: can't be written; its owner must let you, or "
                    "delete it"
                )
    try:
        LOCK = engines.hold()
    except UserError as error:
        sys.exit(f"error: {error}")


def refuse_overrides(config):
    """Stops where Snakemake's command line has changed parameters, which only it would see."""
    with open("params.yaml", encoding="utf-8") as file:
        if config != yaml.load(file, yaml.CSafeLoader):
            sys.exit(
                "error: --config and --configfile reach neither DVC nor the stages; change params.yaml"
            )


def recorded_as(*patterns):
    """Marks a function with what dvc.yaml lists in its place (workflow/generate_dvc.py).

    A list there can't depend on a run's network or a table's number, so it has the folder or
    the files that hold all that the function may give.
    """

    def mark(function):
        function.recorded_as = patterns
        return function

    return mark


def science(*keys):
    """The named parts of params.yaml, {wildcards} and {trees} filled in.

    A rule that has them as a parameter makes its outputs again when one of them changes.
    """

    def values(wildcards):
        names = [key.format(trees=PARAMS.trees, **wildcards) for key in keys]
        # Snakemake's `lookup` walks through all of the parameters for each of them, which took a third
        # of the time for a graph of 500 runs
        return {name: reduce(getitem, name.split("."), config) for name in names}

    return recorded_as(*keys)(values)


@recorded_as(paths.PREDICTIONS_FOLDER)
def all_predictions(wildcards):
    """Those of all that is scored on the data set."""
    own = [run for run in SCORED if run.dataset == wildcards.dataset]
    return [run.path(paths.PREDICTIONS) for run in own]


@recorded_as(paths.MODELS_FOLDER)
def all_models(wildcards):
    """Models and manifests of all runs on the data set."""
    own = [run for run in RUNS if run.dataset == wildcards.dataset]
    return [
        run.path(file, stage=stage)
        for run in own
        for stage, _ in enumerate(paths.STAGES[run.network], start=1)
        for file in (paths.MODEL, paths.MANIFEST)
    ]


def predictions_of(dataset, cells):
    """Those of the cells that the parameters ask for."""
    own = [run for run in SCORED if run.dataset == dataset and run.cell in cells]
    return [run.path(paths.PREDICTIONS) for run in own]


@recorded_as(paths.SPEED, paths.PREDICTIONS_FOLDER)
def what_a_table_shows(wildcards):
    """Speeds, or predictions of the table's own runs: `snakemake table3` makes no others."""
    one = TABLES[int(wildcards.table)]
    if one.of_speeds:
        return paths.SPEED.format(dataset=wildcards.dataset)
    return predictions_of(wildcards.dataset, one.cells)


@recorded_as(*FIGURE_FILES, paths.PREDICTIONS_FOLDER)
def what_a_figure_shows(wildcards):
    """Predictions of the figure's own runs, or poses, or nothing, where it draws formulas."""
    one = paper_spec.FIGURES[int(wildcards.figure)]
    files = [pattern.format(dataset=wildcards.dataset) for pattern in one.files]
    return [*files, *predictions_of(wildcards.dataset, one.cells)]


@recorded_as(paths.PREDICTIONS_FOLDER)
def what_a_study_shows(wildcards):
    """Predictions of the study's own runs."""
    cells = STUDIES[wildcards.study].cells
    return [
        run.path(paths.PREDICTIONS)
        for run in SCORED
        if run.dataset == wildcards.dataset and f"{run.recipe}/{run.cell}" in cells
    ]


def asked_study(name):
    """A study of every data set; stops where the parameters don't ask for it."""

    def files(_):
        if name not in PARAMS.studies:
            sys.exit(
                f"error: params.yaml: studies: {name} isn't asked for; run `python -m workflow.paper {name}`"
            )
        return expand(paths.STUDY, dataset=PARAMS.datasets, study=name)

    return files


@recorded_as(paths.TABLES_FOLDER)
def all_tables(wildcards):
    """The tables and studies that the parameters ask for, as CSV and as text."""
    tables = expand([paths.TABLE, paths.TABLE_TEXT], table=PARAMS.tables, **wildcards)
    return tables + expand(
        [paths.STUDY, paths.STUDY_TEXT], study=PARAMS.studies, **wildcards
    )


@recorded_as(paths.FIGURES_FOLDER)
def all_figures(wildcards):
    """The figures that the parameters ask for, as SVG and PNG, and the studies', as SVG."""
    figures = expand(
        [paths.FIGURE, paths.FIGURE_PIXELS], figure=PARAMS.figures, **wildcards
    )
    return figures + expand(paths.STUDY_FIGURE, study=PARAMS.studies, **wildcards)


def of(network, pattern, stage=""):
    """A pattern of pipeline/config/paths.py for one network and, where it has one, one stage."""
    return pattern.replace("{network}", network).replace("{stage}", str(stage))


def of_method(pattern):
    """A pattern of pipeline/config/paths.py for the baselines, which have none of a network's choices."""
    for choice in ("{recipe}", "{balance}", "{loss}"):
        pattern = pattern.replace(choice, paths.NEITHER)
    return pattern.replace("{network}", "{method}")


def training_threads(_, attempt=None):
    """Runs side by side beat threads side by side, so a training has many only if runs are few."""
    return max(1, workflow.cores // max(1, len(RUNS)))


def needs(work, memory=2000, gpu=0):
    """The resources of a rule: seconds of ``work`` (or a function of the wildcards), MB of memory, GPUs.

    The progress display reads the work. A batch system is asked for three times as long (its nodes may be
    slower than the processor of those rates) and ten minutes, and for as much again each time that a job
    is tried again.
    """
    seconds = work if callable(work) else lambda wildcards: work

    def runtime(wildcards, attempt):
        return attempt * (10 + 3 * seconds(wildcards) // 60)

    def mem_mb(wildcards, attempt):
        return attempt * memory

    return {"work": work, "runtime": runtime, "mem_mb": mem_mb, "gpu": gpu}


def download_work(wildcards):
    """The seconds of rendering the faces; of others', those of copying or downloading a few."""
    return 30 + int(cost.rendering_seconds(PARAMS, wildcards.dataset))


def prepare_work(wildcards):
    """The seconds of cropping all faces."""
    return 8 + int(cost.preparing_seconds(PARAMS, wildcards.dataset))


def baseline_work(wildcards):
    """The seconds of growing regression trees; of the mean shape, those of starting up."""
    return 5 + int(wildcards.method == "ert") * int(
        cost.trees_seconds(PARAMS, wildcards.dataset)
    )


def training_work(network):
    """The seconds that the data set's budget takes, for the progress display."""

    def seconds(wildcards):
        return 5 + int(
            cost.training_seconds(PARAMS, wildcards.dataset, wildcards.recipe, network)
        )

    return seconds


def correction_work(wildcards):
    """The seconds of boxing all faces, and of the trainings that it takes out of fold."""
    more = PARAMS.correction.training_crops == "out_of_fold"
    return 8 + more * PARAMS.correction.folds * training_work("cnn6")(wildcards)
