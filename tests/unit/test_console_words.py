"""What the console says: in both languages, and to the point."""

from __future__ import annotations

import re
from string import Formatter

from support.bundle import ROOT
from worker.console.words import WORDS

CONSOLE = ROOT / "worker" / "console"
USED = re.compile(r"""(?:\bt|words)\(\s*["']([a-z0-9_.]+)["']""")


def fields_of(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_both_languages_say_it_with_the_same_values() -> None:
    assert WORDS
    for key, (korean, english) in WORDS.items():
        assert korean.strip(), key
        assert english.strip(), key
        assert fields_of(korean) == fields_of(english), key


def test_what_templates_and_pages_say_is_there() -> None:
    files = [*CONSOLE.rglob("*.html"), *CONSOLE.rglob("*.py")]
    used = {key for file in files for key in USED.findall(file.read_text(encoding="utf-8"))}
    assert not {key for key in used if key not in WORDS and not key.endswith(".")}


def test_no_template_has_a_style_or_a_script_of_its_own() -> None:
    """The content policy would drop it."""
    for file in CONSOLE.rglob("*.html"):
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"""\sstyle=|<style|<script(?![^>]*\ssrc=)|\son[a-z]+=["']""", text), file.name
