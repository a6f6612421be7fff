"""What is told of the machine and of the code."""

import subprocess
from pathlib import Path

from stages.machine import describe_commit


def test_only_changed_code_makes_a_commit_dirty(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a"]
        done = subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True)
        return done.stdout.decode().strip()

    inner = tmp_path / "stages"
    inner.mkdir()
    assert describe_commit(inner) == "unknown"
    git("init", "--quiet")
    assert describe_commit(inner) == "unknown"
    (tmp_path / "results").mkdir()
    names = ["params.yaml", "dvc.lock", "results/summary.csv", "stages/train.py", "Snakefile"]
    for name in names:
        (tmp_path / name).write_text("1")
    git("add", ".")
    git("commit", "--quiet", "--message", "first")
    commit = git("rev-parse", "HEAD")[:12]
    assert describe_commit(inner) == commit
    for name in names[:3]:
        (tmp_path / name).write_text("2")
        assert describe_commit(inner) == commit
    (tmp_path / "Snakefile").write_text("2")
    assert describe_commit(inner) == f"{commit}-dirty"
    assert describe_commit(tmp_path / "nowhere") == "unknown"
