"""`pip install .` brings what the requirements files pin, and every file that the code reads."""

from __future__ import annotations

import ast
import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from support.bundle import ROOT
from support.sources import name_of, tree_of

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CLIENT_FOLDER = ROOT / "worker" / "client"
CLIENT: dict[str, Any] = tomllib.loads((CLIENT_FOLDER / "pyproject.toml").read_text())["project"]
CLIENT_SOURCES = sorted(CLIENT_FOLDER.glob("*.py"))


def pins(file: str) -> list[str]:
    """The lines of a requirements file that name a package."""
    lines = (line.partition("#")[0].strip() for line in (ROOT / file).read_text().splitlines())
    return [line for line in lines if line and not line.startswith("-")]


def test_the_dependencies_are_those_of_serving_and_each_extra_those_of_its_file() -> None:
    assert PROJECT["dependencies"] == pins("worker/requirements.txt")
    extras = PROJECT["optional-dependencies"]
    assert extras["training"] == pins("pipeline/requirements.txt")
    assert extras["console"] == pins("worker/requirements-console.txt")
    assert extras["tracing"] == pins("worker/requirements-tracing.txt")
    assert extras["sentry"] == pins("worker/requirements-sentry.txt")


@pytest.mark.parametrize("name", PROJECT["scripts"])
def test_a_command_leads_to_a_function(name: str) -> None:
    assert callable(EntryPoint(name, PROJECT["scripts"][name], "console_scripts").load())


def test_the_version_is_the_newest_of_the_changelog() -> None:
    versions = [line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## [")]
    assert versions[0] == "## [Unreleased]"
    assert versions[1].startswith(f"## [{PROJECT['version']}] - ")


def test_the_client_has_the_version_of_the_project() -> None:
    assert CLIENT["version"] == PROJECT["version"]


@pytest.mark.parametrize("path", CLIENT_SOURCES, ids=name_of)
def test_the_client_needs_nothing_of_the_project_and_little_else(path: Path) -> None:
    """Its package has another name outside of this project: imports within it are relative."""
    nodes = list(ast.walk(tree_of(path)))
    absolute = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    absolute |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    needed = {str(name).split(".")[0] for name in absolute} - sys.stdlib_module_names
    assert needed <= {"kombu", "amqp", "redis", "standardwebhooks"}


@pytest.mark.parametrize("path", CLIENT_SOURCES, ids=name_of)
def test_the_client_is_written_for_the_oldest_python_that_it_names(path: Path) -> None:
    oldest = CLIENT["requires-python"].removeprefix(">=3.")
    assert ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, int(oldest)))
