"""Training of one network: schedule, data order, steps, checkpoints and learning curve.

Data order, augmentation and weights at step k depend on the seed and on k alone, so a training
that was broken off goes on as if nothing had happened: a checkpoint needs no random state.
"""

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from wingloss.augmentation import Augmentation, Draw, Faces, Images, draw, perturb, plain
from wingloss.geometry import Array, apply, compose, invert, unit_to_pixels
from wingloss.kinds import LossKind
from wingloss.losses import landmark_loss
from wingloss.metrics import nme
from wingloss.networks import ARCHITECTURES, to_points, to_shape_vectors
from wingloss.recipe import Precision, Recipe, Strength, WingShape

EVALUATION_BATCH = 64
CURVE_POINTS = 20  # how often a training looks at its validation faces
DIVERGED = 100.0  # times the first step's loss: a training that gets there has failed
DRAWS = 4096  # samples whose augmentation is drawn at once


@dataclass(frozen=True)
class Objective:
    """What one training minimises, on how it perturbs its faces, and where chance comes from."""

    loss: LossKind
    wing: WingShape | None
    augmentation: Augmentation
    seed: int


@dataclass(frozen=True)
class CurvePoint:
    """One line of the learning curve."""

    samples: int
    learning_rate: float
    loss: float  # mean training loss since the last point
    val_nme: float  # percent, by the data set's headline normaliser


@dataclass
class State:
    """All that a training is at one step; a checkpoint of it is enough to go on."""

    step: int
    network: nn.Sequential
    optimiser: torch.optim.Optimizer
    curve: list[CurvePoint]
    losses: list[float]  # of the steps since the curve's last point
    first_loss: float | None = None
    diverged: bool = False

    def report(self) -> tuple[float, float | None]:
        """The last loss, and the last validation NME in percent, once it is known."""
        loss = self.losses[-1] if self.losses else self.curve[-1].loss
        return loss, self.curve[-1].val_nme if self.curve else None

    def checkpoint(self) -> dict:
        """Tensors, numbers and strings only, so that reading it back never runs code."""
        return {
            "step": self.step,
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "curve": [asdict(point) for point in self.curve],
            "losses": self.losses,
            "first_loss": self.first_loss,
            "diverged": self.diverged,
        }

    def restore(self, checkpoint: dict) -> None:
        """Takes up ``checkpoint`` in place."""
        self.step = checkpoint["step"]
        self.network.load_state_dict(checkpoint["network"])
        self.optimiser.load_state_dict(checkpoint["optimiser"])
        self.curve = [CurvePoint(**point) for point in checkpoint["curve"]]
        self.losses = checkpoint["losses"]
        self.first_loss = checkpoint["first_loss"]
        self.diverged = checkpoint["diverged"]


def total_steps(recipe: Recipe, dataset: str) -> int:
    """The steps that the data set's budget of samples makes."""
    return max(1, recipe.samples[dataset] // recipe.batch)


def learning_rate(recipe: Recipe, loss: LossKind, step: int, steps: int) -> float:
    """The learning rate of step ``step`` (from 0) of ``steps``.

    The paper gives first and last rates; that the logarithm falls on a line between them is
    MatConvNet's habit, and this project's assumption.
    """
    done = step / max(1, steps - 1)
    first, last = recipe.learning_rate, recipe.final_learning_rate
    if recipe.decay == "log_linear":
        rate = first * (last / first) ** done
    else:
        rate = last + (first - last) * 0.5 * (1 + math.cos(math.pi * done))
    if recipe.warmup > 0:
        rate *= min(1.0, (step + 1) / (recipe.warmup * steps))
    return rate * recipe.learning_rate_factor.get(loss, 1.0)


def start(
    network: nn.Sequential,
    name: str,
    training: Faces,
    repeats: NDArray[np.int64],
    recipe: Recipe,
) -> State:
    """A training before its first step.

    ``repeats`` ``(N,)`` says how often each face stands in the balanced set; one that doesn't has
    no part in the first guess either.
    """
    if recipe.first_guess == "mean_shape":
        inputs = compose(unit_to_pixels(ARCHITECTURES[name].input_size), training.to_unit)
        points = apply(inputs, training.points)
        mean = torch.as_tensor(points[repeats > 0].mean(axis=0, keepdims=True))
        with torch.no_grad():
            network[-1].bias.copy_(to_shape_vectors(mean)[0])  # type: ignore[operator]
    optimiser = make_optimiser(
        [p for p in network.parameters() if p.ndim > 1],
        [p for p in network.parameters() if p.ndim == 1],
        recipe,
    )
    return State(0, network, optimiser, [], [])


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
    return torch.optim.AdamW(
        parameters,
        lr=recipe.learning_rate,
        betas=(recipe.momentum, 0.999),
        weight_decay=recipe.weight_decay,
        fused=True,
    )


class Samples:
    """What a training sees, one sample after another: which face, and how it is perturbed.

    Both follow from the seed and the sample's place alone, whatever the batches are. The last
    epoch's shuffle and the last draws are kept, as a batch needs a few of each.
    """

    def __init__(
        self,
        repeats: NDArray[np.int64],
        augmentation: Augmentation,
        seed: int,
        strength: Strength,
        budget: int,
    ) -> None:
        """``repeats`` ``(N,)`` says how often each face stands in the balanced training set.

        ``strength`` is that of rotation and blur at the first and the last of ``budget`` samples.
        """
        self.balanced = np.repeat(np.arange(len(repeats)), repeats)
        self.augmentation = augmentation
        self.seed = seed
        self.strength = strength
        self.budget = budget
        self._shuffled = lru_cache(maxsize=1)(self._shuffle)
        self._drawn = lru_cache(maxsize=1)(self._draw)

    def order(self, first: int, count: int) -> NDArray[np.intp]:
        """The faces ``(count,)`` at places ``first``, ``first + 1``, ...

        The order is one shuffle after another of the balanced set, epoch after epoch.
        """
        pieces = _pieces(first, count, len(self.balanced))
        return np.concatenate([self._shuffled(epoch)[part] for epoch, part in pieces])

    def draws(self, first: int, count: int) -> Draw:
        """How the faces at places ``first``, ``first + 1``, ... are perturbed."""
        pieces = [(self._drawn(block), part) for block, part in _pieces(first, count, DRAWS)]
        return Draw(
            *(
                np.concatenate([getattr(drawn, field.name)[part] for drawn, part in pieces])
                for field in fields(Draw)
            )
        )

    def _shuffle(self, epoch: int) -> NDArray[np.intp]:
        return np.random.default_rng([self.seed, 0, epoch]).permutation(self.balanced)

    def _draw(self, block: int) -> Draw:
        places = np.arange(block * DRAWS, (block + 1) * DRAWS)
        ends = [0, max(1, self.budget - 1)]
        strength = np.interp(places, ends, [self.strength.first, self.strength.last])
        rng = np.random.default_rng([self.seed, 1, block])
        return draw(self.augmentation, DRAWS, rng, strength)


def _pieces(first: int, count: int, size: int) -> list[tuple[int, slice]]:
    """Places ``first`` to ``first + count`` as parts of blocks of ``size``: block and part."""
    blocks = range(first // size, (first + max(count, 1) - 1) // size + 1)
    return [
        (block, slice(max(first - block * size, 0), first + count - block * size))
        for block in blocks
    ]


def train(
    state: State,
    name: str,
    training: Faces,
    repeats: NDArray[np.int64],
    validate: Callable[[nn.Sequential], float],
    objective: Objective,
    recipe: Recipe,
    steps: int,
    flip_permutation: NDArray[np.intp],
    device: torch.device,
) -> Iterator[State]:
    """Takes ``state`` to step ``steps``, yielding it after every step.

    ``training`` are the faces and ``repeats`` ``(N,)`` how often each stands in the balanced set;
    ``validate`` gives the validation NME in percent. A loss that is no finite number, or
    ``DIVERGED`` times the first one, ends the training with ``state.diverged``: that is a result,
    not an error.
    """
    size = ARCHITECTURES[name].input_size
    samples = Samples(
        repeats, objective.augmentation, objective.seed, recipe.strength, steps * recipe.batch
    )
    every = max(1, steps // CURVE_POINTS)
    while state.step < steps and not state.diverged:
        step = state.step
        pictures, points = batch(
            training, samples, step * recipe.batch, recipe.batch, size, flip_permutation
        )
        rate = learning_rate(recipe, objective.loss, step, steps)
        for group in state.optimiser.param_groups:
            group["lr"] = rate
        state.network.train()
        state.optimiser.zero_grad(set_to_none=True)
        predicted = forward(
            state.network, to_input(torch.from_numpy(pictures), device), recipe.precision
        )
        target = to_shape_vectors(torch.as_tensor(points, dtype=torch.float32, device=device))
        loss = landmark_loss(predicted, target, objective.loss, objective.wing)
        loss.backward()
        state.optimiser.step()
        state.losses.append(loss.item())
        state.step += 1
        if state.first_loss is None:
            state.first_loss = state.losses[-1]
        state.diverged = is_beyond(state.losses[-1], state.first_loss)
        if state.step % every == 0 or state.step == steps or state.diverged:
            seen = state.step * recipe.batch
            mean = sum(state.losses) / len(state.losses)
            state.curve.append(CurvePoint(seen, rate, mean, validate(state.network)))
            state.losses = []
            state.diverged = state.diverged or not math.isfinite(state.curve[-1].val_nme)
        yield state


def is_beyond(loss: float, first_loss: float) -> bool:
    """Whether a training with this loss has diverged."""
    return not (math.isfinite(loss) and loss <= DIVERGED * first_loss)


def batch(
    training: Faces,
    samples: Samples,
    first: int,
    count: int,
    size: int,
    flip_permutation: NDArray[np.intp],
) -> tuple[Images, Array]:
    """Pictures and points in their pixels of ``count`` samples, from place ``first`` on."""
    return perturb(
        training,
        samples.order(first, count),
        samples.draws(first, count),
        samples.augmentation.blur_sigma,
        size,
        flip_permutation,
    )


def predict(
    network: nn.Sequential,
    name: str,
    faces: Faces,
    precision: Precision,
    device: torch.device,
) -> Array:
    """Landmarks ``(N, L, 2)`` in pixels of the faces' context crops."""
    pictures, transform = plain(faces, np.arange(len(faces)), ARCHITECTURES[name].input_size)
    return _predict(network, torch.from_numpy(pictures), transform, precision, device)


def validation(
    name: str,
    faces: Faces,
    normaliser: Array,
    precision: Precision,
    device: torch.device,
) -> Callable[[nn.Sequential], float]:
    """A function that gives a network's NME on ``faces``, in percent.

    ``normaliser`` ``(N,)`` is in pixels of the context crops. The inputs are made once.
    """
    made, transform = plain(faces, np.arange(len(faces)), ARCHITECTURES[name].input_size)
    pictures = torch.from_numpy(made).to(device)

    def validate(network: nn.Sequential) -> float:
        predicted = _predict(network, pictures, transform, precision, device)
        return 100 * float(nme(predicted, faces.points, normaliser).mean())

    return validate


def _predict(
    network: nn.Sequential,
    pictures: Tensor,
    transform: Array,
    precision: Precision,
    device: torch.device,
) -> Array:
    """Landmarks ``(N, L, 2)``, where ``transform`` ``(N, 2, 3)`` maps to the pictures' pixels."""
    network.eval()
    with torch.inference_mode():
        found = [
            to_points(forward(network, to_input(part, device), precision)).cpu()
            for part in pictures.split(EVALUATION_BATCH)
        ]
    return apply(invert(transform), torch.cat(found).double().numpy())


def to_input(pictures: Tensor, device: torch.device) -> Tensor:
    """uint8 RGB ``(N, S, S, 3)`` to ``(N, 3, S, S)`` in [-1, 1], channels last in memory.

    Centred, because the first layer's weights are drawn evenly about zero: with inputs in [0, 1]
    most of what it answers is the picture's mean brightness.
    """
    return pictures.to(device).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def forward(network: nn.Sequential, inputs: Tensor, precision: Precision) -> Tensor:
    """Shape vectors ``(N, 2L)`` of ``(N, 3, S, S)``, all but the last layer in ``precision``.

    The last layer stays in float32: bfloat16 has steps of a quarter of a pixel at 32 pixels and of
    half a pixel at 64, and the paper's point is that small errors matter.
    """
    with torch.autocast(inputs.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        features = network[:-1](inputs)
    return network[-1](features.float())


def device() -> torch.device:
    """The device to run on, where the same work gives the same bits.

    On a GPU that takes settings of the whole process: libraries must not choose their kernels by
    speed, nor add in the order in which threads happen to end. And float32 means float32: TF32, a
    GPU's default, is switched off.
    """
    if not torch.cuda.is_available():
        return torch.device("cpu")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts
    torch.backends.cudnn.allow_tf32 = False
    # A warning, no error, where a kernel might add in any order: of these networks' only pooling's.
    # CNN-6's and CNN-7's windows don't overlap, so that nothing is added; ResNet-50's do, and its
    # bits were the same where that was tried (docs/performance.md).
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return torch.device("cuda")


def available_precision(wanted: Precision, device: torch.device) -> Precision:
    """``wanted``, or float32 where bfloat16 would be emulated."""
    if wanted == "bfloat16":
        if device.type == "cuda":
            native = torch.cuda.is_bf16_supported(including_emulation=False)
        else:
            native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        if not native:
            return "float32"
    return wanted
