"""Excel files for the tests of the import."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import openpyxl

HEADERS = ("회원번호", "성별", "갤러리 사진", "인증사진")


def photo(member_id: object, name: object) -> str:
    """The address of a member's photo."""
    return f"https://photos.example.com/{member_id}/{name}.jpg"


def a_row(member_id: Any, gender: Any = "여") -> list[Any]:
    """A row that is in order."""
    return [member_id, gender, photo(member_id, 1), photo(member_id, "selfie")]


def a_workbook(path: Path, rows: Iterable[Sequence[Any]], headers: Sequence[Any] = HEADERS) -> Path:
    """A workbook of one sheet with a header row."""
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("회원")
    sheet.append(list(headers))
    for row in rows:
        sheet.append(list(row))
    book.save(path)
    return path


def cells_of(path: Path) -> list[tuple[Any, ...]]:
    """All rows of a workbook's first sheet."""
    return list(openpyxl.load_workbook(path).worksheets[0].values)


def rewritten(path: Path, part: str, change: Callable[[bytes], bytes]) -> Path:
    """The same file with one of its parts changed."""
    changed = path.with_name(f"changed-{path.name}")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            with old.open(info) as source, new.open(info.filename, "w") as target:
                if info.filename == part:
                    target.write(change(source.read()))
                else:
                    shutil.copyfileobj(source, target)
    return changed


_MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = 'xmlns="http://schemas.openxmlformats.org/package/2006/relationships"'


def a_raw_workbook(path: Path, rows: str = "", after: str = "", **parts: str) -> Path:
    """An .xlsx of raw XML: rows below a header row, what follows them, and whole parts by name.

    Parts: ``strings`` (the `si` elements), ``styles``, ``sheet`` (in place of rows) and ``links`` (the
    relationships of the sheet).
    """
    names = "".join(f'<c t="inlineStr"><is><t>{name}</t></is></c>' for name in HEADERS)
    data = f'<sheetData><row r="1">{names}</row>{rows}</sheetData>{after}'
    sheet = parts.get("sheet") or f'<worksheet {_MAIN} xmlns:r="{_OFFICE}">{data}</worksheet>'
    kinds = {"1": ("worksheet", "sheet"), "2": ("sharedStrings", "strings"), "3": ("styles", "styles")}
    book = '<sheets><sheet name="회원" sheetId="1" r:id="rId1"/></sheets>'
    files = {
        "[Content_Types].xml": "<Types/>",
        "_rels/.rels": _relations(("0", "officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": f'<workbook {_MAIN} xmlns:r="{_OFFICE}">{book}</workbook>',
        "xl/_rels/workbook.xml.rels": _relations(
            *((n, kind, f"{part}.xml") for n, (kind, part) in kinds.items())
        ),
        "xl/sheet.xml": sheet,
        "xl/_rels/sheet.xml.rels": f"<Relationships {_PACKAGE}>{parts.get('links', '')}</Relationships>",
        "xl/strings.xml": f"<sst {_MAIN}>{parts.get('strings', '')}</sst>",
        "xl/styles.xml": f"<styleSheet {_MAIN}>{parts.get('styles', '')}</styleSheet>",
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def _relations(*entries: tuple[str, str, str]) -> str:
    inside = "".join(
        f'<Relationship Id="rId{n}" Type="{_OFFICE}/{kind}" Target="{to}"/>' for n, kind, to in entries
    )
    return f"<Relationships {_PACKAGE}>{inside}</Relationships>"


def a_link(key: str, target: str) -> str:
    """A relationship of a sheet to an address, for ``links`` of `a_raw_workbook`."""
    return f'<Relationship Id="{key}" Type="{_OFFICE}/hyperlink" Target="{target}" TargetMode="External"/>'


def a_raw_row(number: int, member_id: str, gallery: str = "", selfie: str = "", attributes: str = "") -> str:
    """A row of cells as XML; a photo's cell may be given whole, else it has the usual address."""
    gallery = gallery or text_cell("C", number, photo(member_id, 1))
    selfie = selfie or text_cell("D", number, photo(member_id, "selfie"))
    return f'<row r="{number}" {attributes}>{text_cell("A", number, member_id)}{gallery}{selfie}</row>'


def text_cell(column: str, row: int, text: str) -> str:
    """A cell of XML with a text."""
    return f'<c r="{column}{row}" t="inlineStr"><is><t>{text}</t></is></c>'
