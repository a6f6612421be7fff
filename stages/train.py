"""Training of one stage of a run: on the face boxes, or CNN-7 on the corrected ones."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from stages import command, layout, making, store
from stages.command import log
from stages.errors import UserError
from stages.job import Job
from stages.layout import Run
from stages.params import load


def run(dataset: str, network: str, stage: int, balance: str, loss: str, seed: int) -> None:
    """Writes stage STAGE of the run: model.safetensors, curve.csv and manifest.json."""
    torch.set_num_threads(command.threads())
    cell = Run(dataset, network, balance, loss, seed)
    with made(Job.of(load(), cell, stage)) as entry:
        entry.deliver(cell.path(layout.TRAINED, stage=stage))


@contextmanager
def made(job: Job) -> Iterator[store.Entry]:
    """The finished training in the run store, trained first where it isn't there yet."""
    inputs = job.inputs()
    with store.Entry(layout.RUN_STORE, inputs).locked() as entry:
        together = store.Entry(layout.RUN_STORE, together_inputs(job, inputs))
        if entry.finished():
            log.info("this training was made before: taking it from the run store")
        elif together.finished():
            log.info("this training was made by stages.together: taking it from the run store")
            entry = together
        else:
            making.make([job], [entry], {})
        if job.code() != inputs["code"]:
            raise UserError("the code was changed while the training ran; run again")
        yield entry


def together_inputs(job: Job, inputs: dict[str, Any]) -> dict[str, Any]:
    """The job's ``inputs``, as the key of its training made beside others by ``stages.together``.

    Its bits differ, because a vectorised model adds in another order; in which depends on how many
    they are.
    """
    return inputs | {"made": "together", "code": job.code(side_by_side=True)}


if __name__ == "__main__":
    command.main(run)
