"""A row becomes a member, or the reasons why not, in the words of those who have to mend it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any, Final

from pipeline.verdict import Gender
from worker.errors import BadMessage
from worker.identifiers import is_identifier
from worker.importing.columns import Columns
from worker.importing.workbook import Row
from worker.messages import MAX_PHOTOS, new_job
from worker.store import NewMember

Links = Callable[[int, int], str | None]
"""The address behind a cell: row as Excel counts, column from 0."""

_GENDERS: Final = {
    **dict.fromkeys(("남", "남자", "남성", "m", "male", "man"), Gender.MALE),
    **dict.fromkeys(("여", "여자", "여성", "f", "female", "woman"), Gender.FEMALE),
}
_CONSENTS: Final = {
    **dict.fromkeys(("y", "yes", "true", "1", "o", "on", "예", "네", "동의", "동의함"), True),
    **dict.fromkeys(
        ("n", "no", "false", "0", "x", "off", "아니오", "아니요", "미동의", "비동의", "동의안함"), False
    ),
}
_EXCEL_ERRORS: Final = frozenset(
    ("#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!", "#SPILL!", "#CALC!")
)
_INVISIBLE: Final = dict.fromkeys((0xFEFF, 0x200B, 0x200C, 0x200D, 0x2060))
_ESCAPED: Final = re.compile(r"^'(?=[=+\-@\t\r])")
_ADDRESS: Final = re.compile(r"https?://", re.IGNORECASE)
_BETWEEN: Final = re.compile(r"\s+|[,;|]+(?=https?://)", re.IGNORECASE)
"""Commas and semicolons may belong to an address; where they part two, another one follows."""
_EXACT: Final = 10**15  # Excel keeps fifteen digits of a number
_ANY_TIME: Final = datetime(2026, 1, 1, tzinfo=UTC)


class BadRow(Exception):
    """The row is no member; each of ``reasons`` says what to mend, in Korean and English."""

    def __init__(self, *reasons: str) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


def member_of(row: Row, columns: Columns, link: Links) -> NewMember:
    """The member in a row. Raises BadRow with everything that is wrong with it."""
    reasons: list[str] = []
    member = NewMember(
        member_id=_member_id(row, columns.member_id, reasons),
        declared_gender=_gender(row, columns.gender, reasons),
        selfie_url=_selfie(row, columns.selfie, link, reasons),
        photo_urls=_gallery(row, columns.gallery, link, reasons),
        training_consent=_consent(row, columns.consent, reasons),
    )
    if reasons:
        raise BadRow(*reasons)
    return _checked(member)


def with_links(row: Row, columns: Columns, link: Links) -> list[Any]:
    """The cells as they go back to whoever sent them: with the addresses that lay behind them."""
    values = list(row.values)
    for column in (columns.selfie, *columns.gallery):
        if not _ADDRESS.match(text_of(values[column])):
            values[column] = link(row.number, column) or values[column]
    return values


def text_of(value: Any) -> str:
    """What a cell says, without invisible signs and without the apostrophe of an escaped text."""
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return str(int(value))
    text = str("" if value is None else value).translate(_INVISIBLE).replace("\xa0", " ").strip()
    return "" if text in _EXCEL_ERRORS else _ESCAPED.sub("", text)


def _member_id(row: Row, column: int, reasons: list[str]) -> str:
    value, text = row.values[column], text_of(row.values[column])
    if not text:
        reasons.append("회원번호가 없습니다 (no member ID)")
    elif isinstance(value, bool | date):
        reasons.append("회원번호 칸이 날짜나 참/거짓입니다 (the member ID is a date or true/false)")
    elif isinstance(value, int | float) and abs(value) >= _EXACT:
        reasons.append(
            "회원번호가 15자리를 넘어 엑셀이 숫자를 바꾸었습니다. 셀 서식을 '텍스트'로 바꾸고 "
            "다시 입력해 주세요 (Excel has rounded the member ID: make the cell a text and type it again)"
        )
    elif not is_identifier(padded := _padded(value, text, row.formats[column])):
        reasons.append(
            "회원번호는 공백 없는 영문·숫자·기호 1~64자여야 합니다 "
            "(the member ID must be 1 to 64 ASCII characters without spaces)"
        )
    else:
        return padded
    return ""


def _padded(value: Any, text: str, number_format: str) -> str:
    """A number that is shown with zeros in front (format `00000`) has them."""
    if isinstance(value, int | float) and re.fullmatch(r"0{2,64}", number_format):
        return text.zfill(len(number_format))
    return text


def _gender(row: Row, column: int | None, reasons: list[str]) -> Gender | None:
    text = "" if column is None else text_of(row.values[column])
    if not text:
        return None
    gender = _GENDERS.get(text.casefold())
    if gender is None:
        reasons.append("성별을 알 수 없습니다: 남/여 또는 male/female (unknown gender)")
    return gender


def _consent(row: Row, column: int | None, reasons: list[str]) -> bool | None:
    """None where the cell is empty: what is known of the member stays."""
    text = "" if column is None else text_of(row.values[column])
    if not text:
        return None
    consent = _CONSENTS.get(text.casefold().replace(" ", ""))
    if consent is None:
        reasons.append("학습 동의를 알 수 없습니다: 예/아니오 또는 yes/no (unknown training consent)")
    return consent


def _selfie(row: Row, column: int, link: Links, reasons: list[str]) -> str:
    urls = _urls(row, column, link)
    if urls is None:
        reasons.append("인증사진 칸에 링크가 아닌 글자가 있습니다 (the verification photo is no link)")
    elif not urls:
        reasons.append("인증사진 링크가 없습니다 (no verification photo link)")
    elif len(urls) > 1:
        reasons.append("인증사진 링크가 여러 개입니다 (several verification photo links)")
    else:
        return urls[0]
    return ""


def _gallery(row: Row, columns: tuple[int, ...], link: Links, reasons: list[str]) -> tuple[str, ...]:
    found = [_urls(row, column, link) for column in columns]
    urls = tuple(dict.fromkeys(url for cell in found for url in cell or ()))
    if None in found:
        reasons.append("갤러리 사진 칸에 링크가 아닌 글자가 있습니다 (a gallery photo is no link)")
    elif not urls:
        reasons.append("갤러리 사진 링크가 없습니다 (no gallery photo link)")
    elif len(urls) > MAX_PHOTOS:
        reasons.append(f"갤러리 사진이 {MAX_PHOTOS}장을 넘습니다 (more than {MAX_PHOTOS} gallery photos)")
    return urls


def _urls(row: Row, column: int, link: Links) -> list[str] | None:
    """The addresses in a cell, in its text or behind it; None for a text that is none."""
    text = text_of(row.values[column])
    if not _ADDRESS.match(text):
        text = link(row.number, column) or text
    parts = [part.strip(",;|") for part in _BETWEEN.split(text)]
    urls = [part for part in parts if part]
    return urls if all(_ADDRESS.match(url) for url in urls) else None


def _checked(member: NewMember) -> NewMember:
    """By the rules of a message, which it will become. Raises BadRow."""
    try:
        new_job(
            request_id="import",
            member_id=member.member_id,
            selfie_url=member.selfie_url,
            photo_urls=member.photo_urls,
            declared_gender=member.declared_gender,
            requested_at=_ANY_TIME,
        )
    except BadMessage as bad:
        raise BadRow(f"링크가 올바르지 않습니다 ({bad.text})") from None
    return member
