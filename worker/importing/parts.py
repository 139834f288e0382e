"""The small parts of a workbook: its list of sheets, shared texts and number formats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from xml.sax.xmlreader import AttributesImpl

from openpyxl.styles.numbers import BUILTIN_FORMATS

from worker.importing.cells import text_from
from worker.importing.package import BadWorkbook, Budget, Package, PartHandler

MAX_STRINGS: Final = 1_000_000
_MAX_STYLES: Final = 65_536  # Excel takes no more
GENERAL: Final = "General"


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
        self.found.append(self.budget.keep(text_from(self.taken())))
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
