"""Excel files from outside, opened with care: rows of cells out of the first sheet with our columns.

What comes in may be no Excel file, an old one, one with a password, a bomb. openpyxl guards itself
against entity bombs by way of defusedxml only, and against size not at all: both are seen to here.
"""

from __future__ import annotations

import os
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Final
from xml.etree.ElementTree import ParseError

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from worker.errors import PermanentError
from worker.importing.columns import Columns, NoHeader, find_columns, understood
from worker.importing.links import links_of

MAX_FILE_BYTES: Final = 20 * 1024 * 1024
MAX_UNZIPPED_BYTES: Final = 200 * 1024 * 1024
MAX_PARTS: Final = 2000
MAX_ROWS: Final = 100_000
MAX_COLUMNS: Final = 100
_HEADER_ROWS: Final = 20
"""Titles and notes may stand above the header."""
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_BROKEN: Final = (
    *(KeyError, ValueError, TypeError, AttributeError, IndexError, EOFError, OSError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error, ParseError, InvalidFileException, NotImplementedError),
)
"""All that openpyxl, zipfile and the XML parser raise on damaged files."""

if not openpyxl.DEFUSEDXML:
    raise ImportError("defusedxml is not installed: without it an Excel file can exhaust the memory")


class BadWorkbook(PermanentError):
    """The file cannot be imported at all; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row below the header. ``number`` is Excel's; ``cells`` are as openpyxl gives them."""

    number: int
    values: tuple[Any, ...]
    formats: tuple[str, ...]
    """Number formats, `00000` for instance."""


class Workbook:
    """An open file; iterate `rows` once."""

    def __init__(self, book: Any, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        claimed = {sheet.title: sheet.max_row for sheet in book.worksheets}
        self._sheet, self._header_row, self.headers, self.columns = _find_sheet(book)
        self.sheet: str = self._sheet.title
        self.expected_rows: int | None = (claimed[self.sheet] or 0) - self._header_row or None
        """By the file's own account, for the progress only."""
        self.other_sheets = tuple(s.title for s in book.worksheets if s.title != self.sheet)

    def rows(self) -> Iterator[Row]:
        """Rows that are not empty. Raises BadWorkbook when there are too many, or for damage."""
        width = max(place for place, header in enumerate(self.headers, 1) if header)
        rows = _rows(self._sheet, self._header_row + 1, width=width)
        for _ in range(MAX_ROWS):
            with _reading():
                row = next(rows, None)
            if row is None:
                return
            yield row
        if next(rows, None):
            raise BadWorkbook(f"more than {MAX_ROWS:,} rows: split the file")

    def link(self, row: int, column: int) -> str | None:
        """The address behind a cell; row as Excel counts, column from 0."""
        return self._links.get((row, column + 1))

    @cached_property
    def _links(self) -> dict[tuple[int, int], str]:
        with _reading():
            # openpyxl has no public name for it.
            return links_of(self._archive, self._sheet._worksheet_path)  # noqa: SLF001


@contextmanager
def open_workbook(path: Path) -> Iterator[Workbook]:
    """The workbook while the block lasts. Raises BadWorkbook."""
    with ExitStack() as stack:
        file = stack.enter_context(_opened(path))
        _check_file(file)
        with _reading():
            archive = stack.enter_context(zipfile.ZipFile(file))
            _check_archive(archive)
            book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
            stack.callback(book.close)
            workbook = Workbook(book, archive)
        yield workbook


@contextmanager
def _reading() -> Iterator[None]:
    """Whatever the parsers stumble over inside of the block is the file's damage."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # openpyxl's remarks about decoration that it drops
        try:
            yield
        except _BROKEN as error:
            raise BadWorkbook(f"the file is damaged ({type(error).__name__}): save it again") from error


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise BadWorkbook(f"the file cannot be read: {error.strerror}") from None


def _check_file(file: IO[bytes]) -> None:
    """By its bytes, not by its name."""
    start, size = file.read(len(_OLE)), file.seek(0, os.SEEK_END)
    if start == _OLE:
        raise BadWorkbook("an old .xls file, or one with a password: save it as .xlsx without a password")
    if not start.startswith(b"PK"):
        raise BadWorkbook("no Excel workbook: open it in Excel (a .csv, too) and save it as .xlsx")
    if size > MAX_FILE_BYTES:
        raise BadWorkbook(f"larger than {MAX_FILE_BYTES >> 20} MiB: split the file")


def _check_archive(archive: zipfile.ZipFile) -> None:
    """What the parts say of their size holds: zipfile reads no further."""
    parts = archive.infolist()
    if len(parts) > MAX_PARTS or sum(part.file_size for part in parts) > MAX_UNZIPPED_BYTES:
        raise BadWorkbook(f"more than {MAX_UNZIPPED_BYTES >> 20} MiB when unpacked: split the file")
    names = {part.filename for part in parts}
    if "xl/workbook.bin" in names or "mimetype" in names:
        raise BadWorkbook("an .xlsb or .ods file: save it as .xlsx")
    if "[Content_Types].xml" not in names:
        raise BadWorkbook("no Excel workbook: save it as .xlsx")


def _find_sheet(book: Any) -> tuple[Any, int, tuple[str, ...], Columns]:
    """The first visible sheet that has our columns: sheet, number of its header row, headers, columns."""
    problems = []
    for sheet in book.worksheets:
        if sheet.sheet_state != "visible":
            continue
        sheet.reset_dimensions()  # the file's own claim may be wrong
        number, headers = _likeliest(sheet)
        try:
            return sheet, number, headers, find_columns(headers)
        except NoHeader as error:
            problems.append(f"sheet {sheet.title!r}, row {number}: {error}; there are: {_listed(headers)}")
    raise BadWorkbook("no header row was understood. " + ". ".join(problems[:3]))


def _likeliest(sheet: Any) -> tuple[int, tuple[str, ...]]:
    """Number and texts of the row that names most of what is needed."""
    rows = [_headers(row) for row in _rows(sheet, 1, _HEADER_ROWS)]
    return max(rows, key=lambda row: understood(row[1]), default=(1, ()))


def _headers(row: Row) -> tuple[int, tuple[str, ...]]:
    return row.number, tuple(" ".join(str("" if v is None else v).split()) for v in row.values)


def _rows(sheet: Any, first: int, last: int | None = None, width: int = MAX_COLUMNS) -> Iterator[Row]:
    for number, cells in enumerate(sheet.iter_rows(min_row=first, max_row=last, max_col=width), first):
        values = tuple(cell.value for cell in cells)
        if any(value is not None and value != "" for value in values):
            yield Row(number, values, tuple(_format(cell) for cell in cells))


def _format(cell: Any) -> str:
    """Only numbers have one that matters."""
    return str(cell.number_format) if isinstance(cell.value, int | float) else ""


def _listed(headers: Sequence[str]) -> str:
    return ", ".join(repr(header[:40]) for header in headers[:12] if header)
