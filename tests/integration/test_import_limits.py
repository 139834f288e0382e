"""No Excel file costs much time or memory: what is too large is refused before it is read or kept."""

from __future__ import annotations

import tracemalloc
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.sheets import a_link, a_raw_row, a_raw_workbook, a_row, a_workbook, text_cell
from worker.importing import package, sheet, workbook
from worker.importing.package import BadWorkbook
from worker.importing.run import Report, import_workbook

MANY = 600_000


def run(path: Path) -> Report:
    return import_workbook(path, None, errors_file=path.with_suffix(".errors.xlsx"))


@contextmanager
def little_memory(mebibytes: int = 40) -> Iterator[None]:
    """The block must not hold more at once."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < mebibytes << 20
    finally:
        tracemalloc.stop()


BOMBS = {
    "many shared texts": {"strings": "<si><t>a</t></si>" * MANY},
    "one shared text of many runs": {"strings": f"<si>{'<r><t>a</t></r>' * MANY}</si>"},
    "one long shared text": {"strings": f"<si><t>{'a' * 60 * MANY}</t></si>"},
    "many cells in a row": {"rows": f"<row>{'<c><v>1</v></c>' * MANY}</row>"},
    "many rows": {"rows": "<row><c><v>1</v></c></row>" * MANY},
    "elements in elements": {"rows": "<row>" * 9 * MANY},
    "one long attribute": {"rows": f'<row r="2" spans="{"a" * 60 * MANY}"/>'},
    "many styles": {"styles": f"<cellXfs>{'<xf/>' * 4 * MANY}</cellXfs>"},
    "many merged cells": {"after": '<mergeCell ref="A2:C1048576"/>' * MANY},
    "many links": {"links": a_link("a", "https://photos.example.com/1.jpg") * (MANY // 4)},
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_file_that_unpacks_to_a_large_one_is_refused_unread(tmp_path: Path, name: str) -> None:
    bomb = a_raw_workbook(tmp_path / "m.xlsx", **BOMBS[name])
    assert bomb.stat().st_size < 400_000
    with little_memory(2), pytest.raises(BadWorkbook, match="200 times its size"):
        run(bomb)


@pytest.mark.parametrize("name", BOMBS)
def test_a_large_file_is_refused_before_it_fills_the_memory(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if it had not been packed so well."""
    monkeypatch.setattr(package, "MAX_RATIO", 10_000)
    monkeypatch.setattr(package, "MAX_ELEMENTS", 100_000)
    bomb = a_raw_workbook(tmp_path / "m.xlsx", **BOMBS[name])
    with little_memory(), pytest.raises(BadWorkbook):
        run(bomb)


def test_one_long_text_in_many_cells_is_refused(tmp_path: Path) -> None:
    """The text is kept once; it would be read and written back for each cell."""
    cell = '<c r="C{0}" t="s"><v>0</v></c>'
    rows = "".join(a_raw_row(n, f"m{n}", cell.format(n)) for n in range(2, 3_000))
    path = a_raw_workbook(tmp_path / "m.xlsx", rows, strings=f"<si><t>{'https://a/b ' * 2_700}</t></si>")
    assert path.stat().st_size < 100_000
    with little_memory(), pytest.raises(BadWorkbook, match="more than 64,000,000 characters of text"):
        run(path)


def test_a_text_longer_than_excel_allows_is_refused(tmp_path: Path) -> None:
    whole = a_raw_row(2, "m1", text_cell("C", 2, "https://a/" + "b" * 32_757))
    assert run(a_raw_workbook(tmp_path / "m.xlsx", whole)).refused == 1
    longer = a_raw_row(2, "m1", text_cell("C", 2, "https://a/" + "b" * 32_758))
    with pytest.raises(BadWorkbook, match="a cell of more than 32,767 characters"):
        run(a_raw_workbook(tmp_path / "m.xlsx", longer))


def test_a_text_of_nothing_but_separators_is_read_in_linear_time(tmp_path: Path) -> None:
    """It took minutes for each cell when every comma was tried as the beginning of a run."""
    rows = "".join(a_raw_row(n, f"m{n}", text_cell("C", n, "," * 32_000 + "x")) for n in range(2, 30))
    assert run(a_raw_workbook(tmp_path / "m.xlsx", rows)).refused == 28


@pytest.mark.parametrize(
    ("module", "limit", "word"),
    [
        (package, "MAX_ELEMENTS", "more than 9 XML elements"),
        (package, "MAX_CELLS", "more than 9 cells"),
        (package, "MAX_CHARACTERS", "more than 9 characters"),
        (sheet, "MAX_STRINGS", "more than 9 different texts"),
        (sheet, "MAX_BLOCKS", "more than 9 merged cells or hyperlinks"),
        (workbook, "MAX_ROWS", "more than 9 rows"),
        (sheet, "_MAX_ROWS_READ", "more than 100,000 rows"),
    ],
)
def test_each_limit_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: object, limit: str, word: str
) -> None:
    rows = "".join(a_raw_row(n, f"m{n}") for n in range(2, 12))
    after = '<mergeCell ref="E1:E2"/>' * 10
    path = a_raw_workbook(tmp_path / "m.xlsx", rows, after, strings="<si><t>a</t></si>" * 10)
    assert run(path).rows == 10
    monkeypatch.setattr(module, limit, 9)
    with pytest.raises(BadWorkbook, match=word):
        run(path)


@pytest.mark.parametrize("ref", ["C2:C1048576", "C:C", "A2:XFD1048576"])
def test_blocks_as_large_as_a_sheet_cost_no_more_than_their_rows(tmp_path: Path, ref: str) -> None:
    rows = "".join(a_raw_row(n, f"m{n}", text_cell("C", n, "보기")) for n in range(2, 1_000))
    many = f'<hyperlink ref="{ref}" r:id="a"/>' * 3_000
    path = a_raw_workbook(tmp_path / "m.xlsx", rows, many, links=a_link("a", "https://a/1.jpg"))
    with pytest.raises(BadWorkbook, match="more than 2,000,000 cells"):
        run(path)


def test_many_empty_rows_are_no_rows(tmp_path: Path) -> None:
    """Excel writes them when somebody formats whole columns by hand."""
    empty = "".join(f'<row r="{n}"><c r="A{n}" s="0"/></row>' for n in range(3, 60_000))
    path = a_raw_workbook(tmp_path / "m.xlsx", a_raw_row(2, "m1") + empty)
    with little_memory():
        assert run(path).rows == 1


@pytest.mark.parametrize("target", ["word/document.xml", "xl/workbook.xml"])
def test_other_files_of_the_same_family_are_refused_in_plain_words(tmp_path: Path, target: str) -> None:
    root = (
        '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship '
        'Id="a" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" '
        f'Target="{target}"/></Relationships>'
    )
    with zipfile.ZipFile(tmp_path / "m.xlsx", "w") as archive:
        archive.writestr("_rels/.rels", root)
        archive.writestr("word/document.xml", "<document/>")
    with pytest.raises(BadWorkbook, match="no Excel workbook: save it"):
        run(tmp_path / "m.xlsx")


def test_a_zip_file_with_a_password_is_refused_in_plain_words(tmp_path: Path) -> None:
    path = a_workbook(tmp_path / "m.xlsx", [a_row("m1")])
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\x01\x02") + 8  # the flags of the first part in the directory
    data[place] |= 1
    path.write_bytes(data)
    with pytest.raises(BadWorkbook, match="a zip file with a password"):
        run(path)


def test_a_part_that_is_packed_otherwise_is_not_unpacked(tmp_path: Path) -> None:
    """The size of LZMA's dictionary is the file's own choice."""
    path = a_workbook(tmp_path / "m.xlsx", [a_row("m1")])
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "n.xlsx", "w", zipfile.ZIP_LZMA) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(BadWorkbook, match="damaged"):
        run(tmp_path / "n.xlsx")
