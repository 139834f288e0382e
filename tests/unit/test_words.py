"""One word for one thing (`docs/glossary.md`): words that were given up do not come back as identifiers."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.sources import PIPELINE, TESTS, WORKER, name_of, tree_of

RETIRED = {
    "burial": "dead letter",
    "buried": "dead letter",
    "letter": "task message (a dead letter is one that could not be processed)",
    "leash": "deadline",
    "trouble": "fetch problem, or what the problem is",
    "breaker": "circuit breaker",
    "drawn": "keyed fraction",
    "lesson": "training set",
    "laboratory": "experiment",
    "contest": "paired scores",
    "sanity": "label checks",
    "strangers": "leakage check, or impostors",
    "world": "population",
    "worlds": "population",
    "bench": "comparator (a benchmark is `bench` as a command only)",
    "sight": "photo analysis",
    "edges": "thresholds",
    "edge": "threshold",
    "cast": "scenario",
    "stage": "run",
}
"""Word by word: what stands in its place."""
ALLOWED = {
    "dead_letter", "dead_letters", "DeadLetter", "circuit_breaker", "CircuitBreaker",
}


def identifiers(path: Path) -> Iterator[tuple[str, int]]:
    """Every name that the file gives: of modules, classes, functions, parameters, variables, attributes."""
    yield path.stem, 0
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, node.lineno


def words_of(name: str) -> set[str]:
    """`DeadLetter` and `dead_letter` have the words dead and letter."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}
