"""A network's detector, as the pipeline packages it: it finds what the evaluation found."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from project import Project

from pipeline import files
from stages import package
from wingloss import Detector, pictures
from wingloss.crops import Context, context_crop
from wingloss.detection import detector_file, face_detector
from wingloss.detection.face_detector import NoFaceDetector
from wingloss.geometry import Array, context_maps, square_frames
from wingloss.models.correction import displaced, frame_errors

BOX = ["box_x0", "box_y0", "box_x1", "box_y1"]
FRAME = ["frame_x", "frame_y", "frame_side", "frame_angle"]
CNN6_7 = "fast/cnn6_7/pdb/wing/seed0"


def packaged(project: Project, network: str) -> Path:
    return project.root / f"results/synthetic/detectors/{network}.safetensors"


def scored(project: Project, run: str) -> dict[str, np.ndarray]:
    with np.load(project.root / f"results/synthetic/predictions/{run}.npz") as data:
        return dict(data)


def errors(data: dict[str, np.ndarray], split: str) -> Array:
    away = np.linalg.norm(data["predicted"] - data["true"], axis=2).mean(axis=1)
    return 100 * (away / data["normaliser_box"])[data["split"] == split]


def diverge(project: Project, run: str) -> None:
    data = scored(project, run)
    about = json.loads(str(data["run"])) | {"status": "diverged"}
    path = project.root / f"results/synthetic/predictions/{run}.npz"
    np.savez(path, **(data | {"run": np.array(json.dumps(about))}))


@pytest.mark.parametrize("network", ["cnn6", "cnn6_7"])
def test_it_finds_what_the_evaluation_found(
    finished: Project, tiny_networks: None, done: Callable, network: str
) -> None:
    """To a thousandth of a pixel: by the same crops and in the same boxes."""
    said = done(finished, package, dataset="synthetic")
    assert "dlib's detector finds 12 of 27 training faces" in said  # context crops are tiny
    detector = Detector.load(packaged(finished, network))
    with pytest.raises(NoFaceDetector, match="dlib found too few of synthetic's training faces"):
        detector(np.zeros((80, 80, 3), np.uint8))
    samples = pd.read_csv(finished.root / "data/prepared/synthetic/samples.csv")
    samples = samples[samples.split != "train"]
    raw = finished.root / "data/raw/synthetic"
    found = detector.batch(
        [raw / image for image in samples.image], samples[BOX].to_numpy()[:, None]
    )
    card = detector.card
    data = scored(finished, card.run.removeprefix("synthetic/"))
    ours = dict(zip(samples.face, np.concatenate([one.landmarks for one in found]), strict=True))
    np.testing.assert_allclose(
        [ours[face] for face in data["face"]], data["predicted"], rtol=0, atol=1e-3
    )
    assert card.trained_on.dataset == "synthetic" and card.trained_on.faces == 27
    assert card.trained_on.licence == "rendered by this project, MIT"
    for split in ("val", "test"):
        wanted = errors(data, split).mean()
        assert card.scores[f"{split} NME by box, percent"] == pytest.approx(wanted, abs=0.001)


def test_the_best_run_on_validation_faces_is_taken(
    finished: Project, tiny_networks: None, done: Callable
) -> None:
    """And one that diverged isn't, whatever its error."""
    runs = [f"fast/cnn6/none/{loss}/seed0" for loss in ("l2", "wing")]
    best, other = sorted(runs, key=lambda run: errors(scored(finished, run), "val").mean())
    for run in (best, other):
        done(finished, package, dataset="synthetic")
        card, _ = detector_file.load(packaged(finished, "cnn6"))
        assert card.run == f"synthetic/{run}"
        diverge(finished, run)


def test_boxes_are_brought_to_those_of_the_training_faces(
    finished: Project, tiny_networks: None, done: Callable
) -> None:
    """dlib's by training faces whose frames lie off its boxes by what is known here."""
    finished.set(**{"context.size": 160})
    context = Context(2.0, 160)
    offset = np.array([[0.12, -0.08, np.log(1.3), 0]])
    crops, frames = [], []
    for path in sorted((finished.root / "data/raw/synthetic/test").glob("*.jpg")):
        picture = pictures.read(path)
        found = face_detector.find(picture)
        if len(found) == 1:
            (frame,) = displaced(square_frames(found, 1), offset)
            (to_crop,) = context_maps(frame[None], context.scale, context.size)
            crops.append(context_crop(picture, path, frame, to_crop, 160))
            frames.append((picture, frame))
    assert len(crops) >= 3
    np.save(finished.root / "data/prepared/synthetic/crops_train.npy", np.stack(crops * 20))
    for path in (finished.root / "results/synthetic/models").rglob("manifest.json"):
        path.write_text(path.read_text().replace('"size": 64', '"size": 160'))
    done(finished, package, dataset="synthetic")
    detector = Detector.load(packaged(finished, "cnn6_7"))
    for picture, frame in frames:
        (box,) = detector._found_frames(picture)
        assert np.abs(box[:2] - frame[:2]).max() < 0.06 * frame[2]
        assert abs(np.log(box[2] / frame[2])) < 0.12 and box[3] == 0
        found = detector(picture)
        assert len(found) == 1 and np.isfinite(found.landmarks).all()
    # and from the landmarks' box to where training faces with such landmarks have theirs
    samples = files.read_samples(finished.root / "data/prepared/synthetic/samples.csv")
    samples = samples[samples.split == "train"]
    again = detector._frames_again(files.points(samples, 68))
    true = samples[FRAME].to_numpy()
    assert np.median(frame_errors(true, again), axis=0) == pytest.approx([0] * 4, abs=0.01)


def test_equal_runs_are_equal_files(finished: Project, tiny_networks: None, done: Callable) -> None:
    path = packaged(finished, "cnn6_7")
    written = []
    for _ in range(2):
        done(finished, package, dataset="synthetic")
        written.append(path.read_bytes())
    assert written[0] == written[1]
    card, networks = detector_file.load(path)
    assert card.networks == ("cnn6", "cnn7") and len(networks) == 2


def test_a_run_that_cannot_be_used_is_refused(
    finished: Project, tiny_networks: None, call: Callable
) -> None:
    own = {"dataset": "synthetic"}
    shutil.rmtree(finished.root / "results/synthetic/detectors")
    finished.set(**{"context.scale": 3})
    assert "trained with another `context`; run" in call(finished, package, **own)[1]
    path = finished.root / f"results/synthetic/models/{CNN6_7}/stage2/manifest.json"
    path.unlink()
    finished.set(**{"context.scale": 2})
    assert "manifest.json: no such file; run 'snakemake" in call(finished, package, **own)[1]
    (finished.root / f"results/synthetic/predictions/{CNN6_7}.npz").unlink()
    assert "seed0.npz: no such file; run 'snakemake" in call(finished, package, **own)[1]
    assert not (finished.root / "results/synthetic/detectors").exists()


def test_a_network_that_never_learnt_is_said(
    finished: Project, tiny_networks: None, done: Callable
) -> None:
    diverge(finished, CNN6_7)
    said = done(finished, package, dataset="synthetic")
    assert "warning: no training of cnn6_7 has ended well, so there is no detector" in said
    assert [path.name for path in packaged(finished, "any").parent.iterdir()] == [
        "cnn6.safetensors"
    ]
