"""`pip install .` brings what the requirements files pin, and every file that the code reads."""

from __future__ import annotations

import tomllib
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from support.bundle import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pins(file: str) -> list[str]:
    """The lines of a requirements file that name a package."""
    lines = (line.partition("#")[0].strip() for line in (ROOT / file).read_text().splitlines())
    return [line for line in lines if line and not line.startswith("-")]


def test_the_dependencies_are_those_of_serving_and_the_extra_those_of_training() -> None:
    assert PROJECT["dependencies"] == pins("worker/requirements.txt")
    assert PROJECT["optional-dependencies"]["training"] == pins("pipeline/requirements.txt")


@pytest.mark.parametrize("name", PROJECT["scripts"])
def test_a_command_leads_to_a_function(name: str) -> None:
    assert callable(EntryPoint(name, PROJECT["scripts"][name], "console_scripts").load())


def test_the_version_is_the_newest_of_the_changelog() -> None:
    versions = [line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## [")]
    assert versions[0] == "## [Unreleased]"
    assert versions[1].startswith(f"## [{PROJECT['version']}] - ")
