"""What a network has to beat."""

from wingloss.geometry import Array, apply, invert, to_unit


def mean_shape(training: Array, training_frames: Array, frames: Array) -> Array:
    """The mean training shape placed in each frame: landmarks ``(N, L, 2)`` in image pixels.

    The floor of all methods, which looks at no picture. ``training`` ``(M, L, 2)`` are landmarks in
    image pixels and ``training_frames`` ``(M, 4)`` their frames; ``frames`` ``(N, 4)`` are those of
    the faces to place it in.
    """
    mean = apply(to_unit(training_frames), training).mean(axis=0)
    return apply(invert(to_unit(frames)), mean[None].repeat(len(frames), axis=0))
