"""Where the header of a sheet is: below titles, in one row or several, with merged cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from worker.importing.cells import Row, Unreadable, text_of
from worker.importing.columns import PHOTOS, field_of
from worker.importing.links import is_address
from worker.importing.sheet import Sheet

_SEARCHED: Final = 20
"""Titles and notes may stand above the header."""
_MOST_ROWS: Final = 3
_MOST_BLOCKS: Final = 2000  # of merged cells that touch the rows searched; more would overlap


@dataclass(frozen=True, slots=True)
class Header:
    """The numbers of its first and last row, and the name of each column, empty for none."""

    first: int
    last: int
    names: tuple[str, ...]


def find_header(sheet: Sheet) -> Header:
    """The rows that name most of what is needed; of equals the fewest and highest.

    A row that only numbers the columns below a merged header (`갤러리 사진`: 1, 2, 3) belongs to it.
    """
    grid = _Grid(sheet)
    blocks = [block for first in range(len(grid.rows)) for block in grid.blocks(first)]
    if not blocks:
        return Header(1, 1, ())
    best = max(blocks, key=lambda block: (grid.understood(block), -len(block)))
    longest = [block for block in blocks if block[0] is best[0]][-1]
    if grid.understood(longest) == grid.understood(best):
        best = longest
    return Header(best[0].number, best[-1].number, grid.names(best))


class _Grid:
    """The first rows of a sheet, with merged cells over several columns."""

    def __init__(self, sheet: Sheet) -> None:
        self.rows = sheet.rows[:_SEARCHED]
        last = self.rows[-1].number if self.rows else 0
        touching = [block for block in sheet.merged if block.top <= last and block.left < block.right]
        self._left: dict[tuple[int, int], int] = {}
        """For each cell of a block the block's first column."""
        for block in touching[:_MOST_BLOCKS]:
            numbers = [row.number for row in self.rows if block.top <= row.number <= block.bottom]
            columns = range(block.left, block.right + 1)
            self._left.update({(number, column): block.left for number in numbers for column in columns})
        widths = (len(row.values) for row in self.rows)
        self._width = max((0, *widths, *(column + 1 for _, column in self._left)))

    def blocks(self, first: int) -> list[Sequence[Row]]:
        """The rows that may be a header from this one on, the shortest first."""
        found: list[Sequence[Row]] = [self.rows[first : first + 1]]
        for last in range(first + 1, min(first + _MOST_ROWS, len(self.rows))):
            if not self._continues(self.rows[last - 1], self.rows[last]):
                break
            found.append(self.rows[first : last + 1])
        return found

    def understood(self, block: Sequence[Row]) -> int:
        """How many different things the names tell."""
        return len({field for name in self.names(block) if (field := field_of(name))})

    def names(self, block: Sequence[Row]) -> tuple[str, ...]:
        """One for each column, which is understood alone."""
        return tuple(self._name(block, column) for column in range(self._width))

    def _name(self, block: Sequence[Row], column: int) -> str:
        """The lowest text that says something, or all of them, or the one they stand under."""
        texts = [text for row in block if (text := self._text(row, column))]
        if not texts:
            return ""
        whole = " ".join(dict.fromkeys(texts))
        is_own = any(_own(row, column) for row in block)
        for text in (texts[-1], whole):
            field = field_of(text)
            if field and (is_own or field in PHOTOS):
                return text
        above = (text for text in reversed(texts) if field_of(text) in PHOTOS)
        return next(above, whole if is_own else "")

    def _text(self, row: Row, column: int) -> str:
        return _own(row, column) or _own(row, self._left.get((row.number, column), column))

    def _continues(self, above: Row, row: Row) -> bool:
        """Whether the row goes on with the header above it; a member's row never does."""
        if row.number != above.number + 1 or row.links:
            return False
        texts = {column: text for column in range(len(row.values)) if (text := _own(row, column))}
        if any(is_address(text) for text in texts.values()):
            return False
        speaks = {column for column in texts if self._speaks(above, row, column)}
        return bool(speaks) and not any(self._text(above, column) for column in texts.keys() - speaks)

    def _speaks(self, above: Row, row: Row, column: int) -> bool:
        """Whether a cell is a header: by its words, or by what it stands under."""
        text, over = _own(row, column), self._text(above, column)
        if text == over or (above.number, column) in self._left:
            return True
        if text.isdigit():
            return field_of(over) in PHOTOS
        return (field_of(text) or field_of(f"{over} {text}")) is not None


def _own(row: Row, column: int) -> str:
    value = row.value(column)
    return "" if isinstance(value, Unreadable) else " ".join(text_of(value).split())
