"""The pose space (Section 5): Procrustes alignment to the mean shape, then PCA.

One coefficient along the shape eigenvector that controls yaw stands for a face's pose.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wingloss.geometry import Array

if TYPE_CHECKING:
    from sklearn.decomposition import PCA


@dataclass(frozen=True)
class PoseModel:
    """The mean shape ``(L, 2)``, centred and of unit norm, and the pose eigenvector ``(L, 2)``."""

    mean: Array
    eigenvector: Array
    explained: Array  # share of the variance that each of the leading eigenvectors explains

    def coefficients(self, shapes: Array) -> Array:
        """The pose coefficients ``(N,)`` of shapes ``(N, L, 2)``, in units of the mean's norm.

        Position, size and in-plane rotation of the shapes don't matter; their pixels may be any.
        """
        offsets = align(shapes, self.mean) - self.mean
        return np.einsum("nlc,lc->n", offsets, self.eigenvector)


def normalise(shapes: Array) -> Array:
    """Shapes ``(N, L, 2)`` moved to the origin and scaled to unit Frobenius norm."""
    centred = shapes - shapes.mean(axis=1, keepdims=True)
    return centred / np.linalg.norm(centred, axis=(1, 2), keepdims=True)


def rotations(shapes: Array, reference: Array) -> Array:
    """The angles ``(N,)`` in radians by which shapes ``(N, L, 2)`` are turned from ``reference``.

    Positive angles turn the x axis towards the y axis. Least squares (orthogonal Procrustes).
    """
    centred = shapes - shapes.mean(axis=1, keepdims=True)
    base = reference - reference.mean(axis=0)
    cos = np.einsum("nlc,lc->n", centred, base)
    sin = np.einsum("nl,l->n", centred[..., 1], base[:, 0]) - np.einsum(
        "nl,l->n", centred[..., 0], base[:, 1]
    )
    return np.arctan2(sin, cos)


def align(shapes: Array, reference: Array) -> Array:
    """Procrustes: shapes ``(N, L, 2)`` moved, scaled and turned, not mirrored, to ``reference``.

    ``reference`` is ``(L, 2)``, centred and of unit norm. The scale is the least-squares one.
    """
    unit = normalise(shapes)
    angle = rotations(unit, reference)
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)
    turned = unit @ turn
    scale = np.einsum("nlc,lc->n", turned, reference)
    return turned * scale[:, None, None]


def asymmetry(mean: Array, flip_permutation: NDArray[np.intp]) -> Array:
    """How far each landmark ``(L,)`` lies from its mirror image, in the face's size.

    ``mean`` is ``(L, 2)``, centred and of unit norm; the size is the landmarks' root mean square
    distance from their centre. Landmarks that are not flipped as they should be lie far apart.
    """
    mirrored = mean[flip_permutation] * [-1, 1]
    apart = np.linalg.norm(align(mirrored[None], mean)[0] - mean, axis=1)
    return apart * np.sqrt(len(mean))


def fit(shapes: Array, mode: int) -> PoseModel:
    """The pose model of training shapes ``(N, L, 2)``.

    ``mode`` counts the eigenvectors from 1; the authors take the second for AFLW's 19 landmarks
    and the first otherwise. The eigenvector's sign is fixed by its largest entry being positive.

    Raises:
        ValueError: there are no more shapes than eigenvectors asked for.
    """
    if len(shapes) <= mode:
        raise ValueError(f"{len(shapes)} shapes are too few for eigenvector {mode}")
    mean = normalise(shapes).mean(axis=0)
    # A mean of turned shapes is itself a shape up to scale; one more pass removes the rotations.
    mean /= np.linalg.norm(mean)
    mean = align(shapes, mean).mean(axis=0)
    mean /= np.linalg.norm(mean)
    aligned = align(shapes, mean).reshape(len(shapes), -1)
    pca = _pca(aligned, min(max(10, mode), len(shapes), aligned.shape[1]))
    vector = pca.components_[mode - 1]
    vector = vector * np.sign(vector[np.abs(vector).argmax()])
    return PoseModel(mean, vector.reshape(mean.shape), pca.explained_variance_ratio_)


def authors_coefficients(training: Array, shapes: Array, mode: int) -> Array:
    """The pose coefficients ``(N,)`` of ``shapes`` ``(N, L, 2)`` as the authors' function has them.

    One pass: every shape is moved, scaled, turned *and, where that fits better, mirrored* to the
    plain mean of the ``training`` shapes ``(M, L, 2)``, which are not aligned before they are
    averaged; PCA of the training shapes follows. All shapes are in the units of their face boxes.
    The sign is arbitrary, as the authors' bins take absolute values. Errors as :func:`fit`'s.
    """
    if len(training) <= mode:
        raise ValueError(f"{len(training)} shapes are too few for eigenvector {mode}")
    reference = training.mean(axis=0)
    reference -= reference.mean(axis=0)
    pca = _pca(_similar(training, reference), mode)
    return pca.transform(_similar(shapes, reference))[:, mode - 1]


def _pca(shapes: Array, components: int) -> "PCA":
    """PCA of shapes ``(N, 2L)``. Those who only align shapes are spared its slow import."""
    from sklearn.decomposition import PCA

    return PCA(n_components=components, svd_solver="full").fit(shapes)


def _similar(shapes: Array, reference: Array) -> Array:
    """Shapes ``(N, L, 2)`` by similarity or mirrored similarity to ``reference``: ``(N, 2L)``."""
    from scipy.linalg import orthogonal_procrustes

    aligned = []
    for shape in shapes - shapes.mean(axis=1, keepdims=True):
        turn, scale = orthogonal_procrustes(shape, reference)
        aligned.append(scale / (shape**2).sum() * shape @ turn)
    return np.reshape(aligned, (len(shapes), -1))
