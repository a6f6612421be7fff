"""Training of one stage of a run: on the face boxes, or CNN-7 on the corrected ones."""

import torch

from pipeline.config import paths
from pipeline.config.params import load
from pipeline.config.paths import Run
from pipeline.runtime import cli
from pipeline.trainings import runner
from pipeline.trainings.spec import TrainingSpec


def run(
    dataset: str, recipe: str, network: str, stage: int, balance: str, loss: str, seed: int
) -> None:
    """Writes stage STAGE of the run: model.safetensors, curve.csv and manifest.json."""
    torch.set_num_threads(cli.threads())
    one_run = Run(dataset, recipe, network, balance, loss, seed)
    spec = TrainingSpec.of(load(), one_run, stage)
    with runner.from_store_or_train(spec) as entry:
        entry.deliver(one_run.path(paths.TRAINED, stage=stage))


if __name__ == "__main__":
    cli.main(run)
