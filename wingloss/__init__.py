"""Wing loss for robust facial landmark localisation (Feng et al., CVPR 2018), as a library.

The science of the reproduction: arrays and tensors in, arrays and tensors out. Only the data-set
readers, pictures, the files of models and the synthetic faces' shape model open files. Landmarks
are float arrays ``(..., L, 2)``, x then y, 0-based pixel centres; each docstring says which pixels.

What reads MATLAB's files (AFLW, COFW, 300W's official boxes), fits poses, renders faces, detects
them, grows regression trees or draws figures needs packages of the extra ``pipeline``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wingloss.detection.detector import Detector
    from wingloss.nn import AdaptiveWingLoss, WingLoss

__all__ = ["AdaptiveWingLoss", "Detector", "WingLoss"]

_MODULES = {
    "AdaptiveWingLoss": "wingloss.nn",
    "Detector": "wingloss.detection.detector",
    "WingLoss": "wingloss.nn",
}


def __getattr__(name: str) -> Any:
    """What a user wants first, imported when asked for: it needs more than most modules here."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
