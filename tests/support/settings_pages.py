"""`.env.example` and `docs/settings.md`, made from the class `Settings`: `make docs`."""

from __future__ import annotations

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from support.bundle import ROOT
from worker.console_settings import ConsoleSettings
from worker.setting_names import PREFIX
from worker.settings import Settings

EXAMPLE: Final = ROOT / ".env.example"
PAGE: Final = ROOT / "docs" / "settings.md"
EXAMPLE_HEAD: Final = """\
# Settings of the worker. Copy to `.env` and uncomment what should differ; a real environment variable takes
# precedence over this file. Every line below shows the default: with nothing set, everything is embedded
# (SQLite and a filesystem broker under var/). A list is written with commas, a mapping as JSON. A name
# VERIFY_… that is none of these is an error. `make docs` writes this file from worker/settings.py.
"""
PAGE_HEAD: Final = """\
# Settings

Environment variables, or lines of a file `.env` ([.env.example](../.env.example) is one to copy). A list is
written with commas, a mapping as JSON. A name `VERIFY_…` that is none of these is an error.
`make docs` writes this page from `worker/settings.py`.
"""


@dataclass(frozen=True, slots=True)
class Setting:
    """One field of `Settings`."""

    group: str
    variable: str
    kind: str
    default: str
    meaning: str


def settings() -> list[Setting]:
    """All fields in their order."""
    return [*_fields_of(Settings), *_fields_of(ConsoleSettings)]


def _fields_of(model: type[ConsoleSettings]) -> list[Setting]:
    source = textwrap.dedent(inspect.getsource(model))
    lines = source.splitlines()
    kinds = Settings.model_json_schema()["properties"]
    groups = {number: line[6:] for number, line in enumerate(lines, 1) if re.match(r" {4}# ", line)}
    (definition,) = ast.parse(source).body
    assert isinstance(definition, ast.ClassDef)
    found = []
    for node, following in zip(definition.body, definition.body[1:], strict=False):
        match node, following:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(meaning))):
                group = groups[max(number for number in groups if number < node.lineno)]
                meaning = " ".join(meaning.split())
                found.append(Setting(group, PREFIX + name.upper(), kind(kinds[name]), default(name), meaning))
    return found


def default(name: str) -> str:
    """As it is written in `.env`; empty where there is none."""
    data = {"home": Path("var")}
    value = Settings.model_fields[name].get_default(call_default_factory=True, validated_data=data)
    match value:
        case SecretStr():
            return value.get_secret_value()
        case bool() | dict():
            return json.dumps(value)
        case tuple():
            return ",".join(map(str, value))
    return "" if value is None else str(value)


def kind(schema: Mapping[str, Any]) -> str:
    """The type of a field and its limits, in words."""
    schema = next((part for part in schema.get("anyOf", ()) if part["type"] != "null"), schema)
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if schema["type"] == "array":
        return f"list: {kind(schema['items'])}"
    names = {"boolean": "`true` or `false`", "object": "JSON", "integer": "whole number", "number": "number"}
    formats = {"path": "path", "password": "secret text"}
    name = names.get(schema["type"]) or formats.get(schema.get("format", ""), "text")
    return name + limits(schema)


def limits(schema: Mapping[str, Any]) -> str:
    """The smallest and the largest number."""
    low, above, high = (schema.get(key) for key in ("minimum", "exclusiveMinimum", "maximum"))
    if low is not None:
        return f" from {low:g}" if high is None else f" {low:g} to {high:,.15g}"
    most = "" if high is None else f", up to {high:,.15g}"
    return most if above is None else f" above {above:g}{most}"


def example() -> str:
    """The text of `.env.example`."""
    parts, group = [EXAMPLE_HEAD], ""
    for setting in settings():
        if setting.group != group:
            group = setting.group
            parts.append(f"\n# --- {group} ".ljust(96, "-") + "\n")
        parts.append(
            textwrap.fill(
                setting.meaning, 110, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False
            )
        )
        parts.append(f"\n#{setting.variable}={setting.default}\n")
    return "".join(parts)


def page() -> str:
    """The text of `docs/settings.md`."""
    parts, group = [PAGE_HEAD], ""
    for setting in settings():
        if setting.group != group:
            group = setting.group
            parts.append(f"\n## {group}\n\n| variable | type | default | meaning |\n|---|---|---|---|\n")
        shown = f"`{setting.default}`" if setting.default else ""
        parts.append(f"| `{setting.variable}` | {setting.kind} | {shown} | {setting.meaning} |\n")
    return "".join(parts)


if __name__ == "__main__":
    EXAMPLE.write_text(example(), encoding="utf-8")
    PAGE.write_text(page(), encoding="utf-8")
