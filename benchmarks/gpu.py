"""How fast trainings run on a GPU, beside the plain way and the GPU's own limit.

``python -m benchmarks.gpu`` prints a Markdown table and takes some minutes. What is trained is that
of ``benchmarks.training``, with the recipe `fast` and with `paper`, in batches of 8 whatever the
recipe says. Every way has the GPU to itself, one after another.

The plain way is PyTorch as it comes, whose convolutions use TF32: a ``DataLoader`` with a worker a
core, eager steps.
"""

import gc
import multiprocessing
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import torch

from benchmarks.flops import training_flops
from benchmarks.training import (
    BATCH,
    LANDMARKS,
    Setting,
    endless,
    make_setting,
    matmul_steps,
    member,
    noise_faces,
    plain_steps,
)
from pipeline.runtime.host import processor
from wingloss.augmentation.perturbation import shrink
from wingloss.models import inference
from wingloss.models.networks import ARCHITECTURES, build
from wingloss.recipe import Precision
from wingloss.training import loop
from wingloss.training.loop import Alone, Model, Training
from wingloss.training.on_gpu import OnGPU
from wingloss.training.stacked import Stacked

SECONDS, WARM_UP = 1.5, 3  # of each way, after WARM_UP blocks of steps
MATRIX = 8192
ITERATIONS = 120_000  # the paper's
# of each network, the recipes and how many trainings side by side
WAYS = {
    "cnn6": [("fast", 1), ("fast", 4), ("fast", 24), ("paper", 1), ("paper", 24)],
    "cnn7": [("fast", 1), ("fast", 4), ("fast", 12), ("paper", 1), ("paper", 12)],
    "resnet50": [("fast", 1), ("paper", 1)],
}
HEADER = (
    "network", "way", "precision", "samples/s", "× plain", "TFLOP/s", "matmul peak", "of the peak",
    f"{ITERATIONS // 1000}k iterations, s", "GPU memory, MiB",
)  # fmt: skip


def main() -> None:
    """Prints the table."""
    cores = len(os.sched_getaffinity(0))
    machine = f"{torch.cuda.get_device_name()}, {cores} cores of {processor()}"
    print(f"{machine}, torch {torch.__version__}\n")
    print(f"| {' | '.join(HEADER)} |\n|{'---|' * len(HEADER)}")
    device = inference.device()
    kinds: tuple[Precision, ...] = ("bfloat16", "float32")
    peaks = {kind: 2 * MATRIX**3 * rate(_products(kind))[0] for kind in kinds}
    # in a process of its own, because `here` takes settings of the whole process
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        plain = {name: process.submit(plain_rate, name, cores).result() for name in WAYS}
    for network, ways in WAYS.items():
        flops = training_flops(build(network, LANDMARKS, seed=0), ARCHITECTURES[network].input_size)
        _tell(network, "plain, 1 training", "float32, TF32", 1, plain[network], flops)
        for recipe, members in ways:
            setting = make_setting(network, device, recipe)
            found = rate(here_samples(setting, members))
            way = f"here, {members} training{'s' * (members > 1)}"
            kind = setting.recipe.precision
            _tell(network, way, kind, members, found, flops, plain[network][0], peaks[kind])


def plain_rate(network: str, cores: int) -> tuple[float, float]:
    """``rate`` of the plain way's samples."""
    steps = plain_steps(make_setting(network, torch.device("cuda")), cores, "cuda")
    return rate(BATCH for _ in steps)


def rate(done: Iterator[int]) -> tuple[float, float]:
    """How much is done a second, and the most memory of the GPU that it took, in MiB."""
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    for _ in range(WARM_UP):
        next(done)
    torch.cuda.synchronize()
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS:
        count += next(done)
    torch.cuda.synchronize()
    seconds = time.perf_counter() - began
    return count / seconds, torch.cuda.max_memory_allocated() / 2**20


def here_samples(setting: Setting, members: int) -> Iterator[int]:
    """This project's training of ``members`` side by side: the samples of each block of steps."""
    on = inference.device()
    inference.be_deterministic(on)
    network, precision = setting.network, setting.recipe.precision
    faces = shrink(noise_faces(), ARCHITECTURES[network].input_size)
    alike = [member(setting, faces, seed) for seed in range(members)]
    common = endless(setting)
    networks = [build(network, LANDMARKS, seed).to(on) for seed in range(members)]
    for one, own in zip(networks, alike, strict=True):
        loop.make_first_guess(one, own, common)
    model: Model = Stacked(networks, precision) if members > 1 else Alone(networks[0], precision)
    trained = Training(model, members, setting.recipe)
    stepper = OnGPU(trained, alike, common, on)
    for _ in loop.train(trained, alike, common, stepper):
        yield stepper.block * members * BATCH


def _products(kind: Precision) -> Iterator[int]:
    """Products of square matrices, one by one."""
    for _ in matmul_steps(kind, MATRIX, "cuda"):
        torch.cuda.synchronize()
        yield 1


def _tell(
    network: str,
    way: str,
    precision: str,
    members: int,
    found: tuple[float, float],
    flops: int,
    plain: float | None = None,
    peak: float | None = None,
) -> None:
    """Prints a line of the table; ``flops`` are those of one sample."""
    samples, memory = found
    done = samples * flops
    cells = (
        network,
        way,
        precision,
        f"{samples:.0f}",
        f"{samples / plain:.1f}" if plain else "1",
        f"{done / 1e12:.1f}",
        f"{peak / 1e12:.0f}" if peak else "",
        f"{done / peak:.0%}" if peak else "",
        f"{ITERATIONS * BATCH * members / samples:.0f}",
        f"{memory:.0f}",
    )
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
