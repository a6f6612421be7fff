"""The pose space (Section 5): Procrustes alignment to the mean shape, then PCA.

One coefficient along the shape eigenvector that controls yaw stands for a face's pose.

Which eigenvector that is depends on the landmarks and on how far the faces are turned: yaw and
pitch change places where they vary about as much, and mix. But in a mirror yaw changes its sign and
pitch doesn't. So among the eigenvectors of shapes together with their mirror images, each of which
is symmetric or antisymmetric, yaw is the first antisymmetric one.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wingloss.geometry import Array
from wingloss.protocol import Protocol

if TYPE_CHECKING:
    from sklearn.decomposition import PCA

LEADING = 10  # eigenvectors at least whose share of the variance is told


@dataclass(frozen=True)
class PoseModel:
    """The mean shape ``(L, 2)``, centred and of unit norm, and the pose eigenvector ``(L, 2)``."""

    mean: Array
    eigenvector: Array
    mode: int  # the eigenvector's place, counted from 1
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


def mirrored(shapes: Array, flip_permutation: NDArray[np.intp]) -> Array:
    """The mirror images of shapes ``(N, L, 2)`` about the y axis."""
    return shapes[:, flip_permutation] * [-1, 1]


def asymmetry(shapes: Array, flip_permutation: NDArray[np.intp]) -> Array:
    """How far each landmark ``(L,)`` of the mean shape lies from its mirror image, in its size.

    The size is the landmarks' root mean square distance from their centre. Landmarks that are not
    flipped as they should be lie far apart.
    """
    mean = _mean(shapes)
    apart = np.linalg.norm(align(mirrored(mean[None], flip_permutation), mean)[0] - mean, axis=1)
    return apart * np.sqrt(len(mean))


def fit(shapes: Array, rules: Protocol) -> PoseModel:
    """The pose model of training shapes ``(N, L, 2)``, along the axis that the protocol names.

    Raises:
        ValueError: the shapes are too few.
    """
    if rules.pose_axis == "antisymmetric":
        return fit_antisymmetric(shapes, rules.flip_permutation)
    return fit_eigenvector(shapes, rules.pose_mode)


def fit_eigenvector(shapes: Array, mode: int) -> PoseModel:
    """The pose model of training shapes ``(N, L, 2)`` along eigenvector ``mode``, from 1.

    The authors take the second for AFLW's 19 landmarks and the first otherwise. The eigenvector's
    sign is fixed by its largest entry being positive.

    Raises:
        ValueError: there are no more shapes than eigenvectors asked for.
    """
    if len(shapes) <= mode:
        raise ValueError(f"{len(shapes)} shapes are too few for eigenvector {mode}")
    mean = _mean(shapes)
    return _model(mean, _shape_space(shapes, mean), mode)


def fit_antisymmetric(shapes: Array, flip_permutation: NDArray[np.intp]) -> PoseModel:
    """The pose model of training shapes ``(N, L, 2)`` along the first antisymmetric eigenvector.

    It is one of the shapes together with their mirror images, whose mean is symmetric. Sign as
    :func:`fit_eigenvector`'s.

    Raises:
        ValueError: there is no second shape.
    """
    if len(shapes) < 2:
        raise ValueError(f"{len(shapes)} shapes are too few for a pose axis")
    shapes = np.concatenate([shapes, mirrored(shapes, flip_permutation)])
    mean = _mean(shapes)
    pca = _shape_space(shapes, mean)
    vectors = pca.components_.reshape(-1, *mean.shape)
    symmetry = np.einsum("klc,klc->k", vectors, mirrored(vectors, flip_permutation))  # -1 or 1
    return _model(mean, pca, int(np.argmax(symmetry < 0)) + 1)


def _mean(shapes: Array) -> Array:
    """The Procrustes mean ``(L, 2)`` of shapes ``(N, L, 2)``, of unit norm."""
    mean = normalise(shapes).mean(axis=0)
    # A mean of turned shapes is itself a shape up to scale; one more pass removes the rotations.
    mean /= np.linalg.norm(mean)
    mean = align(shapes, mean).mean(axis=0)
    return mean / np.linalg.norm(mean)


def _shape_space(shapes: Array, mean: Array) -> "PCA":
    """PCA of shapes ``(N, L, 2)`` aligned to ``mean``, with all eigenvectors there are."""
    aligned = align(shapes, mean).reshape(len(shapes), -1)
    return _pca(aligned, min(aligned.shape))


def _model(mean: Array, pca: "PCA", mode: int) -> PoseModel:
    vector = pca.components_[mode - 1]
    vector = vector * np.sign(vector[np.abs(vector).argmax()])
    explained = pca.explained_variance_ratio_[: max(LEADING, mode)]
    return PoseModel(mean, vector.reshape(mean.shape), mode, explained)


def authors_coefficients(training: Array, shapes: Array, mode: int) -> Array:
    """The pose coefficients ``(N,)`` of ``shapes`` ``(N, L, 2)`` as the authors' function has them.

    One pass: every shape is moved, scaled, turned *and, where that fits better, mirrored* to the
    plain mean of the ``training`` shapes ``(M, L, 2)``, which are not aligned before they are
    averaged; PCA of the training shapes follows. All shapes are in the units of their face boxes.
    The sign is arbitrary, as the authors' bins take absolute values. Errors as
    :func:`fit_eigenvector`'s.
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
