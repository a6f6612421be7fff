"""`wingloss detect`: the landmarks of all faces in pictures and videos."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from wingloss import pictures
from wingloss.cli import sources
from wingloss.cli.results import Results, write_files_table
from wingloss.cli.sources import VIDEOS, Listing
from wingloss.cli.videos import Video
from wingloss.datasets.face_record import BadSample
from wingloss.datasets.names import printable
from wingloss.detection.detector import Detector


def detect(
    paths: Iterable[Path], detector: Detector, out: Path, formats: Iterable[str], boxes: Path | None
) -> Listing:
    """Writes what is found to ``out``; what can't be read is said, noted and left out.

    Raises:
        BadSample: ``boxes`` is no table of boxes, or names another picture; one line.
        NoFaceDetector: faces can't be looked for; one line.
    """
    found = sources.of(paths, out)
    given = None if boxes is None else sources.boxes(boxes, found)
    for name, why in found.unreadable.items():
        _warn(f"{found.root / name}: {why}")
    with Results(out, formats, detector.card.landmarks) as results:
        results.names = {*found.readable, *found.unreadable}
        for number, name in enumerate(found.readable, start=1):
            _progress(f"{number} of {len(found.readable)}: {name}")
            path = found.root / name
            try:
                if fault := sources.unnameable(name):
                    raise BadSample(f"{path}: {fault}")
                if path.suffix.lower() in VIDEOS:
                    found.faces[name] = _video(path, name, detector, results, found)
                else:
                    picture = pictures.read(path)
                    own = None if given is None else given.get(name, np.empty((0, 4)))
                    faces = detector(picture, own)
                    results.add(name, faces)
                    results.draw(name, picture, faces)
                    found.faces[name] = len(faces)
            except (ValueError, MemoryError, cv2.error, RuntimeError) as error:
                memory = _is_of_memory(error)
                if isinstance(error, RuntimeError) and not memory:
                    raise
                why = "not enough memory" if memory else str(error)
                why = " ".join(why.removeprefix(printable(f"{path}: ")).split())
                found.unreadable[name] = why
                _warn(f"{path}: {why}")
        _progress("")
    write_files_table(out, found.rows(), sources.COLUMNS)
    return found


def _is_of_memory(error: Exception) -> bool:
    """Whether there was too little memory, be it PyTorch that says so of a GPU or a processor."""
    torchs = type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)
    return isinstance(error, MemoryError) or torchs


def _video(path: Path, name: str, detector: Detector, results: Results, found: Listing) -> int:
    """How many faces are in a video: the most that are in one of its frames."""
    video, most = Video(path), 0
    seen: list[pictures.Picture] = []

    def frames() -> Iterable[pictures.Picture]:
        for frame in video:
            seen[:] = [frame]
            yield frame

    with results.drawing(name, video.rate) as draw:
        for number, faces in enumerate(detector.track(frames())):
            _progress(f"{name}: frame {number + 1} of {video.expected or '?'}")
            results.add(name, faces, number)
            draw(seen[0], faces)
            most = max(most, len(faces))
    if video.torn:
        found.remarks[name] = video.torn
        _warn(f"{path}: {video.torn}")
    return most


def _warn(message: str) -> None:
    _progress("")
    print(printable(f"warning: {message}"), file=sys.stderr)


def _progress(line: str) -> None:
    """Shows how far the work is, on a terminal; an empty line clears that."""
    if sys.stderr.isatty():
        shown = printable(line)[: os.get_terminal_size(sys.stderr.fileno()).columns - 1]
        print(f"\r\x1b[K{shown}", end="", file=sys.stderr, flush=True)
