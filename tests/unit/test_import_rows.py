"""Headers and cells of an Excel file, as people write them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline.verdict import Gender
from worker.importing.columns import Field, NoHeader, field_of, find_columns
from worker.importing.rows import BadRow, member_of, text_of, with_links
from worker.importing.workbook import Row
from worker.store import NewMember

COLUMNS = find_columns(["회원번호", "성별", "갤러리 사진 1", "갤러리 사진 2", "인증사진"])
ONE, TWO, SELFIE = "https://p.example.com/1.jpg", "https://p.example.com/2.jpg", "https://p.example.com/s.jpg"


def row(*values: Any, id_format: str = "") -> Row:
    return Row(7, values, (id_format, *[""] * (len(values) - 1)))


def no_link(number: int, column: int) -> None:
    return None


def member(*values: Any, id_format: str = "") -> NewMember:
    return member_of(row(*values, id_format=id_format), COLUMNS, no_link)


def reasons(*values: Any) -> str:
    with pytest.raises(BadRow) as caught:
        member(*values)
    return str(caught.value)


@pytest.mark.parametrize(
    ("header", "field"),
    [
        *(
            (h, Field.MEMBER_ID)
            for h in (
                *("회원번호", "회원 ID", "회원ID", "사용자 번호", "고객번호"),
                *("member_id", "Member ID", "ID", "userId"),
            )
        ),
        *((h, Field.GENDER) for h in ("성별", "gender", " Sex ")),
        *(
            (h, Field.GALLERY)
            for h in ("갤러리 사진", "갤러리사진 링크", "갤러리 사진(2)", "프로필 사진", "프로필사진 URL")
        ),
        *(
            (h, Field.GALLERY)
            for h in ("gallery", "Gallery Photo Link", "photos", "photo_1", "Photo URL 12", "사진1")
        ),
        *(
            (h, Field.SELFIE)
            for h in ("인증사진", "인증 사진 링크", "셀카", "verification photo", "Selfie_URL", "SELFIE")
        ),
        *((h, Field.CONSENT) for h in ("학습 동의", "AI 학습 동의 여부", "consent")),
        *((h, None) for h in ("비고", "가입일", "name", "번호", "No.", "", "123")),
    ],
)
def test_headers_are_understood_however_they_are_spelled(header: str, field: Field | None) -> None:
    assert field_of(header) is field


def test_columns_may_stand_in_any_order_and_unknown_ones_are_reported() -> None:
    columns = find_columns(["비고", "selfie", "", "photo 1", "가입일", "photo 2", "member_id"])
    assert (columns.member_id, columns.selfie, columns.gallery) == (6, 1, (3, 5))
    assert columns.gender is None
    assert columns.unknown == ("비고", "가입일")


@pytest.mark.parametrize("headers", [["회원번호", "성별"], ["member_id", "photo"], ["selfie", "photos"], []])
def test_a_missing_column_is_named(headers: list[str]) -> None:
    with pytest.raises(NoHeader, match="no column for"):
        find_columns(headers)


def test_two_columns_for_one_thing_are_not_guessed_at() -> None:
    with pytest.raises(NoHeader, match=r"several columns for member ID .*'회원번호', 'ID'"):
        find_columns(["회원번호", "ID", "photo", "selfie"])


def test_a_row_becomes_a_member() -> None:
    expected = NewMember("m-1", Gender.FEMALE, SELFIE, (ONE, TWO))
    assert member("m-1", "여", ONE, TWO, SELFIE) == expected


@pytest.mark.parametrize(
    ("value", "number_format", "member_id"),
    [
        (12345, "General", "12345"),
        (12345.0, "General", "12345"),
        (42, "00000", "00042"),
        (123456, "00000", "123456"),
        (" m1\xa0", "", "m1"),
        ("\u200bm1\ufeff", "", "m1"),
        ("0012", "", "0012"),
        ("12345.0", "", "12345.0"),
        ("'=m1", "", "=m1"),
        ("Ab1", "", "Ab1"),
        (-5, "General", "-5"),
    ],
)
def test_ids_are_read_as_people_see_them(value: object, number_format: str, member_id: str) -> None:
    assert member(value, None, ONE, None, SELFIE, id_format=number_format).member_id == member_id


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (None, "no member ID"),
        ("   ", "no member ID"),
        ("#N/A", "no member ID"),
        (True, "true/false"),
        (datetime(2026, 1, 2, tzinfo=UTC), "is a date"),
        (1.2345678901234567e16, "rounded"),
        (12345678901234567, "rounded"),
        ("홍길동", "ASCII"),
        ("a b", "ASCII"),
        ("x" * 65, "ASCII"),
        (1.5e300, "rounded"),
    ],
)
def test_what_cannot_be_an_id_is_said(value: object, word: str) -> None:
    assert word in reasons(value, None, ONE, None, SELFIE)


@pytest.mark.parametrize(
    ("text", "gender"),
    [
        *((text, Gender.MALE) for text in ("남", "남자", "남성", "M", "male", " Male ")),
        *((text, Gender.FEMALE) for text in ("여", "여자", "여성", "F", "FEMALE")),
        *((text, None) for text in (None, "", "  ")),
    ],
)
def test_genders_are_understood(text: str | None, gender: Gender | None) -> None:
    assert member("m", text, ONE, None, SELFIE).declared_gender is gender


@pytest.mark.parametrize("text", ["?", "1", "남여", "unknown"])
def test_an_unknown_gender_is_not_guessed_at(text: str) -> None:
    assert "성별" in reasons("m", text, ONE, None, SELFIE)


@pytest.mark.parametrize("between", ["\n", "\r\n", ", ", ",", ";", " ; ", "  ", "|", ",\n"])
def test_several_links_may_stand_in_one_cell(between: str) -> None:
    assert member("m", None, f"{ONE}{between}{TWO}{between}", None, SELFIE).photo_urls == (ONE, TWO)


def test_a_comma_inside_of_an_address_is_part_of_it() -> None:
    url = "https://p.example.com/w_200,h_100/1;v=2.jpg"
    assert member("m", None, f"{url},{ONE}", None, SELFIE).photo_urls == (url, ONE)


def test_the_same_link_twice_is_one_photo() -> None:
    assert member("m", None, f"{ONE} {ONE}", ONE, SELFIE).photo_urls == (ONE,)


@pytest.mark.parametrize(
    ("gallery", "selfie", "word"),
    [
        (None, SELFIE, "갤러리 사진 링크가 없습니다"),
        (ONE, None, "인증사진 링크가 없습니다"),
        (ONE, "#REF!", "인증사진 링크가 없습니다"),
        ("사진", SELFIE, "갤러리 사진 칸에"),
        (ONE, "see mail", "인증사진 칸에"),
        (f"{ONE} see mail", SELFIE, "갤러리 사진 칸에"),
        ("ftp://p.example.com/1.jpg", SELFIE, "갤러리 사진 칸에"),
        (ONE, f"{SELFIE} {ONE}", "여러 개"),
        (" ".join(f"https://p.example.com/{n}.jpg" for n in range(21)), SELFIE, "20장"),
        (ONE, "https://p.example.com/" + "x" * 2048, "longer than 2048"),
        ("http://", SELFIE, "링크가 올바르지 않습니다"),
    ],
)
def test_a_missing_or_broken_link_is_said(gallery: str | None, selfie: str | None, word: str) -> None:
    assert word in reasons("m", None, gallery, None, selfie)


def test_all_that_is_wrong_with_a_row_is_said_at_once() -> None:
    said = reasons(None, "?", None, None, None)
    assert all(word in said for word in ("회원번호", "성별", "갤러리", "인증사진"))


def test_the_address_behind_a_cell_counts_where_its_text_is_none() -> None:
    def link(number: int, column: int) -> str | None:
        return {(7, 2): ONE, (7, 4): SELFIE}.get((number, column))

    found = row("m", None, "사진", None, "보기")
    assert member_of(found, COLUMNS, link) == NewMember("m", None, SELFIE, (ONE,))
    assert with_links(found, COLUMNS, link) == ["m", None, ONE, None, SELFIE]


def test_a_visible_address_goes_before_the_one_behind_it() -> None:
    """Excel keeps the old link when somebody types over it."""

    def old_link(number: int, column: int) -> str | None:
        return "https://old.example.com/" if column == 2 else None

    found = member_of(row("m", None, ONE, None, SELFIE), COLUMNS, old_link)
    assert found.photo_urls == (ONE,)


def test_no_cell_at_all_is_an_empty_text() -> None:
    assert [text_of(value) for value in (None, "", " ", 0, 1.5, "#DIV/0!")] == ["", "", "", "0", "1.5", ""]
