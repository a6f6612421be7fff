"""One training, resolved from the parameters: what it trains on, and the key it is stored under."""

import dataclasses
import hashlib
import platform
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from pipeline.config import paths
from pipeline.config.params import Context, Params
from pipeline.config.paths import Run
from pipeline.data import files
from pipeline.data.prepared_faces import (
    context_maps,
    face_boxes,
    frames_of,
    read_faces,
    read_frames,
)
from pipeline.runtime.code_hash import Entry, code_hash
from pipeline.trainings import pretrained
from wingloss import protocol
from wingloss.augmentation.perturbation import Faces, shrink, shrinkage
from wingloss.evaluation.metrics import normalisers
from wingloss.geometry import Array
from wingloss.models import inference, networks
from wingloss.recipe import Recipe
from wingloss.training import loop


@dataclasses.dataclass(frozen=True)
class Job:
    """One training; nothing in it is left to the parameters' file."""

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
    def of(cls, params: Params, cell: Run, stage: int) -> "Job":
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

    def setting(self) -> loop.Setting:
        """What it has in common with the trainings that may stand beside it."""
        flip_permutation = protocol.load(self.dataset).flip_permutation
        return loop.Setting(self.network, self.recipe, self.steps, flip_permutation)

    def member(
        self, fitting: Faces, validating: Faces, lengths: Array, on: torch.device
    ) -> loop.Member:
        """What it has for itself: of its training faces, and its validation faces with their
        normalisers (see ``faces``), which are looked at on ``on``."""
        precision = self.recipe.precision
        validate = loop.validation(self.network, validating, lengths, precision, on)
        return loop.Member(self.objective, fitting, self.repetitions(), validate)

    def untrained(self, member: loop.Member, setting: loop.Setting) -> nn.Sequential:
        """The network before its first step."""
        n_landmarks = len(setting.flip_permutation)
        network = networks.build(self.network, n_landmarks, self.objective.seed)
        if self.recipe.weights != "none":
            networks.take_over(network, pretrained.read(self.recipe.weights))
        loop.make_first_guess(network, member, setting)
        return network

    def samples(self, split: str) -> pd.DataFrame:
        """The split's rows of the table of samples, with the frames that the network sees."""
        return _part(*_version(paths.SAMPLES.format(dataset=self.dataset)), split)

    def seen_frames(self, samples: pd.DataFrame) -> Array:
        """The frames ``(N, 4)``, in image pixels, in which the network sees the samples' faces."""
        return read_frames(self.frames, samples) if self.frames else frames_of(samples)

    def faces(self, split: str) -> tuple[Faces, Array]:
        """A split's faces, and their headline normalisers ``(N,)`` in pixels of their crops."""
        rules = protocol.load(self.dataset)
        rows, faces = self.samples(split), self._prepared(split)
        small = shrink(faces, networks.ARCHITECTURES[self.network].input_size)
        boxes = face_boxes(rows)
        points = files.points(rows, rules.n_landmarks)
        scale = np.sqrt(np.linalg.det(context_maps(rows, self.context)[:, :, :2]))
        scale = scale * small.crops.shape[1] / faces.crops.shape[1]
        return small, scale * normalisers(points, boxes, rules)[rules.headline]

    def crop_size(self) -> int:
        """The side of the training faces' crops, in pixels."""
        faces = self._prepared("train")
        factor = shrinkage(faces, networks.ARCHITECTURES[self.network].input_size)
        return faces.crops.shape[1] // factor

    def _prepared(self, split: str) -> Faces:
        """A split's faces with their crops as prepared."""
        rows = self.samples(split)
        rules = protocol.load(self.dataset)
        return read_faces(self.dataset, split, rows, self.seen_frames(rows), self.context, rules)

    def repetitions(self) -> NDArray[np.int64]:
        """How often each training face is seen ``(N,)``: as balanced; 0 for those left out."""
        samples = self.samples("train")
        repeats = files.read_by_face(self.repeats, samples.face, "repeats").repeats
        return np.where(samples.photograph.isin(self.without), 0, repeats.to_numpy(np.int64))

    def inputs(self) -> dict[str, Any]:
        """All that the result depends on, as plain data: the run store's key.

        Test faces have no part in a training, so they have none in its key.
        """
        rules = protocol.load(self.dataset)
        data = {"repeats": _digest(self.repetitions().tobytes())}
        for split in ("train", "val"):
            samples = _version(paths.SAMPLES.format(dataset=self.dataset))
            data[f"{split} samples"] = _samples_digest(*samples, split)
            data[f"{split} frames"] = _digest(self.seen_frames(self.samples(split)).tobytes())
            crops = _version(paths.CROPS.format(dataset=self.dataset, split=split))
            data[f"{split} crops"] = _file_digest(*crops)
        recipe = dataclasses.asdict(self.recipe)
        del recipe["samples"]  # the steps say what counts
        factors = recipe.pop("learning_rate_factor")
        return {
            "network": self.network,
            "objective": dataclasses.asdict(self.objective),
            "recipe": recipe,
            "learning_rate_factor": factors.get(self.objective.loss_kind, 1.0),
            "steps": self.steps,
            "context": dataclasses.asdict(self.context),
            "points": {
                "flip_permutation": rules.flip_permutation.tolist(),
                "headline": [rules.headline, rules.pupils, rules.outer_eye_corners],
                "normalising_box": rules.normalising_box,
            },
            "data": data,
            "code": self.code(),
            "machine": [inference.device().type, torch.__version__, platform.machine()],
        }

    def code(self, side_by_side: bool = False) -> str:
        """A hash of the code that the training depends on; on a GPU, where it is one of several
        side by side if only by itself, more of it has a part.

        Other losses, networks and published weights have none. What a protocol says of the faces
        stands in ``inputs``, so how it is read has none either.
        """
        gpu = inference.device().type == "cuda"
        return code_hash(
            "pipeline.trainings.ensemble_setup"
            if side_by_side or gpu
            else "pipeline.trainings.single_setup",
            {
                "wingloss.losses": Entry("LOSSES", self.objective.loss_kind),
                "wingloss.models.networks": Entry("ARCHITECTURES", self.network),
                "pipeline.trainings.pretrained": Entry("PUBLISHED", self.recipe.weights),
            },
            known={"wingloss.protocol"},
        )


# Many trainings in one process ask for the same; a file that changes has another time.
def _version(path: str) -> tuple[Path, int]:
    """The path, and when its file was changed last."""
    return Path(path), files.existing(Path(path)).stat().st_mtime_ns


@lru_cache(maxsize=4)
def _part(path: Path, changed: int, split: str) -> pd.DataFrame:
    """The split's rows of the table of samples; not to be written to."""
    table = files.read_samples(path)
    return table[table.split == split]


@lru_cache(maxsize=4)
def _samples_digest(path: Path, changed: int, split: str) -> str:
    rows = _part(path, changed, split).drop(columns=["photograph", "subsets", "image"])
    return _digest(rows.to_csv(index=False))


@lru_cache(maxsize=4)
def _file_digest(path: Path, changed: int) -> str:
    return files.file_hash(path)


def _digest(content: str | bytes) -> str:
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()
