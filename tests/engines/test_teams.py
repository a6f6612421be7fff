"""The commands of docs/guide/teams.md, in their order, in one clone and then in a second."""

import json
import re
import subprocess

import pytest
from project import ROOT, Project

PAGE = (ROOT / "docs/guide/teams.md").read_text(encoding="utf-8")
TABLE = "results/synthetic/tables/table3.csv"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_teams_commands(finished: Project) -> None:
    team, root = finished.root / "team", finished.root
    identity = {
        f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }

    def shell(line: str) -> str:
        here = {"DVC_SITE_CACHE_DIR": str(root / ".dvc/tmp/site")}
        line = line.replace("/mnt/team", str(team)).replace("make sync", "python -m workflow.sync")
        environment = finished.environment | identity | here
        done = subprocess.run(
            line, shell=True, cwd=root, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    # `team` lies in the first clone, so that it goes with it
    shell("git add --all && git commit --quiet --message clone")
    before = finished.read(TABLE)
    said: dict[str, str] = {}
    for line in re.findall(r"^\$ ([^\n]+)", PAGE, flags=re.M):
        if line == "make setup":  # the tests' own environment
            continue
        if line.startswith("git clone"):
            shell(f"git clone --quiet --bare . {team}/wingloss.git")
        said[line] = shell(line)
        if line.startswith("git clone"):
            root = finished.root / "mine"
        if line == "make sync" and "git checkout HEAD dvc.yaml" not in " ".join(said):
            assert said[line] == "Snakemake now takes what DVC recorded as up to date.\n"
            assert "Nothing to be done" in shell("snakemake --dry-run --cores 1 2>&1")
            assert "up to date" in shell("dvc status")
        if line.startswith("dvc checkout table"):
            assert (root / TABLE).read_bytes() == before
    shown = next(text for line, text in said.items() if line.startswith("dvc exp show"))
    depths = re.findall(r"(\w+)\] .* (\d)\s*$", shown, flags=re.M)
    assert sorted(depths) == [("deeper", "4"), ("shallow", "3")] and "ert-none-none" in shown
    changed = {
        re.search(r"results/\S+", row)[0]
        for row in said["dvc metrics diff shallow deeper"].splitlines()[1:]
        if "results/" in row
    }
    assert changed == {
        "results/synthetic/metrics/none-ert-none-none.json",
        "results/synthetic/scores.json",
    }
    assert "index.html" in said["dvc plots diff shallow deeper"]
    scores = json.loads((root / "results/synthetic/scores.json").read_text())
    assert scores != json.loads(finished.read("results/synthetic/scores.json"))
