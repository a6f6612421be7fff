"""DVC that is ended while it writes its records: they are whole, and the same command goes on."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from dvc.utils.serialize import _yaml
from kill_dvc import BARE, RECORDS, REPRO, WHOLE, end_amid, is_whole
from project import ROOT, Project, copy

from workflow import dvc_atomic, setup

HAS = "from dvc_objects.fs.local import FsspecLocalFileSystem as f; print(f.open.__module__)"


@pytest.fixture(scope="module")
def recorded(template: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A finished project with both records; each test leaves them whole."""
    project = copy(template, tmp_path_factory.mktemp("recorded"))
    project.dvc(*REPRO)
    yield project
    project.remove()


@pytest.fixture
def stages(recorded: Project) -> int:
    """How many stages DVC has recorded."""
    return len(yaml.load(recorded.read("dvc.lock"), yaml.CSafeLoader)["stages"])


@pytest.mark.parametrize("record", RECORDS)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_dvc_goes_on_when_it_was_ended_amid_a_write(
    recorded: Project, stages: int, record: str, number: signal.Signals
) -> None:
    before = recorded.read("dvc.lock")
    end_amid(recorded, WHOLE, record, 2, number)
    assert is_whole(recorded, stages) and recorded.read("dvc.lock") == before
    recorded.dvc(*REPRO)
    assert is_whole(recorded, stages)
    assert recorded.dvc("status") == "Data and pipelines are up to date.\n"


def test_dvc_by_itself_tears_its_record(recorded: Project, stages: int, tmp_path: Path) -> None:
    """Where that fails, workflow/dvc_atomic.py isn't needed any more."""
    torn = copy(recorded, tmp_path)
    end_amid(torn, BARE, "dvc.lock", 2, signal.SIGKILL)
    assert not is_whole(torn, stages)


def test_a_record_keeps_its_mode_and_its_link(tmp_path: Path) -> None:
    record, link = tmp_path / "elsewhere", tmp_path / "dvc.lock"
    record.write_text("before")
    record.chmod(0o660)
    link.symlink_to(record)
    with pytest.raises(KeyboardInterrupt), dvc_atomic.whole_file(str(link), "utf-8") as file:
        file.write("half")
        raise KeyboardInterrupt
    assert record.read_text() == "before"
    with dvc_atomic.whole_file(str(link), "utf-8") as file:
        file.write("after")
        assert record.read_text() == "before"
    assert link.is_symlink() and record.read_text() == "after"
    assert record.stat().st_mode & 0o777 == 0o660
    assert sorted(tmp_path.iterdir()) == [link, record]


def test_a_record_is_changed_as_dvc_itself_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the byte; another file keeps its comments."""
    head, *stages = re.split(r"(?m)^(?=  \S)", (ROOT / "dvc.lock").read_text(encoding="utf-8"))
    text = head + "".join(stages[:5])
    record, other = tmp_path / "dvc.lock", tmp_path / "dvc.yaml"
    written = []
    for parse in (dvc_atomic.with_comments, dvc_atomic.parse):
        monkeypatch.setattr(_yaml, "parse_yaml_for_update", parse)
        record.write_text(text, encoding="utf-8")
        with _yaml.modify_yaml(record) as data:
            data["stages"]["new"] = {"cmd": "true", "params": {"params.yaml": {"rate": 3e-05}}}
        written.append(record.read_text(encoding="utf-8"))
    assert written[0] == written[1] and written[0].startswith(f"{text}  new:\n")
    other.write_text("a: 1  # one\n", encoding="utf-8")
    with _yaml.modify_yaml(other) as data:
        data["b"] = 2
    assert other.read_text(encoding="utf-8") == "a: 1  # one\nb: 2\n"


@pytest.mark.parametrize("program, module", [("dvc", "workflow.dvc_atomic"), ("other", "dvc_obj")])
def test_the_set_up_protects_the_environments_dvc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, module: str
) -> None:
    """And no other program pays for it."""
    monkeypatch.chdir(tmp_path)
    packages = setup.ENVIRONMENT / "lib/python3.11/site-packages"
    packages.mkdir(parents=True)
    setup.protect_dvc()
    Path(program).write_text(f"import site; site.addsitedir({str(packages)!r}); {HAS}")
    said = subprocess.run(
        [sys.executable, program],
        env={"PYTHONPATH": str(ROOT)},
        text=True,
        capture_output=True,
    )
    assert said.stdout.startswith(module) and not said.stderr


@pytest.mark.parametrize("end", ["<<<<<<< HEAD\n=======\n>>>>>>> other\n", None])
def test_a_conflict_in_dvcs_record_is_one_line(project: Project, end: str | None) -> None:
    """And a record that another environment's DVC has left empty."""
    text = (ROOT / "dvc.lock").read_text(encoding="utf-8")
    (project.root / "dvc.lock").write_text(text + end if end else "", encoding="utf-8")
    said = project.run("workflow.sync", status=1)
    assert said.startswith("error: dvc.lock: corrupt, or in a merge conflict; run `git checkout")
    assert said.count("\n") == 1
