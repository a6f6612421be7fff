"""The experiment of docs/guide/everyday.md, command by command."""

import re
import shlex
import subprocess

import pytest
from project import ROOT, Project

PAGE = (ROOT / "docs/guide/everyday.md").read_text(encoding="utf-8")


def commands(first: str, last: str) -> list[str]:
    """The commands of the blocks from one that begins with ``first`` to one with ``last``."""
    part = PAGE[PAGE.index(f"$ {first}") :]
    end = part.index(f"$ {last}", 1)
    return re.findall(r"^\$ ([^#\n]*[^#\s])", part[: part.index("\n", end)], flags=re.M)


@pytest.mark.slow
def test_an_experiment_is_compared_with_ones_own_baseline(finished: Project) -> None:
    environment = finished.environment | {
        f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }

    def shell(line: str) -> str:
        done = subprocess.run(
            line, shell=True, cwd=finished.root, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    # what a clone has: another machine's record
    lock = finished.read("dvc.lock").decode()
    (finished.root / "dvc.lock").write_text(re.sub(r"md5: [0-9a-f]{8}", "md5: 01234567", lock))
    shell("git add --all && git commit --quiet --message clone")
    said = {}
    for line in commands("make sync && git commit", "make sync\nSnakemake now takes"):
        if line.startswith("sed "):
            old, new = re.fullmatch(r"s/(.*)/(.*)/", shlex.split(line)[2]).groups()
            text = (ROOT / "params.yaml").read_text(encoding="utf-8")
            assert text.count(old) == 1 and new == "cnn6: {w: 6, epsilon: 2}"
            finished.set(**{"loss.wing.cnn6": {"w": 6, "epsilon": 2}})
            continue
        said[line] = shell(line.replace("make sync", "python -m workflow.sync"))
        if line.startswith("snakemake &&"):  # and nothing that is made is git's
            assert shell("git status --porcelain") == " M dvc.lock\n M params.yaml\n"
    assert re.search(r"loss\.wing\.cnn6\.w +10 +6", said["dvc params diff HEAD~1"])
    rows = said["dvc metrics diff HEAD~1"].splitlines()[1:]
    changed = {re.search(r"metrics/(\S+)\.json", row)[1] for row in rows if "metrics/" in row}
    assert changed == {"fast-cnn6-none-wing", "fast-cnn6_7-pdb-wing"}
    assert "is cached - skipping run" in said["git checkout HEAD~1 params.yaml && dvc repro"]
    assert said["make sync"] == "Snakemake now takes what DVC recorded as up to date.\n"
    assert "Nothing to be done" in finished.snakemake()
