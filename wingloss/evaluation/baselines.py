"""The baselines: the mean shape, and an ensemble of regression trees."""

from dataclasses import dataclass, replace
from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from wingloss.augmentation.perturbation import Faces, Images, plain
from wingloss.geometry import Array, apply, compose, flip, invert, to_unit

SIDE = 200  # px of the pictures that the trees see
MARGIN = 1.25  # of these pictures to the face's frame, whose side is 160 px in them


@dataclass(frozen=True)
class RegressionTrees:
    """An ensemble of regression trees (Kazemi and Sullivan, CVPR 2014), in that paper's symbols."""

    cascades: Annotated[int, Field(ge=1, le=1000)]  # T, one after the other
    trees: Annotated[int, Field(ge=1, le=100_000)]  # K of each cascade
    depth: Annotated[int, Field(ge=1, le=20)]  # F
    shrinkage: Annotated[float, Field(gt=0, le=1)]  # nu
    initialisations: Annotated[int, Field(ge=1, le=1000)]  # R of each training picture
    mirrored: bool  # whether each training face is also seen in a mirror
    pixels: Annotated[int, Field(ge=2, le=100_000)]  # P that a cascade's trees choose from
    splits: Annotated[int, Field(ge=1, le=100_000)]  # S tried at each node

    @property
    def reduced(self) -> str:
        """What is less than in that paper, as "100 of 500 trees per cascade"; may be empty.

        Fewer of them make weaker trees. The shrinkage isn't one of them: its best depends on them.
        """
        own = {words: (getattr(self, name), full) for name, (full, words) in PUBLISHED.items()}
        less = [f"{here} of {full} {words}" for words, (here, full) in own.items() if here < full]
        if not self.mirrored:
            less.append("no mirrored copies")
        return ", ".join(less)


PUBLISHED = {  # that paper's values
    "cascades": (10, "cascades"),
    "trees": (500, "trees per cascade"),
    "depth": (5, "levels of a tree"),
    "initialisations": (20, "initialisations"),
    "pixels": (400, "pixels"),
    "splits": (20, "splits tried"),
}


def mean_shape(training: Array, training_frames: Array, frames: Array) -> Array:
    """The mean training shape placed in each frame: landmarks ``(N, L, 2)`` in image pixels.

    The floor of all methods, which looks at no picture. ``training`` ``(M, L, 2)`` are landmarks in
    image pixels and ``training_frames`` ``(M, 4)`` their frames; ``frames`` ``(N, 4)`` are those of
    the faces to place it in.
    """
    mean = apply(to_unit(training_frames), training).mean(axis=0)
    return apply(invert(to_unit(frames)), mean[None].repeat(len(frames), axis=0))


def regression_trees(
    training: Faces,
    others: list[Faces],
    recipe: RegressionTrees,
    flip_permutation: NDArray[np.intp],
    seed: int,
) -> list[Array]:
    """Trains dlib's regression trees; the landmarks ``(N, L, 2)`` of each of ``others``.

    They are in the pixels of those faces' crops. The trees see each face in grey, in its frame with
    some room around it, 160 pixels a frame, and give whole pixels: an error of 0.24 % of the frame
    in the mean, which is lost beside theirs. That is more pixels than the crops have, because whole
    pixels of fewer would be coarser. Memory: 40 kB a training picture, and about 4 bytes a
    coordinate and chosen pixel of each of its initialisations.
    """
    import dlib  # nothing else of this project needs it

    options = dlib.shape_predictor_training_options()
    options.cascade_depth = recipe.cascades
    options.num_trees_per_cascade_level = recipe.trees
    options.tree_depth = recipe.depth
    options.nu = recipe.shrinkage
    options.oversampling_amount = recipe.initialisations
    options.feature_pool_size = recipe.pixels
    options.num_test_splits = recipe.splits
    options.random_seed = str(seed)
    options.num_threads = 1  # more of them add in another order: other trees
    edge = round(SIDE * (1 - 1 / MARGIN) / 2)
    frame = dlib.rectangle(edge, edge, SIDE - 1 - edge, SIDE - 1 - edge)
    pictures, maps = _grey(training)
    points = apply(maps, training.points)
    if recipe.mirrored:
        pictures += [np.ascontiguousarray(picture[:, ::-1]) for picture in pictures]
        points = np.concatenate([points, flip(points, flip_permutation, SIDE)])
    shapes = [
        [dlib.full_object_detection(frame, [dlib.point(x, y) for x, y in shape])]
        for shape in np.rint(points).astype(int).tolist()
    ]
    predictor = dlib.train_shape_predictor(pictures, shapes, options)
    found = []
    for faces in others:
        pictures, maps = _grey(faces)
        placed = [[(p.x, p.y) for p in predictor(one, frame).parts()] for one in pictures]
        shape = (len(faces), points.shape[1], 2)
        found.append(apply(invert(maps), np.array(placed, dtype=np.float64).reshape(shape)))
    return found


def _grey(faces: Faces) -> tuple[list[Images], Array]:
    """The trees' pictures ``(SIDE, SIDE)`` of each face, and the maps from its crop's pixels."""
    wider = np.array([[1.0, 0.0, (MARGIN - 1) / 2], [0.0, 1.0, (MARGIN - 1) / 2]]) / MARGIN
    faces = replace(faces, to_unit=compose(wider, faces.to_unit))
    pictures, maps = [], np.empty((len(faces), 2, 3))
    for i in range(len(faces)):  # in colour they would take three times the memory
        (picture,), maps[i] = plain(faces, np.array([i]), SIDE)
        pictures.append(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
    return pictures, maps
