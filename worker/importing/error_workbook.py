"""The workbook that comes back: the rows that were not imported, each with its reason."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import openpyxl
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Font

from worker.errors import PermanentError
from worker.importing.columns import REASON, ROW

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_LIKE_AN_ESCAPE: Final = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")


class CannotWrite(PermanentError):
    """The error workbook cannot be written where it should be."""


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """One row that was not imported: its number in the file, what it holds, what is wrong."""

    number: int
    values: Sequence[Any]
    reason: str
    formats: Mapping[int, str] = field(default_factory=dict)
    """Number formats by column from 0: they may be part of an ID."""


def write_errors(path: Path, headers: Sequence[str], rows: Sequence[RefusedRow]) -> None:
    """The refused rows below the file's own headers. Raises CannotWrite."""
    try:
        with path.open("wb") as file:
            _book_of(headers, rows).save(file)
    except OSError as error:
        raise CannotWrite(f"the rejected rows cannot be written to {path}: {error.strerror}") from None


def _book_of(headers: Sequence[str], rows: Sequence[RefusedRow]) -> Any:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("errors")
    sheet.freeze_panes = "A2"
    # The reason stands first, where it is seen.
    sheet.append([_bold(sheet, text) for text in (REASON, ROW, *headers)])
    for row in rows:
        cells = [_cell(sheet, value, row.formats.get(column)) for column, value in enumerate(row.values)]
        sheet.append([_cell(sheet, row.reason), row.number, *cells])
    return book


def _cell(sheet: Any, value: Any, number_format: str | None = None) -> Any:
    """A text stays a text: what begins like a formula must not become one in somebody's Excel."""
    if isinstance(value, str):
        text = _LIKE_AN_ESCAPE.sub("_x005F_", ILLEGAL_CHARACTERS_RE.sub("", value))
        value = f"'{text}" if text.startswith(_FORMULA) else text
    cell = WriteOnlyCell(sheet, value)
    if isinstance(value, str):
        cell.data_type = "s"
    if number_format:
        cell.number_format = number_format
    return cell


def _bold(sheet: Any, text: str) -> Any:
    cell = _cell(sheet, text)
    cell.font = Font(bold=True)
    return cell
