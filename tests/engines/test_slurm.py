"""The profile for clusters, against a real Slurm on this machine."""

import subprocess

import pytest
import slurm
from project import WING, Project, wait_for

QUICK = ["--cores", "2", "--seconds-between-status-checks", "1"]
QUICK += ["--slurm-init-seconds-before-status-checks", "1"]


@pytest.mark.slow
@pytest.mark.skipif(bool(slurm.missing()), reason=slurm.missing())
def test_a_cancelled_training_is_tried_again_and_resumes(
    template: Project, untrained: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """With the bits of one that ran here. It asks for what the rules and the profile say."""
    with slurm.running(tmp_path_factory.mktemp("slurm")):
        profile = ["--workflow-profile", "profiles/slurm"]
        running = untrained.start("snakemake", *profile, *QUICK, WING)
        wait_for(untrained.checkpoints, 60)
        shown = [
            "squeue",
            "--noheader",
            "--Format=Partition:.5,TimeLimit:.9,MinMemory:.9,tres-per-job:.15",
        ]
        asked = subprocess.run(shown, capture_output=True, text=True).stdout.strip()
        subprocess.run(["scancel", "--user=root"], check=True)
        said, _ = running.communicate(timeout=120)
    assert running.returncode == 0, said
    assert asked.split() == ["gpu", "10:00", "4000M", "gres:gpu:1"]
    assert said.count("start  cnn6 synthetic none wing 0") == 2
    assert "resuming from the checkpoint at step" in untrained.log(
        "train/synthetic-cnn6-1-none-wing-0.log"
    )
    assert untrained.read(WING) == template.read(WING)
