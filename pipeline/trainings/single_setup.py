"""What one training on a processor begins with."""

import torch

from pipeline.trainings.spec import Job
from wingloss.training.loop import Alone, Member, Setting, Stepper, Training
from wingloss.training.on_processor import OnProcessor

Begun = tuple[Training, list[Member], Setting, Stepper]


def begin(job: Job) -> Begun:
    """The job before its first step, on a processor."""
    on = torch.device("cpu")
    member, setting = job.member(job.faces("train")[0], *job.faces("val"), on), job.setting()
    training = Training(Alone(job.untrained(member, setting), job.recipe.precision), 1, job.recipe)
    return training, [member], setting, OnProcessor(training, [member], setting)
