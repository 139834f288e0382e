"""The README names what exists, and says the same in both languages."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Collection

import click
import pytest

from pipeline.cli import main as pipeline_cli
from support.bundle import ROOT
from worker.cli import main as worker_cli
from worker.setting_names import PREFIX
from worker.settings import Settings

READMES = {name: (ROOT / name).read_text() for name in ("README.md", "README.ko.md")}
GROUPS: dict[str, click.Group] = {"worker": worker_cli, "pipeline": pipeline_cli}


FENCED = r"(?ms)^ *```.*?^ *```$"


def unfenced(text: str) -> str:
    """Without what is in code blocks."""
    return re.sub(FENCED, "", text)


def outline(text: str) -> list[str]:
    """What stands below what, of each paragraph, row or item its kind."""
    blocks = re.sub(FENCED, "```", text).split("\n\n")
    lines = [line for block in blocks for line in (block.splitlines() if block[0] in "|-" else [block])]
    kinds = [re.match(r"#+|\||-|```| ", line) for line in lines]
    return [kind[0] if kind else "paragraph" for kind in kinds if not kind or kind[0] != " "]


def code(text: str) -> list[str]:
    """The code blocks without their comments; the diagram speaks the reader's language."""
    blocks = re.findall(FENCED, text)
    return [re.sub(r" +# .*", "", block) for block in blocks if "beat ─►" not in block]


def links(text: str) -> list[str]:
    """Where it leads to, but to the other language."""
    return sorted(link for link in re.findall(r"\]\(([\w./#-]+)\)", text) if link not in READMES)


def quoted(text: str) -> set[str]:
    """Commands, settings, codes, files: what is written like code in a sentence."""
    return {" ".join(found.split()) for found in re.findall(r"`([^`]+)`", unfenced(text))}


def figures(text: str) -> set[str]:
    """Every number in a sentence."""
    return set(re.findall(r"\d+(?:[.,]\d+)*", unfenced(text)))


def leads_somewhere(link: str) -> bool:
    """Whether the file is there, and the heading in it."""
    path, _, heading = link.partition("#")
    titles = re.findall(r"(?m)^#+ (.+)$", (ROOT / path).read_text()) if heading else []
    slugs = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
    return (ROOT / path).exists() and (not heading or heading in slugs)


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
    assert not [link for link in links(READMES[name]) if not leads_somewhere(link)]


@pytest.mark.parametrize("part", [outline, code, links, quoted, figures])
def test_both_languages_have_the_same(part: Callable[[str], Collection[str]]) -> None:
    """So that nobody changes one of them and forgets the other."""
    english, korean = READMES.values()
    assert part(english) == part(korean)
