"""The client's JSON Schemas, and checks against them."""

from __future__ import annotations

import json
from typing import Any, Final

from jsonschema import Draft202012Validator, FormatChecker

from support.bundle import ROOT

FOLDER: Final = ROOT / "worker" / "client" / "schemas"


def schema(name: str) -> dict[str, Any]:
    """`event` is that of event.schema.json."""
    read: dict[str, Any] = json.loads((FOLDER / f"{name}.schema.json").read_text(encoding="utf-8"))
    return read


def problems(name: str, value: object) -> list[str]:
    """What does not fit the schema."""
    validator = Draft202012Validator(schema(name), format_checker=FormatChecker())
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def undescribed(name: str, value: object) -> set[str]:
    """Fields that the schema does not name, at any depth."""
    whole = schema(name)
    return {*_undescribed(whole, whole, value)}


def _undescribed(whole: dict[str, Any], part: dict[str, Any], value: object) -> list[str]:
    if "$ref" in part:
        part = whole["$defs"][part["$ref"].rpartition("/")[2]]
    if "anyOf" in part:
        part = whole["$defs"][part["anyOf"][0]["$ref"].rpartition("/")[2]]
    if isinstance(value, list):
        return [found for item in value for found in _undescribed(whole, part.get("items", {}), item)]
    if not isinstance(value, dict):
        return []
    known = part.get("properties", {})
    deeper = [f for key in value.keys() & known.keys() for f in _undescribed(whole, known[key], value[key])]
    return [*(value.keys() - known.keys()), *deeper]
