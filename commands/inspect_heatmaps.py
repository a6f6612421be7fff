"""Looking at heat maps: what a trained network answers, beside what it should.

Not a part of the graph: run it by hand once a network of heat maps is trained.
"""

from pathlib import Path

import numpy as np
import torch

from pipeline.config import paths
from pipeline.config.networks import HEAT_MAPS
from pipeline.config.params import load
from pipeline.config.paths import Run
from pipeline.data import images, predict
from pipeline.data.prepared_faces import frames_of, read_faces
from pipeline.errors import UserError
from pipeline.results import scoring
from pipeline.runtime import cli
from pipeline.runtime.cli import log
from wingloss import protocol
from wingloss.augmentation.perturbation import plain, shrink
from wingloss.drawing.heatmap_sheet import heatmap_sheet
from wingloss.evaluation.metrics import nme
from wingloss.geometry import apply
from wingloss.models import inference
from wingloss.models.hourglass import Hourglasses
from wingloss.models.networks import ARCHITECTURES

FACES = 8


def run(dataset: str, recipe: str, network: str, balance: str, loss: str, seed: int) -> None:
    """Draws a sheet of the run's heat maps to results/DATASET/inspect.

    A row a face: the input with its true landmarks, the true maps, and the answered ones. The eight
    faces are spread evenly over the run's errors on its validation faces, from the least to the
    largest; where there are none, on its test faces.
    """
    if network not in HEAT_MAPS:
        known = ", ".join(sorted(HEAT_MAPS))
        raise UserError(f"--network {network}: it has no heat maps; {known} have")
    one_run, rules = Run(dataset, recipe, network, balance, loss, seed), protocol.load(dataset)
    parts = scoring.faces(dataset)
    split = "val" if len(parts["val"]) else "test"
    rows = parts[split]
    faces = read_faces(dataset, split, rows, frames_of(rows), load().context, rules)
    name, trained, on = predict.load(one_run.path(paths.MODEL, stage=1))
    sizes = ARCHITECTURES[name]
    assert isinstance(sizes, Hourglasses)
    small = shrink(faces, sizes.input_size)
    pictures, transform = plain(small, np.arange(len(small)), sizes.input_size)
    true = apply(transform, small.points)
    found = inference.predict_inputs(
        trained, name, torch.from_numpy(pictures), np.tile(np.eye(2, 3), (len(small), 1, 1)),
        "float32", on,
    )  # fmt: skip
    errors = nme(found, true, np.full(len(small), float(sizes.input_size)))
    chosen = np.argsort(errors)[np.linspace(0, len(small) - 1, FACES).round().astype(int)]
    with torch.inference_mode():
        inputs = inference.to_input(torch.from_numpy(pictures[chosen]), on)
        answered = inference.forward(trained, inputs, "float32")[:, -1].cpu().numpy()
    targets = sizes.targets(torch.as_tensor(true[chosen]), rules.boundaries).float().numpy()
    picture = heatmap_sheet(
        pictures[chosen], true[chosen], {"true": targets, "predicted": answered}
    )
    label = f"heatmaps-{recipe}-{network}-{balance}-{loss}-seed{seed}"
    path = Path(paths.INSPECT.format(dataset=dataset, name=label))
    images.write(path, picture)
    log.info("%s written", path)


if __name__ == "__main__":
    cli.main(run)
