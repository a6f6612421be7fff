"""Training of one stage of a run: on the face boxes, or CNN-7 on the corrected ones."""

import torch

from pipeline.config import paths
from pipeline.config.params import load
from pipeline.config.paths import Run
from pipeline.runtime import cli
from pipeline.trainings import obtain
from pipeline.trainings.spec import TrainingSpec


def run(
    dataset: str, recipe: str, network: str, stage: int, balance: str, loss: str, seed: int
) -> None:
    """Writes stage STAGE of the run: model.safetensors, curve.csv and manifest.json."""
    torch.set_num_threads(cli.threads())
    one_run = Run(dataset, recipe, network, balance, loss, seed)
    params = load()
    spec = TrainingSpec.of(params, one_run, stage)
    with obtain.finished(spec, lambda: obtain.of_other_runs(params, one_run, stage)) as entry:
        entry.deliver(one_run.path(paths.TRAINED, stage=stage))


if __name__ == "__main__":
    cli.main(run)
