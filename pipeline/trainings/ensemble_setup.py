"""What trainings side by side, or one on a GPU, begin with."""

from collections.abc import Sequence

import torch

from pipeline.trainings.single_setup import Begun
from pipeline.trainings.spec import Job
from wingloss.training.loop import Alone, Model, Stepper, Training
from wingloss.training.on_gpu import OnGPU
from wingloss.training.on_processor import OnProcessor
from wingloss.training.stacked import Stacked


def begin(jobs: Sequence[Job], on: torch.device) -> Begun:
    """The jobs before their first step, on ``on``.

    The jobs differ in what ``training.Member`` holds and nothing else.
    """
    one = jobs[0]
    seen = {job.frames: (job.faces("train")[0], *job.faces("val")) for job in jobs}
    members = [job.member(*seen[job.frames], on) for job in jobs]
    setting = one.setting()
    networks = [
        job.untrained(member, setting).to(on) for job, member in zip(jobs, members, strict=True)
    ]
    precision = one.recipe.precision
    # libraries' own kernels are best at one network
    model: Model = Stacked(networks, precision) if len(jobs) > 1 else Alone(networks[0], precision)
    training = Training(model, len(jobs), one.recipe)
    stepper: Stepper = (
        OnGPU(training, members, setting, on)
        if on.type == "cuda"
        else OnProcessor(training, members, setting)
    )
    return training, members, setting, stepper
