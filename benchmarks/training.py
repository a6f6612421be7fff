"""How fast trainings run, beside the plain way and the machine's own limit.

``python -m benchmarks.training`` prints a Markdown table and takes some minutes on a quiet
machine. Every way to train is a process of its own; all are called in turn, round after round, so
that a machine with other work slows all of them alike. Figures are medians over the rounds, ratios
medians of each round's ratios.

The plain way is what PyTorch's documentation leads to: a ``DataLoader`` whose workers warp face by
face with OpenCV, float32, eager. All train on batches of 8, 68 landmarks, pictures of noise in
context crops of 224 px, with the loss, optimiser and rates of the recipe ``fast``.
"""

import dataclasses
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.connection import Connection
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, RandomSampler

from benchmarks.flops import training_flops
from pipeline.config.params import load
from pipeline.runtime.host import keep_freed_memory, processor
from wingloss.augmentation.perturbation import Faces, draw, perturb, shrink
from wingloss.geometry import to_unit
from wingloss.losses import Loss, landmark_loss
from wingloss.models.inference import available_precision, to_input
from wingloss.models.networks import ARCHITECTURES, build, to_shape_vectors
from wingloss.recipe import Precision, Recipe
from wingloss.training import loop
from wingloss.training.loop import Alone, Member, Objective, Training
from wingloss.training.on_processor import OnProcessor

NETWORKS = ("cnn6", "cnn7", "resnet50")
ROUNDS, SECONDS, WARM_UP = 5, 2.0, 3  # SECONDS of each way in a round, after WARM_UP steps
BATCH, LANDMARKS, FACES, CROP, FRAME = 8, 68, 256, 224, 140
MATRIX = 2048  # rows and columns of the products that give the peak
CORES = len(os.sched_getaffinity(0))

FLIP_PERMUTATION = np.arange(LANDMARKS)  # a step takes as long whatever stands here
# does one step each time it is asked, and gives the seconds for which the step had no input
Steps = Iterator[float]


@dataclasses.dataclass(frozen=True)
class Setting:
    """What is trained, the same in all ways."""

    network: str
    recipe: Recipe
    objective: Objective


@dataclasses.dataclass(frozen=True)
class Way:
    """One way to keep the machine busy: ``copies`` processes, each of ``threads`` threads."""

    name: str
    steps: partial[Steps]
    threads: int
    copies: int
    precision: Precision


@dataclasses.dataclass(frozen=True)
class Measured:
    """Steps a second of all copies, and the share of their time that went to input."""

    rate: float
    input_share: float


def main() -> None:
    """Prints the table."""
    print(f"{processor()}, {CORES} cores, torch {torch.__version__}\n")
    print(
        "| network | way | samples/s | × plain | GFLOP/s | matmul peak | of the peak | input |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    for network in NETWORKS:
        setting = make_setting(network, torch.device("cpu"))
        flops = training_flops(build(network, LANDMARKS, seed=0), ARCHITECTURES[network].input_size)
        ways, peaks = _ways(setting), _peaks(setting.recipe.precision)
        rounds = measure([*ways, *peaks.values()])
        plain = next(w for w in ways if w.steps.func is plain_steps and w.threads == CORES)
        for way in ways:
            print(_row(way, plain, peaks[way.precision, way.threads * way.copies], rounds, flops))


def measure(ways: list[Way]) -> list[dict[str, Measured]]:
    """What each way, by its name, reached in each round."""
    context = multiprocessing.get_context("spawn")
    pipes: dict[str, list[Connection]] = {}
    processes = []
    for way in ways:
        pipes[way.name] = []
        for _ in range(way.copies):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(way, theirs))
            process.start()
            theirs.close()  # so that a process that dies is noticed
            pipes[way.name].append(ours)
            processes.append(process)
    for pipe in sum(pipes.values(), []):
        pipe.recv()  # it is warm
    rounds = [{way.name: _call(pipes[way.name]) for way in ways} for _ in range(ROUNDS)]
    for pipe in sum(pipes.values(), []):
        pipe.send(False)
    for process in processes:
        process.join()
    return rounds


def here_steps(setting: Setting) -> Steps:
    """The steps of this project's training."""
    keep_freed_memory()
    faces = shrink(noise_faces(), ARCHITECTURES[setting.network].input_size)
    members = [member(setting, faces)]
    common = endless(setting)
    network = build(setting.network, LANDMARKS, seed=0)
    loop.make_first_guess(network, members[0], common)
    trained = Training(Alone(network, setting.recipe.precision), 1, setting.recipe)
    stepper, waited = OnProcessor(trained, members, common), 0.0
    make = stepper.batches

    def timed(step: int):
        nonlocal waited
        began = time.perf_counter()
        made = make(step)
        waited = time.perf_counter() - began
        return made

    stepper.batches = timed  # type: ignore[method-assign]
    for _ in loop.train(trained, members, common, stepper):
        yield waited


def member(setting: Setting, faces: Faces, seed: int = 0) -> Member:
    """A training that looks at no validation faces."""
    objective = dataclasses.replace(setting.objective, seed=seed)
    return Member(objective, faces, np.ones(FACES, np.int64), lambda _: 0.0)


def endless(setting: Setting) -> loop.Setting:
    """What trainings of the setting share, for as many steps as one likes to take."""
    return loop.Setting(setting.network, setting.recipe, 10**9, FLIP_PERMUTATION)


def plain_steps(setting: Setting, workers: int, device: str = "cpu") -> Steps:
    """The steps of the plain way."""
    pictures = PlainFaces(setting)
    sampler = RandomSampler(pictures, replacement=True, num_samples=10**9)
    pinned = device != "cpu"
    loader = DataLoader(
        pictures,
        BATCH,
        sampler=sampler,
        num_workers=workers,
        pin_memory=pinned,
        multiprocessing_context="fork",  # its usual one; here it would be this process's own
    )
    network = build(setting.network, LANDMARKS, seed=0).to(device)
    optimiser = torch.optim.AdamW(network.parameters(), setting.recipe.final_learning_rate)
    batches = iter(loader)
    while True:
        began = time.perf_counter()
        inputs, target = (part.to(device, non_blocking=pinned) for part in next(batches))
        waited = time.perf_counter() - began
        optimiser.zero_grad()
        landmark_loss(network(inputs), target, cast(Loss, setting.objective.loss)).backward()
        optimiser.step()
        yield waited


class PlainFaces(Dataset):
    """Augmented faces one at a time, as a ``DataLoader`` wants them."""

    def __init__(self, setting: Setting) -> None:
        self.faces = noise_faces()
        self.augmentation = setting.objective.augmentation
        self.size = ARCHITECTURES[setting.network].input_size

    def __len__(self) -> int:
        return FACES

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        drawn = draw(self.augmentation, 1, np.random.default_rng())
        sigma = self.augmentation.blur_sigma
        one = np.array([index])
        pictures, points = perturb(self.faces, one, drawn, sigma, self.size, FLIP_PERMUTATION)
        target = to_shape_vectors(torch.as_tensor(points, dtype=torch.float32))
        return to_input(torch.from_numpy(pictures), torch.device("cpu"))[0], target[0]


def matmul_steps(precision: Precision, size: int = MATRIX, device: str = "cpu") -> Steps:
    """Products of square matrices, which take no input."""
    kind = getattr(torch, precision)
    one, other = (torch.randn(size, size, dtype=kind, device=device) for _ in range(2))
    product = torch.empty_like(one)
    while True:
        torch.mm(one, other, out=product)
        yield 0.0


def _ways(setting: Setting) -> list[Way]:
    here, own = partial(here_steps, setting), setting.recipe.precision
    plain_own = partial(plain_steps, setting, 1)
    one = Way("here, 1 thread", here, 1, 1, own)
    plain_one = Way("plain, 1 thread and 1 worker", plain_own, 1, 1, "float32")
    if CORES == 1:
        return [plain_one, one]
    plain = partial(plain_steps, setting, CORES)
    return [
        plain_one,
        Way(f"plain, {CORES} threads and {CORES} workers", plain, CORES, 1, "float32"),
        Way(f"plain, {CORES} trainings of 1 thread and 1 worker", plain_own, 1, CORES, "float32"),
        one,
        Way(f"here, {CORES} threads", here, CORES, 1, own),
        Way(f"here, {CORES} trainings of 1 thread", here, 1, CORES, own),
    ]


def _peaks(own: Precision) -> dict[tuple[Precision, int], Way]:
    """Matrix products in each precision that is used, on one thread and on all."""
    return {
        (kind, threads): Way(f"{kind} {threads}", partial(matmul_steps, kind), threads, 1, kind)
        for kind in {"float32": None, own: None}
        for threads in {1: None, CORES: None}
    }


def _row(way: Way, plain: Way, peak: Way, rounds: list[dict[str, Measured]], flops: int) -> str:
    """A line of the table; ``flops`` are those of one sample."""

    def median(figure: Callable[[dict[str, Measured]], float]) -> float:
        return statistics.median(figure(measured) for measured in rounds)

    def samples(measured: dict[str, Measured]) -> float:
        return measured[way.name].rate * BATCH

    def limit(measured: dict[str, Measured]) -> float:
        return measured[peak.name].rate * 2 * MATRIX**3

    cells = (
        way.name,
        f"{median(samples):.0f}",
        f"{median(lambda m: m[way.name].rate / m[plain.name].rate):.2f}",
        f"{median(lambda m: samples(m) * flops) / 1e9:.0f}",
        f"{median(limit) / 1e9:.0f} {way.precision}",
        f"{median(lambda m: samples(m) * flops / limit(m)):.0%}",
        f"{median(lambda m: m[way.name].input_share):.1%}",
    )
    return f"| {way.steps.args[0].network} | {' | '.join(cells)} |"


def make_setting(network: str, device: torch.device, name: str = "fast") -> Setting:
    """Wing loss, the recipe ``name`` with batches of 8, in its precision where there is that."""
    params = load()
    recipe = params.recipes[name].of(network)
    precision = available_precision(recipe.precision, device)
    return Setting(
        network,
        dataclasses.replace(recipe, batch=BATCH, precision=precision),
        Objective(
            "wing",
            params.loss["wing"].on(network),
            getattr(params.augmentation, network),
            seed=0,
        ),
    )


def noise_faces() -> Faces:
    """Noise that smooth landmarks lie on, in upright frames amid their context crops."""
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 256, (FACES, CROP, CROP, 3), dtype=np.uint8)
    centre = (CROP - 1) / 2
    frames = np.tile([centre, centre, FRAME, 0.0], (FACES, 1))
    return Faces(crops, rng.uniform(60, CROP - 60, (FACES, LANDMARKS, 2)), to_unit(frames))


def _serve(way: Way, pipe: Connection) -> None:
    """Works for SECONDS whenever it is asked to, and tells how much it did."""
    torch.set_num_threads(way.threads)
    steps = way.steps()
    for _ in range(WARM_UP):
        next(steps)
    pipe.send(True)
    while pipe.recv():
        began, count, waited = time.perf_counter(), 0, 0.0
        while (seconds := time.perf_counter() - began) < SECONDS:
            waited += next(steps)
            count += 1
        pipe.send(Measured(count / seconds, waited / seconds))


def _call(pipes: list[Connection]) -> Measured:
    """Has all copies of a way work at once."""
    for pipe in pipes:
        pipe.send(True)
    found = [pipe.recv() for pipe in pipes]
    return Measured(
        sum(one.rate for one in found), statistics.mean(one.input_share for one in found)
    )


if __name__ == "__main__":
    main()
