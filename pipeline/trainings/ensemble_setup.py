"""Sets up trainings side by side, or one on a GPU."""

from collections.abc import Sequence

import torch

from pipeline.trainings import single_setup, training_data
from pipeline.trainings.single_setup import Begun
from pipeline.trainings.spec import TrainingSpec
from wingloss.training.loop import Alone, Model, Stepper, Training
from wingloss.training.on_gpu import OnGPU
from wingloss.training.on_processor import OnProcessor
from wingloss.training.stacked import Stacked


def begin(specs: Sequence[TrainingSpec], on: torch.device) -> Begun:
    """The trainings before their first step, on ``on``.

    The trainings differ in what ``loop.Member`` holds and nothing else.
    """
    one = specs[0]
    seen = {  # read once, however many see them
        frames: (training_data.faces(spec, "train")[0], *training_data.faces(spec, "val"))
        for frames, spec in {spec.frames: spec for spec in specs}.items()
    }
    members = [single_setup.member(spec, *seen[spec.frames], on) for spec in specs]
    setting = single_setup.setting(one)
    networks = [
        single_setup.untrained(spec, member, setting).to(on)
        for spec, member in zip(specs, members, strict=True)
    ]
    precision = one.recipe.precision
    # libraries' own kernels are best at one network
    model: Model = Stacked(networks, precision) if len(specs) > 1 else Alone(networks[0], precision)
    training = Training(model, len(specs), one.recipe)
    stepper: Stepper = (
        OnGPU(training, members, setting, on)
        if on.type == "cuda"
        else OnProcessor(training, members, setting)
    )
    return training, members, setting, stepper
