"""How fast stacked hourglasses train, and what they need of a GPU.

``python -m benchmarks.hourglass`` prints a Markdown table within a minute. It takes training steps
of random pictures: RMSProp, mean squared error of every stack's heat maps, bfloat16. On a GPU the
network is the published one. On a processor a small one takes a single step, which shows no more
than that it runs.

It needs torch and nothing of the pipeline, so that it runs on a machine with little else.
"""

import gc
import os
import time
from collections.abc import Callable, Iterator

import torch

from benchmarks.flops import training_flops
from wingloss.models.hourglass import Hourglasses

LANDMARKS, FACES, EPOCHS = 68, 2011, 100  # FACES: 300W's training faces, less a validation part
SECONDS, WARM_UP = 3.0, 3  # of each way, after WARM_UP steps
LAST_START = 40.0  # seconds after which no other way begins
MATRIX = {"cuda": 8192, "cpu": 1024}  # rows and columns of the products that give the peak
# batch, whether a step is one CUDA graph, and whether the same work gives the same bits
WAYS = (
    *((8, True, True), (32, True, True)),
    *((8, False, True), (32, False, True)),
    *((8, True, False), (32, True, False)),
)
HEADER = (
    "batch", "steps", "same bits", "pictures/s", "GPU memory, MiB", "GFLOP a picture", "TFLOP/s",
    "matmul peak", "of the peak", f"{FACES} faces × {EPOCHS} epochs, min",
)  # fmt: skip


def main() -> None:
    """Prints the table."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts
    began = time.perf_counter()
    on = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    on_gpu = on.type == "cuda"
    sizes = Hourglasses() if on_gpu else Hourglasses(1, 64, 128, 32)
    name = torch.cuda.get_device_name() if on_gpu else "processor"
    print(f"{name}, torch {torch.__version__}, {sizes}\n")
    print(f"| {' | '.join(HEADER)} |\n|{'---|' * len(HEADER)}", flush=True)
    peak = 2 * MATRIX[on.type] ** 3 * rate(products(on), on)
    flops = training_flops(sizes.network(LANDMARKS).to(on), sizes.input_size)
    for batch, as_graph, same_bits in WAYS if on_gpu else [(8, False, True)]:
        if time.perf_counter() - began > LAST_START:
            break
        pictures, memory = measured(sizes, batch, as_graph, same_bits, on)
        cells = (
            str(batch),
            "CUDA graph" if as_graph else "eager",
            "yes" if same_bits else "no",
            f"{pictures:.0f}",
            f"{memory:.0f}" if on_gpu else "",
            f"{flops / 1e9:.1f}",
            f"{pictures * flops / 1e12:.2f}",
            f"{peak / 1e12:.2f}",
            f"{pictures * flops / peak:.0%}",
            f"{FACES * EPOCHS / pictures / 60:.1f}",
        )
        print(f"| {' | '.join(cells)} |", flush=True)


def measured(
    sizes: Hourglasses, batch: int, as_graph: bool, same_bits: bool, on: torch.device
) -> tuple[float, float]:
    """Pictures a second, and the most memory of the GPU that it took, in MiB."""
    gc.collect()
    keep_bits(same_bits)
    step = training_step(sizes, batch, on)
    steps = rate(graph_steps(step) if as_graph else eager_steps(step), on)
    memory = torch.cuda.max_memory_allocated() if on.type == "cuda" else 0
    return batch * steps, memory / 2**20


def training_step(sizes: Hourglasses, batch: int, on: torch.device) -> Callable[[], None]:
    """One step of a training on random pictures, which asks the device for nothing."""
    network = sizes.network(LANDMARKS)
    sizes.draw_weights(network, torch.Generator().manual_seed(0))
    network.to(on)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.RMSprop(
        network.parameters(), 1e-4, weight_decay=1e-5, capturable=on.type == "cuda"
    )
    generator = torch.Generator(on).manual_seed(0)
    pictures = torch.rand(
        batch, 3, sizes.input_size, sizes.input_size, device=on, generator=generator
    ).contiguous(memory_format=torch.channels_last)
    maps = (batch, 1, LANDMARKS + sizes.boundary, sizes.map_size, sizes.map_size)
    target = torch.rand(maps, device=on, generator=generator)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast(on.type, torch.bfloat16):
            found = network(pictures)
        (found - target).square().mean().backward()
        optimiser.step()

    return step


def eager_steps(step: Callable[[], None]) -> Iterator[None]:
    """Steps as PyTorch takes them."""
    while True:
        step()
        yield


def graph_steps(step: Callable[[], None]) -> Iterator[None]:
    """Steps by replaying one, which spares the host."""
    beside = torch.cuda.Stream()  # a graph wants its first steps on a stream of their own
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):
        for _ in range(WARM_UP):
            step()
    torch.cuda.current_stream().wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    while True:
        graph.replay()
        yield


def products(on: torch.device) -> Iterator[None]:
    """Products of square matrices in bfloat16, one by one."""
    side = MATRIX[on.type]
    one, other = (torch.randn(side, side, dtype=torch.bfloat16, device=on) for _ in range(2))
    product = torch.empty_like(one)
    while True:
        torch.mm(one, other, out=product)
        yield


def rate(done: Iterator[None], on: torch.device) -> float:
    """How often a second something is done, by its time after a few times."""
    if on.type == "cpu":
        next(done)
        began = time.perf_counter()
        next(done)
        return 1 / (time.perf_counter() - began)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    for _ in range(WARM_UP):
        next(done)
    torch.cuda.synchronize()
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS:
        for _ in range(WARM_UP):
            next(done)
        torch.cuda.synchronize()
        count += WARM_UP
    return count / (time.perf_counter() - began)


def keep_bits(same_bits: bool) -> None:
    """Whether a GPU's libraries choose kernels that give the same bits, or the fastest ones."""
    torch.use_deterministic_algorithms(same_bits, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = not same_bits
    torch.backends.cudnn.allow_tf32 = not same_bits


if __name__ == "__main__":
    main()
