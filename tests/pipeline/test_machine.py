"""What is told of the machine and of the code."""

import os
import subprocess
from pathlib import Path

import pytest

from pipeline.runtime.host import describe_commit


def test_an_unknown_commit_is_explained(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    inner = tmp_path / "unpacked"
    inner.mkdir()
    assert describe_commit(inner) == "unknown"
    assert "unknown: fatal: not a git repository" in caplog.text
    who = ["-c", "user.name=a", "-c", "user.email=a"]
    for words in (["init", "--quiet"], [*who, "commit", "--quiet", "--allow-empty", "-m", "other"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    describe_commit.cache_clear()
    assert describe_commit(inner) == "unknown"
    assert "unknown: the git repository here doesn't have it" in caplog.text
    if os.getuid() == 0:
        os.chown(tmp_path, 65534, 65534)
        os.chown(tmp_path / ".git", 65534, 65534)
        describe_commit.cache_clear()
        assert describe_commit(inner) == "unknown"
        assert "unknown: fatal: detected dubious ownership" in caplog.text
        os.chown(tmp_path, 0, 0)


def test_only_changed_code_makes_a_commit_dirty(tmp_path: Path) -> None:
    def described(folder: Path) -> str:
        describe_commit.cache_clear()
        return describe_commit(folder)

    def git(*words: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a"]
        done = subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True)
        return done.stdout.decode().strip()

    inner = tmp_path / "stages"
    inner.mkdir()
    assert described(inner) == "unknown"
    git("init", "--quiet")
    assert described(inner) == "unknown"
    (tmp_path / "results").mkdir()
    names = ["params.yaml", "dvc.lock", "results/summary.csv", "stages/train.py", "Snakefile"]
    for name in names:
        (tmp_path / name).write_text("1")
    git("add", ".")
    git("commit", "--quiet", "--message", "first")
    commit = git("rev-parse", "HEAD")[:12]
    assert described(inner) == commit
    for name in names[:3]:
        (tmp_path / name).write_text("2")
        assert described(inner) == commit
    (tmp_path / "Snakefile").write_text("2")
    assert described(inner) == f"{commit}-dirty"
    assert described(tmp_path / "nowhere") == "unknown"
