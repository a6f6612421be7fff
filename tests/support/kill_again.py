"""One training, killed again and again: it must end with the bits of one that nobody disturbed.

``python tests/support/kill_again.py [KILLS] [SEED]`` kills a tiny training 50 times,
which takes some six minutes of processor time; tests/engines/test_kills.py does it with fewer.
"""

import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from project import TRAIN_WING, WING, Project

LIFE = 0.3  # the longest time that a training is given, in seconds; a checkpoint takes 0.1
STEPS = 250  # for each kill: more than a life has time for
EARLY = 0.2  # share of kills while Python still imports, reads its data or its checkpoint


def kill_again(project: Project, kills: int, seed: int) -> list[int]:
    """Trains once undisturbed and once through ``kills`` SIGKILLs; fails if the bits differ.

    ``project`` has its data prepared. Returns the steps at which the training resumed.
    """
    batch = project.params()["recipes"]["fast"]["cnn6"]["batch"]
    project.set(**{"recipes.fast.cnn6.samples.synthetic": (kills + 1) * STEPS * batch})
    _train(project)
    undisturbed = _bits(project)
    shutil.rmtree(project.root / ".runs")
    shutil.rmtree((project.root / WING).parent)
    moments, taken_up = random.Random(seed), []
    for number in range(1, kills + 1):
        process = project.start(*TRAIN_WING)
        assert process.stdout
        if moments.random() > EARLY:
            for line in process.stdout:
                if "resuming from the checkpoint at step" in line:
                    taken_up.append(int(line.split("step ")[1].split()[0]))
                if " steps of " in line:
                    break
        time.sleep(moments.uniform(0, LIFE))
        process.kill()
        process.communicate()
        assert not project.trainings(), f"it ended before kill {number}: STEPS is too small here"
    _train(project)
    assert taken_up == sorted(taken_up), "a training went back behind its newest checkpoint"
    assert _bits(project) == undisturbed, f"other bits after {kills} kills"
    assert not project.left_over()
    return taken_up


def _train(project: Project) -> None:
    """Trains to the end, however long that takes."""
    process = project.start(*TRAIN_WING)
    said, _ = process.communicate()
    assert process.returncode == 0, said


def _bits(project: Project) -> tuple[bytes, bytes]:
    """The model's file and the learning curve's."""
    model = Path(WING)
    return project.read(str(model)), project.read(str(model.with_name("curve.csv")))


def main(kills: int = 50, seed: int = 0) -> None:
    """Makes a tiny project in a temporary folder and kills its training."""
    with tempfile.TemporaryDirectory() as folder:
        project = Project.make(Path(folder))
        for stage in ("download", "prepare", "pose", "balance"):
            project.run(f"stages.{stage}", "--dataset", "synthetic")
        taken_up = kill_again(project, kills, seed)
    print(f"{kills} kills, resumed at steps {taken_up}: the same bits")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
