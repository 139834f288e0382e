"""The names of the settings, as they stand in the environment and in `.env`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from dotenv.parser import Binding, parse_stream

PREFIX: Final = "VERIFY_"
ENV_FILE: Final = ".env"
ENCODING: Final = "utf-8-sig"
"""UTF-8, perhaps with the byte order mark that some editors write."""
_FOR_TESTS: Final = ("VERIFY_TEST_", "VERIFY_FACES")


def mistakes(fields: Iterable[str]) -> list[str]:
    """What is wrong with the names in the environment and in `.env`, one sentence each, without a value.

    Each `VERIFY_…` must be one of ``fields`` (lower case): pydantic would ignore a misspelt one.

    Raises OSError and UnicodeDecodeError where `.env` cannot be read.
    """
    written = _env_file()
    known = [PREFIX + field.upper() for field in fields]
    names = {*os.environ, *(binding.key for binding in written if binding.key)}
    unknown = sorted(name for name in names if _is_ours(name) and name.upper() not in known)
    return [_unreadable(binding) for binding in written if _broken(binding)] + [
        _nearest(name, known) for name in unknown
    ]


def _env_file() -> list[Binding]:
    file = Path(ENV_FILE)
    if not file.is_file():
        return []
    with file.open(encoding=ENCODING) as stream:
        return list(parse_stream(stream))


def _broken(binding: Binding) -> bool:
    return binding.error or (binding.value is None and _is_ours(binding.key or ""))


def _is_ours(name: str) -> bool:
    """In upper or lower case, as pydantic reads them."""
    return name.upper().startswith(PREFIX) and not name.upper().startswith(_FOR_TESTS)


def _unreadable(binding: Binding) -> str:
    text = binding.original.string
    line = binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")
    return f"{ENV_FILE}, line {line}: not NAME=value"


def _nearest(name: str, known: list[str]) -> str:
    (nearest,) = get_close_matches(name.upper(), known, n=1, cutoff=0)
    return f"{name}: there is no such setting; the nearest is {nearest}"
