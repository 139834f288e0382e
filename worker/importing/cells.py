"""Rows and cells as they were read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

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
