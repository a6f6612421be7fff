"""A data set's pose space: Procrustes and PCA on its training faces, every face's coefficient."""

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.config import paths
from pipeline.data import files
from pipeline.data.prepared_faces import frames_of
from pipeline.runtime import cli
from pipeline.runtime.cli import log
from pipeline.runtime.errors import UserError
from wingloss import protocol
from wingloss.geometry import Array, apply, to_unit
from wingloss.pose import projection
from wingloss.protocol import Protocol

MODES = 5  # whose likeness to the yaw is compared
ASYMMETRIC = 0.5  # of a face's size (the landmarks' root mean square distance from their centre)


def run(dataset: str) -> None:
    """Writes data/pose/DATASET: model.json and coefficients.csv."""
    rules = protocol.load(dataset)
    samples = files.read_samples(Path(paths.SAMPLES.format(dataset=dataset)))
    points = files.points(samples, rules.n_landmarks)
    training = (samples.split == "train").to_numpy()
    try:
        model = projection.fit(points[training], rules.pose_mode)
    except ValueError as error:
        raise UserError(f"{dataset}: {error}; bring more training photographs") from error
    boxed = apply(to_unit(frames_of(samples)), points)
    log.info(
        "eigenvector %d explains %.0f %% of the shapes' variance",
        rules.pose_mode,
        100 * model.explained[rules.pose_mode - 1],
    )
    if files.YAW in samples:
        _compare_to_yaw(points[training], samples[training][files.YAW], rules)
    table = pd.DataFrame(
        {
            "face": samples.face,
            "split": samples.split,
            "coefficient": model.coefficients(points),
            "coefficient_authors": projection.authors_coefficients(
                boxed[training], boxed, rules.pose_mode
            ),
        }
    )
    apart = projection.asymmetry(model.mean, rules.flip_permutation)
    if apart.max() > ASYMMETRIC:
        log.warning(
            "landmark %d of the mean face lies far from its mirror image: are flip_pairs in %s "
            "right?",
            apart.argmax(),
            protocol.path(dataset).name,
        )
    files.write_table(Path(paths.COEFFICIENTS.format(dataset=dataset)), table, digits=9)
    files.write_json(
        Path(paths.POSE.format(dataset=dataset)),
        {
            "mode": rules.pose_mode,
            "explained": model.explained.tolist(),
            "mean": model.mean.tolist(),
            "eigenvector": model.eigenvector.tolist(),
        },
    )


def _compare_to_yaw(points: Array, yaw: pd.Series, rules: Protocol) -> None:
    """Says how the chosen eigenvector goes with the yaw, and whether another does better."""
    last = min(max(MODES, rules.pose_mode), rules.pose_modes, len(points) - 1)
    likeness = {
        mode: abs(np.corrcoef(projection.fit(points, mode).coefficients(points), yaw)[0, 1])
        for mode in range(1, last + 1)
    }
    own, best = likeness[rules.pose_mode], max(likeness.values())
    log.info("the pose coefficient's correlation with the yaw: %.2f", own)
    if own < best:
        log.warning(
            "eigenvector %d goes with the yaw better (%.2f): is pose_mode in %s right?",
            *(max(likeness, key=likeness.__getitem__), best, protocol.path(rules.name).name),
        )


if __name__ == "__main__":
    cli.main(run)
