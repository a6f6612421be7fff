"""DVC that is ended while it writes its records: they are whole, and the same command goes on."""

import re
import signal
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator
from itertools import product
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


def changed(path: Path, text: str, change: Callable[[dict], object], own: bool) -> str:
    """A YAML file after DVC has changed it, by itself or as the set-up has it."""
    path.write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        if not own:
            patch.setattr(_yaml, "parse_yaml_for_update", dvc_atomic.with_comments)
            patch.setattr(_yaml, "_dump", dvc_atomic.dump_all)
        with _yaml.modify_yaml(path) as data:
            change(data)
    return path.read_text(encoding="utf-8")


HEAD, *STAGES = re.split(r"(?m)^(?=  \S)", (ROOT / "dvc.lock").read_text(encoding="utf-8"))
TEXT = HEAD + "".join(STAGES[2:4])
NEW = {"cmd": "true", "params": {"params.yaml": {"rate": 3e-05}}}
CHANGES: dict[str, Callable[[dict], object]] = {
    "a new stage": lambda data: data["stages"].update(new=NEW),
    "another command": lambda data: data["stages"]["pose@synthetic"].update(cmd="false"),
    "a stage less": lambda data: data["stages"].pop("pose@synthetic"),
    "something else": lambda data: data.update(datasets=[]),
}
TEXTS = {
    "as DVC's": TEXT,
    "another schema": TEXT.replace("2.0", "1.0"),
    "no last line": TEXT.rstrip("\n"),
    "more than stages": TEXT + "datasets: []\n",
    "an end": TEXT + "...\n",
}


@pytest.mark.parametrize(
    "text, change",
    [*product(["as DVC's"], CHANGES), *product([*TEXTS][1:], ["a new stage"])],
)
def test_a_record_is_changed_as_dvc_itself_does(tmp_path: Path, text: str, change: str) -> None:
    """To the byte, whatever form it had."""
    by_dvc, ours = (
        changed(tmp_path / "dvc.lock", TEXTS[text], CHANGES[change], own) for own in (False, True)
    )
    assert ours == by_dvc


def test_unchanged_stages_of_the_record_stay_as_they_are(tmp_path: Path) -> None:
    """With the aliases that DVC gave them; new ones have none, for names would meet. DVC records a
    stage again with tables of another kind."""
    text = HEAD + "".join(one for one in STAGES if "&id001" in one)
    stage = {"cmd": "true", "params": {"first": NEW["params"], "second": NEW["params"]}}

    def change(data: dict) -> None:
        again = {name: OrderedDict(old) for name, old in data["stages"].items()}
        data["stages"].update(again, new=stage)

    written = changed(tmp_path / "dvc.lock", text, change, own=True)
    assert "&" in text and written.startswith(text)
    assert "&" not in written[len(text) :]
    assert _yaml.loads_yaml(written)["stages"]["new"] == stage


def test_an_alias_of_another_stages_table_keeps_its_value(tmp_path: Path) -> None:
    text = TEXT.replace("outs:", "outs: &outs", 1) + "  more:\n    cmd: 'true'\n    outs: *outs\n"
    written = changed(tmp_path / "dvc.lock", text, CHANGES["a stage less"], own=True)
    before, after = (_yaml.loads_yaml(one)["stages"] for one in (text, written))
    assert after["more"] == before["more"] and "pose@synthetic" not in after


def test_other_files_keep_their_comments(tmp_path: Path) -> None:
    written = changed(
        tmp_path / "dvc.yaml", "a: 1  # one\n", lambda data: data.update(b=2), own=True
    )
    assert written == "a: 1  # one\nb: 2\n"


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
