"""The rooms and the import rules of docs/reference/architecture.md are the code's."""

import ast
import re
from collections.abc import Iterator
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


@pytest.mark.parametrize("room", sorted({*PACKAGES} - MAY_IMPORT_ENGINES))
def test_only_the_engines_side_imports_the_engines(room: str) -> None:
    named = [
        f"{path} imports {name}" for path, name in imports(room) if name.split(".")[0] in ENGINES
    ]
    assert named == []


def test_imports_are_seen() -> None:
    seen = {name.partition(".")[0] for _, name in imports("workflow")}
    assert seen >= {"pipeline", *ENGINES}
