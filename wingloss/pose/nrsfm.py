"""Non-rigid structure from motion: a 3D shape model from 2D landmarks alone.

Expectation maximisation for probabilistic PCA under weak perspective, after Torresani, Hertzmann
and Bregler, 'Nonrigid structure-from-motion: estimating shape and motion with hierarchical priors'
(PAMI 2008). Axes: x to the viewer's right, y down, z towards the viewer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wingloss.geometry import Array

# Degrees of yaw beyond which the landmarks on a face's far outline are no longer the same points of
# the head: annotators follow what they see of the cheek.
SLIDES = 12.0
# How strongly a landmark holds on to its last estimate; keeps unseen directions where they are.
INERTIA = 1e-4


@dataclass(frozen=True)
class ShapeModel:
    """Shapes are ``mean`` ``(L, 3)`` plus normal draws times ``modes`` ``(K, L, 3)``.

    Each mode is one standard deviation long; the longest comes first.
    """

    mean: Array
    modes: Array


@dataclass(frozen=True)
class Views:
    """How N shapes are seen: rotations ``(N, 3, 3)``, scales ``(N,)`` and shifts ``(N, 2)``."""

    rotation: Array
    scale: Array
    shift: Array

    def maps(self) -> Array:
        """The maps ``(N, 2, 3)`` from the model's space to the pictures, without the shifts."""
        return self.scale[:, None, None] * self.rotation[:, :2]

    def yaw(self) -> Array:
        """Degrees ``(N,)``; positive yaw turns the nose towards the viewer's right."""
        return np.degrees(np.arctan2(self.rotation[:, 0, 2], self.rotation[:, 2, 2]))


def estimate(
    points: Array,
    flip_permutation: Sequence[int],
    outline: tuple[Sequence[int], Sequence[int]],
    modes: int,
    rounds: int,
) -> tuple[ShapeModel, Views]:
    """The model of shapes seen in ``points`` ``(N, L, 2)``, and their views.

    Every shape is also seen in a mirror, so the mean is symmetric; ``flip_permutation`` says which
    landmark becomes which. ``outline`` names the landmarks of the left and the right outline (the
    viewer's), of which those that a head turns away don't count. The mean's root mean square is 1,
    and its own view is the mean of all.

    Raises:
        ValueError: there are fewer shapes than a shape has unknowns.
    """
    n, count = points.shape[:2]
    if n < 3 * (modes + 1):
        raise ValueError(f"{n} shapes are too few for {modes} modes")
    points = np.concatenate([points, (points * [-1, 1])[:, list(flip_permutation)]])
    points = points - points.mean(axis=1, keepdims=True)
    points = points / np.sqrt(np.square(points).sum(axis=(1, 2), keepdims=True) / count)
    mean = _bulge(points.mean(axis=0))
    basis = np.random.default_rng(0).normal(0, 0.01, (modes, count, 3))
    state = _State(mean, basis, np.zeros((len(points), modes)), 0.01, np.eye(modes))
    weights = np.ones((len(points), count))
    for _ in range(rounds):
        views = see(state.mean + np.tensordot(state.chosen, state.basis, 1), points, weights)
        yaw = views.yaw()
        weights = np.ones_like(weights)
        for side, turned_away in zip(outline, (yaw < -SLIDES, yaw > SLIDES), strict=True):
            weights[np.ix_(turned_away, np.array(side, dtype=int))] = 0
        state = _improve(state, views, points, weights)
    upright = _nearest_rotation(views.rotation.mean(axis=0))
    rotation = views.rotation @ upright.T
    model = ShapeModel(state.mean @ upright.T, _principal(state) @ upright.T)
    return model, Views(rotation[:n], views.scale[:n], views.shift[:n])


def see(shapes: Array, points: Array, weights: Array, rounds: int = 6) -> Views:
    """The views in which ``shapes`` ``(N, L, 3)`` come closest to ``points`` ``(N, L, 2)``.

    ``weights`` are ``(N, L)``. The depths that the pictures lack are filled in with those of the
    turned shapes, again and again.
    """
    share = weights / weights.sum(axis=1, keepdims=True)
    middle, target = (np.einsum("nl,nlc->nc", share, a) for a in (shapes, points))
    shapes, points = shapes - middle[:, None], points - target[:, None]
    rotation = _first_rotation(share, shapes, points)
    for _ in range(rounds):
        turned = shapes @ rotation.transpose(0, 2, 1)
        depth = _scale(share, turned, points)[:, None, None] * turned[..., 2:]
        full = np.concatenate([points, depth], axis=2)
        rotation = _nearest_rotation(np.einsum("nl,nla,nlb->nab", share, full, shapes))
    scale = _scale(share, shapes @ rotation.transpose(0, 2, 1), points)
    shift = target - scale[:, None] * np.einsum("nab,nb->na", rotation, middle)[:, :2]
    return Views(rotation, scale, shift)


@dataclass
class _State:
    """What one round of the expectation maximisation hands to the next."""

    mean: Array  # (L, 3)
    basis: Array  # (K, L, 3)
    chosen: Array  # (N, K), each shape's expected coefficients
    noise: float  # variance of a landmark's coordinate
    second: Array  # (K, K), the coefficients' mean second moments


def _improve(state: _State, views: Views, points: Array, weights: Array) -> _State:
    """Coefficients given the shape model, then the shape model given the coefficients."""
    n, count = points.shape[:2]
    modes = len(state.basis)
    maps, target = views.maps(), points - views.shift[:, None]
    seen = np.einsum("nac,klc->nlak", maps, state.basis, optimize=True)
    rest = target - np.einsum("nac,lc->nla", maps, state.mean)
    flat = seen.reshape(n, -1, modes)
    weighted = (seen * weights[..., None, None]).reshape(n, -1, modes).transpose(0, 2, 1)
    covariance = np.linalg.inv(weighted @ flat / state.noise + np.eye(modes))
    chosen = (covariance @ weighted @ rest.reshape(n, -1, 1))[..., 0] / state.noise
    second = np.einsum("nk,nj->nkj", chosen, chosen) + covariance
    error = np.square(rest - np.einsum("nlak,nk->nla", seen, chosen)).sum(axis=2)
    error += np.einsum("nlak,nlaj,nkj->nl", seen, seen, covariance, optimize=True)
    noise = float((error * weights).sum() / weights.sum() / 2)

    # A landmark's place in the mean and in every mode: one system of linear equations.
    one = np.concatenate([np.ones((n, 1)), chosen], axis=1)
    moments = np.empty((n, modes + 1, modes + 1))
    moments[:, 0], moments[:, 1:, 0], moments[:, 1:, 1:] = one, chosen, second
    squares = np.einsum("nac,nad->ncd", maps, maps).reshape(n, 9)
    shapes = np.concatenate([state.mean[None], state.basis])  # (K + 1, L, 3)
    hold = INERTIA * n
    for i in range(count):
        weight = weights[:, i, None]
        system = ((weight * moments.reshape(n, -1)).T @ squares).reshape(modes + 1, modes + 1, 3, 3)
        system = system.transpose(0, 2, 1, 3).reshape(3 * modes + 3, -1)
        right = (weight * one).T @ np.einsum("na,nac->nc", target[:, i], maps)
        shapes[:, i] = np.linalg.solve(
            system + hold * np.eye(len(system)), (right + hold * shapes[:, i]).ravel()
        ).reshape(-1, 3)
    shapes -= shapes.mean(axis=1, keepdims=True)
    shapes /= np.sqrt(np.square(shapes[0]).sum() / count)
    return _State(shapes[0], shapes[1:], chosen, noise, second.mean(axis=0))


def _principal(state: _State) -> Array:
    """The basis turned to its principal axes, each mode one standard deviation long."""
    modes, count, _ = state.basis.shape
    spread = np.linalg.cholesky(state.second)
    _, lengths, axes = np.linalg.svd(spread.T @ state.basis.reshape(modes, -1), full_matrices=False)
    axes *= np.sign(axes[np.arange(modes), np.abs(axes).argmax(axis=1)])[:, None]
    return (lengths[:, None] * axes).reshape(modes, count, 3)


def _bulge(mean: Array) -> Array:
    """A first guess ``(L, 3)``: the mean picture ``(L, 2)`` on half an ellipsoid."""
    half = np.ptp(mean, axis=0).max() / 2
    distance = np.square((mean - (mean.max(axis=0) + mean.min(axis=0)) / 2) / (1.2 * half))
    depth = half * np.sqrt(np.clip(1 - distance.sum(axis=1), 0.1, None))
    return np.column_stack([mean, depth - depth.mean()])


def _first_rotation(share: Array, shapes: Array, points: Array) -> Array:
    """Rotations ``(N, 3, 3)`` from the best affine maps of centred shapes to centred points."""
    spread = np.einsum("nl,nla,nlb->nab", share, shapes, shapes)
    affine = np.linalg.solve(
        spread + 1e-9 * np.eye(3), np.einsum("nl,nla,nlb->nab", share, shapes, points)
    )
    left, _, right = np.linalg.svd(affine.transpose(0, 2, 1), full_matrices=False)
    rows = left @ right
    return np.concatenate([rows, np.cross(rows[:, 0], rows[:, 1])[:, None]], axis=1)


def _nearest_rotation(matrices: Array) -> Array:
    """The rotations closest to ``matrices`` ``(..., 3, 3)``."""
    left, _, right = np.linalg.svd(matrices)
    left[..., 2] *= np.sign(np.linalg.det(left @ right))[..., None]
    return left @ right


def _scale(share: Array, turned: Array, points: Array) -> Array:
    """The scales ``(N,)`` at which turned shapes ``(N, L, 3)`` come closest to the points."""
    seen = turned[..., :2]
    return np.einsum("nl,nla,nla->n", share, seen, points) / np.einsum(
        "nl,nla,nla->n", share, seen, seen
    )
