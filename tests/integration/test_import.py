"""Members come out of real Excel files into real databases; what is wrong comes back."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from pipeline.verdict import Gender
from support.sheets import HEADERS, a_row, a_workbook, cells_of, photo, rewritten
from worker.clock import utc_now
from worker.importing import workbook
from worker.importing.error_workbook import CannotWrite
from worker.importing.package import MAX_FILE_BYTES, BadWorkbook
from worker.importing.run import Report, import_workbook
from worker.store import Change, MemberRecord, Store

SHEET = "xl/worksheets/sheet1.xml"


def run(path: Path, store: Store | None, **options: Any) -> Report:
    return import_workbook(
        path, store.members if store else None, errors_file=path.with_suffix(".errors.xlsx"), **options
    )


def known(store: Store, member_id: str) -> MemberRecord:
    found = store.members.find(member_id)
    assert found is not None
    return found


def refused(path: Path) -> list[tuple[Any, ...]]:
    """The rows that came back, without the header."""
    return cells_of(path.with_suffix(".errors.xlsx"))[1:]


# What goes in


def test_members_are_written_down_and_wait_for_a_request(store: Store, tmp_path: Path) -> None:
    report = run(a_workbook(tmp_path / "m.xlsx", [a_row("m1"), a_row("m2", "남")]), store)
    assert report.changes == {Change.CREATED: 2}
    assert (report.rows, report.refused, report.errors_file) == (2, 0, None)
    member = known(store, "m2")
    assert (member.declared_gender, member.selfie_url) == (Gender.MALE, photo("m2", "selfie"))
    assert member.photo_urls == (photo("m2", 1),)
    assert [one.member_id for one in store.pending.members()] == ["m1", "m2"]


def test_a_bad_row_comes_back_with_its_reason_and_stops_no_other(store: Store, tmp_path: Path) -> None:
    rows = [a_row("m1"), [None, "여", photo(9, 1), photo(9, 2)], ["m2", "?", "", ""], a_row("m3")]
    path = a_workbook(tmp_path / "m.xlsx", rows)
    report = run(path, store)
    assert report.changes == {Change.CREATED: 2}
    assert report.refused == 2
    assert report.errors_file == path.with_suffix(".errors.xlsx")
    first, second = refused(path)
    assert first == ("회원번호가 없습니다 (no member ID)", 3, None, "여", photo(9, 1), photo(9, 2))
    assert second[0].count(";") == 2
    assert second[1:4] == (4, "m2", "?")


def test_the_rows_that_came_back_can_be_corrected_and_imported(store: Store, tmp_path: Path) -> None:
    path = a_workbook(tmp_path / "m.xlsx", [["m1", "?", photo(1, 1), photo(1, 2)]])
    run(path, store)
    errors = path.with_suffix(".errors.xlsx")
    book = openpyxl.load_workbook(errors)
    book.worksheets[0]["D2"] = "남"
    book.save(errors)
    report = run(errors, store)
    assert report.changes == {Change.CREATED: 1}
    assert report.columns.unknown == ()


def test_a_second_import_tells_what_changed(store: Store, tmp_path: Path) -> None:
    run(a_workbook(tmp_path / "1.xlsx", [a_row("m1"), a_row("m2"), a_row("m3")]), store)
    store.pending.enqueue("bulk", utc_now())
    changed = ["m2", "여", f"{photo('m2', 1)} {photo('m2', 2)}", photo("m2", "selfie")]
    report = run(
        a_workbook(tmp_path / "2.xlsx", [a_row("m1"), changed, a_row("m3", "남"), a_row("m4")]), store
    )
    assert report.changes == {Change.UNCHANGED: 1, Change.CHANGED: 2, Change.CREATED: 1}
    assert [one.member_id for one in store.pending.members()] == ["m2", "m3", "m4"]
    assert known(store, "m2").photo_urls == (photo("m2", 1), photo("m2", 2))


def test_a_dry_run_says_the_same_and_writes_nothing(store: Store, tmp_path: Path) -> None:
    run(a_workbook(tmp_path / "1.xlsx", [a_row("m1"), a_row("m2")]), store)
    path = a_workbook(tmp_path / "2.xlsx", [a_row("m1"), a_row("m2", "남"), a_row("m3"), a_row(None)])
    report = run(path, store, dry_run=True)
    assert report.changes == {Change.UNCHANGED: 1, Change.CHANGED: 1, Change.CREATED: 1}
    assert [(row.number, row.reason) for row in report.refused_rows] == [
        (5, "회원번호가 없습니다 (no member ID)")
    ]
    assert report.errors_file is None
    assert not path.with_suffix(".errors.xlsx").exists()
    assert known(store, "m2").declared_gender is Gender.FEMALE
    assert store.members.find("m3") is None


def test_a_member_who_was_erased_stays_erased(store: Store, tmp_path: Path) -> None:
    path = a_workbook(tmp_path / "m.xlsx", [a_row("m1"), a_row("m2")])
    run(path, store)
    store.members.forget("m1", utc_now())
    report = run(path, store)
    assert report.changes == {Change.FORGOTTEN: 1, Change.UNCHANGED: 1}
    [row] = refused(path)
    assert row[1:3] == (2, "m1")
    assert "삭제된 회원번호" in row[0]
    assert "was erased" in row[0]
    assert store.members.find("m1") is None
    assert run(path, store, dry_run=True).changes == {Change.FORGOTTEN: 1, Change.UNCHANGED: 1}


def test_consent_to_training_comes_with_the_list_and_verifies_nobody_again(
    store: Store, tmp_path: Path
) -> None:
    headers = [*HEADERS, "학습 동의"]
    run(a_workbook(tmp_path / "1.xlsx", [[*a_row("m1"), "예"], [*a_row("m2"), ""]], headers), store)
    assert [known(store, m).training_consent for m in ("m1", "m2")] == [True, False]
    store.pending.enqueue("bulk", utc_now())
    rows = [[*a_row("m1"), ""], [*a_row("m2"), "O"], [*a_row("m3"), "perhaps"]]
    path = a_workbook(tmp_path / "2.xlsx", rows, headers)
    for dry_run in (True, False):
        report = run(path, store, dry_run=dry_run)
        assert report.changes == {Change.UNCHANGED: 1, Change.CHANGED: 1}
    assert [known(store, m).training_consent for m in ("m1", "m2")] == [True, True]
    assert store.pending.members() == []
    assert "unknown training consent" in refused(path)[0][0]


def test_rows_that_contradict_each_other_are_not_taken(store: Store, tmp_path: Path) -> None:
    path = a_workbook(tmp_path / "m.xlsx", [a_row("m1", "여"), a_row("m2"), a_row("m1", "남")])
    report = run(path, store)
    assert report.changes == {Change.CREATED: 1}
    assert [row[1:3] for row in refused(path)] == [(2, "m1"), (4, "m1")]
    assert all("the rows differ in gender" in row[0] for row in refused(path))
    assert store.members.find("m1") is None


def test_ids_that_differ_only_in_case_are_two_members_and_a_warning(store: Store, tmp_path: Path) -> None:
    report = run(a_workbook(tmp_path / "m.xlsx", [a_row("Ab1"), a_row("ab1", "남")]), store)
    assert report.changes == {Change.CREATED: 2}
    assert "Rows 2 and 3: Ab1 and ab1 differ only in case" in report.warnings[0]
    assert known(store, "Ab1").declared_gender is Gender.FEMALE
    assert known(store, "ab1").declared_gender is Gender.MALE


def test_ids_that_differ_in_zeros_in_front_are_two_members_and_a_warning(tmp_path: Path) -> None:
    report = run(a_workbook(tmp_path / "m.xlsx", [a_row("0042"), a_row(42)]), None)
    assert "0042 and 42 differ only in case or zeros in front" in report.warnings[0]


def test_a_file_of_several_batches_comes_in_whole(store: Store, tmp_path: Path) -> None:
    """With a bad row in each of them; the numbers tell how far it is."""
    rows = [a_row(None if n % 100 == 7 else 10_000 + n) for n in range(450)]
    steps: list[tuple[int, int]] = []
    report = run(
        a_workbook(tmp_path / "m.xlsx", rows), store, progress=lambda done, total: steps.append((done, total))
    )
    assert (report.changes, report.refused) == ({Change.CREATED: 445}, 5)
    assert store.reports.status(utc_now()).members == 445
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    assert {total for _, total in steps} == {450}
    assert steps[-1][0] == 450


def test_an_import_that_broke_off_is_simply_run_again(store: Store, tmp_path: Path) -> None:
    run(a_workbook(tmp_path / "half.xlsx", [a_row(n) for n in range(1, 4)]), store)
    report = run(a_workbook(tmp_path / "whole.xlsx", [a_row(n) for n in range(1, 6)]), store)
    assert report.changes == {Change.UNCHANGED: 3, Change.CREATED: 2}


# What files look like


def test_the_header_may_stand_below_titles_and_on_a_later_sheet(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.worksheets[0].append(["표지"])
    book.create_sheet("메모").sheet_state = "hidden"
    sheet = book.create_sheet("회원 명단")
    for row in (
        ["2026년 11월 가입 회원"],
        [],
        ["메모", *HEADERS],
        [None, *a_row("m1")],
        [],
        [1, *a_row("m2")],
    ):
        sheet.append(row)
    book.save(tmp_path / "m.xlsx")
    report = run(tmp_path / "m.xlsx", None)
    assert (report.sheet, report.rows, report.refused) == ("회원 명단", 2, 0)
    assert report.columns.unknown == ("메모",)
    assert report.other_sheets == ("Sheet", "메모")


def test_links_may_lie_behind_their_cells(store: Store, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.append(HEADERS)
    sheet.append(["m1", "여", "보기", "보기"])
    sheet["C2"].hyperlink = photo("m1", 1)
    sheet["D2"].hyperlink = photo("m1", "selfie")
    sheet.append(["m2", "?", "보기", f'=HYPERLINK("{photo("m2", "selfie")}", "보기")'])
    sheet["C3"].hyperlink = photo("m2", 1)
    book.save(tmp_path / "m.xlsx")
    report = run(tmp_path / "m.xlsx", store)
    assert report.changes == {Change.CREATED: 1}
    assert known(store, "m1").photo_urls == (photo("m1", 1),)
    assert known(store, "m1").selfie_url == photo("m1", "selfie")
    ((reason, *_, gallery, selfie),) = refused(tmp_path / "m.xlsx")
    assert reason == "성별을 알 수 없습니다: 남/여 또는 male/female (unknown gender)"
    assert (gallery, selfie) == (photo("m2", 1), photo("m2", "selfie"))


def test_no_formula_comes_back_as_a_formula(tmp_path: Path) -> None:
    """Whoever opens the rejected rows must not run what somebody wrote into the file."""
    evil = ['=HYPERLINK("http://evil.example.com")', "+1+1", "-2", "@SUM(A1)", "\t=1"]
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.append([*HEADERS, "=비고"])
    sheet["E1"].data_type = "s"
    for text in evil:
        sheet.append([None, None, None, None, text])
        sheet.cell(sheet.max_row, 5).data_type = "s"
    book.save(tmp_path / "m.xlsx")
    run(tmp_path / "m.xlsx", None)
    back = openpyxl.load_workbook(tmp_path / "m.errors.xlsx").worksheets[0]
    cells = [cell for row in back.iter_rows() for cell in row if cell.value is not None]
    assert not [cell for cell in cells if cell.data_type == "f"]
    assert not [cell for cell in cells if str(cell.value).startswith(("=", "+", "-", "@", "\t"))]
    assert {f"'{text}" for text in evil} <= {cell.value for cell in cells}


# What is refused


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "no Excel workbook"),
        (b"member_id,selfie\nm1,https://a\n", r"\.csv"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), r"\.xls file, or one with a password"),
        (b"PK\x03\x04" + bytes(60), "damaged"),
        (b"<html><table>", "no Excel workbook"),
    ],
)
def test_what_is_no_xlsx_is_refused_in_plain_words(tmp_path: Path, content: bytes, word: str) -> None:
    (tmp_path / "m.xlsx").write_bytes(content)
    with pytest.raises(BadWorkbook, match=word):
        run(tmp_path / "m.xlsx", None)


@pytest.mark.parametrize(
    ("part", "word"), [("xl/workbook.bin", "xlsb"), ("mimetype", "ods"), ("readme.txt", "no Excel")]
)
def test_other_zip_files_are_refused_in_plain_words(tmp_path: Path, part: str, word: str) -> None:
    with zipfile.ZipFile(tmp_path / "m.xlsx", "w") as archive:
        archive.writestr(part, "x")
    with pytest.raises(BadWorkbook, match=word):
        run(tmp_path / "m.xlsx", None)


def test_a_file_that_is_not_there_is_refused_in_plain_words(tmp_path: Path) -> None:
    with pytest.raises(BadWorkbook, match="cannot be read"):
        run(tmp_path / "none.xlsx", None)


@pytest.mark.parametrize("headers", [("이름", "전화"), ("회원번호", "성별", "갤러리 사진"), ()])
def test_a_file_without_our_columns_says_what_it_has_and_lacks(
    tmp_path: Path, headers: tuple[str, ...]
) -> None:
    path = a_workbook(tmp_path / "m.xlsx", [], headers)
    with pytest.raises(BadWorkbook, match=r"no column for .*인증사진") as caught:
        run(path, None)
    assert all(repr(header) in str(caught.value) for header in headers)


@pytest.mark.parametrize("where", [0.3, 0.6, 0.9])
def test_a_damaged_file_is_refused_in_plain_words(tmp_path: Path, where: float) -> None:
    path = a_workbook(tmp_path / "m.xlsx", [a_row(n) for n in range(300)])
    cut = bytearray(path.read_bytes())
    middle = int(len(cut) * where)
    cut[middle : middle + 200] = bytes(200)
    path.write_bytes(cut)
    with pytest.raises(BadWorkbook):
        run(path, None)


@pytest.mark.parametrize("cut", [b"<broken", b""])
def test_of_a_file_that_is_damaged_at_its_end_nothing_is_taken(
    store: Store, tmp_path: Path, cut: bytes
) -> None:
    path = a_workbook(tmp_path / "m.xlsx", [a_row(n) for n in range(1, 500)])

    def broken_off(xml: bytes) -> bytes:
        start = xml.replace(b"<sheetData>", b'<dimension ref="A1:D500"/><sheetData>')  # as Excel writes it
        return start[: len(start) * 3 // 4] + cut

    broken = rewritten(path, SHEET, broken_off)
    with pytest.raises(BadWorkbook, match="damaged"):
        run(broken, store)
    assert store.reports.status(utc_now()).members == 0


@pytest.mark.parametrize("part", [SHEET, "xl/workbook.xml", "xl/styles.xml"])
def test_an_entity_bomb_is_refused(tmp_path: Path, part: str) -> None:
    path = a_workbook(tmp_path / "m.xlsx", [a_row("m1")])
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    bomb = f'<!DOCTYPE x [<!ENTITY l0 "ha">{laughs}]>'.encode()

    def with_bomb(xml: bytes) -> bytes:
        start = xml.find(b"?>") + 2 if xml.startswith(b"<?xml") else 0
        return xml[:start] + bomb + xml[start:].replace(b">", b">&l9;", 1)

    with pytest.raises(BadWorkbook, match="damaged"):
        run(rewritten(path, part, with_bomb), None)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = a_workbook(tmp_path / "m.xlsx", [a_row("m1")])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("xl/big.xml", "w") as part:
        for _ in range(201):
            part.write(bytes(1 << 20))
    with pytest.raises(BadWorkbook, match="when unpacked"):
        run(path, None)


def test_a_file_too_large_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "m.xlsx"
    with path.open("wb") as file:
        file.write(b"PK\x03\x04")
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(BadWorkbook, match="split the file"):
        run(path, None)


def test_too_many_rows_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "MAX_ROWS", 3)
    path = a_workbook(tmp_path / "m.xlsx", [a_row(n) for n in range(1, 4)])
    assert run(path, None).rows == 3
    with pytest.raises(BadWorkbook, match="more than 3 rows"):
        run(a_workbook(tmp_path / "n.xlsx", [a_row(n) for n in range(1, 5)]), None)


def test_a_place_where_the_rejected_rows_cannot_go_is_said(tmp_path: Path) -> None:
    path = a_workbook(tmp_path / "m.xlsx", [a_row(None)])
    with pytest.raises(CannotWrite, match="cannot be written"):
        import_workbook(path, None, errors_file=tmp_path / "none" / "errors.xlsx")
