"""What Compose makes of our files, as far as the tests ask: merged services, a container's environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from support.bundle import ROOT

BASE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
PRODUCTION: dict[str, Any] = yaml.safe_load((ROOT / "worker" / "production" / "compose.yml").read_text())
_REPLACED = ("command", "entrypoint", "test")
"""Lists that the second file replaces; the others are joined."""


def merged(first: Any, second: Any, name: str = "") -> Any:
    """Two files, or parts of them, as Compose lays the second over the first."""
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return {
            key: merged(first[key], second[key], key)
            if key in first and key in second
            else {**first, **second}[key]
            for key in {**first, **second}
        }
    if isinstance(first, list) and isinstance(second, list) and name not in _REPLACED:
        return first + second
    return second


def filled(text: str, values: Mapping[str, str]) -> str:
    """Variables put in: `${NAME:?why}` must have a value."""

    def value(found: re.Match[str]) -> str:
        name, rest = found[1], found[2]
        if rest.startswith(":-"):
            return values.get(name) or rest.removeprefix(":-")
        assert values.get(name), f"{name} must be chosen"
        return values[name]

    return re.sub(r"(?<!\$)\$\{(\w+)([^}]*)\}", value, text)


def environment_of(service: Mapping[str, Any], env_file: Mapping[str, str]) -> dict[str, str]:
    """What a container finds set, where `.env` holds these lines and the shell nothing."""
    found: dict[str, str] = {}
    for file in service.get("env_file", ()):
        assert file == {"path": ".env", "required": False}
        found |= env_file
    for name, value in service.get("environment", {}).items():
        if value is not None:
            found[name] = filled(str(value), env_file)
        elif name in env_file:
            found[name] = env_file[name]
    return found


def variables_in(compose: Mapping[str, Any]) -> set[str]:
    """The names that a file wants from `.env`."""
    return set(re.findall(r"(?<!\$)\$\{(\w+)", yaml.safe_dump(compose)))
