"""`.env.example` and `docs/settings.md` have every setting with its default, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from dotenv import dotenv_values

from support.settings_pages import EXAMPLE, PAGE, example, page, settings
from worker.setting_names import PREFIX
from worker.settings import Settings, load_settings


def uncommented(folder: Path) -> Path:
    """The example with every default switched on."""
    file = folder / "all.env"
    file.write_text(re.sub(rf"(?m)^#({PREFIX})", r"\1", EXAMPLE.read_text()))
    return file


def test_every_setting_is_in_the_example_and_nothing_else(tmp_path: Path) -> None:
    named = {name for name in dotenv_values(uncommented(tmp_path)) if name.startswith(PREFIX)}
    assert named == {PREFIX + field.upper() for field in Settings.model_fields}


def test_the_values_in_the_example_are_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # no .env of the developer's here
    for field in Settings.model_fields:
        monkeypatch.delenv(PREFIX + field.upper(), raising=False)
    defaults = load_settings()
    for name, value in dotenv_values(uncommented(tmp_path)).items():
        monkeypatch.setenv(name, value or "")
    assert load_settings() == defaults


def test_the_example_as_it_stands_sets_nothing() -> None:
    assert not dotenv_values(EXAMPLE)


def test_both_pages_are_what_the_settings_make_of_them() -> None:
    assert len(settings()) == len(Settings.model_fields)
    assert EXAMPLE.read_text(encoding="utf-8") == example(), "write it anew: make docs"
    assert PAGE.read_text(encoding="utf-8") == page(), "write it anew: make docs"
