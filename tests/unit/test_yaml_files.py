"""Files that people write: what no person writes is one line, and costs neither time nor memory."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from project import ROOT, Project

from pipeline.acquire import sources
from pipeline.config.params import load
from pipeline.errors import UserError
from pipeline.results import paper_spec
from wingloss import protocol, yaml_files

LAUGHS = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
)
LONG = f"a: &a {'x' * 100_000}\nb: [{', '.join(['*a'] * 1000)}]\n"
CHAIN = "a0: &a0 [x]\n" + "\n".join(f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 2000))
MERGES = "\n".join(
    ["a0: &a0 {k: v}"] + [f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}" for i in range(1, 40)]
)
ATTACKS = {
    "aliases of aliases": (LAUGHS, "line 6: its aliases expand to too much"),
    "a long text again and again": (LONG, "line 2: its aliases expand to too much"),
    "a chain of aliases": (CHAIN, "line 32: its aliases expand to too much"),
    "merges of merges": (MERGES, "its aliases expand to too much"),
    "itself": ("a: &a [*a]\n", "line 1: an alias refers to itself"),
    "brackets": ("[" * 20_000, "line 1: tables and lists are nested more than 32 deep"),
    "braces": ("{a: " * 20_000, "line 1: tables and lists are nested more than 32 deep"),
    "indents": ("\n".join(" " * i + "a:" for i in range(200)), "line 32: tables and lists are"),
    "another encoding": ("a: 1\nb: \xe9\n".encode("latin-1"), "line 2: this is not UTF-8"),
    "a NUL": (b"a: \0\n", "this is not YAML: unacceptable character #x0000"),
    "not even text": (bytes(range(256)), "this is not UTF-8"),
    "a huge file": ("#" * 300_000, "it has more than 256 KiB"),
    "an octal number": ("a: 010\n", "line 1: YAML's versions read 010 differently; write a plain"),
    "a number to the base of 60": ("b: 1\na: 1:30\n", "line 2: YAML's versions read 1:30 diff"),
    "a fraction to the base of 60": ("a: 1:30.5\n", "line 1: YAML's versions read 1:30.5 diff"),
    "400 digits": (f"a: {'9' * 400}\n", "line 1: 99999999999999999999... has 400 digits"),
    "5000 hexadecimal digits": (f"a: 0x{'f' * 5000}\n", "line 1: 0xffffffffffffffffff... has 5002"),
    "a date": ("a: 2024-12-24\n", "line 1: 2024-12-24 is a date; put it in quotes if it is text"),
    "no date": ("a: 2024-13-45\n", "line 1: 2024-13-45 is a date"),
    "a set": ("a: !!set {b}\n", "line 1: this is not YAML: could not determine a constructor"),
    "a number for a name": ("a: {2024: 1}\n", "line 1: YAML wants quotes round 2024, for a name"),
    "a truth for a name": ("a: 1\nno: 1\n", "line 2: YAML wants quotes round no, for a name"),
    "half a character": ('a: "\\ud83d"\n', "line 1: this is not YAML: found invalid Unicode"),
    "no number": ("a: !!float x\n", "this is not YAML: could not convert"),
    "no truth": ("a: !!bool x\n", "this is not YAML: 'x'"),
    "a list for a key": ("? [a]\n: b\n", "this is not YAML: found unhashable key"),
    "code": ("!!python/object/apply:os.system [ls]\n", "this is not YAML: could not determine"),
    "a key twice": ("a: 1\na: 2\n", "line 2: this is not YAML: the key 'a' stands in one table"),
    "an anchor twice": (
        "a: &a 1\nb: &a 2\nc: *b\n",
        "line 2: this is not YAML: the anchor 'a' is defined",
    ),
    "two documents": ("a: 1\n---\nb: 1\n", "this is not YAML: but found another document"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_no_person_writes_is_one_line(attack: str, tmp_path: Path) -> None:
    content, message = ATTACKS[attack]
    path = tmp_path / "params.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError) as error:
        load(path)
    assert str(error.value).startswith(f"{path}: ") and message in str(error.value)
    assert str(error.value).isprintable() and len(str(error.value)) < 400 + len(str(path))


def test_no_file_at_all(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Is a directory$"):
        load(tmp_path)
    (tmp_path / "params.yaml").symlink_to("/dev/zero")
    with pytest.raises(UserError, match=r"it has more than 256 KiB$"):
        load(tmp_path / "params.yaml")


ATTACK = "aliases of aliases"


def test_other_files_are_read_so_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, folder, read in (
        (protocol, "FOLDER", protocol.load),
        (sources, "FOLDER", sources.load),
    ):
        monkeypatch.setattr(module, folder, tmp_path)
        (tmp_path / "bomb.yaml").write_text(ATTACKS[ATTACK][0])
        with pytest.raises((UserError, protocol.BadProtocol)) as error:
            read("bomb")
        assert str(error.value).endswith(f"bomb.yaml: {ATTACKS[ATTACK][1]}")
    for name, tables in (("CLAIMS", paper_spec.claims), ("TABLES", paper_spec.tables)):
        monkeypatch.setattr(paper_spec, name, tmp_path / "bomb.yaml")
        with pytest.raises(UserError, match=ATTACKS[ATTACK][1]):
            tables()
        monkeypatch.setattr(paper_spec, name, tmp_path / "none.yaml")
        with pytest.raises(UserError, match=r"none\.yaml: no such file; `git checkout "):
            tables()


def test_the_projects_own_files_are_far_from_the_limits() -> None:
    own = [ROOT / "params.yaml", *ROOT.glob("paper/*.yaml"), *ROOT.glob("*/*/*.yaml")]
    assert len(own) > 8
    for path in own:
        read = yaml_files.read(path)
        assert read == yaml.safe_load(path.read_text(encoding="utf-8"))
        assert path.stat().st_size < yaml_files.LARGEST / 4


ABSURD = {
    "recipes.fast.cnn6.batch": 10**9,
    "recipes.fast.cnn7.learning_rate": 1e30,
    "recipes.fast.cnn6.weight_decay": 1e9,
    "recipes.fast.cnn6.samples.synthetic": 10**15,
    "context.size": 100_000,
    "context.scale": 1e6,
    "raw.synthetic.train": 10**9,
    "raw.synthetic.seed": 10**18,
    "seeds": [2**40],
    "dataset.synthetic.bins": 10**9,
    "dataset.synthetic.box.scale": 1e9,
    "correction.margin": 1e9,
    "correction.folds": 10**6,
    "loss.wing.cnn6.w": 1e9,
    "augmentation.cnn6.blur_sigma": 1e9,
    "ert.reduced.trees": 10**9,
}


@pytest.mark.parametrize("key", ABSURD)
def test_absurd_values_are_out_of_range(tmp_path: Path, key: str) -> None:
    project = Project(tmp_path)
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    project.set(**{key: ABSURD[key]})
    with pytest.raises(
        UserError, match=rf"params\.yaml: {key}.* is out of range; it must be at most"
    ):
        load(tmp_path / "params.yaml")


WRONG: dict[str, tuple[str, Any, str]] = {
    "a long text": ("trees", "x" * 10_000, "trees: 'xxx"),
    "lines": ("trees", "a\nb", r"trees: 'a\nb' is not defined"),
    "a long list": ("context", list(range(9999)), "context: [0, 1, 2, 3, 4, 5, ...] should be a"),
    "a long key": ("context", {"x" * 10_000: 1}, "context.'xxx"),
    "a key of two lines": ("context", {"a\nb": 1}, r"context.'a\nb': no such key"),
    "a long name of a loss": ("loss", {"x" * 300: {"kind": "l2"}}, "names have up to 60 small"),
    "a long name of a data set": ("datasets", ["x" * 300], "small letters and digits only"),
    "too many runs": (
        "seeds",
        list(range(5000)),
        " runs; at most 10,000 can be",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_value_is_said_in_few_words(tmp_path: Path, case: str) -> None:
    key, value, message = WRONG[case]
    project = Project(tmp_path)
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    project.set(**{key: value})
    with pytest.raises(UserError) as error:
        load(tmp_path / "params.yaml")
    assert message in str(error.value) and "\n" not in str(error.value)
    assert len(str(error.value)) < 1000


def test_snakemake_says_it_before_it_reads_the_file_itself(
    tmp_path: Path, project: Project, call: Callable
) -> None:
    (project.root / "params.yaml").write_text(ATTACKS[ATTACK][0])
    profile, *said = project.snakemake("--dry-run", status=1).splitlines()
    assert said == [f"error: params.yaml: {ATTACKS[ATTACK][1]}"]
