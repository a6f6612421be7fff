"""Table 7 against what people would pick instead: from a photograph and a face's box to landmarks.

``python -m benchmarks.inference DATASET`` prints a Markdown table within about eight minutes on two
cores. It needs the data set prepared (``snakemake data/prepared/DATASET/samples.csv``), and looks
at its validation faces in the data set's boxes. Detectors are those of ``--models FILE...``, or
else those in ``results/DATASET/detectors``, and the package's own. A network of Table 7 that none
of them holds is measured untrained, for its speed alone.

Faces a second are medians over repeats, one face at a time and 64 at once, on one core and on all:
crops, networks and the way back to the photograph's pixels, without the second look that tells the
disagreement. Errors are NME in percent by the headline normaliser: of all landmarks, and of the
seven that MediaPipe's mesh has too.

What isn't installed is left out, with a line that says how to install it. MediaPipe finds faces by
itself, in the box and half a side around it, and so does dlib in one of its rows.
"""

import argparse
import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from pipeline import files
from pipeline.config import paths
from pipeline.config.networks import TITLES
from pipeline.config.params import load
from pipeline.data.prepared_faces import face_boxes
from pipeline.results import scoring
from pipeline.results.paper_spec import published_speeds
from pipeline.runtime.host import processor
from stages.package import known_boxes
from stages.speed import TIMED, rate
from wingloss import Detector, pictures, protocol
from wingloss.augmentation.perturbation import Images
from wingloss.detection import detector_file, face_detector, int8, onnx_file
from wingloss.detection.card import Card, Displacement, StageTwo
from wingloss.detection.detector import BUNDLED
from wingloss.evaluation.metrics import nme, normalisers
from wingloss.geometry import Array, square_frames
from wingloss.models.inference import available_precision
from wingloss.models.networks import build
from wingloss.recipe import Precision

BATCHES = {1: 5, 64: 2}  # faces at once, and how often that is timed
ALL = len(os.sched_getaffinity(0))
# Landmarks of 300W's scheme that are the same places in MediaPipe's mesh: the corners of the eyes,
# outer and inner, those of the mouth, and the tip of the nose. Its point 1, which MediaPipe calls
# that tip, lies below.
COMMON = {36: 33, 39: 133, 42: 362, 45: 263, 48: 61, 54: 291, 30: 4}
ROOM = 0.5  # in the box's sides, that others' own face detectors see on each side of it
MESH_SIZE = 229_714 + 2_495_106  # bytes: BlazeFace's short range, the mesh with attention
ERT = "face_recognition_models"  # the package, which holds but a few files
HEADER = (
    "method", "runs on",
    *(f"batch {batch}, {cores}" for batch in BATCHES for cores in ("1 core", f"{ALL} cores")),
    "× the paper's", "NME", f"NME, {len(COMMON)} points", "faces", "parameters (M)", "size (MB)",
    "licence", "has seen",
)  # fmt: skip

# Landmarks (N, L, 2) in the pixels of each one's picture, of faces in boxes (N, 4); NaN where none
# is found
Locate = Callable[[Sequence[Images], Array], Array]


@dataclass(frozen=True)
class Method:
    """A row of the table, without its measurements."""

    name: str
    runs_on: str
    make: Callable[[], Locate]
    landmarks: tuple[int, ...]  # which ones of the data set's it answers; none if untrained
    size: int  # bytes
    licence: str
    has_seen: str  # of the data set
    parameters: int | None = None
    network: str | None = None  # in Table 7


@dataclass(frozen=True)
class Measured:
    """Faces a second by batch, and the landmarks found ``(N, L, 2)``; None of an untrained one."""

    rates: dict[int, float]
    found: Array | None


@dataclass(frozen=True)
class Faces:
    """The data set's validation faces: pictures' paths, and boxes and landmarks in them."""

    pictures: list[Path]
    boxes: Array  # (N, 4)
    points: Array  # (N, L, 2)
    lengths: Array  # (N,) that normalise errors


def main() -> None:
    """Prints the table for the data set and the models on the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.inference")
    parser.add_argument("dataset")
    parser.add_argument("--models", nargs="*", type=Path, help="detectors' safetensors files")
    parser.add_argument("--mediapipe", metavar="PYTHON", help="one that has mediapipe 0.10.21")
    parser.add_argument("--faces", type=int, help="how many are looked at (default: all)")
    given = parser.parse_args()
    models = given.models
    if models is None:
        models = sorted(Path(paths.DETECTORS.format(dataset=given.dataset)).glob("*.safetensors"))
    os.environ.pop(
        "OMP_NUM_THREADS", None
    )  # threads are as many as the cores that work is bound to
    faces = validation_faces(given.dataset, given.faces)
    print(f"{processor()}, {ALL} cores, {len(faces.pictures)} faces of {given.dataset}\n")
    print(f"| {' | '.join(HEADER)} |\n|{'---|' * len(HEADER)}", flush=True)
    with tempfile.TemporaryDirectory() as made, bound_to(1) as one, bound_to(ALL) as every:
        for method in methods(given.dataset, models, Path(made), given.mediapipe):
            slow = one.submit(measure, method, faces, accuracy=False).result()
            fast = every.submit(measure, method, faces, accuracy=True).result()
            print(row(method, slow, fast, faces), flush=True)


def bound_to(cores: int) -> ProcessPoolExecutor:
    """A process of so many cores, which all libraries see from their beginning."""
    every = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(every)[:cores])
    try:
        process = ProcessPoolExecutor(1, get_context("spawn"))
        process.submit(os.getpid).result()
        return process
    finally:
        os.sched_setaffinity(0, every)


def validation_faces(dataset: str, count: int | None) -> Faces:
    """The first ``count`` of a data set's validation faces, or all."""
    rules, rows = protocol.load(dataset), scoring.faces(dataset)["val"][:count]
    points, boxes = files.points(rows, rules.n_landmarks), face_boxes(rows)
    shown = [Path(paths.RAW.format(dataset=dataset)) / image for image in rows.image]
    return Faces(shown, boxes, points, normalisers(points, boxes, rules)[rules.headline])


def training_faces(dataset: str) -> list[tuple[Path, Array]]:
    """Pictures and a box ``(1, 4)`` in each, from all over the data set's training part."""
    samples = files.read_samples(Path(paths.SAMPLES.format(dataset=dataset)))
    rows = samples[samples.split == "train"]
    rows = rows.iloc[np.linspace(0, len(rows) - 1, int8.ENOUGH).astype(int)]
    folder = Path(paths.RAW.format(dataset=dataset))
    return [
        (folder / image, box[None]) for image, box in zip(rows.image, face_boxes(rows), strict=True)
    ]


def methods(
    dataset: str, models: Iterable[Path], folder: Path, mediapipe: str | None
) -> Iterator[Method]:
    """What is compared; files that it takes are made in ``folder``."""
    own, count = Path(str(BUNDLED)), protocol.load(dataset).n_landmarks
    cards = {path: detector_file.load(path)[0] for path in (*models, own)}
    for path, card in cards.items():
        answers = tuple(range(count)) if card.landmarks == count else ()
        yield from runtimes(path, card, folder, answers, dataset)
    for name, parts in TIMED.items():
        if parts not in {card.networks for card in cards.values()}:
            path = folder / f"{name}.safetensors"
            card = untrained(parts, cards[own])
            networks = [build(part, card.landmarks, seed=0) for part in parts]
            detector_file.save(path, card, networks)
            yield from runtimes(path, card, folder, (), dataset)
    if model := ert_model():
        trees = Method(
            name="regression trees (dlib's)",
            runs_on="dlib, 1 thread, its own boxes",
            make=partial(regression_trees, model, found_box),
            landmarks=tuple(range(count)) if count == 68 else (),
            size=model.stat().st_size,
            licence="CC0; its training faces' forbids commercial use",
            has_seen="these faces" if dataset == "300w" else "nothing",
        )
        yield trees
        known = known_boxes(dataset, load(), protocol.load(dataset))
        if known.from_dlib:
            box = partial(likely_box, known.scale, known.from_dlib)
            make = partial(regression_trees, model, box)
            yield replace(trees, runs_on="dlib, 1 thread, the data set's boxes", make=make)
    else:
        skipped("dlib's regression trees: pip install --no-deps face-recognition-models")
    if mediapipe:
        yield Method(
            name="face mesh (MediaPipe's)",
            runs_on="TensorFlow Lite, its own boxes",
            make=partial(face_mesh, mediapipe),
            landmarks=tuple(COMMON) if count == 68 else (),
            size=MESH_SIZE,
            licence="Apache 2.0",
            has_seen="unknown",
        )
    else:
        skipped("MediaPipe's face mesh: name a Python that has it with --mediapipe")


def skipped(what: str) -> None:
    """Says that a row is missing, and what would bring it."""
    print(f"left out: {what}", file=sys.stderr)


def untrained(networks: tuple[str, ...], like: Card) -> Card:
    """The card of networks that answer nothing useful, but as fast as others."""
    corners = tuple((float(i % 2), float(i % 3)) for i in range(like.landmarks))
    two = StageTwo(1.25, corners) if len(networks) == 2 else None
    data = replace(like.trained_on, dataset="nothing", faces=0, licence="–")
    return replace(like, run="untrained", networks=networks, stage_two=two, trained_on=data)


def runtimes(
    path: Path, card: Card, folder: Path, answers: tuple[int, ...], dataset: str
) -> Iterator[Method]:
    """A detector by all that runs it, each in the precision that suits it here."""
    name = next((name for name, parts in paths.STAGES.items() if parts == card.networks), "")
    _, networks = detector_file.load(path)
    best = available_precision("bfloat16", torch.device("cpu"))
    data = card.trained_on
    method = Method(
        name=f"{TITLES[name]}, {'untrained' if not data.faces else f'trained on {data.dataset}'}",
        runs_on=f"PyTorch, {best}",
        make=partial(detector, path, best),
        landmarks=answers,
        size=path.stat().st_size,
        licence=data.licence,
        has_seen="its training part" if data.dataset == dataset else "nothing",
        parameters=sum(p.numel() for network in networks for p in network.parameters()),
        network=name,
    )
    yield method
    exported = onnx_file.paths(folder / f"{path.stem}.onnx", len(networks))
    try:
        held = onnx_file.exported(card, networks)
    except onnx_file.BadOnnx as error:
        skipped(f"ONNX: {error}")
        return
    for target, data_of_stage in zip(exported, held, strict=True):
        target.write_bytes(data_of_stage)
    method = replace(method, size=sum(target.stat().st_size for target in exported))
    run = partial(detector, exported[0])
    yield replace(method, runs_on="ONNX Runtime, float32", make=partial(run, "float32"))
    small = onnx_file.paths(folder / f"{path.stem}.int8.onnx", len(networks))
    seen = int8.seen(Detector.load(path), training_faces(dataset))
    for target, data_of_stage in zip(small, int8.quantised(held, seen), strict=True):
        target.write_bytes(data_of_stage)
    yield replace(
        method,
        runs_on="ONNX Runtime, int8",
        make=partial(detector, small[0], "float32"),
        size=sum(target.stat().st_size for target in small),
    )
    if find_spec("openvino"):
        yield replace(method, runs_on=f"OpenVINO, {best}", make=partial(run, "bfloat16"))
    else:
        skipped("OpenVINO: pip install openvino")


def detector(path: Path, precision: Precision) -> Locate:
    """One of this project's."""
    loaded = Detector.load(path, precision=precision)

    def locate(shown: Sequence[Images], boxes: Array) -> Array:
        found = loaded.batch(shown, boxes[:, None], disagreement=False)
        return np.concatenate([one.landmarks for one in found])

    return locate


def ert_model() -> Path | None:
    """dlib's published model, if its package is installed."""
    spec = find_spec(ERT)
    if not spec or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0], "models/shape_predictor_68_face_landmarks.dat")


def regression_trees(model: Path, drawn: Callable[[Images, Array], Array]) -> Locate:
    """dlib's (Kazemi and Sullivan, CVPR 2014); ``drawn`` says where their box is."""
    import dlib

    predictor = dlib.shape_predictor(str(model))

    def one(picture: Images, box: Array) -> Array:
        own = drawn(picture, box)
        if not np.isfinite(own).all():
            return np.full((68, 2), np.nan)
        parts = predictor(picture, dlib.rectangle(*(round(value) for value in own))).parts()
        return np.array([(part.x, part.y) for part in parts], np.float64)

    def locate(shown: Sequence[Images], boxes: Array) -> Array:
        return np.array([one(*face) for face in zip(shown, boxes, strict=True)])

    return locate


def found_box(picture: Images, box: Array) -> Array:
    """The box ``(4,)`` of dlib's face detector whose middle is closest to that of ``box``.

    NaN where it finds no face that holds this middle.
    """
    part, corner = window(picture, box)
    found = face_detector.find(part) + np.tile(corner, 2)
    middle = (box[:2] + box[2:]) / 2
    found = found[((found[:, :2] < middle) & (middle < found[:, 2:])).all(axis=1)]
    if not len(found):
        return np.full(4, np.nan)
    away = np.linalg.norm((found[:, :2] + found[:, 2:]) / 2 - middle, axis=1)
    return np.asarray(found[away.argmin()])


def likely_box(scale: float, from_dlib: Displacement, _: Images, box: Array) -> Array:
    """Where dlib's face detector would see a face ``(4,)``, by a data set's ``box``.

    Frames are ``scale`` times as large as the data set's boxes, and lie ``from_dlib`` off dlib's.
    """
    right, down, growth, _angle = from_dlib
    frame = square_frames(box[None], scale)[0]
    side = frame[2] / np.exp(growth)
    low = frame[:2] - (np.array([right, down]) + 0.5) * side
    return np.concatenate([low, low + side])


def window(picture: Images, box: Array) -> tuple[Images, Array]:
    """The picture in ``box`` ``(4,)`` and the ``ROOM`` around it, and its corner ``(2,)``."""
    room = ROOM * (box[2:] - box[:2]).max()
    low = np.maximum(np.rint(box[:2] - room), 0).astype(int)
    high = np.rint(box[2:] + room).astype(int)
    return np.ascontiguousarray(picture[low[1] : high[1], low[0] : high[0]]), low


def face_mesh(python: str) -> Locate:
    """MediaPipe's, which looks for a face in the box and the ``ROOM`` around it."""
    script = Path(__file__).with_name("face_mesh.py")
    served = subprocess.Popen(
        [python, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )

    assert served.stdin and served.stdout
    asked, answered = served.stdin, served.stdout

    def one(picture: Images, box: Array) -> Array:
        part, corner = window(picture, box)
        asked.write(struct.pack("<2i", *part.shape[:2]) + part.tobytes())
        asked.flush()
        points = np.frombuffer(answered.read(478 * 8), np.float32).reshape(478, 2)
        return points[list(COMMON.values())] + corner

    def locate(shown: Sequence[Images], boxes: Array) -> Array:
        return np.array([one(*face) for face in zip(shown, boxes, strict=True)], np.float64)

    return locate


def measure(method: Method, faces: Faces, accuracy: bool) -> Measured:
    """A method's speed on the first faces, and what it finds of all of them."""
    locate, rates = method.make(), {}
    some = [index % len(faces.pictures) for index in range(max(BATCHES))]
    shown = [pictures.read(faces.pictures[index]) for index in some]
    for batch, repeats in BATCHES.items():
        call = partial(locate, shown[:batch], faces.boxes[some[:batch]])
        rates[batch] = batch * rate(call, repeats)
    if not accuracy or not method.landmarks:
        return Measured(rates, None)
    found = []
    for first in range(0, len(faces.pictures), max(BATCHES)):
        part = slice(first, first + max(BATCHES))
        shown = [pictures.read(path) for path in faces.pictures[part]]
        found.append(locate(shown, faces.boxes[part]))
    return Measured(rates, np.concatenate(found))


def row(method: Method, slow: Measured, fast: Measured, faces: Faces) -> str:
    """A line of the table."""
    published = published_speeds().get((method.network or "", "cpu_speed"))
    cells = [
        method.name,
        method.runs_on,
        *(f"{one.rates[batch]:.0f}" for batch in BATCHES for one in (slow, fast)),
        f"{fast.rates[1] / published:.1f}" if published else "",
        *errors(method, fast.found, faces),
        f"{method.parameters / 1e6:.1f}" if method.parameters else "",
        f"{method.size / 1e6:.1f}",
        method.licence,
        method.has_seen,
    ]
    return f"| {' | '.join(cells)} |"


def errors(method: Method, found: Array | None, faces: Faces) -> tuple[str, str, str]:
    """NME of all landmarks and of the common ones, over the faces that were found; their number."""
    if found is None:
        return "", "", ""
    there = np.isfinite(found).all(axis=(1, 2))
    true, lengths = faces.points[there], faces.lengths[there]

    def mean(landmarks: Sequence[int]) -> str:
        if not set(landmarks) <= set(method.landmarks):
            return ""
        places = [method.landmarks.index(one) for one in landmarks]
        return f"{100 * nme(found[there][:, places], true[:, landmarks], lengths).mean():.2f}"

    every = range(faces.points.shape[1])
    common = mean(list(COMMON)) if len(every) == 68 else ""
    return mean(every), common, str(there.sum())


if __name__ == "__main__":
    main()
