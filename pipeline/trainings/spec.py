"""One training as the parameters ask for it, with nothing left to the parameters' file."""

import dataclasses
from pathlib import Path

from pipeline.config import paths
from pipeline.config.params import Context, Params
from pipeline.config.paths import Run
from wingloss.models import inference
from wingloss.recipe import Recipe
from wingloss.training import loop


@dataclasses.dataclass(frozen=True)
class TrainingSpec:
    """What a training is: network, data, objective, recipe and budget."""

    title: str  # what the training is called
    network: str  # the network that is trained: cnn6, cnn7 or resnet50
    dataset: str
    objective: loop.Objective
    recipe_name: str
    recipe: Recipe
    steps: int
    context: Context
    repeats: Path
    frames: Path | None  # stage two's frames; None for the face boxes
    without: frozenset[str] = frozenset()  # training photographs that it must not see

    @classmethod
    def of(cls, params: Params, one_run: Run, stage: int) -> "TrainingSpec":
        """Stage ``stage`` (from 1) of the run ``one_run``."""
        network = paths.STAGES[one_run.network][stage - 1]
        one_run = paths.trained_as(params, one_run, stage)
        recipe = getattr(params.recipes[one_run.recipe], network)
        precision = inference.available_precision(recipe.precision, inference.device())
        loss = params.loss[one_run.loss]
        return cls(
            title=f"{one_run} stage {stage}",
            network=network,
            dataset=one_run.dataset,
            objective=loop.Objective(
                loss_kind=loss.kind,
                loss=loss.on(network),
                augmentation=getattr(params.augmentation, network),
                seed=one_run.seed,
            ),
            recipe_name=one_run.recipe,
            recipe=dataclasses.replace(recipe, precision=precision),
            steps=loop.total_steps(recipe, one_run.dataset),
            context=params.context,
            repeats=one_run.path(paths.REPEATS),
            frames=one_run.path(paths.FRAMES) if stage > 1 else None,
        )
