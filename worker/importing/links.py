"""Addresses behind cells: a cell may show "사진" and lead to an address.

openpyxl's read-only mode, which keeps a large file out of memory, knows no hyperlinks, and with the
values of formulas it gives what `HYPERLINK("https://…", "사진")` shows. So the sheet's XML is read
a second time, only when it is needed.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from typing import IO, Final
from xml.etree.ElementTree import Element

from defusedxml.ElementTree import iterparse
from openpyxl.packaging.relationship import get_dependents, get_rels_path
from openpyxl.utils.cell import range_boundaries

_MAIN: Final = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_STRICT: Final = "{http://purl.oclc.org/ooxml/spreadsheetml/main}"
_FORMULA: Final = re.compile(r'HYPERLINK\(\s*"((?:[^"]|"")*)"', re.IGNORECASE)
_LARGEST_RANGE: Final = 10_000  # cells; one hyperlink may cover a whole column

Cell = tuple[int, int]
"""Row and column, both from 1."""


def links_of(archive: zipfile.ZipFile, sheet: str) -> dict[Cell, str]:
    """The addresses behind the cells of a sheet, which is named by its path in the archive."""
    targets = _targets(archive, sheet)
    links: dict[Cell, str] = {}
    with archive.open(sheet) as source:
        for element in _elements(source):
            is_link = _is(element, "hyperlink")
            links.update(_of_hyperlink(element, targets) if is_link else _of_formula(element))
    return links


def _targets(archive: zipfile.ZipFile, sheet: str) -> dict[str, str]:
    path = get_rels_path(sheet)  # type: ignore[no-untyped-call]
    if path not in archive.namelist():
        return {}
    return {str(relation.Id): str(relation.Target or "") for relation in get_dependents(archive, path)}


def _elements(source: IO[bytes]) -> Iterator[Element]:
    """Cells and hyperlinks; what has been read is let go of."""
    for _, element in iterparse(source, events=("end",)):
        if _is(element, "c") or _is(element, "hyperlink"):
            yield element
        if not _is(element, "f"):  # its cell, which ends later, still needs it
            element.clear()


def _is(element: Element, name: str) -> bool:
    return element.tag in (_MAIN + name, _STRICT + name)


def _of_hyperlink(element: Element, targets: dict[str, str]) -> dict[Cell, str]:
    key = next((value for name, value in element.attrib.items() if name.endswith("}id")), "")
    target = targets.get(key)
    if not target:
        return {}  # a link to a place in the workbook
    return dict.fromkeys(_cells(element.attrib.get("ref", "")), target)


def _of_formula(cell: Element) -> dict[Cell, str]:
    formula = next((child.text for child in cell if _is(child, "f")), None)
    found = _FORMULA.search(formula or "")
    if not found:
        return {}
    return dict.fromkeys(_cells(cell.attrib.get("r", "")), found[1].replace('""', '"'))


def _cells(ref: str) -> list[Cell]:
    """The cells of `B2` or `B2:C9`; none where that would be a whole column."""
    bounds: tuple[int | None, ...] = range_boundaries(ref) if ref else ()
    numbers = [number for number in bounds if number is not None]
    if len(numbers) != 4:
        return []
    left, top, right, bottom = numbers
    if (right - left + 1) * (bottom - top + 1) > _LARGEST_RANGE:
        return []
    return [(row, column) for row in range(top, bottom + 1) for column in range(left, right + 1)]
