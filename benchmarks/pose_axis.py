"""How well PDB's pose coefficient goes with the yaw, by its axis and the faces' spread of yaw.

    python -m benchmarks.pose_axis

Rendered faces' landmarks, in AFLW's scheme of 19 and 300W's of 68: the coefficients along the first
antisymmetric eigenvector, and along the first two of the shapes alone. The last column is the share
of faces that the former and the authors' eigenvector put into different bins of PDB.
"""

from collections.abc import Sequence

import numpy as np

from pipeline.config.params import load
from wingloss import protocol
from wingloss.geometry import Array
from wingloss.pose import projection
from wingloss.pose.balancing import signed_bins
from wingloss.pose.projection import PoseModel
from wingloss.synthetic.face import AFLW, rotation, turned_landmarks
from wingloss.synthetic.head import draw_shape
from wingloss.synthetic.population import FaceDistribution, draw_pose

SCHEMES = {"aflw": AFLW, "300w": [[i] for i in range(68)]}
SPREADS = (10, 15, 20, 25, 30, 35, 42, 50)  # degrees
FACES = 2000


def rendered(
    faces: FaceDistribution, spread: float, scheme: Sequence[Sequence[int]], count: int
) -> tuple[Array, Array]:
    """Landmarks ``(N, L, 2)`` of the renderer's faces, in head units, and their yaw in degrees.

    The yaw is normal with standard deviation ``spread``, all else as the population has it;
    ``scheme`` names the 68 landmarks of whose mean each of the L is.
    """
    shapes, yaws = [], []
    for i in range(count):
        rng = np.random.default_rng([2, i])
        _, pitch, roll = draw_pose(faces, rng)
        yaw = float(np.clip(rng.normal(0, spread), -90, 90))
        controls = draw_shape(bool(i % 2), rng.random() < faces.expression, rng)
        turned = turned_landmarks(controls, rotation(yaw, pitch, roll), yaw, roll)
        distance = rng.uniform(7, 15)  # in perspective, as render_face sees it
        shape = turned[:, :2] * (distance / (distance - turned[:, 2:]))
        shapes.append([shape[list(group)].mean(axis=0) for group in scheme])
        yaws.append(yaw)
    return np.array(shapes), np.array(yaws)


def likeness(model: PoseModel, shapes: Array, yaw: Array) -> float:
    """The size of the correlation of pose coefficient and yaw."""
    return abs(np.corrcoef(model.coefficients(shapes), yaw)[0, 1])


def _moved(one: Array, other: Array, bins: int) -> float:
    """The share of faces that two kinds of pose coefficients ``(N,)`` put into different bins."""
    same_way = np.sign(np.corrcoef(one, other)[0, 1])
    mine, theirs = (signed_bins(each, bins)[1] for each in (one, same_way * other))
    return float((mine != theirs).mean())


def main() -> None:
    faces = load().raw["synthetic"]
    assert faces is not None
    for name, scheme in SCHEMES.items():
        rules = protocol.load(name)
        print(f"\n{rules.n_landmarks} landmarks, {FACES} faces: |r| with the yaw\n")
        print("| spread of yaw | antisymmetric | with its sine | first | second | other bin |")
        print("|---|---|---|---|---|---|")
        for spread in SPREADS:
            shapes, yaw = rendered(faces.faces, spread, scheme, FACES)
            own = projection.fit_antisymmetric(shapes, rules.flip_permutation)
            modes = [projection.fit_eigenvector(shapes, mode) for mode in (1, 2)]
            authors = modes[rules.pose_mode - 1].coefficients(shapes)
            found = [likeness(own, shapes, yaw), likeness(own, shapes, np.sin(np.deg2rad(yaw)))]
            found += [likeness(mode, shapes, yaw) for mode in modes]
            figures = " | ".join(f"{r:.3f}" for r in found)
            moved = 100 * _moved(own.coefficients(shapes), authors, rules.bins)
            print(f"| {spread}° | {figures} | {moved:.0f} % |")


if __name__ == "__main__":
    main()
