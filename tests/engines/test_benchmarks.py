"""What the benchmarks count, against counts by hand."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from project import ROOT

from benchmarks import clip, curves, detector, inference, step_size, wing_against_l1
from benchmarks.flops import training_flops
from benchmarks.power import Scenario, draw, simulate
from pipeline.config.params import load
from pipeline.results import paper_spec
from pipeline.results.paper_spec import Claims
from stages import claims
from wingloss.detection import detector_file
from wingloss.detection.detector import BUNDLED, displaced_squares
from wingloss.models.networks import build


@pytest.mark.parametrize(
    ("network", "size", "widths"),
    [("cnn6", 64, (32, 64, 128, 256, 512)), ("cnn7", 128, (64, 128, 256, 512, 512, 512))],
)
def test_training_flops_by_hand(network: str, size: int, widths: tuple[int, ...]) -> None:
    """Of one sample: forward, by the weights and, but for the first layer, by the inputs."""
    forward, channels, side = [], 3, size
    for width in widths:
        forward.append(2 * 9 * channels * width * side * side)
        channels, side = width, side // 2
    forward += [2 * 2048 * 1024, 2 * 1024 * 136]
    assert training_flops(build(network, 68, seed=0), size) == (
        2 * forward[0] + 3 * sum(forward[1:])
    )


def test_curves_are_drawn_by_name_with_their_last_error(tmp_path: Path) -> None:
    for name, last in (("a", 6.125), ("b", 5.5)):
        text = f"samples,learning_rate,loss,val_nme\n8,0.1,3,24\n16,0.1,2,{last}\n"
        (tmp_path / f"{name}.csv").write_text(text)
    named = {"paper": f"{tmp_path}/a.csv", "fast": f"{tmp_path}/b.csv"}
    curves.draw("inter-pupil", tmp_path / "drawn.svg", named)
    drawn = (tmp_path / "drawn.svg").read_text()
    for label in ("paper (6.12 %)", "fast (5.50 %)", "inter-pupil"):
        assert label in drawn


@pytest.mark.parametrize(
    "scenario, power",
    [(Scenario(0.041), 0.9), (Scenario(0.041, wing=3), 0.5)],
    ids=["as measured", "Wing's seeds lie further apart"],
)
def test_verdicts_are_rarely_false_and_mostly_found(scenario: Scenario, power: float) -> None:
    """As ``python -m benchmarks.power`` has it, with fewer simulations and so with wide limits."""
    found = simulate(scenario, 100)
    assert found["false verdict, one claim"] <= 0.13
    assert found["any false verdict, family"] <= 0.1
    assert 0.87 <= found["interval holds the truth"] < 1
    assert found["power, 0.36 points"] >= power
    assert found["equivalent, 1 % apart"] <= 0.1


def test_a_claim_of_several_pairs_is_equivalent_to_the_best_of_them() -> None:
    """Wing, L1 and smooth L1 are alike, and L2 is a quarter worse."""
    every = paper_spec.families()
    losses = Claims(every.equivalent_within, [every.families[0]])
    results = draw(np.random.default_rng(0), load(), Scenario(0.041, faces=4386), {"l2": 1.25})
    found = {one["text"]: one for one in claims.judge(losses, results, {})}
    best = found["Wing loss is best with CNN-6 + PDB"]
    assert best["verdict"] == "equivalent"
    assert best["why"].endswith("that it differs from the best by 1 % or more.")
    assert found["L1 makes CNN-6 more accurate than L2"]["verdict"] == "reproduced"


def test_equivalence_takes_more_faces() -> None:
    few, many = (simulate(Scenario(0.041, faces=faces), 20) for faces in (203, 4386))
    assert few["equivalent, no difference"] < 0.2 < 0.8 < many["equivalent, no difference"]


def test_a_detectors_scores_by_hand() -> None:
    """Ten faces, of which the one with the largest error disagrees most."""
    errors, disagreements = np.arange(1.0, 11), np.array([2.0, 1, 3, 4, 5, 6, 7, 8, 9, 10])
    assert detector._scores(errors, disagreements) == ["5.50", "5.50", "0.99", "5.00"]


def test_a_found_face_is_the_one_whose_box_holds_the_true_one() -> None:
    boxes = np.array([[0.0, 0, 9, 9], [10, 0, 20, 9], [0, 0, 30, 30]])
    assert detector._that_holds(boxes, np.array([15.0, 5])) == 1
    assert detector._that_holds(boxes, np.array([40.0, 5])) is None


def looked_at(tmp_path: Path) -> inference.Faces:
    """Two faces of 68 landmarks in one picture; errors are in tens of pixels."""
    picture = tmp_path / "two.png"
    Image.fromarray(np.zeros((60, 120, 3), np.uint8)).save(picture)
    points = np.tile(np.arange(68.0)[:, None], (2, 1, 2))
    return inference.Faces(
        [picture, picture], np.array([[0.0, 0, 50, 50], [60, 0, 110, 50]]), points, np.full(2, 10.0)
    )


def answer_off(off: float, shown: Sequence[np.ndarray], boxes: np.ndarray) -> np.ndarray:
    """The landmarks, each ``off`` px too far right; none of the second face."""
    found = np.tile(np.arange(68.0)[:, None], (len(boxes), 1, 2)) + (off, 0)
    found[boxes[:, 0] > 50] = np.nan
    return found


def test_a_methods_row_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "BATCHES", {1: 1, 2: 1})
    method = inference.Method(
        *("one", "a test", lambda: partial(answer_off, 0.5), tuple(range(68)), 2_500_000),
        *("none", "all"),
        parameters=3_806_152,
        network="cnn6",
    )
    faces = looked_at(tmp_path)
    measured = inference.measure(method, faces, accuracy=True)
    assert measured.rates[2] > measured.rates[1] > 0
    fast = replace(measured, rates={1: 1200.0, 2: 2400.4})
    slow = replace(measured, rates={1: 600.0, 2: 1200.0})
    assert inference.row(method, slow, fast, faces) == (
        "| one | a test | 600 | 1200 | 1200 | 2400 | 8.0 | 5.00 | 5.00 | 1 "
        "| 3.8 | 2.5 | none | all |"
    )
    few = replace(method, landmarks=tuple(inference.COMMON))
    some = answer_off(1.0, [], faces.boxes)[:, list(inference.COMMON)]
    assert inference.errors(few, some, faces) == ("", "10.00", "1")


def test_dlibs_likely_box_is_the_one_that_leads_to_the_frame() -> None:
    dlibs, offset = np.array([[10.0, 20, 50, 60]]), (0.1, -0.05, 0.2, 0.0)
    (frame,) = displaced_squares(dlibs, offset)
    half = frame[2] / 1.5 / 2  # of the data set's box, whose frame is 1.5 times as large
    box = np.concatenate([frame[:2] - half, frame[:2] + half])
    assert inference.likely_box(1.5, offset, np.empty(0), box) == pytest.approx(dlibs[0])


def test_a_window_begins_in_the_picture() -> None:
    picture = np.arange(40 * 60 * 3, dtype=np.uint8).reshape(40, 60, 3)
    part, corner = inference.window(picture, np.array([4.0, 10, 24, 30]))
    assert corner.tolist() == [0, 0] and (part == picture[:40, :34]).all()


def test_an_untrained_detector_can_be_loaded(tmp_path: Path) -> None:
    own, _ = detector_file.load(Path(str(BUNDLED)))
    card = inference.untrained(("cnn6", "cnn7"), own)
    networks = [build(name, card.landmarks, seed=0) for name in card.networks]
    detector_file.save(tmp_path / "two.safetensors", card, networks)
    locate = inference.detector(tmp_path / "two.safetensors", "float32")
    found = locate([np.zeros((60, 60, 3), np.uint8)], np.array([[5.0, 5, 55, 55]]))
    assert found.shape == (1, 68, 2) and np.isfinite(found).all()


def test_the_clip_shows_the_same_people_turned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip, "SIDE", 64)
    monkeypatch.setattr(clip, "FRAMES", 4)
    first, some, most, back = clip.turning()
    assert first.shape == (64, 192, 3) and (some == back).all()
    apart = [np.abs(first.astype(int) - other).mean() for other in (some, most)]
    assert 0 < apart[0] < apart[1]


def test_the_readme_has_wings_leads_as_measured() -> None:
    """And a figure of all of them, drawn from the published results alone."""
    found = wing_against_l1.measured(ROOT / "docs/results")
    said = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    ahead, smaller, twice, undecided, linear, *turned, _, behind, rendered = found.values()
    assert f"{-ahead[0]:.1f} % lower ({-ahead[2]:.1f} to {-ahead[1]:.1f})" in said
    assert f"{-smaller[0]:.1f} % lower ({-smaller[2]:.1f} to {-smaller[1]:.1f})" in said
    assert f"{-twice[0]:.1f} % lower ({-twice[2]:.1f} to {-twice[1]:.1f})" in said
    assert f"{-linear[0]:.1f} % lower ({-linear[2]:.1f} to {-linear[1]:.1f})" in said
    value, low, high = undecided
    assert f"{-value:.1f} % lower (from {-low:.1f} lower to {high:.1f} higher)" in said
    assert f"{behind[0]:.1f} % higher ({behind[1]:.1f} to {behind[2]:.1f})" in said
    sgd, adamw = turned
    assert f"{-sgd[0]:.1f} % lower ({-sgd[2]:.1f} to {-sgd[1]:.1f})" in said
    assert (
        f"{-sgd[0]:.0f} % lower than L1's with SGD and {adamw[0]:.0f} % higher with AdamW" in said
    )
    assert f"{rendered[0]:.1f} % higher ({rendered[1]:.1f} to {rendered[2]:.1f})" in said
    (axes,) = wing_against_l1.drawn(found).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == list(found)


def test_random_splits_are_alike_by_hand() -> None:
    """Four differences of 1, 2, 3 and 4: their variance is 5/3, of their mean (1/4 + 1/9) times."""
    seeds = range(4)
    rows = [("wing", 1.0, seed, 10.0 + seed + 1) for seed in seeds]
    rows += [("l1", 2.0, seed, 10.0) for seed in seeds]
    runs = pd.DataFrame(rows, columns=["loss", "multiple", "seed", "nme"])
    found = step_size.difference(runs, ("wing", 1.0), ("l1", 2.0))
    half = 3.182446 * (5 / 3 * (1 / 4 + 1 / 9)) ** 0.5  # Student's t of 3
    assert found.value == pytest.approx(2.5)
    assert (found.low, found.high) == pytest.approx((2.5 - half, 2.5 + half), abs=1e-5)
    assert found.p == pytest.approx(0.0485, abs=1e-4)
