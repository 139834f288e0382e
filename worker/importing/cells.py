"""Rows and cells as they are read from the file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from openpyxl.utils.escape import unescape

UNKNOWN: Final = "#VALUE!"
"""What goes back in place of a cell that cannot be read."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """In place of a value that cannot be known: why, for the column's names ``ko`` and ``en``.

    ``text`` goes back to whoever sent the file, and is refused when it comes again.
    """

    reason: str
    text: str = UNKNOWN


@dataclass(slots=True)
class Row:
    """One row that is not empty; ``number`` is Excel's, columns count from 0."""

    number: int
    is_hidden: bool = False
    values: list[Any] = field(default_factory=list)
    """Text, number, true or false, Unreadable, or None."""
    formats: dict[int, str] = field(default_factory=dict)
    """Number formats, where they change what is seen."""
    links: dict[int, str] = field(default_factory=dict)
    """Where cells lead to; empty where a formula computes it."""

    def value(self, column: int) -> Any:
        """None beyond the last cell."""
        return self.values[column] if column < len(self.values) else None

    def put(self, column: int, value: Any) -> None:
        """Columns in between are empty."""
        self.values.extend([None] * (column + 1 - len(self.values)))
        self.values[column] = value


class Block(NamedTuple):
    """A range of cells, its last row and column included; rows count from 1, columns from 0."""

    left: int
    top: int
    right: int
    bottom: int


_MAX_LISTED: Final = 20
_INVISIBLE: Final = dict.fromkeys((0xFEFF, 0x200B, 0x200C, 0x200D, 0x2060))
_ESCAPED: Final = re.compile(r"^'(?=[=+\-@\t\r])")
_SURROGATES: Final = re.compile(r"[\ud800-\udfff]")


def text_of(value: Any) -> str:
    """Without invisible signs and without the apostrophe of an escaped text; empty for no value."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str("" if value is None else value).translate(_INVISIBLE).replace("\xa0", " ").strip()
    return _ESCAPED.sub("", text)


def text_from(written: str) -> str:
    """A text without the escapes of the file format: `_x000D_` stands for a carriage return."""
    text = unescape(written)
    if _SURROGATES.search(text):
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def listed(numbers: Iterable[int]) -> str:
    """Row numbers as a person still reads them: `2, 3, 7`, at most twenty."""
    found = list(numbers)
    more = f", … ({len(found):,})" if len(found) > _MAX_LISTED else ""
    return ", ".join(map(str, found[:_MAX_LISTED])) + more
