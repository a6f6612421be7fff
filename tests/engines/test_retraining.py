"""What a change of the code or the parameters trains again, and what it leaves as it is."""

import json
from pathlib import Path

import pytest
from project import ROOT, Project

from pipeline.config.params import load
from pipeline.config.paths import Run, runs
from pipeline.runtime import code_hash as code_hash_module
from pipeline.runtime.code_hash import TableEntry, code_hash
from pipeline.trainings import cache_key
from pipeline.trainings.spec import TrainingSpec

CAUCHY = """
@dataclass(frozen=True)
class Cauchy:
    \"\"\"Half the logarithm of one more than the square of the error over the scale.\"\"\"

    scale: Annotated[float, Field(gt=0, le=10_000)]

    def __call__(self, error: Tensor) -> Tensor:
        return 0.5 * (error / _like(error, self.scale)).square().log1p()


# The key of a training"""
TRAINED = "results/synthetic/models/fast/cnn6/none/{}/seed0/stage1/model.safetensors"


def add_a_loss(project: Project) -> None:
    """As docs/guide/extending.md says it, step by step."""
    project.replace("wingloss/losses.py", "\n# The key of a training", CAUCHY)
    project.replace(
        "wingloss/losses.py", '    "l2": L2,\n', '    "cauchy": Cauchy,\n    "l2": L2,\n'
    )
    project.run("commands.schema")
    params = project.params()
    project.set(
        loss=params["loss"] | {"cauchy": {"kind": "cauchy", "cnn6": {"scale": 3}}},
        **{"runs.cnn6.loss": [*params["runs"]["cnn6"]["loss"], "cauchy"]},
    )


def keys_of(project: Project, loss: str) -> set[str]:
    """The keys in the run store of the finished trainings with a loss."""
    entries = [project.root / ".runs" / key for key in project.trainings()]
    return {
        entry.name
        for entry in entries
        if json.loads((entry / "inputs.json").read_text())["objective"]["loss_kind"] == loss
    }


def test_a_schema_of_other_code_is_said(project: Project) -> None:
    """As long as `python -m commands.schema` hasn't been run after a loss has come."""
    schema = project.root / "workflow/schemas/params.schema.json"
    before = schema.read_bytes()
    add_a_loss(project)
    schema.write_bytes(before)
    said = project.snakemake("--dry-run", status=1)
    assert said.splitlines()[-1] == (
        "error: workflow/schemas/params.schema.json is of other code; run 'python -m "
        "commands.schema'"
    )


@pytest.mark.slow
def test_a_new_loss_costs_its_own_runs_alone(finished: Project) -> None:
    """And a changed formula those of its loss."""
    stage_two = "results/synthetic/models/fast/cnn6_7/pdb/wing/seed0/stage2/model.safetensors"
    every = [*map(TRAINED.format, ("l2", "wing", "cauchy")), stage_two]
    before = finished.trainings()
    add_a_loss(finished)
    said = finished.snakemake(*every)
    assert before.items() < finished.trainings().items()
    new = keys_of(finished, "cauchy")
    assert len(new) == 1 and set(finished.trainings()) == {*before, *new}
    assert said.count("taking it from the run store") == 4  # L2, Wing, and both stages of CNN-6/7

    before = finished.trainings()
    finished.replace("wingloss/losses.py", "0.5 * (error / ", "0.7 * (error / ")
    finished.snakemake(*map(TRAINED.format, ("wing", "cauchy")))
    assert before.items() < finished.trainings().items()
    assert set(finished.trainings()) - set(before) == keys_of(finished, "cauchy") - new


ELSEWHERE = {  # parameters of what isn't asked for
    "loss.wing.resnet50": {"w": 9, "epsilon": 1},
    "recipes.paper.cnn6.batch": 9,
    "recipes.fast.resnet50.batch": 3,
    "recipes.fast.cnn6.learning_rate_factor": {"l1": 0.5},
    "recipes.fast.cnn6.samples.300w": 7,
    "augmentation.resnet50.flip": 0,
}


def test_parameters_of_what_is_not_asked_for_train_nothing(
    finished: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished.root)

    def keys() -> list[dict]:
        params = load()
        return [
            cache_key.inputs(TrainingSpec.of(params, run, 1)) for run in runs(params, "synthetic")
        ]

    before = keys()
    finished.set(**ELSEWHERE)
    assert keys() == before
    finished.set(**{"recipes.fast.cnn6.batch": 3})
    assert keys() != before


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of two modules: a table of formulas, and who uses one of them by its name."""
    monkeypatch.setattr(code_hash_module, "ROOT", tmp_path)
    (tmp_path / "science").mkdir()
    (tmp_path / "science/use.py").write_text("from science.table import total\nprint(total('a'))\n")
    (tmp_path / "science/table.py").write_text(
        "import math\n"
        "from science.inner import DEPTH, WIDTH\n\n"
        "SCALE = 2\n\n"
        "def a(x):\n    return _helper(x)\n\n"
        "def _helper(x):\n    return SCALE * x\n\n"
        "def b(x):\n    return math.exp(DEPTH * x)\n\n"
        "TABLE = {'a': a, 'b': b}\n\n"
        "def total(name):\n    return WIDTH * TABLE[name](1)\n"
    )
    (tmp_path / "science/inner.py").write_text("DEPTH = 1\nWIDTH = 1\n")
    return tmp_path


@pytest.mark.parametrize(
    "old, new, touched",
    [
        ("return _helper(x)", "return -_helper(x)", "a"),
        ("return SCALE * x", "return x / SCALE", "a"),
        ("SCALE = 2", "SCALE = 3", "a"),
        ("math.exp", "math.sin", "b"),
        ("def b(x):", "def c(x):\n    return x\n\ndef b(x):", ""),
        ("{'a': a,", "{'c': abs, 'a': a,", ""),
        ("'b': b}", "'b': a}", "b"),
        ("import math\n", "import math, cmath\nfrom os import path\n", ""),
        ("def a(x):\n", 'def a(x):\n    """What it is."""\n    # why\n', ""),
        ("return WIDTH", "return 2 * WIDTH", "ab"),
        ("def total", "TABLE['c'] = b\n\ndef total", "ab"),  # who knows what that changes
        ("TABLE = {'a': a, 'b': b}", "TABLE = dict(a=a, b=b)", "ab"),
    ],
)
def test_an_entrys_hash_is_of_what_it_refers_to(
    sources: Path, old: str, new: str, touched: str
) -> None:
    def hashes() -> dict[str, str]:
        return {
            key: code_hash("science.use", {"science.table": TableEntry("TABLE", key)})
            for key in "ab"
        }

    before, table = hashes(), sources / "science/table.py"
    assert before["a"] != before["b"]
    assert table.read_text().count(old) == 1
    table.write_text(table.read_text().replace(old, new))
    assert "".join(key for key, found in hashes().items() if found != before[key]) == touched


def test_what_an_entry_imports_counts_for_it_alone(sources: Path) -> None:
    table = sources / "science/table.py"
    table.write_text(table.read_text().replace("'b': b", "'b': other"))
    table.write_text(f"from science.other import other\n{table.read_text()}")
    seen = []
    for factor in (1, 2):
        (sources / "science/other.py").write_text(f"def other(x):\n    return {factor} * x\n")
        seen.append(
            [code_hash("science.use", {"science.table": TableEntry("TABLE", key)}) for key in "ab"]
        )
    assert seen[0][0] == seen[1][0] and seen[0][1] != seen[1][1]


def test_what_another_module_takes_by_attribute_counts(sources: Path) -> None:
    (sources / "science/use.py").write_text("from science import table\ntable.b(1)\n")
    entry = {"science.table": TableEntry("TABLE", "a")}
    before, table = code_hash("science.use", entry), sources / "science/table.py"
    table.write_text(table.read_text().replace("math.exp", "math.sin"))
    assert code_hash("science.use", entry) != before


CHANGES = {
    # file, old, new: the losses, or networks, whose trainings alone are made again
    "a loss's formula": ("wingloss/losses.py", "0.5 * error.square()", "error.square()", {"l2"}),
    "a network's width": (
        "wingloss/models/networks.py",
        "(3, 4, 6, 3)",
        "(3, 4, 5, 3)",
        {"resnet50"},
    ),
    "a layer": ("wingloss/models/networks.py", "self.relu(self.bn3(", "(self.bn3(", {"resnet50"}),
    "published weights": (
        "pipeline/trainings/pretrained.py",
        "PUBLISHED = {",
        "PUBLISHED = {'x': None,",
        set(),
    ),
    "a reader": ("wingloss/protocol.py", '"csv", "coco"', '"csv", "coco", "own"', set()),
    "a comment": ("wingloss/training/loop.py", "import math\n", "import math  # for pi\n", set()),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_concerns_its_own_trainings(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made alone, and side by side as on a GPU."""
    file, old, new, touched = CHANGES[change]
    for name in ("pipeline", "stages", "wingloss"):
        for source in (ROOT / name).rglob("*.py"):
            target = tmp_path / source.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    monkeypatch.chdir(ROOT)
    params = load()
    cells = [*runs(params, "synthetic"), Run("synthetic", "fast", "resnet50", "pdb", "l1", 0)]
    specs = [TrainingSpec.of(params, cell, 1) for cell in cells]

    def hashes() -> list[tuple[str, str]]:
        return [(cache_key.code(spec), cache_key.code(spec, side_by_side=True)) for spec in specs]

    monkeypatch.setattr(code_hash_module, "ROOT", tmp_path)
    before = hashes()
    text = (tmp_path / file).read_text(encoding="utf-8")
    assert text.count(old) == 1
    (tmp_path / file).write_text(text.replace(old, new), encoding="utf-8")
    after = hashes()
    own = [bool(touched & {spec.objective.loss_kind, spec.network}) for spec in specs]
    for place in (0, 1):
        changed = [was[place] != now[place] for was, now in zip(before, after, strict=True)]
        assert changed == own and any(changed) == bool(touched)
