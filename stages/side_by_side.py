"""What trainings side by side begin with: their members, and the model that holds them."""

from collections.abc import Sequence

import torch

from stages.job import Job
from wingloss import protocol, training
from wingloss.ensemble import Common, Ensemble, Member


def begin(jobs: Sequence[Job], device: torch.device) -> tuple[Ensemble, list[Member], Common]:
    """The jobs' members before their first step, on ``device``.

    The jobs differ in what ``ensemble.Member`` holds and nothing else.
    """
    one = jobs[0]
    landmarks = protocol.load(one.dataset).n_landmarks
    seen = {}
    for job in jobs:
        if job.frames not in seen:
            seen[job.frames] = (job.faces("train")[0], *job.faces("val"))
    networks, members = [], []
    for job in jobs:
        fitting, validating, lengths = seen[job.frames]
        network = job.untrained(landmarks).to(device)
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        repeats = job.repetitions()
        training.start(network, job.network, fitting, repeats, job.recipe)
        networks.append(network)
        members.append(
            Member(
                loss=job.objective.loss,
                wing=job.objective.wing,
                seed=job.objective.seed,
                faces=fitting,
                repeats=repeats,
                validate=training.validation(
                    job.network, validating, lengths, job.recipe.precision, device
                ),
            )
        )
    common = Common(one.network, one.objective.augmentation, one.recipe, one.steps)
    return Ensemble(networks, one.recipe.precision, one.recipe), members, common
