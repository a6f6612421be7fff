"""What a run is said to cost, before it starts."""

import shutil

import pytest
from project import WING, Project

PREDICTIONS = "results/synthetic/predictions/fast/cnn6/none/wing/seed0.npz"


@pytest.mark.slow
def test_a_plan_knows_the_run_store(finished: Project) -> None:
    assert finished.run("workflow.plan").startswith("0 jobs to run, ")
    (finished.root / PREDICTIONS).unlink()
    shutil.rmtree((finished.root / WING).parent)
    assert row(finished, "cnn6")[:5] == [1, 1, 0, 0, 0]  # a training, in the store
    shutil.rmtree(finished.root / ".runs")
    jobs, finished_, begun, cpu, gpu, memory, disk = row(finished, "cnn6")
    assert (jobs, finished_, begun, memory) == (1, 0, 0, 4)
    # starting, samples and validation at half of CNN-6's rate, for the tiny recipe is in float32
    seconds = 5 + int(2 * (480 + 20 * 200 / 3) / 246)
    assert cpu == pytest.approx(seconds / 3600, abs=6e-4)
    assert gpu == pytest.approx(480 / 11733 / 3600, abs=6e-4)
    assert disk < 0.001  # a tiny network's
    assert row(finished, "total")[0] > 1


def test_float32_takes_twice_as_long(project: Project) -> None:
    hours = []
    project.set(**{"recipes.fast.cnn6.samples.synthetic": 246 * 3600})  # an hour's, and 5 s
    for precision in ("bfloat16", "float32"):
        project.set(**{"recipes.fast.cnn6.precision": precision})
        hours.append(row(project, "cnn6")[3])
    assert hours == [pytest.approx(1, abs=0.01), pytest.approx(2, abs=0.01)]


def test_more_faces_take_longer_to_render_and_crop(project: Project) -> None:
    """And a batch system is asked for that time: three times it, and ten minutes."""
    project.set(**{"raw.synthetic.train": 15 * 3600 - 100, "raw.synthetic.test": 100})
    assert row(project, "download")[3] == pytest.approx(1, abs=0.01)  # an hour, and 30 s
    assert row(project, "prepare")[3] == pytest.approx(15 / 80, abs=0.01)
    said = project.snakemake("--dry-run", "data/raw/synthetic")
    assert "runtime=191" in said


def test_a_training_of_two_runs_is_counted_once(project: Project) -> None:
    project.set(**{"runs.cnn6.balance": ["pdb"], "runs.cnn6.loss": ["wing"]})
    rules = [line.split() for line in project.run("workflow.plan").splitlines()[3:-1]]
    finished = {rule: int(words[1]) for rule, *words in rules}
    assert finished["cnn6"] + finished["cnn6_7_stage1"] == finished["total"] == 1
    hours = [float(words[3]) for rule, *words in rules if rule in ("cnn6", "cnn6_7_stage1")]
    assert sorted(hours)[0] == 0 < sorted(hours)[1]


def test_folds_are_counted_with_the_boxes_that_they_make(project: Project) -> None:
    project.set(**{"correction.training_crops": "out_of_fold", "correction.folds": 4})
    project.set(**{"recipes.fast.cnn6.samples.synthetic": 11_733 * 36})  # 36 s each on an H100
    said = project.run("workflow.plan").splitlines()
    (words,) = [line.split() for line in said if line.startswith("correct ")]
    assert float(words[5]) == pytest.approx(4 * 36 / 3600)


def test_an_unknown_target_gets_one_line(project: Project) -> None:
    said = project.run("workflow.plan", "tabel3", status=1)
    assert said.startswith("error: No rule to produce tabel3") and said.count("\n") == 1


def row(project: Project, rule: str) -> list[float]:
    """The figures of one rule for the run's predictions."""
    (line,) = [
        line
        for line in project.run("workflow.plan", PREDICTIONS).splitlines()
        if line.startswith(f"{rule} ")
    ]
    return [float(word) for word in line.split()[1:]]
