"""Stage two's frames hold the face upright and centred, with the margin asked for."""

import hashlib
import json
import shutil
import signal
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from project import Project

from commands import prune
from pipeline.data.prepared_faces import FRAME
from stages import correct
from wingloss.geometry import Array, apply, to_unit
from wingloss.models.correction import corrected_frames, displaced, folds, frame_errors

MEAN = np.array([[-3.0, -2.0], [3.0, -2.0], [0.0, 0.5], [-2.0, 2.0], [2.0, 2.0]])  # 6 wide, 4 high
MARGIN = 1.25
STAGE_TWO = dict(
    dataset="synthetic", recipe="fast", network="cnn6_7", balance="pdb", loss="wing", seed="0"
)
CORRECT = ["stages.correct", *(f"--{name}={value}" for name, value in STAGE_TWO.items())]
FRAMES = "results/synthetic/models/fast/cnn6_7/pdb/wing/seed0/frames.csv"


def seen(angle: float, size: float, x: float, y: float, shape: Array = MEAN) -> Array:
    """``shape`` turned by ``angle`` (x towards y), enlarged and moved into a picture."""
    cos, sin = np.cos(angle), np.sin(angle)
    return size * shape @ np.array([[cos, sin], [-sin, cos]]) + [x, y]


def test_frame_by_hand():
    frame = corrected_frames(seen(np.pi / 6, 10, 100, 50)[None], MEAN, MARGIN)
    np.testing.assert_allclose(frame, [[100, 50, 1.25 * 60, np.pi / 6]])


def test_the_taller_side_counts_too():
    tall = MEAN * [0.5, 2]  # 3 wide, 8 high
    frame = corrected_frames(seen(-0.2, 10, 0, 0, tall)[None], tall, 1.0)
    assert frame[0, 2:] == pytest.approx([80, -0.2])


@given(
    angle=st.floats(-3.1, 3.1),
    size=st.floats(0.1, 50),
    x=st.floats(-500, 500),
    y=st.floats(-500, 500),
    margin=st.floats(1, 2),
)
def test_the_face_is_upright_and_centred_in_its_frame(
    angle: float, size: float, x: float, y: float, margin: float
):
    points = seen(angle, size, x, y)[None]
    unit = apply(to_unit(corrected_frames(points, MEAN, margin)), points)[0]
    np.testing.assert_allclose(unit, MEAN / (6 * margin) + 0.5, atol=1e-9)


def test_a_face_is_seen_alike_however_it_is_turned():
    """Also a face that isn't the mean: its expression is left to it, its rotation isn't."""
    face = MEAN + np.random.default_rng(0).normal(0, 0.3, MEAN.shape)
    faces = np.stack(
        [face, seen(0.7, 3, 40, -9, face), seen(-2, 0.2, 5, 5, face), seen(3, 1, 0, 0, face)]
    )
    unit = apply(to_unit(corrected_frames(faces, MEAN, MARGIN)), faces)
    np.testing.assert_allclose(unit, np.broadcast_to(unit[0], unit.shape), atol=1e-9)
    low, high = unit[0].min(axis=0), unit[0].max(axis=0)
    np.testing.assert_allclose((low + high) / 2, 0.5, atol=1e-9)
    assert (high - low).max() == pytest.approx(1 / MARGIN)


def test_scale_and_place_of_the_mean_shape_do_not_matter():
    points = seen(0.3, 2, 7, 8)[None]
    np.testing.assert_allclose(
        corrected_frames(points, 0.01 * MEAN + 5, MARGIN), corrected_frames(points, MEAN, MARGIN)
    )


frames = st.tuples(
    st.floats(-500, 500), st.floats(-500, 500), st.floats(1, 300), st.floats(-3.1, 3.1)
).map(lambda frame: np.array([frame]))


@given(true=frames, found=frames)
def test_a_frames_error_leads_back_to_it(true: Array, found: Array):
    again = displaced(true, frame_errors(found, true))
    np.testing.assert_allclose(again[:, :3], found[:, :3], atol=1e-6)
    np.testing.assert_allclose(to_unit(again), to_unit(found), atol=1e-6)  # but for whole turns


def test_frame_errors_by_hand():
    true = np.array([[10.0, 20.0, 50.0, np.pi / 2], [0.0, 0.0, 10.0, 3.0]])
    found = np.array([[10.0, 25.0, 100.0, np.pi / 2], [0.0, 0.0, 10.0, -3.0]])
    # the turned frame's x axis points down the picture; from 3 to -3 is less than half a turn
    expected = [[0.1, 0, np.log(2), 0], [0, 0, 0, 2 * np.pi - 6]]
    np.testing.assert_allclose(frame_errors(found, true), expected, atol=1e-12)


@given(true=frames, turn=st.floats(-3, 3), scale=st.floats(0.1, 10))
def test_errors_do_not_depend_on_how_the_face_is_seen(true: Array, turn: float, scale: float):
    errors = np.array([[0.03, -0.02, 0.1, -0.05]])
    cos, sin = np.cos(turn), np.sin(turn)

    def seen(frames: Array) -> Array:
        centre = scale * frames[:, :2] @ np.array([[cos, sin], [-sin, cos]])
        return np.column_stack([centre, scale * frames[:, 2], frames[:, 3] + turn])

    found = frame_errors(seen(displaced(true, errors)), seen(true))
    np.testing.assert_allclose(found, errors, atol=1e-6)


@given(sizes=st.lists(st.integers(1, 4), min_size=3, max_size=20), seed=st.integers(0, 9))
def test_folds_are_whole_photographs_and_even(sizes: list[int], seed: int):
    photographs = [f"{number}.jpg" for number, size in enumerate(sizes) for _ in range(size)]
    fold = folds(photographs, 3, seed)
    pairs = set(zip(photographs, fold, strict=True))
    assert len(pairs) == len(sizes)
    counts = np.bincount([number for _, number in pairs], minlength=3)
    assert len(counts) == 3 and counts.max() - counts.min() <= 1


def test_folds_do_not_follow_the_photographs_order():
    assert len({tuple(folds([*"abcdefghi"], 3, seed)) for seed in range(9)}) > 1


@pytest.mark.usefixtures("tiny_networks")
def test_matched_jitter_is_stage_ones_error_on_validation_faces(finished: Project, done: Callable):
    """Training frames are off as some validation frame is; the others stay."""

    def frames_by(training_crops: str) -> pd.DataFrame:
        finished.set(**{"correction.training_crops": training_crops})
        assert "val: stage one's boxes are off by" in done(finished, correct, **STAGE_TWO)
        return pd.read_csv(finished.root / FRAMES, index_col="face")

    plain, jittered = frames_by("in_sample"), frames_by("matched_jitter")
    trained = plain.split == "train"
    pd.testing.assert_frame_equal(plain[~trained], jittered[~trained])
    samples = pd.read_csv(finished.root / "data/prepared/synthetic/samples.csv", index_col="face")
    samples = samples.loc[plain.index]
    count = sum(name[0] == "x" and name[1:].isdigit() for name in samples)
    points = np.stack(
        [samples[[f"{axis}{i}" for i in range(count)]].to_numpy() for axis in "xy"], axis=-1
    )
    mean = json.loads(finished.read("data/pose/synthetic/model.json"))["mean"]
    true = corrected_frames(points, np.array(mean), MARGIN)
    errors = frame_errors(jittered[FRAME].to_numpy(), true)
    validation = errors[plain.split == "val"]
    nearest = np.abs(errors[trained][:, None] - validation[None]).max(axis=2).min(axis=1)
    assert nearest.max() < 1e-5
    assert (
        np.abs(frame_errors(plain[FRAME].to_numpy(), true)[trained] - errors[trained]).max() > 0.01
    )


@pytest.mark.usefixtures("tiny_networks")
def test_out_of_fold_boxes_are_by_trainings_without_the_face(
    finished: Project, call: Callable, done: Callable
):
    """Other faces' boxes stay; a training that was broken off goes on; none is made twice."""
    before = pd.read_csv(finished.root / FRAMES, index_col="face")
    old = finished.trainings().keys()
    finished.set(
        **{"correction.training_crops": "out_of_fold", "correction.folds": 2},
        **{"recipes.fast.cnn6.samples.synthetic": 400},
    )
    broken_off = finished.start(*CORRECT)
    while not (
        (made := finished.trainings().keys() - old)  # the first is over, and the second has begun
        and {path.parent.name for path in finished.checkpoints()} - made
    ):
        assert broken_off.poll() is None, broken_off.communicate()
    broken_off.send_signal(signal.SIGTERM)
    said, _ = broken_off.communicate()
    assert broken_off.returncode == 128 + signal.SIGTERM, said
    assert before.equals(pd.read_csv(finished.root / FRAMES, index_col="face"))
    said = done(finished, correct, **STAGE_TWO)
    assert said.count("taking it from the run store") == 1
    assert said.count("resuming from the checkpoint") == 1
    frames = pd.read_csv(finished.root / FRAMES, index_col="face")
    made = finished.trainings()
    done(finished, prune)
    assert finished.trainings().keys() >= made.keys() - old, "they are in use"

    trained = frames.split == "train"
    assert frames.boxed_by[~trained].isna().all()
    pd.testing.assert_frame_equal(frames.loc[~trained, FRAME], before.loc[~trained, FRAME])
    keys = set(frames.boxed_by[trained])
    assert keys == made.keys() - old and len(keys) == 2
    repeats = pd.read_csv(finished.root / "data/balance/synthetic/pdb.csv", index_col="face")
    repeats = repeats.repeats[frames.index[trained]]
    for key in keys:
        inputs = json.loads(finished.read(f".runs/{key}/inputs.json"))
        seen = np.where(frames.boxed_by[trained] == key, 0, repeats)
        assert inputs["data"]["repeats"] == hashlib.sha256(seen.tobytes()).hexdigest()

    undisturbed = finished.read(FRAMES)
    shutil.rmtree(finished.root / ".runs")
    done(finished, correct, **STAGE_TWO)
    assert finished.read(FRAMES) == undisturbed

    finished.set(**{"correction.folds": 99})
    status, said = call(finished, correct, **STAGE_TWO)
    assert status == 1
    assert said == "error: correction.folds: 27 photographs make no 99 folds\n"
