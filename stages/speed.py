"""How large the networks are, and how many faces a second they do one by one (Table 7)."""

import os
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import torch
from torch import nn

from pipeline import files
from pipeline.config import paths
from pipeline.config.networks import HEAT_MAPS
from pipeline.runtime import cli
from pipeline.runtime.cli import log
from pipeline.runtime.host import processor
from wingloss import protocol
from wingloss.augmentation.perturbation import Faces, Images, plain
from wingloss.geometry import Array, apply, invert, to_unit
from wingloss.models.correction import corrected_frames
from wingloss.models.inference import to_input
from wingloss.models.networks import ARCHITECTURES, build

CROP = 224  # pixels of the picture that CNN-7's crop is cut from
TIMED = {name: parts for name, parts in paths.STAGES.items() if name not in HEAT_MAPS}
WARM_UP, REPEATS, SECONDS = 2, 5, 0.25  # faces, and then REPEATS times as many as SECONDS allow


def run(dataset: str) -> None:
    """Writes results/DATASET/speed.json, of the networks of Table 7.

    They are as built: training changes no speed.
    """
    cores = len(os.sched_getaffinity(0))
    count = protocol.load(dataset).n_landmarks
    torch.backends.cudnn.allow_tf32 = False
    threads = cli.threads()
    networks = {
        part: build(part, count, seed=0).eval() for parts in TIMED.values() for part in parts
    }
    found: dict[str, dict[str, float | None]] = {
        name: _size([networks[part] for part in parts]) for name, parts in TIMED.items()
    }
    places = {"cpu_speed_1_thread": ("cpu", 1), "cpu_speed": ("cpu", threads)}
    if torch.cuda.is_available():
        places["gpu_speed"] = ("cuda", threads)
    began, own, every = time.perf_counter(), time.process_time(), _busy()
    for place, (device, number) in places.items():
        torch.set_num_threads(number)
        for name, one_face in _passes(networks, count, torch.device(device)).items():
            found[name][place] = round(rate(one_face), 1)
            log.info("%s, %s: %.1f faces a second", name, place, found[name][place])
    others = _busy() - every - (time.process_time() - own)
    machine = {
        "processor": processor(),
        "threads": threads,
        "cores": cores,
        "cores_of_others": round(max(0.0, others) / (time.perf_counter() - began), 1),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch": torch.__version__,
    }
    path = Path(paths.SPEED.format(dataset=dataset))
    files.write_json(path, {"machine": machine, "networks": found})


def _busy() -> float:
    """The seconds that all cores have spent at work since the machine started."""
    times = psutil.cpu_times()._asdict()
    # Linux has a guest's seconds in the host's user and nice as well
    not_at_work = ("idle", "iowait", "guest", "guest_nice")
    return sum(seconds for name, seconds in times.items() if name not in not_at_work)


def _size(stages: list[nn.Module]) -> dict[str, float | None]:
    """Parameters, and bytes of the model files but for their headers, of all stages together."""
    tensors = [tensor for stage in stages for tensor in stage.state_dict().values()]
    return {
        "parameters": sum(p.numel() for stage in stages for p in stage.parameters()),
        "size": sum(tensor.numel() * tensor.element_size() for tensor in tensors),
        "gpu_speed": None,
    }


def _passes(
    networks: dict[str, nn.Module], n_landmarks: int, device: torch.device
) -> dict[str, Callable[[], Array]]:
    """For each network of a run, what takes one face from its input crop to its landmarks."""
    rng = np.random.default_rng(0)
    alone = {}
    for name, network in networks.items():
        network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        size = ARCHITECTURES[name].input_size
        picture = rng.integers(0, 256, (1, size, size, 3), dtype=np.uint8)
        alone[name] = partial(_see, network, name, picture, device)
    crop = rng.integers(0, 256, (1, CROP, CROP, 3), dtype=np.uint8)
    mean = rng.normal(size=(n_landmarks, 2))

    def both() -> Array:
        """CNN-6, the correction, a new crop, CNN-7."""
        points = alone["cnn6"]() * (CROP / ARCHITECTURES["cnn6"].input_size)
        to_frame = to_unit(corrected_frames(points, mean, margin=1.25))
        face = Faces(crop, points, to_frame)
        picture, transform = plain(face, np.arange(1), ARCHITECTURES["cnn7"].input_size)
        return apply(invert(transform), _see(networks["cnn7"], "cnn7", picture, device))

    return {name: alone[parts[0]] if len(parts) == 1 else both for name, parts in TIMED.items()}


def _see(network: nn.Module, name: str, pictures: Images, device: torch.device) -> Array:
    """Landmarks ``(N, L, 2)`` in pixels of ``pictures`` ``(N, S, S, 3)``, in float32."""
    with torch.inference_mode():
        found = network(to_input(torch.from_numpy(pictures), device))
        return ARCHITECTURES[name].points(found).cpu().double().numpy()


def rate(one_face: Callable[[], object], repeats: int = REPEATS) -> float:
    """Faces a second, the median of several repeats."""
    for _ in range(WARM_UP):
        one_face()
    rates = []
    for _ in range(repeats):
        began, seconds, count = time.perf_counter(), 0.0, 0
        while seconds < SECONDS:
            one_face()
            seconds, count = time.perf_counter() - began, count + 1
        rates.append(count / seconds)
    return statistics.median(rates)


if __name__ == "__main__":
    cli.main(run)
