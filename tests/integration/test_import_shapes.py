"""Excel files as people make them: each photo and ID is read whole, or its row comes back with a reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from openpyxl.worksheet.worksheet import Worksheet

from support.bundle import ROOT
from support.sheets import (
    HEADERS,
    a_link,
    a_raw_row,
    a_raw_workbook,
    a_row,
    a_workbook,
    cells_of,
    photo,
    text_cell,
)
from worker.importing.run import Report, import_workbook
from worker.store import Change, Store

CASES = ROOT.parent / "shared" / "cases" / "queue"


def run(path: Path, store: Store | None = None, **options: Any) -> Report:
    return import_workbook(
        path, store.members if store else None, errors_file=path.with_suffix(".errors.xlsx"), **options
    )


def refused(path: Path) -> dict[int, str]:
    """The reasons of the rows that came back, by their numbers."""
    return {row[1]: row[0] for row in cells_of(path.with_suffix(".errors.xlsx"))[1:]}


def photos(store: Store, member_id: str) -> tuple[str, ...]:
    member = store.members.find(member_id)
    assert member is not None
    return member.photo_urls


def a_sheet(path: Path, rows: Sequence[Sequence[Any]], change: Callable[[Worksheet], None]) -> Path:
    """A workbook whose sheet was worked on after its rows were filled in."""
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    for row in rows:
        sheet.append(list(row))
    change(sheet)
    book.save(path)
    return path


def merging(*blocks: str) -> Callable[[Worksheet], None]:
    def change(sheet: Worksheet) -> None:
        for block in blocks:
            sheet.merge_cells(block)

    return change


# Headers


def test_a_header_that_is_merged_over_several_columns_names_them_all(store: Store, tmp_path: Path) -> None:
    rows: list[list[Any]] = [
        ["회원번호", "갤러리 사진", None, None, "인증사진"],
        ["m1", photo(1, 1), photo(1, 2), photo(1, 3), photo(1, "selfie")],
        ["m2", photo(2, 1), None, photo(2, 3), photo(2, "selfie")],
    ]
    run(a_sheet(tmp_path / "m.xlsx", rows, merging("B1:D1")), store)
    assert photos(store, "m1") == (photo(1, 1), photo(1, 2), photo(1, 3))
    assert photos(store, "m2") == (photo(2, 1), photo(2, 3))


TWO_ROWS: dict[str, tuple[list[Any], list[Any], list[str]]] = {
    "numbers below": (
        ["회원번호", "성별", "갤러리 사진", None, "인증사진"],
        [None, None, 1, 2, None],
        ["C1:D1"],
    ),
    "numbers below, merged down": (
        ["회원번호", "성별", "갤러리 사진", None, "인증사진"],
        [None, None, 1, 2, None],
        ["C1:D1", "A1:A2", "B1:B2", "E1:E2"],
    ),
    "words below": (
        ["회원번호", "성별", "사진 링크", None, None],
        [None, None, "갤러리1", "갤러리2", "인증"],
        ["C1:E1", "A1:A2", "B1:B2"],
    ),
    "groups above": (
        ["회원 정보", None, "사진", None, None],
        ["회원번호", "성별", "대표", "추가", "인증사진"],
        ["A1:B1", "C1:E1"],
    ),
    "other words below": (
        ["회원", None, "갤러리 사진", None, "인증사진"],
        ["번호", "성별", "정면", "측면", "링크"],
        ["A1:B1", "C1:D1"],
    ),
    "nothing merged": (
        ["회원번호", "성별", "갤러리 사진", None, None],
        [None, None, "갤러리 1", "갤러리 2", "인증사진"],
        [],
    ),
}


@pytest.mark.parametrize("case", TWO_ROWS)
@pytest.mark.parametrize("title", [[], [["2026년 11월 가입 회원"]]])
def test_a_header_of_two_rows_is_read_as_one(
    store: Store, tmp_path: Path, case: str, title: list[list[str]]
) -> None:
    upper, lower, blocks = TWO_ROWS[case]
    data = [["m1", "여", photo(1, 1), photo(1, 2), photo(1, "s")], ["m2", "?", *[photo(2, n) for n in "12s"]]]
    moved = [block.replace("2", "3").replace("1", "2") for block in blocks] if title else blocks
    path = a_sheet(tmp_path / "m.xlsx", [*title, upper, lower, *data], merging(*moved))
    report = run(path, store)
    assert (report.rows, report.changes) == (2, {Change.CREATED: 1})
    assert photos(store, "m1") == (photo(1, 1), photo(1, 2))
    assert list(refused(path)) == [4 + len(title)]


@pytest.mark.parametrize("case", TWO_ROWS)
def test_what_comes_back_from_below_two_header_rows_can_be_imported(
    store: Store, tmp_path: Path, case: str
) -> None:
    upper, lower, blocks = TWO_ROWS[case]
    row = ["m1", "?", photo(1, 1), photo(1, 2), photo(1, "s")]
    path = a_sheet(tmp_path / "m.xlsx", [upper, lower, row], merging(*blocks))
    run(path, store)
    errors = path.with_suffix(".errors.xlsx")
    book = openpyxl.load_workbook(errors)
    book.worksheets[0]["D2"] = "여"
    book.save(errors)
    assert run(errors, store).changes == {Change.CREATED: 1}
    assert photos(store, "m1") == (photo(1, 1), photo(1, 2))


def test_rows_that_were_taken_for_a_header_are_named(tmp_path: Path) -> None:
    upper, lower, _ = TWO_ROWS["numbers below"]
    report = run(a_sheet(tmp_path / "m.xlsx", [["회원"], upper, lower], merging("C2:D2")))
    assert report.warnings == ["Rows 2 to 3 were read as one header"]


@pytest.mark.parametrize(
    "row",
    [
        [None, "여", "없음", None, None],
        ["m1", None, "사진", None, "인증"],
        [1001, None, 1, 2, None],
        [None, None, photo(1, 1), None, None],
    ],
)
def test_a_row_of_a_member_is_never_taken_for_a_header(tmp_path: Path, row: list[Any]) -> None:
    rows = [["회원번호", "성별", "갤러리 사진", None, "인증사진"], row]
    report = run(a_sheet(tmp_path / "m.xlsx", rows, merging("C1:D1")))
    assert (report.rows, report.refused) == (1, 1)


def test_columns_that_were_not_read_are_named(tmp_path: Path) -> None:
    rows: list[list[Any]] = [
        ["회원번호", "성벌", "사진1", None, "인증사진", "비고", None],
        ["m1", "여", photo(1, 1), photo(1, 2), photo(1, 3), "see " + photo(1, 4), photo(1, 5)],
    ]
    report = run(a_workbook(tmp_path / "m.xlsx", rows[1:], rows[0]))
    assert (report.rows, report.refused) == (1, 0)
    assert report.warnings == [
        "There is no column for the gender: none is taken as declared",
        "Columns left alone: 성벌, 비고",
        "If column '성벌' is meant as gender (성별), correct its header: it was left alone",
        "Links in column D (no header) were not taken: 1 rows",
        "Links in column G (no header) were not taken: 1 rows",
    ]


def test_columns_beyond_the_last_one_read_are_named(tmp_path: Path) -> None:
    path = a_workbook(tmp_path / "m.xlsx", [[*a_row("m1"), *[None] * 96, photo(1, 2)]])
    assert "What stands beyond column CV was not read" in run(path).warnings


# A member in several rows


def test_one_photo_in_each_of_several_merged_rows(store: Store, tmp_path: Path) -> None:
    rows: list[Sequence[Any]] = [
        HEADERS,
        ["m1", "여", photo(1, 1), photo(1, "selfie")],
        [None, None, photo(1, 2), None],
        [None, None, photo(1, 3), None],
        a_row("m2"),
    ]
    report = run(a_sheet(tmp_path / "m.xlsx", rows, merging("A2:A4", "B2:B4", "D2:D4")), store)
    assert (report.rows, report.refused, report.changes) == (4, 0, {Change.CREATED: 2})
    assert photos(store, "m1") == (photo(1, 1), photo(1, 2), photo(1, 3))
    assert photos(store, "m2") == (photo("m2", 1),)
    assert report.warnings == [
        "Rows of members who stand in several rows; their photos were put together: 2, 3, 4"
    ]


def test_a_number_that_is_merged_over_rows_keeps_its_format_and_link(store: Store, tmp_path: Path) -> None:
    def change(sheet: Worksheet) -> None:
        sheet["A2"].number_format = "00000"
        sheet["D2"].hyperlink = photo(1, "selfie")
        merging("A2:A3", "D2:D3")(sheet)

    rows: list[Sequence[Any]] = [HEADERS, [42, "여", photo(1, 1), "인증"], [None, "여", photo(1, 2), None]]
    run(a_sheet(tmp_path / "m.xlsx", rows, change), store)
    assert photos(store, "00042") == (photo(1, 1), photo(1, 2))


def test_a_photo_that_is_merged_over_two_members_is_not_given_to_either(tmp_path: Path) -> None:
    rows: list[Sequence[Any]] = [HEADERS, a_row("m1"), ["m2", "여", photo(2, 1), None], a_row("m3")]
    path = a_sheet(tmp_path / "m.xlsx", rows, merging("D2:D3"))
    assert run(path).refused == 2
    assert all("merged over several members" in reason for reason in refused(path).values())


def test_a_value_hidden_in_a_merged_cell_is_not_dropped(tmp_path: Path) -> None:
    """Excel deletes it when cells are merged; other programs leave it in the file."""
    rows = a_raw_row(2, "m1") + a_raw_row(3, "m1", selfie=text_cell("D", 3, photo("m1", "old")))
    after = '<mergeCells><mergeCell ref="A2:A3"/><mergeCell ref="D2:D3"/></mergeCells>'
    path = a_raw_workbook(tmp_path / "m.xlsx", rows, after)
    assert run(path).refused == 2
    assert "another value is hidden in the merged verification photo" in refused(path)[3]


def test_rows_that_lie_apart_are_one_member(store: Store, tmp_path: Path) -> None:
    rows = [["m1", "여", photo(1, 2), photo(1, "s")], a_row("m2"), ["m1", None, photo(1, 1), None]]
    report = run(a_workbook(tmp_path / "m.xlsx", rows), store)
    assert (report.rows, report.changes) == (3, {Change.CREATED: 2})
    assert photos(store, "m1") == (photo(1, 2), photo(1, 1))


def test_the_rows_of_a_member_come_back_together_and_are_imported_together(
    store: Store, tmp_path: Path
) -> None:
    """Were the good ones taken at once, the mended one would replace their photos later."""
    rows = [
        ["m1", "여", photo(1, 1), photo(1, "s")],
        a_row("m2"),
        ["m1", "여", "see mail", None],
        ["m1", "여", photo(1, 3), None],
    ]
    path = a_workbook(tmp_path / "m.xlsx", rows)
    assert run(path, store).changes == {Change.CREATED: 1}
    assert list(refused(path)) == [2, 4, 5]
    assert store.members.find("m1") is None
    errors = path.with_suffix(".errors.xlsx")
    book = openpyxl.load_workbook(errors)
    assert book.worksheets[0]["E3"].value == "see mail"
    book.worksheets[0]["E3"] = photo(1, 2)
    book.save(errors)
    run(errors, store)
    assert photos(store, "m1") == (photo(1, 1), photo(1, 2), photo(1, 3))


# Cells


def test_formulas_without_results_and_error_values_are_never_empty(tmp_path: Path) -> None:
    broken = {
        "<c r='C2'><f>B2</f></c>": "the formula of the gallery photo has no stored result",
        "<c r='C2'><f>B2</f><v></v></c>": "the formula of the gallery photo has no stored result",
        "<c r='C2' t='e'><v>#N/A</v></c>": "an Excel error value in place of the gallery photo",
        "<c r='C2' t='e'><f>B2</f><v>#REF!</v></c>": "an Excel error value in place of the gallery photo",
        "<c r='C2'><v>nan</v></c>": "an Excel error value in place of the gallery photo",
        text_cell("C", 2, "#N/A"): "an Excel error value in place of the gallery photo",
        "<c r='C2' t='d'><v>2026-01-02</v></c>": "the gallery photo is a date",
        "<c r='C2'><v>46000</v></c>": "the gallery photo is no link",
        "<c r='C2' t='b'><v>1</v></c>": "the gallery photo is no link",
        "<c r='C2' t='str'><f>B2</f><v></v></c>": "no gallery photo link",
    }
    for cell, reason in broken.items():
        path = a_raw_workbook(tmp_path / "m.xlsx", a_raw_row(2, "m1", gallery=cell))
        assert run(path).refused == 1, cell
        assert reason in refused(path)[2], cell
        again = run(path.with_suffix(".errors.xlsx"))
        assert again.refused == 1, f"{cell} was taken when it came again"


def test_errors_in_any_column_are_said(tmp_path: Path) -> None:
    rows = [
        ["#N/A", "여", photo(1, 1), photo(1, 2)],
        ["m2", "#N/A", photo(2, 1), photo(2, 2)],
        ["m3", "여", photo(3, 1), "#VALUE!"],
    ]
    path = a_workbook(tmp_path / "m.xlsx", rows)
    run(path)
    assert [reason.split("(")[1] for reason in refused(path).values()] == [
        "an Excel error value in place of the member ID)",
        "an Excel error value in place of the gender)",
        "an Excel error value in place of the verification photo)",
    ]


def test_a_formula_with_a_stored_result_is_its_result(store: Store, tmp_path: Path) -> None:
    cell = f'<c r="C2" t="str"><f>"https:"&amp;B9</f><v>{photo("m1", 7)}</v></c>'
    run(a_raw_workbook(tmp_path / "m.xlsx", a_raw_row(2, "m1", gallery=cell)), store)
    assert photos(store, "m1") == (photo("m1", 7),)


def formula(row: int, text: str, shown: str, more: str = "") -> str:
    escaped = text.replace("&", "&amp;")
    return f'<c r="C{row}" t="str"><f {more}>{escaped}</f><v>{shown}</v></c>'


def test_a_hyperlink_formula_is_taken_whole_or_refused(store: Store, tmp_path: Path) -> None:
    computed = 'HYPERLINK("https://photos.example.com/"&A3&"/1.jpg","사진")'
    rows = [
        a_raw_row(2, "m2", formula(2, f'HYPERLINK("{photo(2, 1)}","사진")', "사진")),
        a_raw_row(3, "m3", formula(3, computed, "사진", 't="shared" ref="C3:C4" si="0"')),
        a_raw_row(4, "m4", formula(4, "", photo(4, 1), 't="shared" si="0"')),
        a_raw_row(5, "m5", formula(5, 'HYPERLINK("https://photos.example.com/"&A5)', photo(5, 1))),
    ]
    path = a_raw_workbook(tmp_path / "m.xlsx", "".join(rows))
    assert run(path, store).changes == {Change.CREATED: 2}
    assert (photos(store, "m2"), photos(store, "m5")) == ((photo(2, 1),), (photo(5, 1),))
    assert list(refused(path)) == [3, 4]
    assert all("a formula computes the link" in reason for reason in refused(path).values())
    assert run(path.with_suffix(".errors.xlsx"), store).refused == 2


def test_a_cell_is_where_it_leads_and_the_text_in_its_place_is_said(store: Store, tmp_path: Path) -> None:
    after = (
        '<hyperlinks><hyperlink ref="C2" r:id="a"/><hyperlink ref="C3" r:id="b"/>'
        '<hyperlink ref="C4:C5" r:id="a" location="top"/><hyperlink ref="D2" location="Sheet2!A1"/>'
        "</hyperlinks>"
    )
    rows = "".join(
        a_raw_row(number, f"m{number}", text_cell("C", number, text))
        for number, text in ((2, photo("m2", "old")), (3, photo("m3", 1)), (4, "보기"), (5, "보기"))
    )
    links = a_link("a", photo("m", "new")) + a_link("b", photo("m3", 1))
    report = run(a_raw_workbook(tmp_path / "m.xlsx", rows, after, links=links), store)
    assert photos(store, "m2") == (photo("m", "new"),)
    assert photos(store, "m3") == (photo("m3", 1),)
    assert photos(store, "m4") == photos(store, "m5") == (photo("m", "new") + "#top",)
    assert "Rows show another address than they lead to; where they lead was taken: 2" in report.warnings


def test_links_to_pages_for_sharing_come_back_with_their_address(tmp_path: Path) -> None:
    pages = [
        "https://drive.google.com/file/d/1abc/view",
        "https://www.dropbox.com/s/abc/1.jpg?dl=0",
        "https://naver.me/abc",
    ]
    path = a_workbook(tmp_path / "m.xlsx", [[f"m{n}", "여", url, photo(n, 1)] for n, url in enumerate(pages)])
    assert run(path).refused == 3
    assert all("opens a page for sharing" in reason for reason in refused(path).values())
    assert [row[4] for row in cells_of(path.with_suffix(".errors.xlsx"))[1:]] == pages


def test_escapes_of_the_file_format_are_undone(store: Store, tmp_path: Path) -> None:
    cell = text_cell("C", 2, f"{photo(1, 1)}_x000D_\n{photo(1, 2)}_x000d_")
    literal = text_cell("C", 3, "https://photos.example.com/_x005F_x0041_.jpg")
    strings = "<si><r><t>m1_x000D_</t></r><rPh><t>ID</t></rPh></si>"
    rows = (
        f'<row r="2"><c r="A2" t="s"><v>0</v></c>{cell}{text_cell("D", 2, photo(1, "s"))}</row>'
        + a_raw_row(3, "m2", literal)
        + a_raw_row(4, "m_x0041_3", text_cell("C", 4, "_xD83D__x0000_"))
    )
    path = a_raw_workbook(tmp_path / "m.xlsx", rows, strings=strings)
    assert run(path, store).changes == {Change.CREATED: 2}
    assert photos(store, "m1") == (photo(1, 1), photo(1, 2))
    assert photos(store, "m2") == ("https://photos.example.com/_x0041_.jpg",)
    assert cells_of(path.with_suffix(".errors.xlsx"))[1][2] == "mA3"


def test_ids_come_as_they_are_shown_and_go_back_as_they_came(store: Store, tmp_path: Path) -> None:
    codes = ['"M-"00000', "0000-0000", "#,##0", "yyyy-mm-dd", "0.00E+00"]

    def change(sheet: Worksheet) -> None:
        for number, code in enumerate(codes, 2):
            sheet.cell(number, 1).number_format = code

    rows = [HEADERS, *[a_row(44_000 + n) for n in range(len(codes))]]
    path = a_sheet(tmp_path / "m.xlsx", rows, change)
    assert run(path, store).changes == {Change.CREATED: 2}
    assert [one.member_id for one in store.pending.members()] == ["0004-4001", "M-44000"]
    assert list(refused(path)) == [4, 5, 6]
    assert list(refused_again(path)) == [2, 3, 4]


def refused_again(path: Path) -> dict[int, str]:
    errors = path.with_suffix(".errors.xlsx")
    run(errors)
    return refused(errors)


# Sheets and rows


def test_hidden_rows_are_read_and_named(tmp_path: Path) -> None:
    rows = a_raw_row(2, "m1") + a_raw_row(3, "m2", attributes='hidden="1"') + a_raw_row(4, "m3")
    report = run(a_raw_workbook(tmp_path / "m.xlsx", rows))
    assert (report.rows, report.refused) == (3, 0)
    assert "Rows that are hidden or filtered out in Excel were read like the others: 3" in report.warnings


@pytest.mark.parametrize(
    ("states", "read"),
    [(("visible", "visible"), "one"), (("hidden", "visible"), "two"), (("hidden", "veryHidden"), "one")],
)
def test_one_sheet_is_read_and_the_others_are_named(
    tmp_path: Path, states: tuple[str, str], read: str
) -> None:
    book = openpyxl.Workbook()
    book.worksheets[0].title = "cover"
    for name, state in zip(("one", "two"), states, strict=True):
        sheet = book.create_sheet(name)
        sheet.append(list(HEADERS))
        sheet.append(a_row(name))
        sheet.sheet_state = state
    book.save(tmp_path / "m.xlsx")
    report = run(tmp_path / "m.xlsx")
    assert (report.sheet, report.rows) == (read, 1)
    others = [name for name in ("cover", "one", "two") if name != read]
    assert report.warnings[0] == f"Read was sheet {read!r} only; there are also: {', '.join(others)}"
    assert any("is hidden" in warning for warning in report.warnings) is ("visible" not in states)


@pytest.mark.parametrize("claim", ["A1", "A1:A1", "A1:XFD1048576", "nonsense"])
def test_what_a_sheet_says_of_its_size_does_not_count(tmp_path: Path, claim: str) -> None:
    steps: list[tuple[int, int | None]] = []
    path = a_raw_workbook(tmp_path / "m.xlsx", "".join(a_raw_row(n, f"m{n}") for n in range(2, 300)))
    with_claim = a_raw_workbook(tmp_path / "n.xlsx", sheet=_with_claim(path, claim))
    run(with_claim, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(200, 298), (298, 298)]


def _with_claim(path: Path, claim: str) -> str:
    import zipfile

    xml = zipfile.ZipFile(path).read("xl/sheet.xml").decode()
    return xml.replace("<sheetData>", f'<dimension ref="{claim}"/><sheetData>')


def test_other_programs_write_the_same_file_otherwise(store: Store, tmp_path: Path) -> None:
    """With a prefix for each element, no addresses of cells, and the strict variant's names."""
    rows = "".join(f"<x:row>{_prefixed(values)}</x:row>" for values in (HEADERS, a_row("m1"), a_row("m2")))
    strict = "http://purl.oclc.org/ooxml/spreadsheetml/main"
    sheet = f'<x:worksheet xmlns:x="{strict}"><x:sheetData>{rows}</x:sheetData></x:worksheet>'
    run(a_raw_workbook(tmp_path / "m.xlsx", sheet=sheet), store)
    assert photos(store, "m2") == (photo("m2", 1),)


def _prefixed(values: Sequence[str]) -> str:
    return "".join(f'<x:c t="inlineStr"><x:is><x:t>{value}</x:t></x:is></x:c>' for value in values)


@pytest.mark.skipif(not CASES.is_dir(), reason="the shared cases are not here")
@pytest.mark.parametrize("path", sorted(CASES.glob("*.xlsx")), ids=lambda path: path.stem)
def test_workbooks_out_of_bug_reports_lose_no_photo_in_silence(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes())
    report = run(copy)
    expected = {"01": (2, 0, 0), "03": (3, 0, 1), "05": (4, 4, 0), "06": (14, 3, 0), "08": (3, 0, 0)}
    seen = (report.rows, report.refused, len(report.warnings))
    assert seen == expected.get(path.stem[:2], (1, 0, 2))
