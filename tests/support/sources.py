"""The project's own source files, and what they import."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from support.bundle import ROOT

PIPELINE: Final = sorted((ROOT / "pipeline").rglob("*.py"))
WORKER: Final = [
    *(path for path in sorted((ROOT / "worker").rglob("*.py")) if "examples" not in path.parts),
    ROOT / "celeryconfig.py",
]
TESTS: Final = sorted((ROOT / "tests").rglob("*.py"))


def name_of(path: Path) -> str:
    """The path within the project."""
    return path.relative_to(ROOT).as_posix()


def tree_of(path: Path) -> ast.Module:
    """The file, parsed."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def module_of(path: Path) -> str:
    """The name by which the file is imported."""
    return name_of(path).removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def imports_of(path: Path) -> Iterator[str]:
    """Every module that is imported anywhere in the file, by its full name, and what is taken from it."""
    yield from _imported(path, ast.walk(tree_of(path)))


def loaded_with(module: str) -> set[Path]:
    """The files of the project that importing this module imports, itself among them."""
    files = {name_of(path).removesuffix(".py").replace("/", "."): path for path in [*PIPELINE, *WORKER]}
    found: set[Path] = set()
    wanted = [module]
    while wanted:
        path = files.get(wanted.pop())
        if path is not None and path not in found:
            found.add(path)
            wanted += _imported(path, tree_of(path).body)
    return found


def _imported(path: Path, nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            folder = name_of(path.parents[node.level - 1]).replace("/", ".") + "." if node.level else ""
            yield folder + node.module
            yield from (f"{folder}{node.module}.{alias.name}" for alias in node.names)


def roots_of(path: Path) -> set[str]:
    """The first parts of those names."""
    return {module.split(".")[0] for module in imports_of(path)}
