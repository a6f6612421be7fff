"""A run's detector, as the pipeline packages it: it finds what the evaluation found."""

import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from project import Project

from stages import package
from wingloss import Detector
from wingloss.detection import detector_file
from wingloss.geometry import Array, landmark_boxes, square_frames

CELLS = {"cnn6": ("none", "wing"), "cnn6_7": ("pdb", "wing")}
BOX = ["box_x0", "box_y0", "box_x1", "box_y1"]


def packaged(project: Project, network: str) -> str:
    balance, loss = CELLS[network]
    name = f"fast-{network}-{balance}-{loss}-seed0.safetensors"
    return f"{project.root}/results/synthetic/detectors/{name}"


def arguments(network: str) -> dict[str, object]:
    balance, loss = CELLS[network]
    own = {"dataset": "synthetic", "recipe": "fast", "network": network}
    return own | {"balance": balance, "loss": loss, "seed": 0}


def scored(project: Project, network: str) -> dict[str, np.ndarray]:
    balance, loss = CELLS[network]
    path = project.root / f"results/synthetic/predictions/fast/{network}/{balance}/{loss}/seed0.npz"
    with np.load(path) as data:
        return dict(data)


@pytest.mark.parametrize("network", CELLS)
def test_it_finds_what_the_evaluation_found(
    finished: Project, tiny_networks: None, done: Callable, network: str
) -> None:
    """To a thousandth of a pixel: by the same crops and in the same boxes."""
    said = done(finished, package, **arguments(network))
    assert "dlib's detector finds 12 of 27 training faces" in said  # context crops are tiny
    detector = Detector.load(packaged(finished, network))
    with pytest.raises(ValueError, match="dlib finds too few training faces of synthetic"):
        detector(np.zeros((80, 80, 3), np.uint8))
    samples = pd.read_csv(finished.root / "data/prepared/synthetic/samples.csv")
    samples = samples[samples.split != "train"]
    raw = finished.root / "data/raw/synthetic"
    found = detector.batch(
        [raw / image for image in samples.image], samples[BOX].to_numpy()[:, None]
    )
    data = scored(finished, network)
    ours = dict(zip(samples.face, np.concatenate([one.landmarks for one in found]), strict=True))
    np.testing.assert_allclose(
        [ours[face] for face in data["face"]], data["predicted"], rtol=0, atol=1e-3
    )
    card = detector.card
    assert card.trained_on.dataset == "synthetic" and card.trained_on.faces == 27
    assert card.trained_on.licence == "rendered by this project, MIT"
    for split in ("val", "test"):
        own = data["split"] == split
        away = np.linalg.norm(data["predicted"] - data["true"], axis=2).mean(axis=1)
        error = 100 * (away / data["normaliser_box"])[own].mean()
        assert card.scores[f"{split} NME by box, percent"] == pytest.approx(error, abs=0.001)


def test_the_landmarks_tell_the_boxes(
    finished: Project, tiny_networks: None, done: Callable
) -> None:
    """Of training faces with such landmarks; in the tiny project boxes are the landmarks' own."""
    done(finished, package, **arguments("cnn6"))
    detector = Detector.load(packaged(finished, "cnn6"))
    samples = pd.read_csv(finished.root / "data/prepared/synthetic/samples.csv")
    axes = [samples[[f"{axis}{i}" for i in range(68)]].to_numpy() for axis in "xy"]
    points: Array = np.stack(axes, axis=-1)
    frames = detector._frames_again(points)
    true = samples[["frame_x", "frame_y", "frame_side", "frame_angle"]].to_numpy()
    assert np.median(np.abs(frames - true) / true[:, 2:3], axis=0) == pytest.approx(
        [0, 0, 0, 0], abs=0.12
    )
    assert square_frames(landmark_boxes(points), 1)[:, 2] == pytest.approx(
        frames[:, 2] / np.exp(detector.card.boxes.from_landmarks[2])
    )


def test_equal_runs_are_equal_files(finished: Project, tiny_networks: None, done: Callable) -> None:
    done(finished, package, **arguments("cnn6_7"))
    path = packaged(finished, "cnn6_7")
    first = finished.read(path)
    card, networks = detector_file.load(path)
    assert card.networks == ("cnn6", "cnn7") and len(networks) == 2
    done(finished, package, **arguments("cnn6_7"))
    assert finished.read(path) == first


def test_a_run_that_cannot_be_used_is_refused(
    finished: Project, tiny_networks: None, call: Callable
) -> None:
    own = arguments("cnn6_7")
    path = (
        finished.root / "results/synthetic/models/fast/cnn6_7/pdb/wing/seed0/stage2/manifest.json"
    )
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"status": "diverged"}))
    status, said = call(finished, package, **own)
    assert status == 1 and "the training of stage 2 diverged" in said
    path.unlink()
    assert "manifest.json: no such file; run 'snakemake" in call(finished, package, **own)[1]
    finished.set(**{"context.scale": 3})
    assert "trained with another `context`; run" in call(finished, package, **own)[1]
    assert not (finished.root / "results/synthetic/detectors").exists()
