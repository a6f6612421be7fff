"""The key of a training in the run store: all that its result depends on, as plain data."""

import dataclasses
import hashlib
import platform
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from pipeline import files
from pipeline.config import paths
from pipeline.config.networks import HEAT_MAPS
from pipeline.runtime.code_hash import TableEntry, code_hash
from pipeline.trainings import training_data
from pipeline.trainings.spec import TrainingSpec
from wingloss import protocol
from wingloss.models import inference
from wingloss.recipe import ModelFile


def inputs(spec: TrainingSpec) -> dict[str, Any]:
    """All that the result depends on, as plain data: the run store's key.

    Test faces have no part in a training, so they have none in its key.
    """
    rules = protocol.load(spec.dataset)
    data = {"repeats": _digest(training_data.repetitions(spec).tobytes())}
    for split in ("train", "val"):
        samples = training_data.version(paths.SAMPLES.format(dataset=spec.dataset))
        data[f"{split} samples"] = _samples_digest(*samples, split)
        data[f"{split} frames"] = _digest(
            training_data.seen_frames(spec, training_data.samples(spec, split)).tobytes()
        )
        crops = Path(paths.CROPS.format(dataset=spec.dataset, split=split))
        data[f"{split} crops"] = files.file_hash(crops)
    recipe = dataclasses.asdict(spec.recipe)
    del recipe["samples"]  # the steps say what counts
    if isinstance(spec.recipe.weights, ModelFile):
        recipe["weights"] = spec.recipe.weights.sha256  # wherever it lies
    factors = recipe.pop("learning_rate_factor")
    return {
        "network": spec.network,
        "objective": dataclasses.asdict(spec.objective),
        "recipe": recipe,
        "learning_rate_factor": factors.get(spec.objective.loss_kind, 1.0),
        "steps": spec.steps,
        "context": dataclasses.asdict(spec.context),
        "points": {
            "flip_permutation": rules.flip_permutation.tolist(),
            "boundaries": rules.boundaries if spec.network in HEAT_MAPS else (),
            "headline": [rules.headline, rules.pupils, rules.outer_eye_corners],
            "normalising_box": rules.normalising_box,
        },
        "data": data,
        "code": code(spec),
        "machine": [inference.device().type, torch.__version__, platform.machine()],
    }


def code(spec: TrainingSpec, side_by_side: bool = False) -> str:
    """A hash of the code that the training depends on; on a GPU, where it is one of several
    side by side if only by itself, more of it has a part.

    Other losses, networks and published weights have none.
    """
    gpu = inference.device().type == "cuda"
    return code_hash(
        "pipeline.trainings.ensemble_setup"
        if side_by_side or gpu
        else "pipeline.trainings.single_setup",
        {
            "wingloss.losses": TableEntry("LOSSES", spec.objective.loss_kind),
            "wingloss.heatmap_losses": TableEntry("HEATMAP_LOSSES", spec.objective.loss_kind),
            "wingloss.models.networks": TableEntry("ARCHITECTURES", spec.network),
            "pipeline.trainings.pretrained": TableEntry("PUBLISHED", str(spec.recipe.weights)),
        },
        # what a protocol says, and which weights a file holds, stands in the inputs
        known={
            "wingloss.protocol",
            "wingloss.detection.detector_file",
            "wingloss.models.model_file",
        },
    )


def ensemble_inputs(spec: TrainingSpec, alone: dict[str, Any]) -> dict[str, Any]:
    """What ``alone``, a training's inputs, become where it is made side by side with others.

    Its bits differ, because a vectorised model adds in another order; in which depends on how many
    they are.
    """
    return alone | {"made": "together", "code": code(spec, side_by_side=True)}


@lru_cache(maxsize=4)
def _samples_digest(path: Path, changed: int, split: str) -> str:
    rows = training_data.split_rows(path, changed, split).drop(
        columns=["photograph", "subsets", "image"]
    )
    return _digest(rows.to_csv(index=False))


def _digest(content: str | bytes) -> str:
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()
