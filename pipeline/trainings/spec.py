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
    def of(cls, params: Params, cell: Run, stage: int) -> "TrainingSpec":
        """Stage ``stage`` (from 1) of the run ``cell``."""
        network = paths.STAGES[cell.network][stage - 1]
        if stage < len(paths.STAGES[cell.network]):  # it may have another loss and balance
            own = params.stage_one
            cell = dataclasses.replace(
                cell,
                loss=cell.loss if own.loss == "same" else own.loss,
                balance=cell.balance if own.balance == "same" else own.balance,
            )
        recipe = getattr(params.recipes[params.recipe], network)
        precision = inference.available_precision(recipe.precision, inference.device())
        loss = params.loss[cell.loss]
        return cls(
            title=f"{cell} stage {stage}",
            network=network,
            dataset=cell.dataset,
            objective=loop.Objective(
                loss_kind=loss.kind,
                loss=loss.on(network),
                augmentation=getattr(params.augmentation, network),
                seed=cell.seed,
            ),
            recipe_name=params.recipe,
            recipe=dataclasses.replace(recipe, precision=precision),
            steps=loop.total_steps(recipe, cell.dataset),
            context=params.context,
            repeats=cell.path(paths.REPEATS),
            frames=cell.path(paths.FRAMES) if stage > 1 else None,
        )
