"""Trainings of one network at once: one model whose weights have a dimension for members.

Members share the network, the faces and the recipe; each has its own weights, loss, seed, balance,
frames and learning curve, and ends as it would by itself, but for the order in which a processor
adds. All that a step needs lies on the device: what the host decides
(data order, draws, learning rates) is copied there, and made into inputs, for a block of steps at
once. So on a GPU a step is one replay of a CUDA graph.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from wingloss import batched, device
from wingloss.augmentation import Augmentation, Faces
from wingloss.kinds import LossKind
from wingloss.losses import LOSSES
from wingloss.networks import ARCHITECTURES, to_shape_vectors
from wingloss.recipe import Precision, Recipe, WingShape
from wingloss.training import (
    CURVE_POINTS,
    CurvePoint,
    Samples,
    State,
    forward,
    is_beyond,
    learning_rate,
    make_optimiser,
)

# Steps for which the host decides at once, at most. On a CPU nothing is waited for in between, and
# a block of slow steps would keep a training from ending when it is asked to.
BLOCK = {"cuda": 64, "cpu": 1}
AT_ONCE = 1024  # inputs that are made at once, about: each takes a megabyte or two on the way
EAGER = 3  # steps before a CUDA graph is captured: libraries set themselves up in them


@dataclass(frozen=True)
class Member:
    """What one training has for itself, besides its first weights.

    All members' ``faces`` are the same but for their frames, and so are their losses' factors of
    the recipe's learning rate. Members of one loss should follow each other.
    """

    loss: LossKind
    wing: WingShape | None
    seed: int
    faces: Faces
    repeats: NDArray[np.int64]  # (N,) how often each face stands in the balanced set
    validate: Callable[[nn.Sequential], float]  # a network's validation NME in percent


@dataclass(frozen=True)
class Common:
    """What all members share."""

    network: str
    augmentation: Augmentation
    recipe: Recipe
    steps: int


class Ensemble:
    """Trainings side by side, all at the same step."""

    def __init__(self, networks: list[nn.Sequential], precision: Precision, recipe: Recipe) -> None:
        """``networks`` are the members before their first step, on the device to train on.

        Several must be of ``networks.Plain``.
        """
        self.step = 0
        self.whole = _Whole(networks[0], precision)  # with the weights of the last member looked at
        # (M, ...) each; a layer's weights have two dimensions or more by themselves, its biases one
        self.parameters: dict[str, Tensor] = {
            name: batched.stack([network.get_parameter(name).detach() for network in networks])
            for name, _ in networks[0].named_parameters()
        }
        stacked = [values.requires_grad_() for values in self.parameters.values()]
        self.optimiser = make_optimiser(
            [p for p in stacked if p.ndim > 2], [p for p in stacked if p.ndim == 2], recipe
        )
        self.curves: list[list[CurvePoint]] = [[] for _ in networks]
        self.losses: list[list[float]] = [[] for _ in networks]  # since each curve's last point
        self.first_losses: list[float] = []
        self.diverged: list[int | None] = [None] * len(networks)  # the step at which

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape vectors ``(M, B, 2L)`` of ``(M, B, S, S, 3)``."""
        if len(inputs) > 1:
            return batched.forward(
                self.whole.network, self.parameters, inputs, self.whole.precision
            )
        # libraries' own kernels are best at one network
        alone = {f"network.{name}": values.squeeze(0) for name, values in self.parameters.items()}
        return functional_call(self.whole, alone, (inputs[0].permute(0, 3, 1, 2),))[None]

    def member(self, index: int) -> State:
        """One member as a training by itself, until the next call.

        The weights of one that has diverged are those of now, not of the step at which it did.
        """
        with torch.no_grad():
            for name, values in self.parameters.items():
                self.whole.network.get_parameter(name).copy_(values[index])
        end = self.diverged[index]
        return State(
            step=end or self.step,
            network=self.whole.network,
            optimiser=self.optimiser,
            curve=self.curves[index],
            losses=self.losses[index],
            first_loss=self.first_losses[index] if self.first_losses else None,
            diverged=end is not None,
        )

    def report(self) -> tuple[float, float | None]:
        """Medians of the last loss and the last validation NME in percent.

        Over the members that haven't diverged, or over all if all have.
        """
        healthy = [i for i, end in enumerate(self.diverged) if end is None]
        chosen = healthy or range(len(self.diverged))
        pairs = [(self.losses[i], self.curves[i]) for i in chosen]
        losses = [own[-1] if own else curve[-1].loss for own, curve in pairs]
        errors = [curve[-1].val_nme for _, curve in pairs if curve]
        return float(np.median(losses)), float(np.median(errors)) if errors else None

    def checkpoint(self) -> dict:
        """Tensors, numbers and strings only, so that reading it back never runs code."""
        return {
            "step": self.step,
            "parameters": self.parameters,
            "buffers": dict(self.whole.named_buffers()),
            "optimiser": self.optimiser.state_dict(),
            "curves": [[asdict(point) for point in curve] for curve in self.curves],
            "losses": self.losses,
            "first_losses": self.first_losses,
            "diverged": self.diverged,
        }

    def restore(self, checkpoint: dict) -> None:
        """Takes up ``checkpoint`` in place."""
        self.step = checkpoint["step"]
        with torch.no_grad():
            for name, values in checkpoint["parameters"].items():
                self.parameters[name].copy_(values)
            for name, values in checkpoint["buffers"].items():
                self.whole.get_buffer(name).copy_(values)
        self.optimiser.load_state_dict(checkpoint["optimiser"])
        self.curves = [[CurvePoint(**p) for p in curve] for curve in checkpoint["curves"]]
        self.losses = checkpoint["losses"]
        self.first_losses = checkpoint["first_losses"]
        self.diverged = checkpoint["diverged"]


def train(
    ensemble: Ensemble,
    members: list[Member],
    common: Common,
    flip_permutation: NDArray[np.intp],
    on: torch.device,
) -> Iterator[Ensemble]:
    """Takes all members to the last step, yielding after every block of steps.

    A member that diverges goes on without being looked at; the training ends when all have.
    """
    every = max(1, common.steps // CURVE_POINTS)
    recipe, budget = common.recipe, common.steps * common.recipe.batch
    samples = [
        Samples(m.repeats, common.augmentation, m.seed, recipe.strength, budget) for m in members
    ]
    stepper = _Stepper(ensemble, members, common, flip_permutation, on)
    while ensemble.step < common.steps and None in ensemble.diverged:
        first = ensemble.step
        count = min(BLOCK[on.type], every - first % every, common.steps - first)
        rates = [
            learning_rate(recipe, members[0].loss, step, common.steps)
            for step in range(first, first + count)
        ]
        losses = stepper.take(samples, first, rates)
        ensemble.step += count
        for index, own in enumerate(losses.T.tolist()):
            if ensemble.diverged[index] is None:
                _note(ensemble, index, first, own)
        at_point = ensemble.step % every == 0 or ensemble.step == common.steps
        for index, own in enumerate(ensemble.losses):
            if own and (at_point or ensemble.diverged[index] is not None):
                _add_point(ensemble, index, rates, members[index].validate, recipe.batch)
        yield ensemble


def member_losses(
    predicted: Tensor, target: Tensor, kinds: list[LossKind], w: Tensor, epsilon: Tensor
) -> Tensor:
    """Eq. 3 for each member ``(M,)``: ``landmark_loss`` of ``(M, B, 2L)`` vectors.

    ``w`` and ``epsilon`` are ``(M,)``, and count for Wing (Eq. 5) alone. Nothing is asked of the
    device, so targets that are no pixels aren't refused.
    """
    error, parts, start = predicted - target, [], 0
    for kind, alike in groupby(kinds):
        own = slice(start, start + len(list(alike)))
        shape = (w[own, None, None], epsilon[own, None, None]) if kind == "wing" else ()
        parts.append(LOSSES[kind](error[own], *shape))
        start = own.stop
    return torch.cat(parts).sum(dim=2).mean(dim=1)


def _note(ensemble: Ensemble, index: int, first: int, losses: list[float]) -> None:
    """Takes down a member's losses of the steps from ``first`` on, as far as it got."""
    if len(ensemble.first_losses) <= index:
        ensemble.first_losses.append(losses[0])
    for step, loss in enumerate(losses, start=first + 1):
        ensemble.losses[index].append(loss)
        if is_beyond(loss, ensemble.first_losses[index]):
            ensemble.diverged[index] = step
            return


def _add_point(
    ensemble: Ensemble,
    index: int,
    rates: list[float],
    validate: Callable[[nn.Sequential], float],
    batch: int,
) -> None:
    """Adds a point to a member's curve; ``rates`` are those of the last block's steps."""
    member = ensemble.member(index)
    rate = rates[member.step - ensemble.step - 1]
    mean = sum(member.losses) / len(member.losses)
    nme = validate(member.network)
    member.curve.append(CurvePoint(member.step * batch, rate, mean, nme))
    ensemble.losses[index] = []
    if not np.isfinite(nme):
        ensemble.diverged[index] = member.step


class _Whole(nn.Module):
    """A network in its precision, as one module to be called."""

    def __init__(self, network: nn.Sequential, precision: Precision) -> None:
        super().__init__()
        self.network = network
        self.precision = precision

    def forward(self, inputs: Tensor) -> Tensor:
        return forward(self.network, inputs, self.precision)


class _Stepper:
    """Takes steps on the device, with a block's inputs and losses in tables there."""

    def __init__(
        self,
        ensemble: Ensemble,
        members: list[Member],
        common: Common,
        flip_permutation: NDArray[np.intp],
        on: torch.device,
    ) -> None:
        self.ensemble, self.common, self.on = ensemble, common, on
        self.shape = (len(members), common.recipe.batch)
        self.size = ARCHITECTURES[common.network].input_size
        self.faces = device.DeviceFaces.of([member.faces for member in members], on)
        self.flip_permutation = torch.as_tensor(flip_permutation, device=on)
        wings = [(m.wing.w, m.wing.epsilon) if m.wing else (1.0, 1.0) for m in members]
        self.w, self.epsilon = torch.tensor(wings, device=on).T
        self.kinds = [member.loss for member in members]
        # one row a step of a block, and the row that the next step reads
        block = BLOCK[on.type]
        self.inputs = torch.zeros(block, *self.shape, self.size, self.size, 3, device=on)
        self.targets = torch.zeros(block, *self.shape, 2 * len(flip_permutation), device=on)
        self.rates = torch.zeros(block, device=on)
        self.losses = torch.zeros(block, len(members), device=on)
        self.rows = torch.arange(block, device=on)
        self.row = torch.zeros(1, dtype=torch.int64, device=on)
        self.rate = torch.zeros((), device=on)
        for group in ensemble.optimiser.param_groups:
            group["lr"] = self.rate
            group["capturable"] = on.type == "cuda"
        self.taken = 0
        self.graph: torch.cuda.CUDAGraph | None = None

    def take(self, samples: list[Samples], first: int, rates: list[float]) -> NDArray[np.float32]:
        """Takes ``len(rates)`` steps from step ``first`` on; the losses ``(steps, M)``."""
        self._make_inputs(samples, first, len(rates))
        self.rates[: len(rates)].copy_(torch.tensor(rates))
        self.row.zero_()
        self.ensemble.whole.train()
        for _ in rates:
            self._advance()
        return self.losses[: len(rates)].cpu().numpy()

    def _make_inputs(self, samples: list[Samples], first: int, count: int) -> None:
        """Fills the tables of inputs and targets for ``count`` steps from step ``first`` on."""
        members, batch = self.shape
        place = (first * batch, count * batch)
        # the samples of one member after those of another, each step's of all members together
        chosen = np.stack([own.order(*place).reshape(count, batch) for own in samples], axis=1)
        drawn = np.stack(
            [device.pack(own.draws(*place)).reshape(count, batch, -1) for own in samples], axis=1
        )
        frame = torch.arange(members, device=self.on)[:, None].expand(self.shape)
        each = max(1, AT_ONCE // (members * batch))
        for start in range(0, count, each):
            steps = slice(start, min(start + each, count))
            inputs, points = device.perturb(
                self.faces,
                torch.from_numpy(chosen[steps].ravel()).to(self.on),
                frame.expand(steps.stop - start, *self.shape).flatten(),
                torch.from_numpy(drawn[steps].reshape(-1, device.COLUMNS)).to(self.on),
                self.common.augmentation.blur_sigma,
                self.size,
                self.flip_permutation,
            )
            self.inputs[steps].flatten(0, 2).copy_(inputs.permute(0, 2, 3, 1))
            self.targets[steps].flatten(0, 2).copy_(to_shape_vectors(points))

    def _advance(self) -> None:
        """One step: on a GPU, after the first few, by replaying the graph of one."""
        if self.on.type == "cuda" and self.taken >= EAGER:
            if self.graph is None:
                self.graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(self.graph):  # records the step, doesn't take it
                    self._step()
            self.graph.replay()
        elif self.on.type == "cuda":  # a graph wants its first steps on a stream of their own
            beside = torch.cuda.Stream()
            beside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(beside):
                self._step()
            torch.cuda.current_stream().wait_stream(beside)
        else:
            self._step()
        self.taken += 1

    def _step(self) -> None:
        """The step whose inputs stand in the tables' row ``self.row``."""
        ensemble = self.ensemble
        self.rate.copy_(self.rates[self.row][0])
        ensemble.optimiser.zero_grad(set_to_none=True)
        predicted = ensemble.forward(self.inputs[self.row][0])
        target = self.targets[self.row][0]
        losses = member_losses(predicted, target, self.kinds, self.w, self.epsilon)
        losses.sum().backward()
        ensemble.optimiser.step()
        # not index_copy_, whose deterministic kernel sorts
        here = (self.rows == self.row)[:, None]
        self.losses.copy_(torch.where(here, losses.detach(), self.losses))
        self.row.add_(1)
