"""What separates CNN-6 here from the paper's figures on 300W, one difference at a time.

``python -m benchmarks.gap VARIANT...`` needs 300W brought in (``datasets: [300w]``, ``snakemake
data/raw/300w``). A row for each variant: CNN-6 + PDB (Wing), recipe `fast` with fewer samples and
one seed, its NME by the pupils' distance in percent on the validation faces, there again with the
mean of each picture's and its mirror image's landmarks, and on the first validation-sized part of
its training faces. Without arguments, all variants.
"""

import contextlib
import csv
import dataclasses
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from benchmarks import arguments, trials
from pipeline.config import paths
from pipeline.config.params import load
from pipeline.runtime import cli
from pipeline.trainings import training_data
from pipeline.trainings.spec import TrainingSpec
from stages import balance, pose, prepare

DATASET = "300w"
SAMPLES = 100_000
HEADER = (
    "variant", "training_faces", "nme_val", "nme_val_mirrored", "nme_training_faces",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Variant:
    """What differs from ``params.yaml``: the input box, and how many faces are trained on."""

    source: str = "given"
    scale: float = 1.0
    share: float = 1.0


VARIANTS = {
    "detector x 1.0": Variant(),
    "detector x 0.9": Variant(scale=0.9),
    "detector x 1.1": Variant(scale=1.1),
    "detector x 1.25": Variant(scale=1.25),
    "landmarks x 1.0": Variant("landmarks", 1.0),
    "landmarks x 1.15": Variant("landmarks", 1.15),
    "landmarks x 1.25": Variant("landmarks", 1.25),
    "an eighth of the faces": Variant(scale=1.25, share=1 / 8),
    "a quarter of the faces": Variant(scale=1.25, share=1 / 4),
    "half of the faces": Variant(scale=1.25, share=1 / 2),
}


def main() -> None:
    """Prints the table of the variants on the command line."""
    chosen = arguments(__doc__, 0)
    torch.set_num_threads(cli.threads())
    rows = csv.writer(sys.stdout, lineterminator="\n")
    rows.writerow(HEADER)
    for name in chosen or VARIANTS:
        rows.writerow((name, *measure(VARIANTS[name])))
        sys.stdout.flush()


def measure(variant: Variant) -> tuple[int | str, ...]:
    """The variant's row, but for its name."""
    with prepared(variant):
        spec = TrainingSpec.of(
            load(), paths.Run(DATASET, "fast", "cnn6", "pdb", "wing", seed=0), stage=1
        )
        repeats = training_data.repetitions(spec)
        everything, everyones_lengths = training_data.faces(spec, "train")
        validating, lengths = training_data.faces(spec, "val")
        order = np.random.default_rng(0).permutation(len(everything))
        chosen = order[: round(variant.share * len(everything))]
        faces = trials.part(everything, chosen)
        network = trials.train(spec, faces, repeats[chosen], SAMPLES)
        few = chosen[: len(validating)]
        errors = (
            trials.nme(network, spec, validating, lengths),
            trials.nme(network, spec, validating, lengths, mirrored=True),
            trials.nme(network, spec, trials.part(everything, few), everyones_lengths[few]),
        )
        return len(faces), *(f"{error:.2f}" for error in errors)


@contextlib.contextmanager
def prepared(variant: Variant) -> Iterator[None]:
    """A folder for the working one, with the variant's prepared and balanced faces."""
    params: dict[str, Any] = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    params["dataset"][DATASET]["box"] = {"source": variant.source, "scale": variant.scale}
    raw = Path(paths.RAW.format(dataset=DATASET))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / raw.parent).mkdir(parents=True)
        (root / raw).symlink_to(raw.resolve())
        (root / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
        with contextlib.chdir(root):
            for stage in (prepare, pose, balance):
                stage.run(DATASET)
            yield


if __name__ == "__main__":
    main()
