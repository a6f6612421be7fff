"""The profile for clusters, against a real Slurm on this machine."""

import subprocess
from pathlib import Path

import pytest
import slurm
import yaml
from project import ROOT, WING, Project, wait_for
from snakemake.api import SnakemakeApi
from snakemake.settings.types import OutputSettings, Quietness, ResourceSettings

from pipeline.runtime import engines

# Snakemake's plug-in asks for the jobs' states after a second here, but then waits ten seconds
# longer each time.
IMPATIENT = """
from snakemake.cli import main
from snakemake_executor_plugin_slurm import Executor

Executor.next_seconds_between_status_checks = property(lambda _: 0.5, lambda *_: None)
main()
"""
QUICK = ["--cores", "2", "--slurm-init-seconds-before-status-checks", "1"]


def test_the_profile_names_the_rules_that_use_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Snakemake ignores a name that no rule has."""
    monkeypatch.chdir(ROOT)
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        workflow = api.workflow(resource_settings=ResourceSettings(cores=1))._workflow
        commands = {rule.name: rule.shellcmd or "" for rule in workflow.rules}
    stages = {"stages.train", "stages.correct", "stages.speed"}
    using = {name for name, command in commands.items() if stages & set(command.split())}
    profile = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text(encoding="utf-8"))
    assert set(profile["set-resources"]) == using
    assert set(profile["set-threads"]) == using - {"speed"}


def test_every_job_asks_for_time_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """By `needs` in workflow/rules/common.smk, on which `workflow.plan` relies too."""
    monkeypatch.chdir(ROOT)
    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        workflow = api.workflow(resource_settings=ResourceSettings(cores=1))._workflow
        asked = {rule.name: set(rule.resources) for rule in workflow.rules if rule.shellcmd}
    needed = {"work", "runtime", "mem_mb"}
    assert {name: needed - own for name, own in asked.items() if needed - own} == {}


@pytest.mark.slow
@pytest.mark.skipif(bool(slurm.missing()), reason=slurm.missing())
def test_a_cancelled_training_is_tried_again_and_resumes(
    template: Project, untrained: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """With the bits of one that ran here. It asks for what the rules and the profile say."""
    with slurm.running(tmp_path_factory.mktemp("slurm")):
        profile = ["--workflow-profile", "profiles/slurm"]
        (untrained.root / "impatient.py").write_text(IMPATIENT)
        running = untrained.in_own_processes().start("impatient", *profile, *QUICK, WING)
        wait_for(lambda: untrained.checkpoints() or running.poll() is not None, 240)
        shown = [
            "squeue",
            "--noheader",
            "--Format=Partition:.5,TimeLimit:.9,MinMemory:.9,tres-per-job:.15",
        ]
        asked = subprocess.run(shown, capture_output=True, text=True).stdout.strip()
        trains = subprocess.run(["pgrep", "-f", "stages[.]train"], capture_output=True, text=True)
        (its,) = [
            process
            for number in trains.stdout.split()
            if (process := Path("/proc", number)).joinpath("cwd").resolve() == untrained.root
        ]
        environment = (its / "environ").read_bytes()
        subprocess.run(["scancel", "--user=root"], check=True)
        said, _ = running.communicate(timeout=240)
    assert running.returncode == 0, said
    assert f"{engines.BATCH_JOB}=1".encode() in environment.split(b"\0")
    assert asked.split() == ["gpu", "10:00", "4000M", "gres:gpu:1"]
    assert said.count("start  cnn6 synthetic fast none wing 0") == 2
    assert "resuming from the checkpoint at step" in untrained.log(
        "train/synthetic-fast-cnn6-1-none-wing-0.log"
    )
    assert untrained.read(WING) == template.read(WING)
