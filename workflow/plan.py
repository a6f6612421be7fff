"""What a run would cost, before it starts: `python -m workflow.plan [TARGET...]`.

Targets are Snakemake's: rules such as `table3` or `figure4`, or files; without any, it is all.
Nothing is run. Hours follow from rates that were measured once (pipeline/trainings/cost.py). Disk
is that of models and crops, most of what is written, without checkpoints and DVC's copies.
"""

import argparse
import dataclasses
import math
import os
import re
import sys
from collections.abc import Sequence

import pandas as pd
from snakemake.api import SnakemakeApi
from snakemake.exceptions import RuleException, WorkflowError
from snakemake.jobs import Job
from snakemake.settings.types import DAGSettings, OutputSettings, Quietness, ResourceSettings

from pipeline.config import paths
from pipeline.config.params import Params, load
from pipeline.config.paths import Run
from pipeline.errors import UserError
from pipeline.trainings import cache_key, run_store
from pipeline.trainings.spec import TrainingSpec
from wingloss import protocol
from wingloss.models.networks import build

# Samples a second of one training alone on an H100, in bfloat16 (docs/notes/performance.md).
GPU_SAMPLES_A_SECOND = {"cnn6": 11733, "cnn7": 7268, "resnet50": 1527, "hourglass4": 290}
STAGE = re.compile(r"/stage([0-9])/")


@dataclasses.dataclass
class Cost:
    """What one job costs."""

    rule: str
    jobs: int = 1
    # 1 for a training that the run store has, or will have from another job: it is only copied
    finished: int = 0
    begun: int = 0  # 1 for a training that the run store has a checkpoint of
    cpu_hours: float = 0.0  # of one thread
    gpu_hours: float = 0.0  # of a training on a GPU instead; NaN where nobody has measured it
    memory_gb: float = 0.0
    disk_gb: float = 0.0  # NaN where it isn't known yet


def main(targets: Sequence[str]) -> None:
    """Prints the costs of the jobs that Snakemake would run for the targets, by rule."""
    params = load()
    costs, done = costs_and_done(params, targets)
    print(f"{len(costs)} jobs to run, {done} done already")
    if costs:
        print(summed(costs).to_string(na_rep="?"))
        print(f"memory is one job's; there are {len(os.sched_getaffinity(0))} cores here")


def costs_and_done(params: Params, targets: Sequence[str]) -> tuple[list[Cost], int]:
    """What each job costs that Snakemake would run for the targets, and how many it finds done."""
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        workflow = api.workflow(resource_settings=ResourceSettings(cores=1))
        workflow.dag(DAGSettings(targets=set(targets))).execute_workflow(executor="dryrun")
        dag = workflow._workflow.dag
        jobs = [job for job in dag.jobs if job.shellcmd]
        needed = [job for job in jobs if dag.needrun(job)]
        others: set[str] = set()
        costs = [
            cost_of(job, params, not any(map(dag.needrun, dag.dependencies[job])), others)
            for job in needed
        ]
        return costs, len(jobs) - len(needed)


def summed(costs: Sequence[Cost]) -> pd.DataFrame:
    """A row for each rule, and one of the total; the most memory of any job."""
    table = pd.DataFrame(map(dataclasses.asdict, costs))
    grouped = pd.concat([table, table.assign(rule="total")]).groupby("rule", sort=False)
    rows = grouped.agg(lambda column: column.sum(skipna=False))
    rows.memory_gb = grouped.memory_gb.max()
    return rows.round(3)


def cost_of(job: Job, params: Params, ready: bool, others: set[str]) -> Cost:
    """What a job costs. Where its inputs are ``ready``, the run store is asked for its training.

    ``others`` are the trainings of jobs before it, to which its own is added.
    """
    cost = Cost(job.rule.name, memory_gb=job.resources["mem_mb"] / 1000)
    stage = STAGE.search(str(job.output[0]))
    if job.rule.name == "prepare":
        cost.disk_gb = _crops_bytes(params, job.wildcards.dataset) / 1e9
    if not stage:
        cost.cpu_hours = job.resources["work"] / 3600
        if job.rule.name == "correct" and params.correction.training_crops == "out_of_fold":
            samples = params.recipes[job.wildcards.recipe].of("cnn6").samples[job.wildcards.dataset]
            cost.gpu_hours = _gpu_hours("cnn6", params.correction.folds * samples)
        return cost
    own = {name: getattr(job.wildcards, name) for name in ("dataset", "recipe", "balance", "loss")}
    run = Run(network=job.params.network, seed=int(job.wildcards.seed), **own)
    spec = TrainingSpec.of(params, run, int(stage[1]))
    network = build(spec.network, protocol.load(spec.dataset).n_landmarks, seed=0)
    if ready:
        cost.finished, cost.begun = _stored(spec)
    training = repr(dataclasses.replace(spec, title="", recipe_name=""))
    if training in others:  # CNN-6/7's first stage is a run of CNN-6's
        cost.finished, cost.begun = 1, 0
    others.add(training)
    # the declared output, and the run store's
    copies = 1 if cost.finished else 2
    cost.disk_gb = copies * 4 * sum(one.numel() for one in network.parameters()) / 1e9
    if not cost.finished:
        cost.cpu_hours = job.resources["work"] / 3600
        cost.gpu_hours = _gpu_hours(spec.network, spec.steps * spec.recipe.batch)
    return cost


def _gpu_hours(network: str, samples: int) -> float:
    return samples / GPU_SAMPLES_A_SECOND.get(network, math.nan) / 3600


def _stored(spec: TrainingSpec) -> tuple[int, int]:
    """Whether the run store has a training, and whether it has a checkpoint of it (1 or 0)."""
    inputs = cache_key.inputs(spec)
    both = (inputs, cache_key.ensemble_inputs(spec, inputs))
    entries = [run_store.StoredTraining(paths.RUN_STORE, one) for one in both]
    finished = any(entry.result.exists() for entry in entries)
    keys = {entry.key for entry in entries}
    begun = any(keys & set(group) for group in run_store.broken_off(paths.RUN_STORE))
    return int(finished), int(begun and not finished)


def _crops_bytes(params: Params, dataset: str) -> float:
    """The bytes of a data set's context crops; NaN where its faces aren't counted yet."""
    rendered = params.raw[dataset]
    faces = rendered.train + rendered.test if rendered else math.nan
    return faces * 3 * params.context.size**2


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        prog="python -m workflow.plan", description="What a run would cost, before it starts."
    )
    parser.add_argument(
        "targets",
        nargs="*",
        metavar="TARGET",
        help="Snakemake's: table3, figure4, a file, any rule (default: all that params.yaml asks)",
    )
    try:
        main(parser.parse_args().targets)
    except (UserError, RuleException, WorkflowError) as error:
        sys.exit(f"error: {error}")
