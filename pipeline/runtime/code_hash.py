"""What code a result depends on: the project's files that a module imports, and their hash."""

import ast
import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
# No result depends on how a stage is called, checked, logged or stored: the engines see its
# parameters and paths for themselves.
PLUMBING = {
    *("commands", "pipeline", "pipeline.errors", "stages", "wingloss"),
    *("wingloss.datasets", "wingloss.validation", "wingloss.yaml_files"),
    *("wingloss.augmentation", "wingloss.drawing", "wingloss.evaluation"),
    *("wingloss.detection", "wingloss.models", "wingloss.pose", "wingloss.training"),
    *("pipeline.config", "pipeline.config.arguments", "pipeline.config.params"),
    "pipeline.config.paths",
    *("pipeline.acquire", "pipeline.data", "pipeline.results", "pipeline.trainings"),
    *("pipeline.runtime", "pipeline.runtime.cli", "pipeline.runtime.code_hash"),
    *("pipeline.runtime.engines", "pipeline.runtime.file_lock"),
    *("pipeline.runtime.gpus", "pipeline.runtime.host"),
    *("pipeline.runtime.processes", "pipeline.runtime.progress"),
    *(
        "pipeline.runtime.provenance",
        "pipeline.trainings.run_store",
        "pipeline.trainings.cache_key",
    ),
}


@dataclass(frozen=True)
class TableEntry:
    """One entry of a module's table of functions, classes or values: all that a result takes."""

    table: str
    key: str


def code_hash(
    module: str, entries: Mapping[str, TableEntry] = {}, known: Collection[str] = frozenset()
) -> str:
    """A hash of ``module`` and all of the project's modules that it imports.

    Comments and docstrings don't count: a better explanation retrains nothing. ``entries`` are
    those of tables that are looked into, by module: of such a module count that entry and what
    others import from it, with all that these refer to there. ``known`` are modules whose part in
    the result is known otherwise.
    """
    digest = hashlib.sha256()
    for _, tree in sorted(_walk(module, entries, known).items()):
        digest.update(_meaning(tree))
    return digest.hexdigest()


def code_files(module: str) -> list[str]:
    """The project's files that the results of ``module`` depend on: all that it imports.

    Paths are relative to the project's root. Both engines take a stage's code from here.
    """
    return sorted(_walk(module, {}, frozenset()))


def _walk(
    module: str, entries: Mapping[str, TableEntry], known: Collection[str]
) -> dict[str, ast.Module]:
    """By their paths, ``module`` and the modules that it imports, as far as they count."""
    asked: dict[str, set[str]] = {name: set() for name in entries}
    while True:
        found: dict[str, ast.Module] = {}
        waiting = [module]
        while waiting:
            name = waiting.pop()
            path = _file_of(name, ROOT)
            if path is None or path in found or name in known:
                continue
            tree = _parsed((ROOT / path).read_text(encoding="utf-8"))
            if name in entries:
                tree = _part(tree, entries[name], frozenset(asked[name]))
            found[path] = tree
            waiting += _imported(tree)
        before = asked
        asked = {
            name: {one for tree in found.values() for one in _asked(name, tree)} for name in entries
        }
        if asked == before:
            return found


@cache
def _parsed(source: str) -> ast.Module:
    """A module's source without comments and docstrings."""
    tree = ast.parse(source)
    for node in _statements(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node, clean=False
        ):
            node.body = node.body[1:]
    return tree


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """The module and all statements in it, without their expressions: most of ``ast.walk``."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for block in ("body", "orelse", "finalbody", "handlers", "cases"):
            waiting += getattr(node, block, [])


@cache
def _meaning(tree: ast.Module) -> bytes:
    return ast.dump(tree).encode()


@cache
def _imported(tree: ast.Module) -> list[str]:
    """The names of all modules, and of what may be one, that a module imports."""
    names = []
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names


@cache
def _asked(module: str, tree: ast.Module) -> set[str]:
    """The names that ``tree`` may take from ``module``: those imported, or any attribute's."""
    names: set[str] = set()
    whole = False
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            whole = whole or module in [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            taken = [alias.name for alias in node.names]
            names |= set(taken) if node.module == module else set()
            whole = whole or module in [f"{node.module}.{name}" for name in taken]
    if whole:
        names |= {one.attr for one in ast.walk(tree) if isinstance(one, ast.Attribute)}
    return names


@cache
def _part(tree: ast.Module, entry: TableEntry, asked: frozenset[str]) -> ast.Module:
    """What counts of a module: its table's entry, what is ``asked`` of it, what they refer to.

    So do statements that define nothing, for they may change what others define. All counts where
    the table isn't written down as one, or where another module takes everything.
    """
    statements = [one for node in tree.body for one in _single(node)]
    defined = [_defined(node) for node in statements]
    tables = [node for node, names in zip(statements, defined, strict=True) if entry.table in names]
    table = _written(tables[0]) if len(tables) == 1 else None
    if table is None or "*" in asked:
        return tree
    own: list[ast.stmt] = [ast.Expr(table[entry.key])] if entry.key in table else []
    own += [node for node, names in zip(statements, defined, strict=True) if not names]
    waiting = {*asked, *(name for node in own for name in _names(node))}
    done: set[str] = set()
    while waiting := waiting - done - {entry.table}:
        done |= waiting
        waiting = {
            name
            for node, names in zip(statements, defined, strict=True)
            if names & waiting
            for name in _names(node)
        }
    reached = [node for node, names in zip(statements, defined, strict=True) if names & done]
    return ast.Module(reached + own, [])


def _single(node: ast.stmt) -> list[ast.stmt]:
    """A statement; one that imports several names, as one for each."""
    if isinstance(node, ast.Import):
        return [ast.Import([alias]) for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [ast.ImportFrom(node.module, [alias], node.level) for alias in node.names]
    return [node]


def _defined(node: ast.stmt) -> set[str]:
    """The names that a statement defines and does nothing else; none for any other statement."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    if isinstance(node, ast.Assign | ast.AnnAssign):
        names = {target.id for target in targets if isinstance(target, ast.Name)}
        return names if len(names) == len(targets) else set()
    return set()


def _names(node: ast.AST) -> set[str]:
    """All names that stand in ``node``."""
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}


def _written(node: ast.stmt) -> dict[Any, ast.expr] | None:
    """A table's entries by their keys, where it is written down entry by entry."""
    value = getattr(node, "value", None)
    if isinstance(value, ast.Dict) and all(isinstance(key, ast.Constant) for key in value.keys):
        return {key.value: item for key, item in zip(value.keys, value.values, strict=True)}  # type: ignore[union-attr]
    return None


@cache
def _file_of(module: str, root: Path) -> str | None:
    """The project's file of ``module``; None for what isn't a module of it, and for plumbing."""
    if module in PLUMBING:
        return None
    stem = module.replace(".", "/")
    files = (f"{stem}.py", f"{stem}/__init__.py")
    return next((file for file in files if (root / file).is_file()), None)
