"""Pose-based data balancing: how often each training face is repeated, for every balance."""

from pathlib import Path

import pandas as pd

from stages import command, files, layout
from stages.command import log
from stages.params import load
from wingloss import protocol
from wingloss.balancing import BALANCES


def run(dataset: str) -> None:
    """Writes data/balance/DATASET: a table of repetitions a balance, and histogram.csv."""
    bins = load().dataset[dataset].bins or protocol.load(dataset).bins
    kinds = {kind for _, kind in BALANCES.values()}
    path = Path(layout.COEFFICIENTS.format(dataset=dataset))
    table = files.read_table(path, *sorted(kinds), face=str, split=str)
    training = table[table.split == "train"]
    histograms = []
    for name, (balance, kind) in BALANCES.items():
        repeats, histogram = balance(training[kind].to_numpy(), bins)
        files.write_table(
            Path(layout.REPEATS.format(dataset=dataset, balance=name)),
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
    files.write_table(Path(layout.HISTOGRAM.format(dataset=dataset)), pd.concat(histograms))


if __name__ == "__main__":
    command.main(run)
