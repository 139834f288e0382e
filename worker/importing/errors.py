"""The workbook that comes back: the rows that were not imported, each with its reason."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """One row that was not imported: its number in the file, what it holds, what is wrong."""

    number: int
    values: Sequence[Any]
    reason: str


def write_errors(path: Path, headers: Sequence[str], rows: Iterable[RefusedRow]) -> None:
    """The refused rows below the file's own headers. Raises CannotWrite."""
    try:
        with path.open("wb") as file:
            _book_of(headers, rows).save(file)
    except OSError as error:
        raise CannotWrite(f"the rejected rows cannot be written to {path}: {error.strerror}") from None


def _book_of(headers: Sequence[str], rows: Iterable[RefusedRow]) -> Any:
    width = max((place for place, header in enumerate(headers, 1) if header), default=0)
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("errors")
    sheet.freeze_panes = "A2"
    # The reason stands first, where it is seen.
    sheet.append([_bold(sheet, text) for text in (REASON, ROW, *headers[:width])])
    for row in rows:
        sheet.append([_cell(sheet, value) for value in (row.reason, row.number, *row.values[:width])])
    return book


def _cell(sheet: Any, value: Any) -> Any:
    """A text stays a text: what begins like a formula must not become one in somebody's Excel."""
    if not isinstance(value, str):
        return value
    text = ILLEGAL_CHARACTERS_RE.sub("", value)
    cell = WriteOnlyCell(sheet, f"'{text}" if text.startswith(_FORMULA) else text)
    cell.data_type = "s"
    return cell


def _bold(sheet: Any, text: str) -> Any:
    cell = _cell(sheet, text)
    cell.font = Font(bold=True)
    return cell
