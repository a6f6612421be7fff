"""docs/guide/own-data.md, block by block."""

import json
import re
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from project import ROOT, Project
from trees import faces, five, write_faces

from stages import download, pose, prepare
from wingloss import protocol
from wingloss.datasets.ibug import read_pts

BLOCKS = re.findall(
    r"^```(\w+)\n(.*?)^```$",
    (ROOT / "docs/guide/own-data.md").read_text(encoding="utf-8"),
    re.DOTALL | re.MULTILINE,
)
PROTOCOL, CHANGES = "# wingloss/protocols/mine.yaml\n", "# in "


def blocks(kind: str, beginning: str = "") -> list[str]:
    found = [text for word, text in BLOCKS if word == kind and text.startswith(beginning)]
    assert found
    return found


def merge(table: dict[str, Any], changes: dict[str, Any]) -> None:
    """Sets in nested tables what ``changes`` names."""
    for key, value in changes.items():
        assert key in table, f"there is no {key}"
        if isinstance(value, dict) and key != "runs":  # which the page says to replace
            merge(table[key], value)
        else:
            table[key] = value


def change(project: Project, text: str) -> None:
    """Makes the changes of a block that begins with '# in FILE'."""
    path = project.root / text.splitlines()[0].removeprefix(CHANGES)
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    merge(content, yaml.safe_load(text))
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


@pytest.fixture
def mine(project: Project) -> Project:
    """A project with pictures of one's own and the page's protocol for them."""
    for part, count in (("train", 24), ("test", 4)):
        points, _ = faces("300w", count, seed=count)
        write_faces(project.root / "data/incoming/mine" / part, five(points))
    (project.root / "data/incoming/mine/train/0001.pts").write_text(*blocks("pts"))
    (project.root / "wingloss/protocols/mine.yaml").write_text(*blocks("yaml", PROTOCOL))
    tiny = {"recipes.fast.cnn6.samples.mine": 40, "recipes.fast.cnn7.samples.mine": 8}
    project.set(**tiny)
    return project


@pytest.mark.slow
def test_the_page_from_pictures_to_scores(mine: Project) -> None:
    change(mine, blocks("yaml", "# in params.yaml\ndatasets")[0])
    commands, detect = blocks("bash")
    generate, snakemake, cat = commands.splitlines()
    mine.run(generate.partition("#")[0].split()[-1])
    assert "cnn6_7_stage2@mine-fast-pdb-wing" in mine.dvc("stage", "list")
    mine.run(*snakemake.split())
    table = pd.read_csv(mine.root / cat.removeprefix("cat "))
    scored = ["cnn6_7", "mean_shape", "ert"]
    parts = [("val", "full", 2), ("val", "large_pose", 1), ("test", "full", 4)]
    parts += [("test", "large_pose", 1)]  # a tenth, at least one
    assert set(zip(table.network, table.split, table.subset, table.n_faces, strict=True)) == {
        (network, *part) for network in scored for part in parts
    }
    assert (table.data_stamp == "full").all()
    assert table.nme_inter_pupil.between(1, 1000).all()
    assert (mine.root / "results/mine/report.html").exists()

    shutil.copytree(mine.root / "data/incoming/mine/test", mine.root / "holiday/test")
    header, box = blocks("csv")[0].splitlines()
    boxes = "\n".join([header, box.replace("train", "test")])
    (mine.root / "holiday/boxes.csv").write_text(boxes, encoding="utf-8")
    mine.run(*detect.split())
    found = pd.read_csv(mine.root / "found/landmarks.csv")
    assert found.image.tolist() == ["test/0001.jpg"] and np.isfinite(found[["x4", "y4"]]).all(
        axis=None
    )


@pytest.fixture
def prepared(
    mine: Project, call: Callable, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], tuple[int, str]]:
    """Brings in and prepares the data set in this process; the exit status and what was said."""
    change(mine, blocks("yaml", "# in params.yaml\ndatasets")[0])
    monkeypatch.setattr(protocol, "FOLDER", mine.root / "wingloss/protocols")

    def run() -> tuple[int, str]:
        protocol.load.cache_clear()
        status, said = call(mine, download, dataset="mine")
        assert status == 0, said
        return call(mine, prepare, dataset="mine")

    return run


def test_csv_and_coco_say_the_same_as_pts(mine: Project, prepared: Callable) -> None:
    def samples() -> pd.DataFrame:
        status, said = prepared()
        assert status == 0, said
        table = pd.read_csv(mine.root / "data/prepared/mine/samples.csv")
        return table.drop(columns=["face", "photograph", "split"])

    before = samples()
    exec(*blocks("python"), {})
    for text in blocks("yaml", "# in wingloss/protocols/mine.yaml\n"):
        change(mine, text)
        pd.testing.assert_frame_equal(samples(), before)


def test_the_pages_boxes(mine: Project, prepared: Callable) -> None:
    table = mine.root / "data/incoming/mine/detector_boxes.csv"
    table.write_text(*blocks("csv"), encoding="utf-8")
    change(mine, blocks("yaml", "# in params.yaml\ndataset:")[0])
    status, said = prepared()
    assert status == 1  # the page has one box, and there are 28 faces
    assert "no face box; add it, or set dataset.mine.box.source to landmarks" in said
    assert "(the first of 27 bad faces, listed above)" in said
    assert "train/0001.pts" not in said
    header, first = table.read_text(encoding="utf-8").splitlines()
    faces = sorted(mine.root.glob("data/incoming/mine/*/*.jpg"))
    rows = [first.replace("train/0001.jpg", f"{face.parent.name}/{face.name}") for face in faces]
    table.write_text("\n".join([header, *rows]), encoding="utf-8")
    status, said = prepared()
    assert status == 0, said
    samples = pd.read_csv(mine.root / "data/prepared/mine/samples.csv")
    assert (samples[["box_x0", "box_y0", "box_x1", "box_y1"]] == [28, 30.5, 70, 75]).all(axis=None)


def test_errors_are_not_divided_by_boxes_that_are_not_taken(
    mine: Project, prepared: Callable
) -> None:
    with (mine.root / "wingloss/protocols/mine.yaml").open("a") as protocol:
        protocol.write("normalising_box: face\n")
    status, said = prepared()
    assert status == 1
    assert said.count("\n") == 1 and "dataset.mine.box.source is landmarks" in said


def test_a_test_part_may_be_left_out(mine: Project, prepared: Callable) -> None:
    shutil.rmtree(mine.root / "data/incoming/mine/test")
    mine.replace("wingloss/protocols/mine.yaml", "  - {name: test, split: test}\n", "")
    status, said = prepared()
    assert status == 0, said
    stamp = json.loads(mine.read("data/prepared/mine/stamp.json"))
    assert stamp["faces"] == {"train": 22, "val": 2, "test": 0}
    assert stamp["data_stamp"] == "full"


@pytest.mark.parametrize("pairs", ["[[0, 1], [3, 4]]", "[[0, 1]]", "[[0, 1], [2, 4]]"])
def test_flip_pairs_are_checked_on_the_faces(
    mine: Project, prepared: Callable, call: Callable, pairs: str
) -> None:
    mine.replace("wingloss/protocols/mine.yaml", "[[0, 1], [3, 4]]", pairs)
    assert prepared()[0] == 0
    status, said = call(mine, pose, dataset="mine")
    assert status == 0, said
    warned = "lies far from its mirror image: are flip_pairs in mine.yaml right?" in said
    assert warned == (pairs != "[[0, 1], [3, 4]]")


def test_too_few_pictures_are_said(mine: Project, prepared: Callable, call: Callable) -> None:
    for path in mine.root.glob("data/incoming/mine/train/*"):
        if path.stem > "0002":
            path.unlink()
    assert prepared()[0] == 0
    status, said = call(mine, pose, dataset="mine")
    assert status == 1
    assert "error: mine: 1 shapes are too few for a pose axis; bring more training" in said


def test_nothing_of_ones_own_is_said_with_what_is_needed(mine: Project, prepared: Callable) -> None:
    shutil.rmtree(mine.root / "data/incoming")
    with pytest.raises(
        AssertionError, match="data/incoming/mine: there is nothing of mine"
    ) as said:
        prepared()
    assert "docs/guide/own-data.md" in str(said.value)


def test_a_broken_protocol_stops_both_engines_with_one_line(mine: Project) -> None:
    change(mine, blocks("yaml", "# in params.yaml\ndatasets")[0])
    mine.run("workflow.generate_dvc")
    mine.replace("wingloss/protocols/mine.yaml", "[3, 4]", "[3, 5]")
    message = (
        "error: wingloss/protocols/mine.yaml: flip_pairs[1]: there is no landmark 5; "
        "they are 0 to 4"
    )
    assert message in mine.snakemake("--dry-run", status=1).splitlines()
    assert message in mine.dvc("repro", "download@mine", status=255).splitlines()


def test_a_data_set_without_protocol_names_the_page(mine: Project) -> None:
    mine.set(datasets=["ours"])
    said = mine.snakemake("--dry-run", status=1)
    assert "datasets: 'ours' has no protocol; there are 300w, aflw, cofw, mine, " in said
    assert "docs/guide/own-data.md says how to write wingloss/protocols/ours.yaml" in said


def test_the_pages_points_count_from_one(mine: Project) -> None:
    points = read_pts(mine.root / "data/incoming/mine/train/0001.pts", 5)
    assert points[0].tolist() == [35.5, 39.25]
