"""`wingloss export`: a detector as ONNX."""

import random
from collections.abc import Iterable, Iterator
from pathlib import Path

from wingloss.cli import sources
from wingloss.cli.results import appearing
from wingloss.cli.sources import VIDEOS
from wingloss.datasets.face_record import BadSample
from wingloss.detection import detector_file, int8, onnx_file
from wingloss.detection.detector import Detector
from wingloss.geometry import Array


def export(model: Path, onnx: Path, shown: Iterable[Path] | None, boxes: Path | None) -> list[Path]:
    """Writes a file a network, and returns their paths; in eight bits, if pictures are ``shown``.

    ``boxes`` is a table of the faces in these; without it, faces are looked for.

    Raises:
        BadOnnx: the packages for it aren't installed, or no face is shown.
        BadModel: ``model`` is corrupt, or holds no detector.
        BadSample: a picture or the table of boxes can't be read.
        NoFaceDetector: faces can't be looked for.
    """
    if onnx.suffix != ".onnx":
        raise onnx_file.BadOnnx(f"{onnx}: its name should end with .onnx")
    if model.suffix == onnx.suffix:
        raise onnx_file.BadOnnx(f"{model}: it is ONNX already; a detector's .safetensors is needed")
    card, networks = detector_file.load(model)
    seen = None if shown is None else int8.seen(Detector.load(model), _faces(shown, boxes))
    held = onnx_file.exported(card, networks)
    if seen is not None:
        held = int8.quantised(held, seen)
    written = onnx_file.paths(onnx, len(networks))
    for path, data in reversed([*zip(written, held, strict=True)]):  # the first names the second
        with appearing(path) as partial:
            partial.write_bytes(data)
    return written


def _faces(paths: Iterable[Path], boxes: Path | None) -> Iterator[tuple[Path, Array | None]]:
    """Each picture's file, and the boxes in it; None where the faces are to be found."""
    found = sources.of(paths)
    for name, why in found.unreadable.items():
        raise BadSample(f"{found.root / name}: {why}")
    given = None if boxes is None else sources.boxes(boxes, found)
    names = [name for name in found.readable if Path(name).suffix.lower() not in VIDEOS]
    random.Random(0).shuffle(names)  # neighbours in a folder are often alike
    for name in names:
        if given is None:
            yield found.root / name, None
        elif name in given:
            yield found.root / name, given[name]
