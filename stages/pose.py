"""A data set's pose space: Procrustes and PCA on its training faces, every face's coefficient."""

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline import files
from pipeline.config import paths
from pipeline.data.prepared_faces import frames_of
from pipeline.errors import UserError
from pipeline.runtime import cli
from pipeline.runtime.cli import log
from wingloss import protocol
from wingloss.geometry import Array, apply, to_unit
from wingloss.pose import projection
from wingloss.pose.projection import PoseModel
from wingloss.protocol import Protocol

MODES = 5  # eigenvectors whose likeness to the yaw is compared
ASYMMETRIC = 0.5  # of a face's size (the landmarks' root mean square distance from their centre)


def run(dataset: str) -> None:
    """Writes data/pose/DATASET: model.json and coefficients.csv."""
    rules = protocol.load(dataset)
    samples = files.read_samples(Path(paths.SAMPLES.format(dataset=dataset)))
    points = files.points(samples, rules.n_landmarks)
    training = (samples.split == "train").to_numpy()
    boxed = apply(to_unit(frames_of(samples)), points)
    try:
        model = projection.fit(points[training], rules)
        authors = projection.authors_coefficients(boxed[training], boxed, rules.pose_mode)
    except ValueError as error:
        raise UserError(f"{dataset}: {error}; bring more training photographs") from error
    log.info(
        "eigenvector %d explains %.0f %% of the shapes' variance",
        model.mode,
        100 * model.explained[model.mode - 1],
    )
    if files.YAW in samples:
        _compare_to_yaw(points[training], samples[training][files.YAW], model, rules)
    table = pd.DataFrame(
        {
            "face": samples.face,
            "split": samples.split,
            "coefficient": model.coefficients(points),
            "coefficient_authors": authors,
        }
    )
    apart = projection.asymmetry(points[training], rules.flip_permutation)
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
            "mode": model.mode,
            "explained": model.explained.tolist(),
            "mean": model.mean.tolist(),
            "eigenvector": model.eigenvector.tolist(),
        },
    )


def _compare_to_yaw(points: Array, yaw: pd.Series, model: PoseModel, rules: Protocol) -> None:
    """Says how the pose coefficient goes with the yaw, and whether an eigenvector does better."""

    def likeness(model: PoseModel) -> float:
        return abs(np.corrcoef(model.coefficients(points), yaw)[0, 1])

    own = likeness(model)
    log.info("the pose coefficient's correlation with the yaw: %.2f", own)
    if rules.pose_axis == "antisymmetric":
        return
    last = min(max(MODES, model.mode), rules.pose_modes, len(points) - 1)
    others = {n: likeness(projection.fit_eigenvector(points, n)) for n in range(1, last + 1)}
    best = max(others, key=others.__getitem__)
    if own < others[best]:
        log.warning(
            "eigenvector %d goes with the yaw better (%.2f): set pose_axis in %s to antisymmetric",
            *(best, others[best], protocol.path(rules.name).name),
        )


if __name__ == "__main__":
    cli.main(run)
