"""What `make sync` has DVC record is proven by content, whatever the files' times are."""

import json
import os
import shutil
from pathlib import Path

import pytest
from dvc.repo import Repo
from project import L2, WING, Project

from pipeline.runtime import provenance
from workflow import proof


def edit(project: Project, file: str, old: bytes, new: bytes) -> None:
    """Replaces a file by another with its time of change, as `rsync -t`, `cp -p` and `tar` do."""
    path = project.root / file
    before, content = path.stat(), path.read_bytes()
    assert old in content
    other = path.with_name("other")
    other.write_bytes(new.join(content.rsplit(old, 1)))
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)


def test_what_was_edited_is_not_recorded(finished: Project) -> None:
    """A formula, a metric, a bit of the pictures: with their old times."""
    lock = finished.read("dvc.lock")
    metric = "results/synthetic/metrics/fast-cnn6-none-l2.json"
    crops = "data/prepared/synthetic/crops_val.npy"
    last = finished.read(crops)[-20:]
    edit(finished, "wingloss/pose/projection.py", b"\n", b"\n# edited\n")
    edit(finished, metric, b"}", b" }")
    edit(finished, crops, last, bytes([last[0] ^ 1]) + last[1:])
    said = finished.run("workflow.sync", status=1)
    assert said.startswith("error: ") and said.count("\n") == 1
    for told in (
        "wingloss/pose/projection.py was changed after results were made with it",
        f"{metric} is not as it was made",
        f"{crops} is not as it was made",
    ):
        assert told in said
    assert said.endswith("` to recreate it, and then `make sync`\n")
    assert finished.read("dvc.lock") == lock


def test_what_a_stage_made_anew_is_recorded(finished: Project) -> None:
    """By the command that the refusal names; without a record there is no proof."""
    figure = "results/synthetic/figures/figure4.svg"
    edit(finished, figure, b"</svg>", b"</svg >")
    shutil.rmtree(finished.root / ".made/report")
    (finished.root / "results/synthetic/report.html").write_text("<h1>0.01</h1>")
    said = finished.run("workflow.sync", status=1)
    assert f"{figure} is not as it was made" in said
    assert "there is no record of the making of results/synthetic/report.html" in said
    command = said.partition("run `snakemake ")[2].partition("`")[0]
    assert command == "--forcerun figure report_page"
    finished.snakemake(*command.split())
    finished.run("workflow.sync")
    assert b"0.01" not in finished.read("results/synthetic/report.html")[:20]


@pytest.mark.slow
def test_what_was_made_of_another_file_is_not_recorded(finished: Project) -> None:
    """One that was altered, and put back with its old time; the refusal's command recreates it."""
    page = "results/synthetic/report.html"
    lock, report = finished.read("dvc.lock"), finished.read(page)
    verdicts = "results/synthetic/verdicts.json"
    before, content = (finished.root / verdicts).stat(), finished.read(verdicts)
    (finished.root / verdicts).write_bytes(content.replace(b'"not_run": ', b'"not_run": 1'))
    assert finished.read(verdicts) != content
    finished.snakemake()
    assert finished.read(page) != report
    (finished.root / verdicts).write_bytes(content)
    os.utime(finished.root / verdicts, ns=(before.st_atime_ns, before.st_mtime_ns))
    said = finished.run("workflow.sync", status=1)
    assert f"{verdicts} was another when {page} was made of it" in said
    assert finished.read("dvc.lock") == lock
    command = said.partition("run `snakemake ")[2].partition("`")[0]
    finished.snakemake(*command.split())
    finished.run("workflow.sync")
    assert finished.read(page) == report


def test_a_stages_record_has_every_file_that_it_reads(
    finished: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what the graph names, all but what the stage's own arguments leave out."""
    monkeypatch.chdir(finished.root)
    records = [provenance.read(path) for path in provenance.MADE.glob("*/*.json")]
    unread = {}
    with Repo() as repo:
        for stage in repo.index.stages:
            read = proof.newest_of(stage, records)["read"]
            own = {file: content for file, content in read.items() if file[:2] != ".r"}
            assert own.items() <= provenance.contents(*own).items()
            for path in proof.declared(stage):
                known = path.startswith(provenance.STATIC)
                if not known and not any(proof.inside(file, path) for file in read):
                    unread.setdefault(stage.addressing.replace("synthetic-", ""), set()).add(
                        Path(path).stem
                    )
    assert unread == {
        "cnn6_7_stage1@fast-pdb-wing-0": {"none", "pdb_authors"},  # other balances
        "correct@fast-pdb-wing-0": {"none", "pdb", "pdb_authors"},  # for trainings out of fold
        "baseline@mean_shape-0": {"crops_val", "crops_test"},
        "table@3": {"speed"},
        "figure@4": {"samples", "model", "coefficients", "histogram"},
        "report_page@synthetic": {"crops_val", "speed"},
    }


def test_a_record_has_what_a_stage_was_run_with_and_made(
    finished: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = {"dataset": "synthetic", "recipe": "fast", "network": "cnn6", "stage": "1"}
    train["balance"] = "none"
    records = {}
    for path in (finished.root / ".made/train").iterdir():
        one = json.loads(path.read_text())
        records[one["arguments"]["loss"], one["arguments"]["network"]] = one
    for loss, model in (("wing", WING), ("l2", L2)):
        one = records[loss, "cnn6"]
        assert one["arguments"] == train | {"loss": loss, "seed": "0"}
        own = [str(Path(model).with_name(n)) for n in ("curve.csv", "manifest.json")] + [model]
        monkeypatch.chdir(finished.root)
        made = {
            file: content for file, content in one["made"].items() if file.startswith("results")
        }
        assert made == provenance.contents(*own)
        static = json.loads((finished.root / ".made" / one["static"]).read_text())
        assert static["with"] == provenance.contents(*provenance.STATIC)
        assert static["parameters"] == finished.params()


def test_a_failed_stage_leaves_no_record(project: Project) -> None:
    project.run("stages.pose", "--dataset", "synthetic", status=1)
    assert not (project.root / ".made/pose").exists()


def test_a_file_that_was_altered_and_put_back_is_recorded_as_it_is(finished: Project) -> None:
    """DVC, which was asked in between, remembers the altered content by the file's time."""
    lock, crops = finished.read("dvc.lock"), finished.root / "data/prepared/synthetic/crops_val.npy"
    before, content = crops.stat(), crops.read_bytes()
    for bytes_now in (content[:-1] + bytes([content[-1] ^ 1]), content):
        with crops.open("r+b") as file:  # in place: the same inode, size and time
            file.write(bytes_now)
        os.utime(crops, ns=(before.st_atime_ns, before.st_mtime_ns))
        if bytes_now != content:
            shutil.rmtree(finished.root / ".dvc/tmp/site", ignore_errors=True)
            assert "crops_val.npy" in finished.dvc("status")
    finished.run("workflow.sync")
    assert finished.read("dvc.lock") == lock
