"""The rooms and the import rules of docs/reference/architecture.md are the code's."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/architecture.md").read_text(encoding="utf-8")
PACKAGES = sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))
ENGINES = {"snakemake", "dvc"}
MAY_IMPORT_ENGINES = {"workflow", "snakemake_logger_plugin_wingloss", "tests"}


def rooms() -> set[str]:
    """The rooms of the page's plan, as paths."""
    plan = PAGE.partition("```text\n")[2].partition("```")[0]
    found, above = set(), ""
    for line in plan.splitlines():
        name = line.split()[0].rstrip("/")
        if line.startswith(" "):
            name = f"{above}/{name}"
        else:
            above = name
        found.add(name)
    return found


def rules() -> dict[str, set[str]]:
    """The page's table of who may import whom, without those who may import anything."""
    table = PAGE.partition("| package | imports |\n")[2].partition("\n\n")[0].splitlines()[1:]
    cells = [line.strip("| ").split(" | ") for line in table]
    return {
        room: set(re.findall(r"`(\w+)`", allowed))
        for named, allowed in cells
        if allowed != "anything"
        for room in re.findall(r"`(\w+)`", named)
    }


def imports(room: str) -> Iterator[tuple[Path, str]]:
    """Every import of the room's files, as ``package.module.name``."""
    for path in sorted((ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: a relative import"
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                continue
            yield from ((path.relative_to(ROOT), name) for name in names)


def test_the_plan_names_the_rooms() -> None:
    named = rooms()
    assert [room for room in sorted(named) if not (ROOT / room).exists()] == []
    packages = {
        path.parent for path in (*ROOT.glob("*/__init__.py"), *ROOT.glob("*/*/__init__.py"))
    }
    folders = {path.parent for path in ROOT.glob("tests/*/*.py")}
    folders |= {path for path in ROOT.glob("docs/*") if path.is_dir()}
    there = {str(path.relative_to(ROOT)) for path in packages | folders}
    assert sorted(there - named) == []


def test_the_page_has_the_rules() -> None:
    assert rules() == {
        "wingloss": set(),
        "pipeline": {"wingloss"},
        "stages": {"pipeline", "wingloss"},
        "commands": {"pipeline", "wingloss"},
        "snakemake_logger_plugin_wingloss": set(),
    }


@pytest.mark.parametrize("room", sorted(rules()))
def test_imports_keep_the_rules(room: str) -> None:
    allowed = rules()[room] | ({room} if room in ("wingloss", "pipeline") else set())
    project = {*PACKAGES, "tests"}
    broken = [
        f"{path} imports {name}"
        for path, name in imports(room)
        if (top := name.partition(".")[0]) in project and top not in allowed
    ]
    assert broken == []


def test_pipelines_rooms_import_only_from_those_above_them() -> None:
    plan = PAGE.partition("\npipeline/ ")[2].partition("\nwingloss/ ")[0].splitlines()[1:]
    order = [line.split()[0].rstrip("/").removesuffix(".py") for line in plan]
    assert {"errors", "config", "results"} <= {*order}
    wrong = [
        f"{path} imports {name}"
        for path, name in imports("pipeline")
        if name.startswith("pipeline.")
        and (above := name.split(".")[1]) in order
        and (own := path.parts[1].removesuffix(".py")) in order
        and order.index(above) > order.index(own)
    ]
    assert wrong == []


@pytest.mark.parametrize("room", sorted({*PACKAGES} - MAY_IMPORT_ENGINES))
def test_only_the_engines_side_imports_the_engines(room: str) -> None:
    named = [
        f"{path} imports {name}" for path, name in imports(room) if name.split(".")[0] in ENGINES
    ]
    assert named == []


def test_imports_are_seen() -> None:
    seen = {name.partition(".")[0] for _, name in imports("workflow")}
    assert seen >= {"pipeline", *ENGINES}


def dotted(node: ast.AST) -> str:
    """The name that a node is, as ``package.module.name``; empty for what is no name."""
    if isinstance(node, ast.Attribute):
        above = dotted(node.value)
        return above and f"{above}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def unimported(path: Path) -> Iterator[str]:
    """What a file uses of modules in packages that it imports whole, not those modules by name."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = [one for node in ast.walk(tree) if isinstance(node, ast.Import) for one in node.names]
    packages = {one.asname or one.name: one.name for one in nodes if "." not in one.name}
    imported = {one.name for one in nodes}
    for node in ast.walk(tree):
        first, *rest = dotted(node).split(".")
        name = ".".join([packages.get(first, ""), *rest[:1]])
        spec = find_spec(packages[first]) if first in packages and rest else None
        folders = (spec and spec.submodule_search_locations) or []
        if name not in imported and any(
            Path(folder, rest[0]).is_dir() or [*Path(folder).glob(f"{rest[0]}.*")]
            for folder in folders
        ):
            yield ".".join([packages[first], *rest])


def test_modules_that_files_use_come_with_what_they_import() -> None:
    """The tests' projects don't show it: they run in a process that has libraries loaded already
    (tests/support/preloaded.py)."""
    used: dict[str, set[str]] = {}
    for room in rules():
        for path in (ROOT / room).rglob("*.py"):
            for name in unimported(path):
                used.setdefault(name.partition(".")[0], set()).add(name)
    assert {"numpy", "torch"} <= used.keys()
    for package, names in used.items():
        command = "; ".join([f"import {package}", *sorted(names)])
        said = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True)
        assert said.returncode == 0, said.stderr
