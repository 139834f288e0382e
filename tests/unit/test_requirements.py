"""The pins: exact everywhere, one version of each package, and everything that was asked for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.bundle import ROOT

PARTS = ("worker/requirements.txt", "pipeline/requirements.txt", "tests/requirements.txt")
CONSTRAINTS = "pipeline/constraints.txt"
ASKED_FOR = {
    *("celery", "redis", "tensorflow", "keras-facenet", "mediapipe"),
    *("opencv-python", "imgaug", "pymysql", "requests"),
}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def lines(path: str) -> list[str]:
    texts = (ROOT / path).read_text().splitlines()
    return [line for text in texts if (line := text.split("#")[0].strip())]


def pins(path: str) -> dict[str, str]:
    """Name to version. A line that is no exact pin fails the test."""
    found = {}
    for line in lines(path):
        if not line.startswith(("-c ", "-r ")):
            match = re.fullmatch(r"([\w.-]+)==([\w.!+]+)", line)
            assert match, f"{path}: {line} is no exact pin"
            found[normal(match[1])] = match[2]
    return found


@pytest.mark.parametrize("path", PARTS)
def test_each_part_pins_what_the_constraints_pin(path: str) -> None:
    constraints = pins(CONSTRAINTS)
    assert pins(path)
    assert {name: constraints.get(name) for name in pins(path)} == pins(path)


def test_the_top_level_file_is_made_of_the_parts() -> None:
    assert lines("requirements.txt") == [f"-r {part}" for part in PARTS]


def test_everything_that_was_asked_for_is_there() -> None:
    assert {name for part in PARTS for name in pins(part)} >= ASKED_FOR


@pytest.mark.parametrize("path", PARTS)
def test_each_part_can_be_installed_alone_and_still_fits(path: str) -> None:
    constrained = [Path(line.removeprefix("-c ").strip()) for line in lines(path) if line.startswith("-c ")]
    assert [((ROOT / path).parent / file).resolve() for file in constrained] == [ROOT / CONSTRAINTS]
