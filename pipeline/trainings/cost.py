"""How long the slow jobs take, estimated from rates that were measured once."""

from dataclasses import replace
from typing import Literal

from pipeline.config import paths
from pipeline.config.networks import SAMPLES_A_SECOND, STAGES
from pipeline.config.params import Params
from pipeline.config.paths import Run
from wingloss import protocol

# Looking at some 200 validation faces for each of a learning curve's 20 points takes as long as
# training on a third as many.
VALIDATION_SAMPLES = 20 * 200 / 3
# The rates are of bfloat16. In float32 CNN-6 reaches half as many samples a second, or up to two
# thirds with batches of 16 (docs/notes/performance.md, docs/results/300w).
FLOAT32_TAKES = 2
FACES = 2000  # of a split, where nobody can say how many
# One thread of two busy ones: 15 (Zen 3) to 22 (Zen 5) faces rendered.
RENDERED_A_SECOND = 15
PREPARED_A_SECOND = 80  # photographs; rendered faces, which are smaller, four times as many
TREES_TIMES_PICTURES_A_SECOND = 320_000  # 1127 s for 10 x 500 trees on 1808 faces, 40 times each


def training_seconds(params: Params, dataset: str, recipe: str, network: str) -> float:
    """One training of ``network`` (cnn6, cnn7, resnet50) with the recipe's budget: one thread."""
    own = params.recipes[recipe].of(network)
    times = FLOAT32_TAKES if own.precision == "float32" else 1
    return times * (own.samples[dataset] + VALIDATION_SAMPLES) / SAMPLES_A_SECOND[network]


def run_seconds(params: Params, dataset: str, recipe: str, network: str) -> float:
    """All stages of one run of ``network`` (cnn6, cnn6_7, resnet50): one thread."""
    return sum(training_seconds(params, dataset, recipe, part) for part in STAGES[network])


def all_seconds(params: Params, dataset: str) -> float:
    """All that the parameters have trained on a data set, each training once: one thread."""
    folds = params.correction.folds if params.correction.training_crops == "out_of_fold" else 0
    each: dict[tuple[str, Run], float] = {}  # a CNN-6/7's first stage may be a run of CNN-6's
    for run in paths.runs(params, dataset):
        parts = STAGES[run.network]
        for stage, part in enumerate(parts, 1):
            one = replace(paths.trained_as(params, run, stage), network=part)
            each[part, one] = training_seconds(params, dataset, run.recipe, part)
            if stage < len(parts):
                each["folds", one] = folds * each[part, one]
    trees = params.baselines.count("ert") * len(params.seeds)
    return sum(each.values()) + trees * trees_seconds(params, dataset)


def trees_seconds(params: Params, dataset: str) -> float:
    """One ensemble of regression trees: one thread."""
    own = params.regression_trees
    pictures = _faces(params, dataset, "train") * own.initialisations * (1 + own.mirrored)
    return own.cascades * own.trees * pictures / TREES_TIMES_PICTURES_A_SECOND


def rendering_seconds(params: Params, dataset: str) -> float:
    """All faces of a data set that the project renders, 0 for others: one thread."""
    rendered = params.raw[dataset]
    return (rendered.train + rendered.test) / RENDERED_A_SECOND if rendered else 0.0


def preparing_seconds(params: Params, dataset: str) -> float:
    """The context crops of all faces: one thread."""
    faces = _faces(params, dataset, "train") + _faces(params, dataset, "test")
    return faces / PREPARED_A_SECOND


def _faces(params: Params, dataset: str, split: Literal["train", "test"]) -> int:
    """The faces of a complete split."""
    rendered = params.raw[dataset]
    if rendered:
        return rendered.train if split == "train" else rendered.test
    counts = [part.count for part in protocol.load(dataset).parts if part.split == split]
    return sum(count for count in counts if isinstance(count, int)) or FACES
