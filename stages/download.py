"""Raw data: rendered (synthetic), or published by others (``pipeline/acquire/published.py``)."""

import csv
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import cv2
from threadpoolctl import threadpool_limits

from pipeline.acquire import published
from pipeline.config import paths
from pipeline.config.params import Rendered, load
from pipeline.files import whole_folder
from pipeline.runtime import cli
from pipeline.runtime.cli import log
from pipeline.runtime.file_lock import locked
from pipeline.runtime.progress import tracked
from wingloss.datasets import csv_faces, ibug
from wingloss.synthetic.face import render_face
from wingloss.synthetic.population import FaceDistribution

JPEG_QUALITY = 92
STREAM = 1_000_000_000  # where the next part's faces begin
AFLW = "aflw19_{part}.csv"  # the 19 landmarks in AFLW's scheme (px), and whether they are seen


def run(dataset: str) -> None:
    """Writes data/raw/DATASET, the raw data as their publishers lay them out."""
    target = Path(paths.RAW.format(dataset=dataset))
    rendered = load().raw[dataset]
    with locked(Path(paths.RAW_LOCK.format(dataset=dataset)), f"{dataset} is being made"):
        if rendered is None:
            published.run(dataset, target)
        else:
            _render(rendered, target)


def _render(rendered: Rendered, target: Path) -> None:
    """Renders training and test faces in 300W's layout, on all threads."""
    counts = {"train": rendered.train, "test": rendered.test}
    # Each part has a stream of its own: more training faces leave the test faces as they are.
    jobs = [
        (part, i, i + stream * STREAM)
        for stream, (part, count) in enumerate(counts.items())
        for i in range(count)
    ]
    with (
        whole_folder(target) as new,
        (new / ibug.BOXES).open("w", newline="", encoding="utf-8") as box_file,
        (new / ibug.FACES).open("w", newline="", encoding="utf-8") as face_file,
        (new / AFLW.format(part="train")).open("w", newline="", encoding="utf-8") as train_file,
        (new / AFLW.format(part="test")).open("w", newline="", encoding="utf-8") as test_file,
        ProcessPoolExecutor(cli.threads(), initializer=_one_thread) as pool,
    ):
        boxes, faces, train, test = (
            csv.writer(file, lineterminator="\n")
            for file in (box_file, face_file, train_file, test_file)
        )
        boxes.writerow(("image", *csv_faces.BOX))
        # of `visible`, a 0 or 1 for each of 68 landmarks
        faces.writerow(("image", "yaw", "pitch", "roll", "subsets", "visible"))
        for table in (train, test):
            axes = [f"{name}{i}" for i in range(19) for name in ("x", "y", "visible")]
            table.writerow(("image", "yaw", *csv_faces.BOX, "subsets", *axes))
        for part in counts:
            (new / part).mkdir()
        make = partial(_render_one, new, rendered.faces, rendered.seed)
        made = pool.map(make, jobs, chunksize=25)
        for image, *rows in tracked(made, "rendering", len(jobs), "faces"):
            aflw = train if image.startswith("train/") else test
            for table, row in zip((boxes, faces, aflw), rows, strict=True):
                table.writerow((image, *row))
        log.info("%d faces rendered", len(jobs))


def _one_thread() -> None:
    """The pool has all the threads: a library's own in each worker would fight over the cores."""
    cv2.setNumThreads(1)
    threadpool_limits(1)


def _render_one(
    root: Path, population: FaceDistribution, seed: int, job: tuple[str, int, int]
) -> tuple[str, list, list, list]:
    """Writes one face; returns its name and its rows of the three tables.

    ``job`` is part, number and index.
    """
    part, number, index = job
    face = render_face(population, seed, index)
    image = f"{part}/{number:06d}.jpg"
    path = root / image
    encoded = cv2.imencode(
        ".jpg", face.image[:, :, ::-1], (cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY)
    )[1]
    path.write_bytes(encoded.tobytes())
    ibug.write_pts(path.with_suffix(".pts"), face.points)
    pose = [f"{angle:.3f}" for angle in (face.yaw, face.pitch, face.roll)]
    seen = "".join(str(int(visible)) for visible in face.visible)
    aflw = [
        value
        for (x, y), visible in zip(face.points19, face.visible19, strict=True)
        for value in (f"{x:.3f}", f"{y:.3f}", int(visible))
    ]
    box, subsets = [f"{value:.3f}" for value in face.box], " ".join(face.subsets)
    return image, box, [*pose, subsets, seen], [pose[0], *box, subsets, *aflw]


if __name__ == "__main__":
    cli.main(run)
