"""The workbook that comes back: the rows that were not imported, each with its reason."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import openpyxl
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Font

from worker.errors import PermanentError
from worker.importing.columns import REASON, ROW

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


class CannotWrite(PermanentError):
    """The error workbook cannot be written where it should be."""


class ErrorWorkbook:
    """Collects rows that were refused; written in one go by `save`."""

    def __init__(self, headers: Sequence[str]) -> None:
        self._book = openpyxl.Workbook(write_only=True)
        self._sheet = self._book.create_sheet("errors")
        self._sheet.freeze_panes = "A2"
        self._width = max((place for place, header in enumerate(headers, 1) if header), default=0)
        # The reason stands first, where it is seen.
        self._sheet.append([self._bold(text) for text in (REASON, ROW, *headers[: self._width])])
        self.rows = 0

    def add(self, number: int, values: Sequence[Any], reason: str) -> None:
        """One refused row: its number in the file, what it holds, what is wrong."""
        self._sheet.append([self._cell(value) for value in (reason, number, *values[: self._width])])
        self.rows += 1

    def save(self, path: Path) -> None:
        """Write it all. Raises CannotWrite."""
        try:
            self._book.save(path)
        except OSError as error:
            raise CannotWrite(f"the rejected rows cannot be written to {path}: {error.strerror}") from None

    def _cell(self, value: Any) -> Any:
        """A text stays a text: what begins like a formula must not become one in somebody's Excel."""
        if not isinstance(value, str):
            return value
        text = ILLEGAL_CHARACTERS_RE.sub("", value)
        cell = WriteOnlyCell(self._sheet, f"'{text}" if text.startswith(_FORMULA) else text)
        cell.data_type = "s"
        return cell

    def _bold(self, text: str) -> Any:
        cell = self._cell(text)
        cell.font = Font(bold=True)
        return cell
