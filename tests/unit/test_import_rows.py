"""Headers and cells of an Excel file, as people write them."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.verdict import Gender
from worker.importing.cells import Row, Unreadable, text_of
from worker.importing.columns import Field, NoHeader, field_of, find_columns, near
from worker.importing.members import MemberRefused, entries_of, member_of, returned
from worker.store import NewMember

COLUMNS = find_columns(["회원번호", "성별", "갤러리 사진 1", "갤러리 사진 2", "인증사진"])
ONE, TWO, SELFIE = "https://p.example.com/1.jpg", "https://p.example.com/2.jpg", "https://p.example.com/s.jpg"


def row(*values: Any, **options: Any) -> Row:
    return Row(7, values=list(values), **options)


def member_in(*rows: Row) -> NewMember:
    (entry,) = entries_of(rows, COLUMNS, ())
    return member_of(entry, COLUMNS)[0]


def member(*values: Any) -> NewMember:
    return member_in(row(*values))


def reasons(*values: Any) -> str:
    with pytest.raises(MemberRefused) as caught:
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
    assert (columns.member_id, columns.selfie, columns.gallery) == (6, (1,), (3, 5))
    assert columns.gender is None
    assert columns.unknown == ("비고", "가입일")


@pytest.mark.parametrize("headers", [["회원번호", "성별"], ["member_id", "photo"], ["selfie", "photos"], []])
def test_a_missing_column_is_named(headers: list[str]) -> None:
    with pytest.raises(NoHeader, match="no column for"):
        find_columns(headers)


def test_two_columns_for_one_thing_are_not_guessed_at() -> None:
    with pytest.raises(NoHeader, match=r"several columns for member ID .*'회원번호', 'ID'"):
        find_columns(["회원번호", "ID", "photo", "selfie"])


def test_two_columns_for_the_verification_photo_hold_one_of_each_member() -> None:
    columns = find_columns(["id", "photo", "selfie 1", "selfie 2"])
    assert columns.selfie == (2, 3)
    row_of_two = Row(2, values=["m", ONE, SELFIE, TWO])
    (entry,) = entries_of([row_of_two], columns, ())
    with pytest.raises(MemberRefused, match="several verification photo links"):
        member_of(entry, columns)


@pytest.mark.parametrize(
    ("header", "field"),
    [
        *(("Galery", Field.GALLERY), ("겔러리 사진 2", Field.GALLERY), ("memer_id", Field.MEMBER_ID)),
        *(("성벌", Field.GENDER), ("인증시진 링크", Field.SELFIE)),
        *((header, None) for header in ("비고", "이름", "전화번호", "가입일", "phone", "status")),
    ],
)
def test_a_misspelt_header_is_suggested_another_one_is_not(header: str, field: Field | None) -> None:
    assert field_of(header) is None
    assert near(header) is field


def test_a_row_becomes_a_member() -> None:
    expected = NewMember("m-1", Gender.FEMALE, SELFIE, (ONE, TWO))
    assert member("m-1", "여", ONE, TWO, SELFIE) == expected


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
        (ONE, Unreadable("{ko} 칸에 오류 ({en})", "#REF!"), "인증사진 칸에 오류 (verification photo)"),
        (Unreadable("{ko} 칸에 오류 ({en})", "#REF!"), SELFIE, "갤러리 사진 칸에 오류 (gallery photo)"),
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


def test_a_cell_leads_where_its_link_does() -> None:
    found = row("m", None, "사진", None, "보기", links={2: ONE, 4: SELFIE})
    assert member_in(found) == NewMember("m", None, SELFIE, (ONE,))
    assert returned(found, COLUMNS) == ["m", None, ONE, None, SELFIE]


def test_an_address_that_is_shown_in_place_of_another_is_not_taken() -> None:
    found = row("m", None, ONE, None, SELFIE, links={2: TWO})
    (entry,) = entries_of([found], COLUMNS, ())
    assert member_of(entry, COLUMNS) == (NewMember("m", None, SELFIE, (TWO,)), [7])
    assert returned(found, COLUMNS) == ["m", None, TWO, None, SELFIE]


def test_a_link_that_a_formula_computes_does_not_come_back_as_what_it_shows() -> None:
    found = row("m", None, ONE, None, SELFIE, links={2: ""})
    with pytest.raises(MemberRefused, match="a formula computes the link of the gallery photo"):
        member_in(found)
    assert returned(found, COLUMNS) == ["m", None, "#VALUE!", None, SELFIE]


# A member in several rows


def rows(*cells: Any) -> list[Row]:
    return [Row(number, values=list(values)) for number, values in enumerate(cells, 2)]


def refused(*cells: Any) -> dict[int, str]:
    found: dict[int, str] = {}
    for entry in entries_of(rows(*cells), COLUMNS, ()):
        try:
            member_of(entry, COLUMNS)
        except MemberRefused as bad:
            found.update(bad.reasons)
    return found


def test_the_photos_of_several_rows_are_one_gallery_in_their_order() -> None:
    found = member_in(
        *rows(["m", "여", TWO, None, SELFIE], ["m", None, ONE, None, None], ["m", "F", TWO, None, SELFIE])
    )
    assert found == NewMember("m", Gender.FEMALE, SELFIE, (TWO, ONE))


@pytest.mark.parametrize(
    ("second", "word"),
    [
        (["m", "남", TWO, None, SELFIE], "differ in gender"),
        (["m", "여", TWO, None, TWO], "several verification photo links"),
        (["m", "여", "see mail", None, SELFIE], "gallery photo is no link"),
        (["m", "여", " ".join(f"{ONE}?{n}" for n in range(20)), None, None], "more than 20"),
        (["m", "여", f"{TWO}?{'x' * 2048}", None, None], "longer than 2048"),
    ],
)
def test_rows_of_a_member_that_do_not_fit_together_are_refused_together(second: list[Any], word: str) -> None:
    found = refused(["m", "여", ONE, None, SELFIE], second, ["n", "여", ONE, None, SELFIE])
    assert found.keys() == {2, 3}
    assert word in found[3]
    assert all("a member's rows go together: 2, 3" in reason for reason in found.values())


@pytest.mark.parametrize("selfie", [None, SELFIE])
@pytest.mark.parametrize("member_id", [None, " ", Unreadable("{en} is an error", "#N/A")])
def test_photos_without_an_id_keep_the_member_above_them_waiting(member_id: Any, selfie: str | None) -> None:
    """They may be more of that member's; taken later, alone, they would replace the first ones."""
    found = refused(
        ["m", "여", ONE, None, SELFIE], [member_id, None, TWO, None, selfie], [*"n여", ONE, "", TWO]
    )
    assert found.keys() == {2, 3}
    assert "member ID" in found[3]


@pytest.mark.parametrize("member_id", ["회원", 1.5, "n"])
def test_a_row_with_an_id_of_its_own_keeps_nobody_else_waiting(member_id: object) -> None:
    assert refused(["m", "여", ONE, None, SELFIE], [member_id, None, TWO, None, None]).keys() == {3}


def test_a_whole_row_without_an_id_is_a_member_of_its_own() -> None:
    assert refused(["m", "여", ONE, None, SELFIE], [None, "남", ONE, None, TWO]).keys() == {3}


def test_no_cell_at_all_is_an_empty_text() -> None:
    assert [text_of(value) for value in (None, "", " ", 0, 1.5, 2.0)] == ["", "", "", "0", "1.5", "2"]
