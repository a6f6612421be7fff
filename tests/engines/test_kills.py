"""Kills: an engine's, a training's; what is left, and how the next run resumes."""

import os
import pty
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from kill_again import kill_again
from project import TRAIN_WING, WING, Project, wait_for
from safetensors.numpy import load_file

from pipeline.trainings import runner

STAGE = "cnn6@synthetic-fast-none-wing-0"
LOG = "synthetic-fast-cnn6-1-none-wing-0.log"
ENGINES = {
    "snakemake": ("snakemake", "--cores", "1", WING),
    "dvc": ("dvc", "repro", "--single-item", STAGE),
    # a shell that stays between DVC and the training
    "dvc in dash": ("dvc", "repro", "--single-item", STAGE),
}


def outputs(project: Project) -> list[str]:
    """Declared outputs of the training that are there."""
    folder = (project.root / WING).parent
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def same_weights(one: Project, other: Project) -> bool:
    first, second = (load_file(project.root / WING) for project in (one, other))
    return first.keys() == second.keys() and all((first[k] == second[k]).all() for k in first)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_killed_engines_training_dies_and_is_taken_up(
    template: Project, untrained: Project, engine: str
) -> None:
    shell = {"SHELL": "/bin/sh"} if engine == "dvc in dash" else {}
    running = untrained.in_own_processes(**shell).start(*ENGINES[engine])
    wait_for(untrained.checkpoints, 60)
    running.kill()
    wait_for(lambda: not untrained.processes("stages.train"), 60)
    running.communicate()
    assert not untrained.trainings(), "killed too late to show anything"
    assert outputs(untrained) == []
    said = untrained.run(*ENGINES[engine])
    assert "resuming from the checkpoint at step" in said
    assert same_weights(untrained, template)


@pytest.mark.parametrize(
    "engine",
    [
        ("snakemake", "--cores", "2", "data/raw/synthetic"),
        ("dvc", "repro", "download@synthetic"),
    ],
    ids=lambda words: words[0],
)
def test_a_killed_engines_rendering_dies_with_its_helpers(project: Project, engine: tuple) -> None:
    project.set(**{"raw.synthetic.train": 5000})
    running = project.in_own_processes(SHELL="/bin/sh", OMP_NUM_THREADS="2").start(*engine)
    wait_for(lambda: len(project.processes("python -m stages.download")) >= 3, 60)
    running.kill()
    wait_for(lambda: not project.processes("stages.download"), 60)
    assert not (project.root / "data/raw/synthetic").exists()


def test_a_training_killed_alone_fails_its_engine_and_is_taken_up(
    template: Project, untrained: Project
) -> None:
    running = untrained.start(*ENGINES["dvc"])
    wait_for(untrained.checkpoints, 60)
    for process in untrained.processes("stages.train"):
        process.kill()
    running.communicate()
    assert running.returncode != 0
    assert not untrained.trainings(), "killed too late to show anything"
    assert outputs(untrained) == []
    said = untrained.run(*ENGINES["dvc"])
    assert "resuming from the checkpoint at step" in said
    assert same_weights(untrained, template)
    assert not untrained.left_over()


def test_a_training_killed_again_and_again_ends_with_the_same_bits(finished: Project) -> None:
    assert kill_again(finished, kills=2, seed=0), "no life began from a checkpoint"


def test_sigterm_leaves_a_checkpoint_and_no_output(template: Project, untrained: Project) -> None:
    """Interrupted again and again, the training resumes each time; corrupt checkpoints are
    ignored."""
    training = untrained.start(*TRAIN_WING)
    wait_for(untrained.checkpoints, 60)
    training.send_signal(signal.SIGTERM)
    began = time.monotonic()
    said, _ = training.communicate()
    assert time.monotonic() - began < 5
    assert training.returncode == 128 + signal.SIGTERM, said
    assert "the next run resumes from there" in said
    assert outputs(untrained) == []
    assert not untrained.left_over()
    (newest,) = untrained.checkpoints()
    before = newest.with_name("checkpoint.before.pt")
    assert before.exists()
    newest.write_bytes(newest.read_bytes()[: newest.stat().st_size // 2])
    said = untrained.run(*TRAIN_WING)
    assert f"{newest.relative_to(untrained.root)} is corrupt" in said
    assert "resuming from the checkpoint at step" in said
    assert same_weights(untrained, template)
    assert not newest.exists() and not before.exists()


@pytest.mark.parametrize("ignored", [False, True], ids=["terminal", "nohup"])
def test_a_closed_terminal_loses_nothing(
    template: Project, untrained: Project, ignored: bool
) -> None:
    """A training ends with a checkpoint, or continues where `nohup` has SIGHUP ignored."""
    words = ["nohup"] * ignored + [sys.executable, "-m", *TRAIN_WING]
    if not ignored:  # so long that it is still at work when the terminal goes
        untrained.set(**{"recipes.fast.cnn6.samples.synthetic": 480_000})
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(untrained.root)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests themselves may run under nohup
        os.execvpe(words[0], words, untrained.in_own_processes().environment)
    wait_for(untrained.checkpoints, 60)
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    if ignored:
        assert os.waitstatus_to_exitcode(status) == 0
        assert same_weights(untrained, template)
    else:
        assert os.waitstatus_to_exitcode(status) == 128 + signal.SIGHUP
        assert "the next run resumes from there" in untrained.log("train/" + LOG)
        assert outputs(untrained) == [] and not untrained.trainings() and untrained.checkpoints()


def test_what_a_person_started_outlives_its_shell(untrained: Project) -> None:
    """Only an engine's stages die with who started them."""
    training = shlex.join([sys.executable, "-m", *TRAIN_WING])
    # the shell ends by SIGKILL while its child is at work
    shell = [
        "bash",
        "-c",
        f"{training} & sleep 1; while ! ls .runs/*/checkpoint.pt; do sleep 0.05; done; kill -9 $$",
    ]
    environment = untrained.in_own_processes().environment
    subprocess.run(shell, cwd=untrained.root, env=environment, stderr=subprocess.DEVNULL)
    wait_for(untrained.trainings, 60)
    wait_for(lambda: not untrained.processes("stages.train"), 60)
    assert outputs(untrained)


def test_both_checkpoints_torn_begins_anew(template: Project, finished: Project) -> None:
    for entry in (finished.root / ".runs").iterdir():
        shutil.rmtree(entry / "result")
        for name in ("checkpoint.pt", "checkpoint.before.pt"):
            (entry / name).write_bytes(b"PK torn")
    said = finished.run(*TRAIN_WING)
    assert said.count("is corrupt") == 2
    assert "resuming" not in said
    assert same_weights(finished, template)


def test_two_processes_train_once(template: Project, untrained: Project) -> None:
    """The second waits for the first and takes its result; while it waits, it can be stopped."""
    first = untrained.in_own_processes().start(*TRAIN_WING)
    wait_for(untrained.checkpoints, 60)
    first.send_signal(signal.SIGSTOP)
    stage_one = [word if word != "cnn6" else "cnn6_7" for word in TRAIN_WING]
    second, third = untrained.start(*TRAIN_WING), untrained.start(*stage_one)
    for process in (second, third):
        assert "waiting for it" in process.stdout.readline()
    third.terminate()
    assert third.wait(timeout=5) == -signal.SIGTERM
    first.send_signal(signal.SIGCONT)
    assert first.wait(timeout=60) == second.wait(timeout=60) == 0
    assert "taking it from the run store" in second.stdout.read()
    assert len(untrained.trainings()) == 1
    assert same_weights(untrained, template)


def test_no_space_for_the_result_is_said_and_mended(template: Project, untrained: Project) -> None:
    """On a disk of its own that is full: one line, nothing half-written; then it resumes."""
    disk = untrained.root / ".runs"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12k", "tmpfs", disk], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"can't mount a tiny disk: {mounted.stderr.strip()}")
    try:
        for size in ("12k", "20k"):  # too small for the model, and for what comes after it
            subprocess.run(["mount", "-o", f"remount,size={size}", disk], check=True)
            said = untrained.run(*TRAIN_WING, status=1)
            errors = [line for line in said.splitlines() if line.startswith("error: ")]
            assert len(errors) == 1 and "no space left on the disk" in errors[0], said
            assert "Traceback" not in said
            assert "can't write a checkpoint" in said
            assert outputs(untrained) == []
            assert not untrained.trainings() and not untrained.left_over()
        subprocess.run(["mount", "-o", "remount,size=40m", disk], check=True)
        untrained.run(*TRAIN_WING)
        assert same_weights(untrained, template)
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_corrupt_model_is_named(finished: Project) -> None:
    model = finished.root / WING
    model.write_bytes(model.read_bytes()[:100])
    words = [word for word in TRAIN_WING if word not in ("--stage", "1")]
    said = finished.run("stages.evaluate", *words[1:], status=1)
    assert said.startswith(f"error: {WING}: not a model of this project")
    assert said.count("\n") == 1 and said.endswith("recreates it\n")
    log = "evaluate/synthetic-fast-cnn6-none-wing-0.log"
    assert "Traceback" in finished.log(log)
    assert os.listdir(Path(finished.root, WING).parent)


def test_sigterm_amid_a_long_step_leaves_the_last_checkpoint(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And the handlers, once it is over, are again those from before."""
    monkeypatch.setattr(runner, "PATIENCE", 0.1)
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGALRM)]
    job = SimpleNamespace(steps=2, recipe=SimpleNamespace(batch=1))
    trained = SimpleNamespace(step=0, report=lambda: (1.0, None))

    def steps() -> Iterator[None]:
        yield
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
        yield

    with pytest.raises(SystemExit) as end:
        runner.run_steps(steps(), trained, None, job, 0.0, "")
    assert end.value.code == 128 + signal.SIGTERM
    assert "the next run resumes from the last checkpoint" in caplog.text
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGALRM)] == before
