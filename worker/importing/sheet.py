"""A workbook's sheets as rows: values as stored, with links, merged cells and number formats."""

from __future__ import annotations

import math
import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import Any, Final
from xml.sax.xmlreader import AttributesImpl

from openpyxl.styles.numbers import BUILTIN_FORMATS
from openpyxl.utils.cell import column_index_from_string, range_boundaries

from worker.importing.cells import Block, Row, Unreadable, text_from
from worker.importing.links import is_address, link_in
from worker.importing.package import MAX_COLUMNS, MAX_ROWS, BadWorkbook, Budget, Package, PartHandler

MAX_STRINGS: Final = 1_000_000
_MAX_STYLES: Final = 65_536  # Excel takes no more
GENERAL: Final = "General"
MAX_BLOCKS: Final = 200_000
"""Merged cells and hyperlinks."""
_MAX_ROWS_READ: Final = MAX_ROWS + 100  # with titles and header
_LAST_ROW, _LAST_COLUMN = 1_048_576, 16_384  # of any sheet
_ERROR: Final = re.compile(r"#(?:N/A|GETTING_DATA|[A-Z0/]{2,12}[!?])")
_INTEGER: Final = re.compile(r"-?\d{1,18}")
_AN_ERROR: Final = "{ko} 칸에 엑셀 오류 값이 있습니다 (an Excel error value in place of the {en})"
_NO_RESULT: Final = (
    "{ko} 칸의 수식은 계산 결과가 파일에 없습니다. 엑셀에서 열어 저장해 주세요 "
    "(the formula of the {en} has no stored result: open the file in Excel and save it)"
)
_A_DATE: Final = "{ko} 칸이 날짜입니다 (the {en} is a date)"
_TWO_VALUES: Final = (
    "{ko} 칸이 병합되어 있는데 그 안에 다른 값이 숨어 있습니다 (another value is hidden in the merged {en})"
)


@dataclass(frozen=True, slots=True)
class SheetEntry:
    """A sheet as the workbook lists it; ``path`` is the part that holds it."""

    title: str
    path: str
    is_visible: bool


@dataclass(frozen=True, slots=True)
class Parts:
    """What the cells of all sheets refer to; ``formats`` by style number."""

    sheets: tuple[SheetEntry, ...]
    strings: list[str]
    formats: list[str]


def read_parts(package: Package) -> Parts:
    """The workbook's own parts. Raises BadWorkbook."""
    roots = package.related().values()
    path = next((root.target for root in roots if root.kind == "officeDocument"), "")
    if not package.has(path):
        raise BadWorkbook("no Excel workbook: save it as .xlsx")
    listed, related = _Sheets(package.budget), package.related(path)
    package.parse(path, listed)
    if not listed.found:
        raise BadWorkbook("no Excel workbook: save it as .xlsx")
    strings, styles = _Strings(package.budget), _Styles(package.budget)
    for kind, handler in (("sharedStrings", strings), ("styles", styles)):
        part = next((one.target for one in related.values() if one.kind == kind), "")
        if package.has(part):
            package.parse(part, handler)
    sheets = (
        SheetEntry(title, related[key].target, is_visible)
        for title, key, is_visible in listed.found
        if key in related and related[key].kind == "worksheet"
    )
    return Parts(tuple(sheets), strings.found, styles.formats())


class _Sheets(PartHandler):
    def __init__(self, budget: Budget) -> None:
        super().__init__(budget)
        self.found: list[tuple[str, str, bool]] = []

    def start(self, name: str, attributes: AttributesImpl) -> None:
        if name == "sheet":
            title = self.budget.keep(attributes.get("name") or "")
            state = attributes.get("state") or "visible"
            self.found.append((title, relationship_id(attributes), state == "visible"))


def relationship_id(attributes: AttributesImpl) -> str:
    """The `r:id`, whatever the prefix; empty where there is none."""
    return next((value for name, value in attributes.items() if name.endswith(":id")), "")


class _Strings(PartHandler):
    def __init__(self, budget: Budget) -> None:
        super().__init__(budget)
        self.found: list[str] = []

    def start(self, name: str, attributes: AttributesImpl) -> None:  # noqa: ARG002 (texts have none)
        self.start_text(name)

    def end(self, name: str) -> None:
        self.end_text(name)
        if name != "si":
            return
        self.found.append(self.budget.keep(text_from(self.take_text())))
        if len(self.found) > MAX_STRINGS:
            raise BadWorkbook(f"more than {MAX_STRINGS:,} different texts: split the file")


class _Styles(PartHandler):
    def __init__(self, budget: Budget) -> None:
        super().__init__(budget)
        self._codes = dict(BUILTIN_FORMATS)
        self._cells: list[int] = []
        self._within = ""

    def start(self, name: str, attributes: AttributesImpl) -> None:
        if name in ("numFmts", "cellXfs"):
            self._within = name
        elif name == "numFmt" and self._within == "numFmts":
            code = self.budget.keep(attributes.get("formatCode") or "")
            self._codes[int(attributes.get("numFmtId") or 0)] = text_from(code)
        elif name == "xf" and self._within == "cellXfs":
            self._cells.append(int(attributes.get("numFmtId") or 0))
            if len(self._cells) > _MAX_STYLES:
                raise ValueError("too many styles")

    def end(self, name: str) -> None:
        if name == self._within:
            self._within = ""

    def formats(self) -> list[str]:
        """Number formats by style; one that the file does not name (Excel has some for dates) is empty."""
        return [self._codes.get(number, "") for number in self._cells]


@dataclass(frozen=True, slots=True)
class Sheet:
    """``merged``: the blocks of merged cells. ``is_wide``: there are values beyond the last column read."""

    rows: list[Row]
    merged: list[Block]
    is_wide: bool


def read_sheet(package: Package, path: str, parts: Parts) -> Sheet:
    """The whole sheet; merged cells and hyperlinks are known at its end only. Raises BadWorkbook.

    A cell of a hyperlink leads where the hyperlink does, and the value of a merged cell stands in
    each of its rows.
    """
    handler = _Sheet(package, parts)
    package.parse(path, handler)
    rows, targets = handler.rows, package.related(path)
    numbers = [row.number for row in rows]

    def within(block: Block) -> list[Row]:
        found = rows[bisect_left(numbers, block.top) : bisect_right(numbers, block.bottom)]
        # A block may be as large as a sheet, and there may be many.
        package.budget.cells(len(found) * max(0, block.right + 1 - block.left))
        return found

    for block, key, place in handler.hyperlinks:
        target = targets[key].target if key in targets else ""
        if is_address(target):
            _link(within(block), block, target + place)
    for block in handler.merged:
        if block.bottom > block.top:
            _fill(within(block), block)
    return Sheet(rows, handler.merged, is_wide=handler.is_wide)


def _link(rows: list[Row], block: Block, target: str) -> None:
    for row in rows:
        row.links.update(dict.fromkeys(range(block.left, block.right + 1), target))


def _fill(rows: list[Row], block: Block) -> None:
    """Excel stores the value of a merged cell in its first row only."""
    column = block.left
    if not rows or rows[0].number != block.top or rows[0].value(column) is None:
        return
    top = rows[0]
    for row in rows[1:]:
        differs = row.value(column) not in (None, "", top.value(column))
        row.put(column, Unreadable(_TWO_VALUES) if differs else top.value(column))
        for above, own in ((top.formats, row.formats), (top.links, row.links)):
            if column in above:
                own[column] = above[column]


@dataclass(slots=True)
class _Cell:
    column: int = -1
    kind: str = "n"
    style: int = 0
    shared: str = ""
    formula: str | None = None
    written: str | None = None

    @property
    def is_empty(self) -> bool:
        return self.formula is None and self.written is None

    @property
    def has_result(self) -> bool:
        """Excel writes `t="str"` and an empty `v` for a formula whose result is an empty text."""
        return bool(self.written) or (self.kind == "str" and self.written is not None)


class _Sheet(PartHandler):
    """Rows as they come; what is merged and linked comes behind them."""

    def __init__(self, package: Package, parts: Parts) -> None:
        super().__init__(package.budget)
        self._parts = parts
        self._row, self._cell = Row(0), _Cell()
        self._shared: dict[str, str] = {}
        self.rows: list[Row] = []
        self.merged: list[Block] = []
        self.hyperlinks: list[tuple[Block, str, str]] = []
        """Cells, relationship, and the place within its target."""
        self.is_wide = False

    def start(self, name: str, attributes: AttributesImpl) -> None:
        """An element begins; the commonest are asked for first."""
        if name == "c":
            self._start_cell(attributes)
        elif name in {"v", "f"}:
            self.listens = True
            self._cell.shared = attributes.get("si") or ""
        elif name == "row":
            self._start_row(attributes)
        elif name == "mergeCell":
            self._count(self.merged)
            self.merged.append(_block(attributes))
        elif name == "hyperlink":
            self._hyperlink(attributes)
        else:
            self.start_text(name)

    def end(self, name: str) -> None:
        """An element ends."""
        if name in {"v", "is"}:
            self._cell.written = self.take_text()
        elif name == "f":
            self._end_formula()
        elif name == "c":
            if not self._cell.is_empty:
                self._end_cell(self._cell)
        elif name == "row":
            self._end_row()
        else:
            self.end_text(name)

    def _start_row(self, attributes: AttributesImpl) -> None:
        number = int(attributes.get("r") or self._row.number + 1)
        if number <= self._row.number:
            raise ValueError("rows out of order")
        self._row = Row(number, is_hidden=attributes.get("hidden") in {"1", "true"})
        self._cell = _Cell()

    def _start_cell(self, attributes: AttributesImpl) -> None:
        letters = (attributes.get("r") or "").rstrip("0123456789")
        column = column_index_from_string(letters) - 1 if letters else self._cell.column + 1
        if column >= _LAST_COLUMN:
            raise ValueError("too many columns")
        style = int(attributes.get("s") or 0)
        self._cell = _Cell(column, attributes.get("t") or "n", style)

    def _end_formula(self) -> None:
        """The cells that share a formula name its number; one of them has its text."""
        cell, text = self._cell, self.take_text()
        if cell.shared and text:
            self._shared[cell.shared] = self.budget.keep(text)
        cell.formula = text or self._shared.get(cell.shared, "")

    def _end_cell(self, cell: _Cell) -> None:
        if cell.column >= MAX_COLUMNS:
            self.is_wide = True
            return
        row, value = self._row, self._value(cell)
        link = link_in(cell.formula, str(value)) if cell.formula else None
        if cell.formula is not None and not cell.has_result:
            value = None if link else Unreadable(_NO_RESULT)
        if link is not None:
            row.links[cell.column] = self.budget.keep(link)
        if cell.column < len(row.values):
            raise ValueError("cells out of order")
        self.budget.cells(cell.column + 1 - len(row.values))
        row.put(cell.column, value)
        self._note_format(cell, value)

    def _value(self, cell: _Cell) -> Any:
        written = cell.written or ""
        if cell.kind in {"str", "inlineStr"}:
            return self._shown(self.budget.keep(text_from(written)))
        if not written:
            return None
        if cell.kind == "s":
            return self._shown(self._parts.strings[_index(written)])
        if cell.kind == "b":
            return written in {"1", "true"}
        if cell.kind == "n":
            return _number(written)
        return Unreadable(_A_DATE) if cell.kind == "d" else _error(written)

    def _shown(self, text: str) -> Any:
        """Programs without Excel's types write its errors as texts."""
        return _error(text) if _ERROR.fullmatch(text.strip()) else self.budget.show(text)

    def _note_format(self, cell: _Cell, value: Any) -> None:
        formats = self._parts.formats
        code = formats[cell.style] if 0 <= cell.style < len(formats) else GENERAL
        plain = {GENERAL, "@"} if isinstance(value, str) else {GENERAL}
        if code not in plain:
            self._row.formats[cell.column] = code

    def _end_row(self) -> None:
        if all(value is None or value == "" for value in self._row.values) and not self._row.links:
            return
        if len(self.rows) == _MAX_ROWS_READ:
            raise BadWorkbook(f"more than {MAX_ROWS:,} rows: split the file")
        self.rows.append(self._row)

    def _hyperlink(self, attributes: AttributesImpl) -> None:
        self._count(self.hyperlinks)
        place = self.budget.keep(attributes.get("location") or "")
        key = relationship_id(attributes)
        self.hyperlinks.append((_block(attributes), key, f"#{place}" if place else ""))

    @staticmethod
    def _count(blocks: list[Any]) -> None:
        if len(blocks) == MAX_BLOCKS:
            raise BadWorkbook(f"more than {MAX_BLOCKS:,} merged cells or hyperlinks: split the file")


def _index(written: str) -> int:
    index = int(written)
    if index < 0:
        raise IndexError
    return index


def _number(written: str) -> Any:
    if _INTEGER.fullmatch(written):
        return int(written)
    number = float(written)
    return number if math.isfinite(number) else _error(written)


def _error(written: str) -> Unreadable:
    return Unreadable(_AN_ERROR, written.strip() if written.startswith("#") else "#NUM!")


def _block(attributes: AttributesImpl) -> Block:
    """Up to the last column read; whole columns and rows have no numbers of their own."""
    left, top, right, bottom = range_boundaries(attributes.get("ref") or "")
    return Block((left or 1) - 1, top or 1, min(right or MAX_COLUMNS, MAX_COLUMNS) - 1, bottom or _LAST_ROW)
