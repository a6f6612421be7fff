"""What code a result depends on: the project's files that a module imports, and their hash."""

import ast
import hashlib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
# No result depends on how a stage is called, checked, logged or stored: the engines see its
# parameters and paths for themselves.
PLUMBING = {"stages", "wingloss", "wingloss.datasets"} | {
    f"stages.{name}"
    for name in (
        *("code", "command", "errors", "layout", "lock", "machine"),
        *("params", "progress", "store", "typed"),
    )
}


def code_hash(module: str) -> str:
    """A hash of ``module`` and all of the project's modules that it imports.

    Comments and docstrings don't count: a better explanation retrains nothing.
    """
    digest = hashlib.sha256()
    for path in code_files(module):
        digest.update(_meaning((ROOT / path).read_text(encoding="utf-8")))
    return digest.hexdigest()


@cache
def _meaning(source: str) -> bytes:
    """A module's source without comments and docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node, clean=False
        ):
            node.body = node.body[1:]
    return ast.dump(tree).encode()


def code_files(module: str) -> list[str]:
    """The project's files that the results of ``module`` depend on: all that it imports.

    Paths are relative to the project's root. Both engines take a stage's code from here.
    """
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _file_of(name)
        if path is None or path in found:
            continue
        found.add(path)
        waiting += _imported((ROOT / path).read_text(encoding="utf-8"))
    return sorted(found)


@cache
def _imported(source: str) -> list[str]:
    """The names of all modules, and of what may be one, that a module's source imports."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names


def _file_of(module: str) -> str | None:
    """The project's file of ``module``; None for what isn't a module of it, and for plumbing."""
    if module in PLUMBING:
        return None
    stem = module.replace(".", "/")
    files = (f"{stem}.py", f"{stem}/__init__.py")
    return next((file for file in files if (ROOT / file).is_file()), None)
