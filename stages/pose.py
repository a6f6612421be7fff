"""A data set's pose space: Procrustes and PCA on its training faces, every face's coefficient."""

from pathlib import Path

import pandas as pd

from stages import command, files, layout
from stages.command import log
from wingloss import pose, protocol


def run(dataset: str) -> None:
    """Writes data/pose/DATASET: model.json and coefficients.csv."""
    rules = protocol.load(dataset)
    samples = files.read_samples(Path(layout.SAMPLES.format(dataset=dataset)))
    points = files.points(samples, rules.n_landmarks)
    model = pose.fit(points[samples.split == "train"], rules.pose_mode)
    log.info(
        "eigenvector %d explains %.0f %% of the shapes' variance",
        rules.pose_mode,
        100 * model.explained[rules.pose_mode - 1],
    )
    table = pd.DataFrame(
        {
            "face": samples.face,
            "split": samples.split,
            "coefficient": model.coefficients(points),
        }
    )
    files.write_table(Path(layout.COEFFICIENTS.format(dataset=dataset)), table, digits=9)
    files.write_json(
        Path(layout.POSE.format(dataset=dataset)),
        {
            "mode": rules.pose_mode,
            "explained": model.explained.tolist(),
            "mean": model.mean.tolist(),
            "eigenvector": model.eigenvector.tolist(),
        },
    )


if __name__ == "__main__":
    command.main(run)
