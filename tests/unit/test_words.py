"""One word for one thing (`docs/glossary.md`): words that were given up do not come back as identifiers."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from support.sources import PIPELINE, WORKER, name_of, tree_of

RETIRED = {
    "bury": "dead letter",
    "burial": "dead letter",
    "buried": "dead letter",
    "garbage": "invalid message",
    "leash": "deadline",
    "trouble": "fetch problem, or the problem's own name",
    "hearing": "poll",
    "deaf": "stalled",
    "nap": "pause",
    "taker": "fetch, acquire",
    "judges": "head parameters",
    "judgement": "verdict, decision",
    "edge": "threshold",
    "sight": "photo analysis",
    "lesson": "training set",
    "contest": "paired scores",
    "sanity": "label checks",
    "stranger": "impostor",
    "world": "population",
    "populate": "population",
    "laboratory": "experiment",
    "cast": "scenario",
    "chance": "keyed fraction",
    "grave": "tombstone",
    "opinion": "decision, label",
}
"""Each with its plural, and what is said in its place."""
OF_OTHERS = {"edge_fmr", "edge_fnmr_margin"}
"""Names in the value of a setting (VERIFY_RETRAIN_GATE), which operators have written down."""


def identifiers(path: Path) -> Iterator[str]:
    """Every name that the file gives: to modules, classes, functions, parameters, variables, attributes."""
    yield path.stem
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr


def words_of(name: str) -> set[str]:
    """`DeadLetters` and `dead_letter` are of the same words; a plural gives its singular, too."""
    words = {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}
    return words | {word.removesuffix("s") for word in words}


def test_a_retired_word_names_nothing() -> None:
    for path in (*PIPELINE, *WORKER):
        names = {*identifiers(path)} - OF_OTHERS
        found = {name: RETIRED[word] for name in names for word in words_of(name) if word in RETIRED}
        assert found == {}, name_of(path)


def test_the_words_of_a_name_are_found_however_it_is_written() -> None:
    assert words_of("_at_Edges") >= {"at", "edge"}
    assert words_of("BURIED_Letters") >= {"buried", "letter", "letters"}
    assert words_of("FaceWorld") >= {"face", "world"}
