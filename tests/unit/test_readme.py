"""The README names what exists, and says the same in both languages."""

from __future__ import annotations

import re
import subprocess

import click
import pytest

from pipeline.cli import main as pipeline_cli
from support.bundle import ROOT
from worker.cli import main as worker_cli
from worker.settings import PREFIX, Settings

READMES = {name: (ROOT / name).read_text() for name in ("README.md", "README.ko.md")}
GROUPS: dict[str, click.Group] = {"worker": worker_cli, "pipeline": pipeline_cli}


def commands(text: str) -> set[tuple[str, str]]:
    return set(re.findall(r"python -m (worker|pipeline) ([a-z][a-z-]*)", text))


@pytest.mark.parametrize("name", READMES)
def test_a_command_exists(name: str) -> None:
    named = commands(READMES[name])
    assert len(named) >= 5
    missing = [c for c in named if GROUPS[c[0]].get_command(click.Context(GROUPS[c[0]]), c[1]) is None]
    assert not missing


@pytest.mark.parametrize("name", READMES)
def test_a_make_target_exists(name: str) -> None:
    for target in set(re.findall(r"(?m)^make (\w+)", READMES[name])):
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize("name", READMES)
def test_a_setting_and_a_link_exist(name: str) -> None:
    known = {PREFIX + field.upper() for field in Settings.model_fields}
    for_tests = {"VERIFY_TEST_DATABASE_URL", "VERIFY_TEST_BROKER_URL"}
    assert set(re.findall(rf"\b{PREFIX}\w+", READMES[name])) <= known | for_tests
    links = re.findall(r"\]\(([\w./-]+)\)", READMES[name])
    assert links
    assert not [link for link in links if not (ROOT / link).exists()]


def test_both_languages_name_the_same_commands_settings_and_figures() -> None:
    english, korean = READMES.values()
    for pattern in (r"python -m \w+ [a-z][a-z-]*", rf"\b{PREFIX}\w+", r"\]\(([\w./-]+)\)", r"\d+[.,]\d+"):
        found = [set(re.findall(pattern, text)) - {"README.md", "README.ko.md"} for text in (english, korean)]
        assert found[0] == found[1]
