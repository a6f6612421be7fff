"""Wing loss for robust facial landmark localisation (Feng et al., CVPR 2018), as a library.

The science of the reproduction: arrays and tensors in, arrays and tensors out. Only the data-set
readers, pictures, the files of models and the synthetic faces' shape model open files. Landmarks
are float arrays ``(..., L, 2)``, x then y, 0-based pixel centres; each docstring says which pixels.

What reads MATLAB's files (AFLW, COFW, 300W's official boxes), fits poses, renders faces, detects
them, grows regression trees or draws figures needs packages of the extra ``pipeline``.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wingloss.detection.detector import Detector

__all__ = ["Detector"]


def __getattr__(name: str) -> Any:
    """``Detector``, imported when it is asked for: most of what imports this package isn't."""
    if name != "Detector":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from wingloss.detection.detector import Detector

    return Detector
