"""Pose-based data balancing: how often each training face is repeated, for every balance."""

from pathlib import Path

import pandas as pd

from pipeline import files
from pipeline.config import paths
from pipeline.config.params import load
from pipeline.runtime import cli
from pipeline.runtime.cli import log
from wingloss import protocol
from wingloss.pose.balancing import BALANCES


def run(dataset: str) -> None:
    """Writes data/balance/DATASET: a table of repetitions a balance, and histogram.csv."""
    bins = load().dataset[dataset].bins or protocol.load(dataset).bins
    kinds = {kind for _, kind in BALANCES.values()}
    path = Path(paths.COEFFICIENTS.format(dataset=dataset))
    table = files.read_table(path, *sorted(kinds), face=str, split=str)
    training = table[table.split == "train"]
    histograms = []
    for name, (balance, kind) in BALANCES.items():
        repeats, histogram = balance(training[kind].to_numpy(), bins)
        files.write_table(
            Path(paths.REPEATS.format(dataset=dataset, balance=name)),
            pd.DataFrame({"face": training.face, "repeats": repeats}),
        )
        log.info("%s: %d faces become %d", name, len(training), repeats.sum())
        histograms.append(
            pd.DataFrame(
                {
                    "balance": name,
                    "bin": range(bins),
                    "low": histogram.edges[:-1],
                    "high": histogram.edges[1:],
                    "before": histogram.before,
                    "after": histogram.after,
                }
            )
        )
    files.write_table(Path(paths.HISTOGRAM.format(dataset=dataset)), pd.concat(histograms))


if __name__ == "__main__":
    cli.main(run)
