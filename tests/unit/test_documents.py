"""What docs/ names exists: commands with their options, settings, files."""

from __future__ import annotations

import dataclasses
import re
import shlex
from pathlib import Path

import click
import pytest

from pipeline.cli import main as pipeline_cli
from support.bundle import ROOT
from support.labelled import EXPLAINED as CONTRIBUTING
from support.labelled import heading
from worker.cli import main as worker_cli
from worker.setting_names import PREFIX
from worker.settings import Settings
from worker.store import StatusReport

DOCUMENTS = [
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "pipeline" / "MODEL_CARD.md",
    *sorted((ROOT / "worker").glob("*.md")),
    ROOT / "worker" / "client" / "examples" / "README.md",
]
COMMANDS = sorted(
    {
        (path.name, command.strip())
        for path in DOCUMENTS
        for command in re.findall(r"python -m worker ([a-z][^`&\n]*)", path.read_text())
    }
)


@pytest.mark.parametrize(("document", "command"), COMMANDS)
def test_a_command_is_one_that_exists_with_these_options(document: str, command: str) -> None:
    words = ["1" if word == "NUMBER" else word for word in shlex.split(command)]
    subcommand = worker_cli.get_command(click.Context(worker_cli), words[0])
    assert subcommand, f"no command {words[0]}"
    assert subcommand.make_context(words[0], words[1:], parent=click.Context(worker_cli)).command


def test_commands_were_found() -> None:
    assert len(COMMANDS) >= 15


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_a_setting_is_one_that_exists(path: Path) -> None:
    known = {PREFIX + field.upper() for field in Settings.model_fields}
    assert set(re.findall(rf"\b{PREFIX}\w+", path.read_text())) <= known


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_a_file_is_one_that_exists(path: Path) -> None:
    named = re.findall(r"`(?:sh )?((?:worker|pipeline|tests|docs)/[\w./-]+)`", path.read_text())
    links = re.findall(r"\]\(([\w./-]+)\)", path.read_text())
    assert not [file for file in named if not (ROOT / file).exists()]
    assert not [link for link in links if not (path.parent / link).exists()]


MEASURING = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "docs/accuracy.md")),
    *(ROOT / "docs" / name for name in ("experiments.md", "own-network.md")),
]


@pytest.mark.parametrize("path", MEASURING, ids=lambda path: path.name)
def test_a_command_that_measures_exists_with_its_options(path: Path) -> None:
    blocks = " ".join(re.findall(r"(?ms)^```\n(.*?)^```$", path.read_text())).replace("\\\n", " ")
    commands = re.findall(r"python -m pipeline ([a-z-]+)(.*)", blocks)
    assert commands
    for name, rest in commands:
        command = pipeline_cli.get_command(click.Context(pipeline_cli), name)
        assert command, name
        known = {option for parameter in command.params for option in parameter.opts}
        assert set(re.findall(r" (--[a-z-]+)", rest)) <= known, rest


def test_every_variable_of_the_tests_is_explained() -> None:
    sources = " ".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    read = set(re.findall(r"VERIFY_TEST_[A-Z_]+|VERIFY_FACES", sources))
    assert read <= set(re.findall(r"VERIFY_\w+", CONTRIBUTING.read_text()))


def test_what_developers_read_names_files_and_headings_that_exist() -> None:
    text = CONTRIBUTING.read_text()
    named = re.findall(r"(?:tests|var/bundle|pipeline|worker)/[\w/.]*\w", text)
    assert not [file for file in named if not (ROOT / file).exists() and not file.startswith("var/")]
    assert heading() > 0
    written = {"lfw_faces.csv", "lfw_pairs.csv", "asian_pairs.csv"}
    assert written <= set(re.findall(r"`(\w+\.csv)`", text))


def test_what_status_reports_is_what_the_runbook_watches() -> None:
    fields = re.findall(r"(?m)^\| `(\w+)[` .]", (ROOT / "docs" / "operations.md").read_text())
    reported = {field.name for field in dataclasses.fields(StatusReport)}
    assert {"oldest_waiting", "lapsed", "dead_jobs", "pending", "verdicts"} <= reported & set(fields)


def test_the_lines_of_the_log_that_the_runbook_names_are_written_somewhere() -> None:
    source = " ".join(path.read_text() for path in (ROOT / "worker").rglob("*.py"))
    text = (ROOT / "docs" / "operations.md").read_text()
    for line in re.findall(r"\| (?:log|health): ([^|]+) \|", text):
        for quoted in re.findall(r"`([^`]+)`", line):
            parts = [part.strip() for part in re.split(r"…|\d+|: ", quoted) if part.strip(" :")]
            assert not [part for part in parts if part not in source], quoted
