"""Work on one data set leaves what there is of another as it is, whichever engine does it."""

import hashlib
import subprocess

import pytest
from project import Project
from trees import FIVE_PROTOCOL, faces, five, write_faces


def content(project: Project) -> dict[str, str]:
    """The hash of every file of the rendered data set."""
    return {
        str(path.relative_to(project.root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for top in ("data", "results")
        for path in (project.root / top).rglob("*")
        if "synthetic" in path.parts and path.is_file()
    }


def git(project: Project, *words: str) -> str:
    return subprocess.run(
        ["git", "-c", "user.name=x", "-c", "user.email=x", *words],
        cwd=project.root, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip


@pytest.fixture
def two(finished: Project) -> Project:
    """Rendered faces are finished and recorded; those of one's own are there and asked for."""
    points, _ = faces("300w", 24)
    write_faces(finished.root / "data/incoming/mine/train", five(points))
    rules = FIVE_PROTOCOL.format(reader="ibug", path="train")
    (finished.root / "wingloss/protocols/mine.yaml").write_text(rules)
    finished.set(
        datasets=["mine"],
        baselines=[],
        **{
            "runs.cnn6.loss": ["l2"],
            "runs.cnn6_7.loss": [],
            "recipes.fast.cnn6.samples.mine": 12,
        },
    )
    return finished


@pytest.mark.slow
def test_nothing_of_another_data_set_is_touched(two: Project) -> None:
    before = content(two)
    assert len(before) > 40
    two.dvc("checkout", "--allow-missing")
    assert content(two) == before
    git(two, "add", "--all")
    git(two, "commit", "--message", "mine")
    two.dvc("exp", "run", "--set-param", "on_bad_sample=skip")
    assert (two.root / "results/mine/summary.csv").exists()
    assert content(two) == before
    assert git(two, "status", "--porcelain") == " M dvc.lock\n M params.yaml\n"
