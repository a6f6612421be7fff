"""Training: one loop for a training alone, or several of one network side by side, on any device.

The loop decides on steps, rates, learning curves, divergence and what a checkpoint holds. How a
batch is made and a step is taken on a device is a ``Stepper``'s business (``on_processor.py``,
``on_gpu.py``), and whether there is one network or many in one model a ``Model``'s. Weights at step
k depend on the seed and on k alone.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from wingloss.augmentation.perturbation import Augmentation, Faces, plain
from wingloss.augmentation.samples import Samples
from wingloss.evaluation.metrics import nme
from wingloss.geometry import Array, apply, compose, unit_to_pixels
from wingloss.heatmap_losses import HeatmapLoss
from wingloss.losses import Loss
from wingloss.models.inference import forward, predict_inputs
from wingloss.models.networks import ARCHITECTURES, to_shape_vectors
from wingloss.recipe import Precision, Recipe

CURVE_POINTS = 20  # how often a training looks at its validation faces
DIVERGED = 100.0  # times the first step's loss: a training that gets there has failed

# Of what the members' networks answer, and the true shape vectors ``(M, B, 2L)`` in pixels of the
# input crop, the members' losses ``(M,)``.
MemberLosses = Callable[[Tensor, Tensor], Tensor]
# a network's validation NME in percent; None where there are no validation faces
Validate = Callable[[nn.Module], float | None]


@dataclass(frozen=True)
class Objective:
    """What one training minimises, on how it perturbs its faces, and where chance comes from."""

    loss_kind: str  # the loss's name in ``LOSSES`` or ``HEATMAP_LOSSES``
    loss: Loss | HeatmapLoss
    augmentation: Augmentation
    seed: int


@dataclass(frozen=True)
class Member:
    """What one training has for itself, besides its first weights.

    Of trainings side by side, ``faces`` are the same but for their frames, and so are the
    augmentation and the losses' factors of the learning rate. Those of one loss follow each other.
    """

    objective: Objective
    faces: Faces
    repeats: NDArray[np.int64]  # (N,) how often each face stands in the balanced set
    validate: Validate


@dataclass(frozen=True)
class Setting:
    """What trainings side by side have in common."""

    network: str
    recipe: Recipe
    steps: int
    flip_permutation: NDArray[np.intp]  # (L,)
    boundaries: tuple[
        tuple[int, ...], ...
    ] = ()  # the contours that heat maps show beside the landmarks


@dataclass(frozen=True)
class CurvePoint:
    """One line of the learning curve."""

    samples: int
    learning_rate: float
    loss: float  # mean training loss since the last point
    val_nme: float | None  # percent, by the headline normaliser; None without validation faces


@dataclass
class Course:
    """How one training went so far."""

    curve: list[CurvePoint] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)  # of the steps since the curve's last point
    first_loss: float | None = None
    diverged: int | None = None  # the step after which it had

    def note(self, first: int, losses: list[float]) -> None:
        """Takes down the losses of the steps from ``first`` on, as far as the training got."""
        if self.first_loss is None:
            self.first_loss = losses[0]
        for step, loss in enumerate(losses, start=first + 1):
            self.losses.append(loss)
            if not (math.isfinite(loss) and loss <= DIVERGED * self.first_loss):
                self.diverged = step
                return

    def add_point(self, samples: int, rate: float, val_nme: float | None) -> None:
        """Ends a piece of the curve: its losses become their mean."""
        mean = sum(self.losses) / len(self.losses)
        self.curve.append(CurvePoint(samples, rate, mean, val_nme))
        self.losses = []


class Model(Protocol):
    """The networks of trainings side by side, with one set of weights each."""

    # what the optimiser steps, with its gradients after a backward pass
    weights: list[Tensor]  # what decays
    biases: list[Tensor]  # what doesn't: biases, and what batch normalisation learns

    def train(self) -> None:
        """Tells the layers that steps follow."""
        ...

    def forward(self, inputs: Tensor) -> Tensor:
        """What the networks answer, ``(M, B, ...)``, of ``(M, B, S, S, 3)`` in [-1, 1]."""
        ...

    def network(self, index: int) -> nn.Module:
        """One member's network with its weights of now, until the next call."""
        ...

    def state(self) -> dict[str, Tensor]:
        """All tensors that make the model what it is."""
        ...

    def restore(self, state: dict[str, Tensor]) -> None:
        """Takes up a ``state`` in place."""
        ...


class Alone:
    """One network by itself."""

    def __init__(self, network: nn.Module, precision: Precision) -> None:
        self.own = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.precision = precision
        stepped = [_in_memory_order(p) for p in network.parameters() if p.requires_grad]
        self.weights: list[Tensor] = [p for p in stepped if p.ndim > 1]
        self.biases: list[Tensor] = [p for p in stepped if p.ndim <= 1]

    def train(self) -> None:
        self.own.train()

    def forward(self, inputs: Tensor) -> Tensor:
        return forward(self.own, inputs[0].permute(0, 3, 1, 2), self.precision)[None]

    def network(self, index: int) -> nn.Module:
        return self.own

    def state(self) -> dict[str, Tensor]:
        return self.own.state_dict()

    def restore(self, state: dict[str, Tensor]) -> None:
        self.own.load_state_dict(state)


def _in_memory_order(parameter: nn.Parameter) -> Tensor:
    """The parameter's memory as a tensor that is contiguous, and gets its gradients.

    A fused optimiser copies tensors that aren't, such as kernels that lie channels last, there and
    back: half its time.
    """

    def ordered(values: Tensor) -> Tensor:
        return values.permute(0, 2, 3, 1) if values.ndim == 4 else values

    stepped = ordered(parameter.detach())

    def hand_over(_: Tensor) -> None:
        assert parameter.grad is not None
        stepped.grad, parameter.grad = ordered(parameter.grad), None

    parameter.register_post_accumulate_grad_hook(hand_over)
    return stepped


@dataclass(frozen=True)
class Trained:
    """One training as it stands: what there is to keep of it."""

    step: int  # where it is, or where it diverged
    network: nn.Module  # until the next look at another member
    curve: list[CurvePoint]
    diverged: bool


class Training:
    """One training, or several side by side, at one step; a checkpoint of it is enough to go on."""

    def __init__(self, model: Model, count: int, recipe: Recipe) -> None:
        """``model`` holds ``count`` networks before their first step."""
        self.step = 0
        self.model = model
        self.optimiser = make_optimiser(model.weights, model.biases, recipe)
        self.courses = [Course() for _ in range(count)]

    @property
    def is_over(self) -> bool:
        """Whether all members have diverged."""
        return all(course.diverged is not None for course in self.courses)

    def member(self, index: int) -> Trained:
        """One member, until the next call.

        The weights of one that has diverged are those of now, not of the step at which it did.
        """
        course = self.courses[index]
        return Trained(
            step=course.diverged or self.step,
            network=self.model.network(index),
            curve=course.curve,
            diverged=course.diverged is not None,
        )

    def report(self) -> tuple[float, float | None]:
        """Medians of the last loss and, where one is known, the last validation NME in percent.

        Over the members that haven't diverged, or over all if all have.
        """
        courses = [c for c in self.courses if c.diverged is None] or self.courses
        losses = [c.losses[-1] if c.losses else c.curve[-1].loss for c in courses]
        known = [c.curve[-1].val_nme for c in courses if c.curve]
        errors = [nme for nme in known if nme is not None]
        return float(np.median(losses)), float(np.median(errors)) if errors else None

    def checkpoint(self) -> dict:
        """Tensors, numbers and strings only, so that reading it back never runs code."""
        return {
            "step": self.step,
            "model": self.model.state(),
            "optimiser": self.optimiser.state_dict(),
            "courses": [asdict(course) for course in self.courses],
        }

    def restore(self, checkpoint: dict) -> None:
        """Takes up ``checkpoint`` in place."""
        self.step = checkpoint["step"]
        self.model.restore(checkpoint["model"])
        self.optimiser.load_state_dict(checkpoint["optimiser"])
        if len(checkpoint["courses"]) != len(self.courses):
            raise ValueError("the checkpoint is of another number of trainings")
        self.courses = [
            Course(**course | {"curve": [CurvePoint(**point) for point in course["curve"]]})
            for course in checkpoint["courses"]
        ]


class Stepper(Protocol):
    """How a device makes batches and takes steps with them."""

    block: int  # steps that are taken at once, at most

    def take(self, first: int, rates: list[float]) -> NDArray[np.float32]:
        """Takes ``len(rates)`` steps from step ``first`` on; their losses ``(steps, M)``."""
        ...


def train(
    training: Training, members: Sequence[Member], setting: Setting, stepper: Stepper
) -> Iterator[Training]:
    """Takes ``training`` to the last step, yielding it after every block of steps.

    A loss that is no finite number, or ``DIVERGED`` times the first one, ends a member's training:
    that is a result, not an error. Among others it goes on without being looked at.
    """
    recipe, steps = setting.recipe, setting.steps
    every = max(1, steps // CURVE_POINTS)
    while training.step < steps and not training.is_over:
        first = training.step
        count = min(stepper.block, every - first % every, steps - first)
        loss = members[0].objective.loss_kind
        rates = [learning_rate(recipe, loss, step, steps) for step in range(first, first + count)]
        training.model.train()
        losses = stepper.take(first, rates)
        training.step += count
        at_point = training.step % every == 0 or training.step == steps
        for index, course in enumerate(training.courses):
            if course.diverged is not None:
                continue
            course.note(first, losses[:, index].tolist())
            if at_point or course.diverged is not None:
                now = training.member(index)
                val_nme = members[index].validate(now.network)
                course.add_point(now.step * recipe.batch, rates[now.step - first - 1], val_nme)
                if val_nme is not None and not math.isfinite(val_nme):
                    course.diverged = now.step
        yield training


def take_step(
    training: Training, inputs: Tensor, targets: Tensor, objectives: MemberLosses
) -> Tensor:
    """One step of the optimiser; the losses ``(M,)`` before it.

    ``inputs`` are ``(M, B, S, S, 3)`` and ``targets`` ``(M, B, 2L)`` in pixels of them.
    """
    training.optimiser.zero_grad(set_to_none=True)
    losses = objectives(training.model.forward(inputs), targets)
    losses.sum().backward()
    training.optimiser.step()
    return losses.detach()


def member_losses(members: Sequence[Member], setting: Setting, on: torch.device) -> MemberLosses:
    """What the members minimise of what their networks answer."""
    losses: list[Any] = [member.objective.loss for member in members]
    return ARCHITECTURES[setting.network].losses(losses, setting.boundaries, on)


def member_samples(members: Sequence[Member], setting: Setting) -> list[Samples]:
    """What each member sees, sample after sample."""
    recipe, budget = setting.recipe, setting.steps * setting.recipe.batch
    return [
        Samples(m.repeats, m.objective.augmentation, m.objective.seed, recipe.strength, budget)
        for m in members
    ]


def total_steps(recipe: Recipe, dataset: str) -> int:
    """The steps that the data set's budget of samples makes."""
    return max(1, recipe.samples[dataset] // recipe.batch)


def learning_rate(recipe: Recipe, loss_kind: str, step: int, steps: int) -> float:
    """The learning rate of step ``step`` (from 0) of ``steps``.

    The paper gives first and last rates; that the logarithm falls on a line between them is
    MatConvNet's habit, and this project's assumption.
    """
    done = step / max(1, steps - 1)
    first, last = recipe.learning_rate, recipe.final_learning_rate
    if recipe.decay == "log_linear":
        rate = first * (last / first) ** done
    elif recipe.decay == "linear":
        rate = first + (last - first) * done
    elif recipe.decay == "thirds":
        rate = first * (last / first) ** (min(2, int(3 * step / steps)) / 2)
    else:
        rate = last + (first - last) * 0.5 * (1 + math.cos(math.pi * done))
    if recipe.warmup > 0:
        rate *= min(1.0, (step + 1) / (recipe.warmup * steps))
    return rate * recipe.learning_rate_factor.get(loss_kind, 1.0)


def make_first_guess(network: nn.Module, member: Member, setting: Setting) -> None:
    """Has an untrained network answer what the recipe says: zero, or the mean of its shapes.

    A face that isn't repeated has no part in the mean.
    """
    if setting.recipe.first_guess == "mean_shape":
        assert isinstance(network, nn.Sequential), "no network of heat maps has such a recipe"
        size = ARCHITECTURES[setting.network].input_size
        points = apply(compose(unit_to_pixels(size), member.faces.to_unit), member.faces.points)
        mean = torch.as_tensor(points[member.repeats > 0].mean(axis=0, keepdims=True))
        with torch.no_grad():
            network[-1].bias.copy_(to_shape_vectors(mean)[0])  # type: ignore[operator]


def make_optimiser(
    weights: list[Tensor], biases: list[Tensor], recipe: Recipe
) -> torch.optim.Optimizer:
    """The recipe's optimiser.

    Biases, and what batch normalisation learns, aren't decayed: the last layer's biases hold the
    mean shape, tens of pixels, and a decay would pull them to zero faster than AdamW, whose steps
    are about the learning rate, can push back.
    """
    parameters: list[dict[str, Any]] = [
        {"params": weights},
        {"params": biases, "weight_decay": 0.0},
    ]
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(
            parameters,
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            fused=True,
        )
    if recipe.optimiser == "rmsprop":
        return torch.optim.RMSprop(
            parameters,
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            foreach=True,
        )
    return torch.optim.AdamW(
        parameters,
        lr=recipe.learning_rate,
        betas=(recipe.momentum, 0.999),
        weight_decay=recipe.weight_decay,
        fused=True,
    )


def validation(
    name: str, faces: Faces, normaliser: Array, precision: Precision, on: torch.device
) -> Validate:
    """A function that gives a network's NME on ``faces``, in percent.

    ``normaliser`` ``(N,)`` is in pixels of the context crops. The inputs are made once.
    """
    made, transform = plain(faces, np.arange(len(faces)), ARCHITECTURES[name].input_size)
    pictures = torch.from_numpy(made).to(on)

    def validate(network: nn.Module) -> float | None:
        if not len(faces):
            return None
        predicted = predict_inputs(network, name, pictures, transform, precision, on)
        return 100 * float(nme(predicted, faces.points, normaliser).mean())

    return validate
