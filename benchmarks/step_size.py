"""Does Wing loss win by its shape, or by larger steps?

At one learning rate, Wing's gradient is about 3.6 times L1's. So CNN-6 is trained by the paper's
recipe (SGD, float32) with L1, smooth L1 and Wing loss at several multiples of the learning rate. If
L1 with 3.6 times the rate does as well as Wing, the gain is the larger step's.

Under SGD, a multiple of the rate is the same multiple of the loss, but for weight decay (0.4 % of
the weights over a training). So trainings with different rates can stand side by side on a GPU.
Training k holds out its own tenth of the photographs (``validation.seed`` k): four seeds test on
four times as many faces. PDB is off.

1. ``python -m benchmarks.step_size pack 300w faces.npz`` packs the data set's training faces, once
   it is prepared (``snakemake data/balance/300w/none.csv``); its crops as JPEG of quality 95.
2. ``python -m benchmarks.step_size train faces.npz FOLDER SAMPLES [LOSS*MULTIPLE[@SEED]...]``
   trains all, or some, with so many samples each: on a GPU side by side, else one by one on one
   core. It writes ``runs.csv`` and ``curves.csv``, and reads params.yaml of this folder.
3. ``python -m benchmarks.step_size report FOLDER`` prints the comparison as Markdown, and draws
   ``step-size.svg``.
"""

import dataclasses
import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch
from matplotlib import pyplot as plt
from scipy import stats
from torch import Tensor

from benchmarks import trials
from pipeline.config import paths
from pipeline.config.params import load
from pipeline.results import figure_file
from pipeline.runtime.host import processor
from wingloss import protocol
from wingloss.augmentation.perturbation import Faces
from wingloss.datasets.validation_part import held_out
from wingloss.evaluation.significance import holm
from wingloss.geometry import Array
from wingloss.losses import L1, Loss, SmoothL1, Wing
from wingloss.models import inference
from wingloss.models.networks import build
from wingloss.training import loop
from wingloss.training.loop import Alone, Member, Model, Objective, Setting, Training
from wingloss.training.on_gpu import OnGPU
from wingloss.training.on_processor import OnProcessor
from wingloss.training.stacked import Stacked

NETWORK, SEEDS = "cnn6", range(4)
MULTIPLES = {"l1": (1, 2, 3.6, 7), "smooth_l1": (1, 3.6), "wing": (0.28, 1, 2)}
TITLES = {"l1": "L1", "smooth_l1": "smooth L1", "wing": "Wing"}
GRADIENT = 3.6  # Wing's (w = 10, epsilon = 2) in L1's, for errors of about a pixel
SHARE = 1 / 10  # of the photographs, held out by each seed for itself
# differences of two cells, over the seeds
QUESTIONS = (
    ("Wing − L1, at the paper's rate", ("wing", 1.0), ("l1", 1.0)),
    ("Wing − smooth L1, at the paper's rate", ("wing", 1.0), ("smooth_l1", 1.0)),
    ("Wing − L1 × 2", ("wing", 1.0), ("l1", 2.0)),
    ("Wing − L1 × 3.6, at equal step size", ("wing", 1.0), ("l1", 3.6)),
    ("Wing − smooth L1 × 3.6, at equal step size", ("wing", 1.0), ("smooth_l1", 3.6)),
    ("Wing × 0.28 − L1, at equal step size", ("wing", 0.28), ("l1", 1.0)),
    ("Wing × 2 − Wing", ("wing", 2.0), ("wing", 1.0)),
    ("L1 × 2 − L1", ("l1", 2.0), ("l1", 1.0)),
    ("L1 × 3.6 − L1", ("l1", 3.6), ("l1", 1.0)),
)
DRAWN = (
    ("l1", 1, "-"), ("l1", 2, "--"), ("l1", 3.6, ":"), ("smooth_l1", 1, "-"),
    ("wing", 1, "-"), ("wing", 0.28, ":"),
)  # fmt: skip
JPEG = [cv2.IMWRITE_JPEG_QUALITY, 95]


@dataclasses.dataclass(frozen=True)
class Cell:
    """One training."""

    loss: str
    multiple: float  # of the paper's learning rate
    seed: int


class _Multiple:
    """A loss times ``multiple``."""

    multiple: float

    def __call__(self, error: Tensor) -> Tensor:
        return self.multiple * super().__call__(error)  # type: ignore[misc]


@dataclasses.dataclass(frozen=True)
class MultipleL1(_Multiple, L1):
    multiple: float


@dataclasses.dataclass(frozen=True)
class MultipleSmoothL1(_Multiple, SmoothL1):
    multiple: float


@dataclasses.dataclass(frozen=True)
class MultipleWing(_Multiple, Wing):
    multiple: float


def main() -> None:
    """Does the step on the command line."""
    match sys.argv[1:]:
        case ["pack", dataset, file]:
            pack(dataset, Path(file))
        case ["train", file, folder, samples, *chosen]:
            train(Path(file), Path(folder), int(samples), chosen)
        case ["report", folder]:
            report(Path(folder))
        case _:
            raise SystemExit(__doc__)


def pack(dataset: str, file: Path) -> None:
    """Writes the data set's training faces, with who is held out from which seed's training."""
    from pipeline.trainings import training_data
    from pipeline.trainings.spec import TrainingSpec

    spec = TrainingSpec.of(load(), paths.Run(dataset, "paper", NETWORK, "none", "wing", 0), stage=1)
    parts = [training_data.faces(spec, split) for split in ("train", "val")]
    photographs = pd.concat(
        [training_data.samples(spec, split).photograph for split in ("train", "val")]
    )
    coded = [
        cv2.imencode(".jpg", crop, JPEG)[1]
        for crop in itertools.chain(*(faces.crops for faces, _ in parts))
    ]
    np.savez(
        file,
        dataset=dataset,
        coded=np.concatenate(coded),
        ends=np.cumsum([len(one) for one in coded]),
        points=np.concatenate([faces.points for faces, _ in parts]),
        to_unit=np.concatenate([faces.to_unit for faces, _ in parts]),
        normaliser=np.concatenate([lengths for _, lengths in parts]),
        photograph=pd.factorize(photographs)[0],
        held_out=[photographs.isin(held_out(photographs, SHARE, seed)) for seed in SEEDS],
    )


def train(file: Path, folder: Path, samples: int, chosen: list[str]) -> None:
    """Trains, and writes what came out beside the rows of other trainings that stand there."""
    with np.load(file) as packed:
        arrays = dict(packed)
    on = inference.device()
    inference.be_deterministic(on)
    torch.set_num_threads(1)
    cells = [
        Cell(loss, multiple, seed)
        for loss, multiples in MULTIPLES.items()
        for multiple in multiples
        for seed in SEEDS
        if not chosen or f"{loss}*{multiple:g}" in chosen or f"{loss}*{multiple:g}@{seed}" in chosen
    ]
    faces = _faces(arrays)
    recipe = load().recipes["paper"].of(NETWORK)
    flip_permutation = protocol.load(str(arrays["dataset"])).flip_permutation
    setting = Setting(NETWORK, recipe, samples // recipe.batch, flip_permutation)
    for group in [cells] if on.type == "cuda" else [[cell] for cell in cells]:
        members = [_member(cell, faces, arrays, on) for cell in group]
        began, training = time.monotonic(), None
        for training in _steps(members, setting, on):
            if training.step % (setting.steps // loop.CURVE_POINTS) == 0:
                seconds = time.monotonic() - began
                print(*group[:1], training.step, *training.report(), f"{seconds:.0f} s", flush=True)
        assert training is not None
        _write(folder, training, group, faces, arrays, on)


def _faces(arrays: dict[str, Any]) -> Faces:
    crops = []
    for one in np.split(arrays["coded"], arrays["ends"][:-1]):
        crop = cv2.imdecode(one, cv2.IMREAD_COLOR)
        assert crop is not None
        crops.append(crop.astype(np.uint8, copy=False))
    return Faces(np.stack(crops), arrays["points"], arrays["to_unit"])


def _member(cell: Cell, faces: Faces, arrays: dict[str, Any], on: torch.device) -> Member:
    params = load()
    loss: Loss
    if cell.loss == "wing":
        wing = params.loss["wing"].on(NETWORK)
        loss = MultipleWing(**dataclasses.asdict(wing), multiple=cell.multiple)  # type: ignore[call-overload]
    else:
        loss = (MultipleL1 if cell.loss == "l1" else MultipleSmoothL1)(cell.multiple)
    held = arrays["held_out"][cell.seed]
    validate = loop.validation(
        NETWORK, trials.part(faces, held), arrays["normaliser"][held], "float32", on
    )
    objective = Objective(cell.loss, loss, params.augmentation.cnn6, cell.seed)
    return Member(objective, faces, (~held).astype(np.int64), validate)


def _steps(members: list[Member], setting: Setting, on: torch.device) -> Iterator[Training]:
    """The trainings from their start, block by block."""
    landmarks, seen = len(setting.flip_permutation), setting.recipe.input_range
    networks = [build(NETWORK, landmarks, one.objective.seed, seen).to(on) for one in members]
    for network, member in zip(networks, members, strict=True):
        loop.make_first_guess(network, member, setting)
    model: Model
    if on.type == "cuda":
        model = Stacked(networks, setting.recipe.precision)
        training = Training(model, len(members), setting.recipe)
        return loop.train(training, members, setting, OnGPU(training, members, setting, on))
    model = Alone(networks[0], setting.recipe.precision)
    training = Training(model, 1, setting.recipe)
    return loop.train(training, members, setting, OnProcessor(training, members, setting))


def _write(
    folder: Path,
    training: Training,
    cells: list[Cell],
    faces: Faces,
    arrays: dict[str, Any],
    on: torch.device,
) -> None:
    """``curves.csv`` and, with the error of the held-out faces, ``runs.csv``."""
    runs, curves = [], []
    hardware = torch.cuda.get_device_name() if on.type == "cuda" else processor()
    for index, cell in enumerate(cells):
        member, held = training.member(index), arrays["held_out"][cell.seed]
        named = dataclasses.asdict(cell)
        curves += [
            named | {"samples": p.samples, "loss_value": p.loss / cell.multiple, "nme": p.val_nme}
            for p in member.curve
        ]
        errors = _errors(member.network, trials.part(faces, held), arrays["normaliser"][held], on)
        runs.append(
            named
            | {
                "samples": member.curve[-1].samples,
                "diverged": member.diverged,
                "nme": errors.mean(),
                "median": np.median(errors),
                "hardware": hardware,
            }
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in (("runs", runs), ("curves", curves)):
        path, table = folder / f"{name}.csv", pd.DataFrame(rows)
        if path.exists():
            table = pd.concat([pd.read_csv(path), table])
        order = [*vars(cells[0]), "samples"]
        table = table.drop_duplicates(order, keep="last").sort_values(order)
        table.to_csv(path, index=False, float_format="%.4f")


def _errors(network: torch.nn.Module, faces: Faces, normaliser: Array, on: torch.device) -> Array:
    """Each face's NME in percent ``(N,)``."""
    found = inference.predict(network, NETWORK, faces, "float32", on)
    return 100 * np.linalg.norm(found - faces.points, axis=2).mean(axis=1) / normaliser


def report(folder: Path) -> None:
    """Prints every cell's error and what the comparisons say; draws ``step-size.svg``."""
    runs = pd.read_csv(folder / "runs.csv")
    print("| loss | times the rate | NME, % | median | seeds | on |\n|---|---|---|---|---|---|")
    for (loss, multiple, hardware), own in runs.groupby(["loss", "multiple", "hardware"]):
        print(
            f"| {TITLES[loss]} | {multiple:g} | {own.nme.mean():.2f} ± {own.nme.std():.2f} "
            f"| {own['median'].mean():.2f} | {len(own)} | {hardware} |"
        )
    print(
        "\n| question | difference, points | 95 % interval | p | p, Holm |\n|---|---|---|---|---|"
    )
    found = [difference(runs, first, second) for _, first, second in QUESTIONS]
    adjusted = holm([one.p for one in found], len(found))
    for (question, *_), one, p in zip(QUESTIONS, found, adjusted, strict=True):
        print(
            f"| {question} | {one.value:+.2f} | {one.low:+.2f} to {one.high:+.2f} "
            f"| {one.p:.3f} | {p:.3f} |"
        )
    _draw(runs, pd.read_csv(folder / "curves.csv"), folder / "step-size.svg")


@dataclasses.dataclass(frozen=True)
class Difference:
    """Of two cells' errors: the mean over seeds in points, its 95 % interval, and p."""

    value: float
    low: float
    high: float
    p: float


def difference(
    runs: pd.DataFrame, first: tuple[str, float], second: tuple[str, float]
) -> Difference:
    """The first cell's error less the second's, of the same seeds.

    Paired Student's t, with the variance that Nadeau and Bengio (Machine Learning, 2003) give to
    random splits: their training parts overlap, so the differences are alike.
    """
    table = runs.pivot(index="seed", columns=["loss", "multiple"], values="nme")
    own = (table[first] - table[second]).dropna()
    value, freedom = own.mean(), len(own) - 1
    error = own.std() * (1 / len(own) + SHARE / (1 - SHARE)) ** 0.5
    half = error * stats.t.ppf(0.975, freedom)
    p = 2 * stats.t.sf(abs(value) / error, freedom)
    return Difference(value, value - half, value + half, p)


def _draw(runs: pd.DataFrame, curves: pd.DataFrame, path: Path) -> None:
    """Error over the size of a step, and over samples with a band that holds all seeds."""
    colours = dict(zip(TITLES, ("#0072B2", "#009E73", "#D55E00"), strict=True))
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    for loss, own in runs.groupby("loss"):
        step = own.multiple * (GRADIENT if loss == "wing" else 1)
        means = own.nme.groupby(step).mean()
        left.plot(step, own.nme, ".", color=colours[loss], alpha=0.5)
        left.plot(means.index, means, color=colours[loss], label=TITLES[loss])
    for loss, multiple, dashes in DRAWN:
        own = curves[(curves.loss == loss) & (curves.multiple == multiple)]
        course = own.groupby("samples").nme.agg(["mean", "min", "max"])
        label = TITLES[loss] + (f" × {multiple:g}" if multiple != 1 else "")
        right.plot(course.index / 1000, course["mean"], dashes, color=colours[loss], label=label)
        right.fill_between(
            course.index / 1000, course["min"], course["max"], color=colours[loss], alpha=0.15
        )
    left.set(
        xscale="log", ylim=(6.7, 9), xlabel="step size relative to L1's at the paper's rate (log)"
    )
    above = runs.groupby(["loss", "multiple"]).nme.mean().loc[lambda means: means > 9]
    said = [f"{TITLES[loss]} × {multiple:g}: {nme:.1f}" for (loss, multiple), nme in above.items()]
    left.text(
        0.98, 0.02, "above the panel: " + ", ".join(said), transform=left.transAxes, ha="right"
    )
    left.set_xticks([0.5, 1, 2, 3.6, 7], ["0.5", "1", "2", "3.6", "7"])
    left.minorticks_off()
    right.set(ylim=(6.7, 9), xlabel="thousand samples")
    for axes in (left, right):
        axes.set_ylabel("validation NME, %")
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    figure_file.save(figure, path)
    plt.close(figure)


if __name__ == "__main__":
    main()
