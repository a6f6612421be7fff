"""What `wingloss detect` writes: tables, points files and drawn pictures, each whole or not."""

import csv
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, TextIO

import cv2
import numpy as np

from wingloss.augmentation.perturbation import Images
from wingloss.cli.videos import Writer
from wingloss.datasets.csv_faces import BOX
from wingloss.datasets.ibug import write_pts
from wingloss.detection.detector import Detected
from wingloss.drawing.contact_sheet import OUTLINE, POINT

FORMATS = ("csv", "json", "pts", "overlay")
ENDINGS = {"pts": (".pts",), "overlay": (".jpg", ".mp4")}  # of results in these folders
DRAWN = 1920  # px: larger pictures are shrunk to it before they are drawn on


@contextmanager
def appearing(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place when the block ends without error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name[-100:]}.partial{path.suffix}")
    try:
        yield partial
        if partial.exists():
            os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


class Results:
    """The results in one folder, written while they come.

    The tables appear when the block ends without error. So do the deletions: in this run's formats,
    what an earlier run has left of a file in ``names`` goes where this one made nothing of it. Of
    other files it stays: two runs may share a folder.
    """

    def __init__(self, out: Path, formats: Iterable[str], landmarks: int) -> None:
        self.out, self.formats, self.landmarks = out, set(formats), landmarks
        self._written: set[Path] = set()
        self.names: set[str] = set()  # of the files that this run is about

    def __enter__(self) -> "Results":
        with ExitStack() as stack:
            if "csv" in self.formats:
                self._csv = csv.writer(self._opened(stack, "landmarks.csv"), lineterminator="\n")
                axes = [f"{axis}{i}" for i in range(self.landmarks) for axis in "xy"]
                self._csv.writerow(["image", "frame", *BOX, "disagreement", *axes])
            if "json" in self.formats:
                self._json = self._opened(stack, "landmarks.json")
                self._json.write("[")
                self._parted = "\n"
            self._files = stack.pop_all()
        return self

    def _opened(self, stack: ExitStack, name: str) -> TextIO:
        partial = stack.enter_context(self._new(self.out / name))
        return stack.enter_context(partial.open("w", newline="", encoding="utf-8"))

    def _new(self, path: Path) -> AbstractContextManager[Path]:
        self._written.add(path)
        return appearing(path)

    def __exit__(self, *error: Any) -> None:
        if "json" in self.formats and error[0] is None:
            self._json.write("\n]\n")
        self._files.__exit__(*error)
        if error[0] is None:
            self._forget_others()

    def _forget_others(self) -> None:
        for folder in ENDINGS.keys() & self.formats:
            root = self.out / folder
            for path in [path for path in root.rglob("*") if path.is_file()]:
                made, ending = os.path.splitext(path.relative_to(root).as_posix())
                of_ours = ending in ENDINGS[folder] and _names_of(made) & self.names
                if of_ours and path not in self._written:
                    path.unlink()

    def add(self, name: str, found: Detected, frame: int | None = None) -> None:
        """The faces of a picture, or of a video's frame, counted from 0."""
        self.names.add(name)
        for number in range(len(found)):
            points, box = found.landmarks[number], found.boxes[number]
            disagreement = round(float(found.disagreement[number]), 3)
            if "csv" in self.formats:
                cells = [f"{value:.3f}" for value in (*box, disagreement, *points.ravel())]
                self._csv.writerow([name, "" if frame is None else frame, *cells])
            if "json" in self.formats:
                self._json.write(
                    self._parted + json.dumps(_plain(name, frame, box, disagreement, points))
                )
                self._parted = ",\n"
            if "pts" in self.formats:
                with self._new(self._pts(name, frame, number)) as partial:
                    write_pts(partial, points)

    def _pts(self, name: str, frame: int | None, number: int) -> Path:
        """A face's points file."""
        at = "" if frame is None else f"-frame{frame}"
        more = f"-{number + 1}" if number else ""
        return self.out / "pts" / f"{name}{at}{more}.pts"

    def draw(self, name: str, picture: Images, found: Detected) -> None:
        """A picture with what was found in it."""
        if "overlay" in self.formats:
            with self._new(self.out / "overlay" / f"{name}.jpg") as partial:
                stored = cv2.cvtColor(drawn(picture, found), cv2.COLOR_RGB2BGR)
                quality = (cv2.IMWRITE_JPEG_QUALITY, 90)
                partial.write_bytes(cv2.imencode(".jpg", stored, quality)[1].tobytes())

    @contextmanager
    def drawing(self, name: str, rate: float) -> Iterator[Callable[[Images, Detected], None]]:
        """Draws a video's frames, ``rate`` a second, with what was found in them."""
        if "overlay" not in self.formats:
            yield lambda frame, found: None
            return
        with self._new(self.out / "overlay" / f"{name}.mp4") as partial:
            writer = Writer(partial, rate)
            try:
                yield lambda frame, found: writer.add(drawn(frame, found))
            finally:
                writer.close()


def _names_of(made: str) -> set[str]:
    """The files that a result without its ending may be of: "a.jpg-2" is the second face's."""
    whole = {made, re.sub(r"-\d+$", "", made)}
    return whole | {re.sub(r"-frame\d+$", "", one) for one in whole}


def _plain(
    name: str, frame: int | None, box: Any, disagreement: float, points: Any
) -> dict[str, Any]:
    return {
        "image": name,
        "frame": frame,
        "box": box.round(3).tolist(),
        "disagreement": disagreement,
        "landmarks": points.round(3).tolist(),
    }


def drawn(picture: Images, found: Detected) -> Images:
    """A picture ``(H, W, 3)``, shrunk to ``DRAWN``, with boxes and landmarks."""
    scale = min(1.0, DRAWN / max(picture.shape[:2]))
    size = [max(1, round(side * scale)) for side in picture.shape[1::-1]]
    shown = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    boxes, landmarks = ((values + 0.5) * scale - 0.5 for values in (found.boxes, found.landmarks))
    for box, points in zip(boxes, landmarks, strict=True):
        low, high = np.rint(box.reshape(2, 2)).astype(int)
        width = max(1, round((high - low).max() / 200))
        cv2.rectangle(shown, low, high, OUTLINE, width, cv2.LINE_AA)
        radius = max(16, int(16 * (high - low).max() / 100))  # in sixteenths
        for centre in np.rint(points * 16).astype(int):
            cv2.circle(shown, centre, radius, POINT, -1, cv2.LINE_AA, 4)
    return shown


def write_files_table(out: Path, rows: Iterable[tuple[Any, ...]], columns: list[str]) -> None:
    """Writes what became of each file."""
    with (
        appearing(out / "files.csv") as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        table = csv.writer(file, lineterminator="\n")
        table.writerow(columns)
        table.writerows(rows)
