"""An Excel file from outside: the rows of the first sheet with our columns."""

from __future__ import annotations

import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final
from xml.sax import SAXException

from openpyxl.utils import get_column_letter

from worker.importing.cells import Block, Row, listed, text_of
from worker.importing.columns import Columns, Header, NoHeader, find_columns, find_header, near
from worker.importing.links import is_address
from worker.importing.package import (
    MAX_COLUMNS,
    MAX_ROWS,
    BadWorkbook,
    Package,
    check_archive,
    check_file,
)
from worker.importing.sheet import Parts, Sheet, SheetEntry, read_parts, read_sheet

_BROKEN: Final = (
    *(KeyError, ValueError, IndexError, OverflowError, EOFError, OSError, NotImplementedError),
    *(zipfile.BadZipFile, zlib.error, SAXException),
)
"""All that zipfile, the parser and the readers of parts raise on damaged files."""


@dataclass(frozen=True, slots=True)
class Workbook:
    """What was read of a file; rows that are empty are left out."""

    sheet: str
    headers: tuple[str, ...]
    columns: Columns
    rows: Sequence[Row]
    """Below the header."""
    merged: Sequence[Block]
    other_sheets: tuple[str, ...]
    warnings: tuple[str, ...]
    """What the sender should know: what was not taken, and what may be taken by mistake."""


def read_workbook(path: Path) -> Workbook:
    """The whole file, or nothing. Raises BadWorkbook."""
    with _opened(path) as file:
        check_file(file)
        with _reading():
            archive = zipfile.ZipFile(file)
        with archive:
            check_archive(archive)
            package = Package(archive)
            with _reading():
                parts = read_parts(package)
            return _first_with_members(package, parts)


@contextmanager
def _reading() -> Iterator[None]:
    """An error of the readers inside of the block means that the file is damaged."""
    try:
        yield
    except _BROKEN as error:
        raise BadWorkbook(f"the file is damaged ({type(error).__name__}): save it again") from error


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise BadWorkbook(f"the file cannot be read: {error.strerror}") from None


def _first_with_members(package: Package, parts: Parts) -> Workbook:
    """Visible sheets go before hidden ones."""
    problems = []
    for entry in sorted(parts.sheets, key=lambda entry: not entry.is_visible):
        with _reading():
            sheet = read_sheet(package, entry.path, parts)
        header = find_header(sheet)
        try:
            columns = find_columns(header.names)
        except NoHeader as error:
            there = _quoted(header.names)
            problems.append(f"sheet {entry.title!r}, row {header.first}: {error}; there are: {there}")
            continue
        rows = [row for row in sheet.rows if row.number > header.last]
        if len(rows) > MAX_ROWS:
            raise BadWorkbook(f"more than {MAX_ROWS:,} rows: split the file")
        others = tuple(other.title for other in parts.sheets if other is not entry)
        warnings = (*_about_sheet(entry, others, sheet, header), *_about_columns(rows, header, columns))
        return Workbook(entry.title, header.names, columns, rows, sheet.merged, others, warnings)
    raise BadWorkbook("no header row was understood. " + ". ".join(problems[:3]))


def _quoted(headers: Sequence[str]) -> str:
    return ", ".join(repr(header[:40]) for header in headers[:12] if header)


def _about_sheet(entry: SheetEntry, others: Sequence[str], sheet: Sheet, header: Header) -> Iterator[str]:
    if others:
        yield f"Read was sheet {entry.title!r} only; there are also: {', '.join(others)}"
    if not entry.is_visible:
        yield f"Sheet {entry.title!r} is hidden in Excel; it was read, since no other one has the columns"
    if header.last > header.first:
        yield f"Rows {header.first} to {header.last} were read as one header"
    hidden = [row.number for row in sheet.rows if row.is_hidden and row.number > header.last]
    if hidden:
        yield f"Rows that are hidden or filtered out in Excel were read like the others: {listed(hidden)}"
    if sheet.is_wide:
        yield f"What stands beyond column {get_column_letter(MAX_COLUMNS)} was not read"


def _about_columns(rows: Sequence[Row], header: Header, columns: Columns) -> Iterator[str]:
    if columns.gender is None:
        yield "There is no column for the gender: none is taken as declared"
    if columns.unknown:
        yield f"Columns left alone: {', '.join(columns.unknown)}"
    for name in columns.unknown:
        if meant := near(name):
            yield f"If column {name!r} is meant as {meant}, correct its header: it was left alone"
    links: Counter[int] = Counter()
    for row in rows:
        texts = {column for column, value in enumerate(row.values) if is_address(text_of(value))}
        links.update((texts | row.links.keys()) - columns.used)
    for column, count in sorted(links.items()):
        name = header.names[column] if column < len(header.names) else ""
        place = f"column {get_column_letter(column + 1)} ({repr(name) if name else 'no header'})"
        yield f"Links in {place} were not taken: {count:,} rows"
