"""Contact sheets and what is said of a data set: odd things planted in it are found."""

import shutil
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from project import Project

from commands import inspect_dataset
from stages import prepare
from wingloss.drawing.contact_sheet import OUTLINE, POINT, Tile, sheet
from wingloss.evaluation import duplicates

RAW, PREPARED = "data/raw/synthetic", "data/prepared/synthetic/samples.csv"


def test_a_sheet_shows_points_and_outlines_where_they_are():
    grey = np.full((100, 100, 3), 90, np.uint8)
    corners = np.array([[10.0, 10.0], [80.0, 10.0], [80.0, 80.0], [10.0, 80.0]])
    tiles = [Tile(grey), Tile(grey, points=np.array([[30.0, 40.0]]), outlines=[corners])]
    drawn = sheet([*tiles, *tiles[:1]], columns=2)
    assert drawn.shape == (200, 200, 3)
    assert (drawn[:100, :100] == 90).all() and (grey == 90).all()  # nothing asked, nothing drawn
    assert tuple(drawn[40, 130]) == POINT
    assert np.abs(drawn[[10, 50], [150, 180]] - np.array(OUTLINE)).max() < 40  # smoothed
    assert (drawn[100:, 100:] == 0).all()  # the last row is filled up


def test_a_long_label_takes_a_second_line():
    label = "train/001339 illumination large_pose occlusion"
    drawn = sheet([Tile(np.zeros((200, 200, 3), np.uint8), label)], columns=1)
    assert drawn[:, -4:].max() == 0 and drawn[40:].max() == 0
    assert min(drawn[:16].max(), drawn[18:32].max()) > 200  # white, but for smooth edges


def test_the_nearest_picture_is_found_whatever_its_exposure():
    rng = np.random.default_rng(0)
    others = rng.integers(0, 200, (5000, 8, 8), dtype=np.uint8)
    faces = np.stack([others[4711] // 2 + 30, rng.integers(0, 200, (8, 8), dtype=np.uint8)])
    index, alike = duplicates.nearest(duplicates.normalise(faces), duplicates.normalise(others))
    assert index[0] == 4711 and alike[0] > 0.999
    assert alike[1] < 0.7


def test_a_flat_picture_is_like_nothing():
    flat = duplicates.normalise(np.full((1, 8, 8), 7, np.uint8))
    assert duplicates.nearest(flat, flat)[1] == pytest.approx(0)


def test_inspect_finds_what_was_planted(finished: Project, done: Callable) -> None:
    samples = (finished.root / PREPARED).read_text().splitlines()
    train = next(row.split(",")[0] for row in samples if row.split(",")[2:3] == ["train"])
    raw = finished.root / RAW
    for suffix in (".jpg", ".pts"):
        shutil.copy(raw / f"{train}{suffix}", raw / f"test/000003{suffix}")
    boxes = (raw / "detector_boxes.csv").read_text().splitlines()
    known = next(row for row in boxes if row.startswith(f"{train}.jpg")).partition(",")[2]
    moved = [f"test/000003.jpg,{known}" if "test/000003" in row else row for row in boxes]
    (raw / "detector_boxes.csv").write_text("\n".join(moved) + "\n")
    done(finished, prepare, dataset="synthetic")

    said = done(finished, inspect_dataset, "synthetic")
    assert f"test/000003 looks like {train} (1.000)" in said
    assert "faces of test look like one of val" in said
    assert "8 faces in 8 photographs" in said and "160 to 160 px wide" in said
    assert 0.85 < float(said.partition("pose coefficient ")[2].partition(",")[0]) <= 1
    counts = [sum(map(int, line.rpartition(": ")[2].split())) for line in said.splitlines()
              if "training faces by yaw" in line]  # fmt: skip
    assert len(counts) == 3 and counts[0] == 27 < counts[1]
    assert "a landmark outside the picture: 0.0 % of faces" in said
    sheets = {
        path.stem: cv2.imread(str(path)) for path in finished.root.glob("results/*/inspect/*")
    }
    assert set(sheets) == {"read", "crops", "cnn6", "cnn7", "numbers"}
    for name, picture in sheets.items():
        assert picture.std() > 20, f"{name} is empty"
    # 38 faces in rows of 8
    assert sheets["read"].shape == (1000, 1600, 3)


def test_inspect_before_prepare_says_what_to_run(project: Project, call: Callable) -> None:
    status, said = call(project, inspect_dataset, "synthetic")
    assert status == 1 and said.strip().count("\n") == 0 and "run 'snakemake" in said
    status, said = call(project, inspect_dataset, "nowhere")
    assert status == 1 and "--dataset nowhere: there is none of this name" in said
