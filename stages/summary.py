"""One tidy table of all runs, one row a run and subset, from their predictions files alone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline import files
from pipeline.config import paths
from pipeline.config.params import load
from pipeline.results.predictions_file import SPLITS, Predictions, scored_split
from pipeline.results.words import counted
from pipeline.runtime import cli
from pipeline.runtime.cli import log
from wingloss import protocol
from wingloss.evaluation import metrics
from wingloss.protocol import Protocol

COLUMNS = [
    "dataset", "data_stamp", "recipe", "weights", "precision", "network", "balance", "loss",
    "loss_parameters", "seed", "status", "split", "subset", "n_faces", "nme_inter_pupil",
    "nme_inter_ocular", "nme_box", "nme_diag", "median", "auc", "failure_rate", "auc_normaliser",
    "auc_threshold", "train_seconds", "samples_seen", "commit",
]  # fmt: skip
# Figures that mean something of a training that ended; one that diverged has none.
SCORES = (*(f"nme_{name}" for name in metrics.NORMALISERS), "median", "auc", "failure_rate")


def run(dataset: str) -> None:
    """Writes results/DATASET/summary.csv and a file of metrics a run."""
    rules = protocol.load(dataset)
    found = [run.path(paths.PREDICTIONS) for run in paths.scored(load(), dataset)]
    _forget_others(dataset, set(found))
    rows = []
    for path in found:
        predictions = Predictions.read(path)
        for split, subset, chosen in _groups(predictions):
            scores = _scores(predictions, chosen, rules)
            if predictions.diverged:
                scores |= dict.fromkeys(SCORES, np.nan)
            rows.append(predictions.about | {"split": split, "subset": subset} | scores)
    table = pd.DataFrame(rows)[COLUMNS]
    files.write_table(Path(paths.SUMMARY.format(dataset=dataset)), table)
    _write_metrics(Path(paths.METRICS.format(dataset=dataset)), table, rules)
    _write_scores(Path(paths.SCORES.format(dataset=dataset)), table, rules)
    log.info("%s", counted(table.drop_duplicates([*_RUN, "seed"]).shape[0], "run"))
    for line in _pretty(table, rules).splitlines():
        log.info("%s", line)


def _forget_others(dataset: str, current: set[Path]) -> None:
    """Deletes predictions of runs that the parameters no longer ask for.

    DVC takes the whole folder for this stage's input, so what lies there must be the runs' own.
    """
    root = Path(paths.PREDICTIONS_FOLDER.format(dataset=dataset))
    for path in set(root.rglob("*.npz")) - current:
        log.info("%s belongs to no run any more: deleted", path)
        path.unlink()


def _groups(predictions: Predictions) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Split, subset and the mask of its faces: all of them first, then the named subsets."""
    for split in SPLITS:
        inside = predictions.split == split
        if inside.any():
            yield split, protocol.ALL, inside
        tags = [set(names.split()) for names in predictions.subsets]
        for subset in sorted(set().union(*(tags[i] for i in np.flatnonzero(inside)))):
            yield split, subset, inside & np.array([subset in own for own in tags])


def _scores(predictions: Predictions, chosen: NDArray[np.bool_], rules: Protocol) -> dict[str, Any]:
    """The errors of the chosen faces, in percent."""
    errors = {name: predictions.errors(name)[chosen] for name in metrics.NORMALISERS}
    headline = np.nan_to_num(errors[rules.headline], nan=np.inf)
    return {
        "n_faces": int(chosen.sum()),
        **{f"nme_{name}": 100 * float(error.mean()) for name, error in errors.items()},
        "median": 100 * float(np.median(headline)),
        "auc": 100 * metrics.auc(headline, rules.threshold),
        "failure_rate": 100 * metrics.failure_rate(headline, rules.threshold),
        "auc_normaliser": rules.headline,
        "auc_threshold": rules.threshold,
    }


_RUN = ["recipe", "network", "balance", "loss"]


def _write_metrics(folder: Path, table: pd.DataFrame, rules: Protocol) -> None:
    """A file a run with its means over seeds, so that ``dvc metrics`` shows a row a run."""
    with files.whole_folder(folder) as new:
        for names, rows in table.groupby(_RUN, sort=False):
            scores: dict[str, float | str] = {}
            for (split, subset), faces in rows.groupby(["split", "subset"], sort=False):
                whole = subset == protocol.ALL
                part = split if whole else f"{split}_{subset}"
                scores[f"{part}.nme"] = _mean(faces[f"nme_{rules.headline}"])
                if whole:
                    for score in ("median", "auc", "failure_rate"):
                        scores[f"{part}.{score}"] = _mean(faces[score])
            files.write_json(new / f"{'-'.join(names)}.json", scores)


def _write_scores(path: Path, table: pd.DataFrame, rules: Protocol) -> None:
    """Each run's error on all test (else validation) faces, for ``dvc exp show``."""
    split = scored_split(set(table["split"]))
    faces = table[(table["split"] == split) & (table["subset"] == protocol.ALL)]
    means = faces.groupby(_RUN, sort=False)[f"nme_{rules.headline}"].apply(_mean)
    files.write_json(path, {"-".join(run): mean for run, mean in means.items()})


def _mean(seeds: pd.Series) -> float | str:
    """The mean over seeds, or that one of them diverged."""
    mean = float(seeds.mean(skipna=False))
    return round(mean, 4) if np.isfinite(mean) else "diverged"


def _pretty(table: pd.DataFrame, rules: Protocol) -> str:
    """The headline error of every run and subset, for the log."""
    column = f"nme_{rules.headline}"
    means = table.groupby([*_RUN, "split", "subset"], sort=False)[column].apply(_mean)
    wide = means.unstack(["split", "subset"], sort=False)
    return f"{column} in percent, mean over seeds\n{wide.to_string(float_format='{:.2f}'.format)}"


if __name__ == "__main__":
    cli.main(run)
