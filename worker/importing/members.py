"""Rows become members; what is wrong with a row is said in Korean and English.

A member may stand in several rows. They are taken together or not at all: if some were imported and the
others came back, importing those later would replace the photos of the first.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from pipeline.verdict import Gender
from worker.client.message import MAX_PHOTOS
from worker.errors import BadMessage
from worker.importing.cells import UNKNOWN, Block, Row, Unreadable, listed, text_of
from worker.importing.columns import Columns, Field
from worker.importing.ids import BadId, member_id_in
from worker.importing.links import A_PAGE, NoAddress, addresses_in, is_address, is_page
from worker.importing.sheet import GENERAL
from worker.jobs.verify_job import new_job
from worker.store import NewMember

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
_NAMES: Final = {
    Field.GENDER: {"ko": "성별", "en": "gender"},
    Field.GALLERY: {"ko": "갤러리 사진", "en": "gallery photo"},
    Field.SELFIE: {"ko": "인증사진", "en": "verification photo"},
    Field.CONSENT: {"ko": "학습 동의", "en": "training consent"},
}
_NOT_UNDERSTOOD: Final = {
    Field.GENDER: "성별을 알 수 없습니다: 남/여 또는 male/female (unknown gender)",
    Field.CONSENT: "학습 동의를 알 수 없습니다: 예/아니오 또는 yes/no (unknown training consent)",
}
_ANY_TIME: Final = datetime(2026, 1, 1, tzinfo=UTC)
_OVER_SEVERAL: Final = (
    "사진 칸이 여러 회원에 걸쳐 병합되어 있습니다 (the cell of a photo is merged over several members)"
)
_ABOVE: Final = (
    ". 위 회원의 사진이면 그 회원번호를 적어 주세요 (if it is a photo of the member above, write that ID)"
)


@dataclass(slots=True)
class Content:
    """A row without its member ID; photos in their order, each once."""

    gender: Gender | None = None
    consent: bool | None = None
    """None where the cell is empty: what is known of the member stays."""
    selfies: tuple[str, ...] = ()
    photos: tuple[str, ...] = ()
    problems: list[tuple[Field, str]] = field(default_factory=list)
    """What is wrong with what, in Korean and English."""
    shows_another: bool = False
    """A cell shows another address than it leads to; where it leads was taken."""

    def refuse(self, what: Field, reason: str) -> None:
        """Note what is wrong; once, however many columns it is wrong in."""
        problem = what, _named(what, reason)
        if problem not in self.problems:
            self.problems.append(problem)


@lru_cache(maxsize=64)
def _named(what: Field, reason: str) -> str:
    """One text for all rows: there may be very many."""
    return reason.format(**_NAMES[what])


def content_of(row: Row, columns: Columns) -> Content:
    """All that a row says."""
    found = Content()
    found.gender = _word(row, columns.gender, _GENDERS, Field.GENDER, found)
    found.selfies = _addresses(row, columns.selfie, Field.SELFIE, found)
    found.photos = _addresses(row, columns.gallery, Field.GALLERY, found)
    found.consent = _word(row, columns.consent, _CONSENTS, Field.CONSENT, found)
    return found


def returned(row: Row, columns: Columns) -> list[Any]:
    """The cells as they go back to whoever sent them: with the addresses that lay behind them."""
    values = [value.text if isinstance(value, Unreadable) else value for value in row.values]
    back = Row(row.number, values=values)
    for column in row.links.keys() & set(columns.photos):
        link = row.links[column]
        try:
            back.put(column, "\n".join(addresses_in(text_of(back.value(column)), link)))
        except NoAddress:
            if not link:
                back.put(column, UNKNOWN)  # what is shown must not pass for the address next time
    return back.values


def _addresses(row: Row, columns: tuple[int, ...], what: Field, found: Content) -> tuple[str, ...]:
    addresses: list[str] = []
    for column in columns:
        value, link = row.value(column), row.links.get(column)
        try:
            here = _photos_in(value, link)
        except NoAddress as bad:
            found.refuse(what, str(bad))
            continue
        text = text_of(value)
        found.shows_another |= here == [link] and is_address(text) and text.strip(",;|") != link
        addresses += here
    return tuple(dict.fromkeys(addresses))


def _photos_in(value: Any, link: str | None) -> list[str]:
    """The addresses of photos in a cell. Raises NoAddress."""
    if isinstance(value, Unreadable) and link != "":
        raise NoAddress(value.reason)
    addresses = addresses_in(text_of(value), link)
    if any(is_page(address) for address in addresses):
        raise NoAddress(A_PAGE)
    return addresses


def _word(row: Row, column: int | None, words: Mapping[str, Any], what: Field, found: Content) -> Any:
    """What a word stands for; None for an empty cell or one that is not understood."""
    value = None if column is None else row.value(column)
    if isinstance(value, Unreadable):
        found.refuse(what, value.reason)
        return None
    text = text_of(value).casefold().replace(" ", "")
    if text and text not in words:
        found.refuse(what, _NOT_UNDERSTOOD[what])
    return words.get(text)


class MemberRefused(Exception):
    """A member cannot be taken; ``reasons`` in Korean and English, one text for each row's number."""

    def __init__(self, reasons: Mapping[int, str]) -> None:
        super().__init__("; ".join(dict.fromkeys(reasons.values())))
        self.reasons = reasons


@dataclass(slots=True)
class Entry:
    """The rows of one member, in their order; ``member_id`` is empty where there is none."""

    member_id: str
    rows: list[Row] = field(default_factory=list)
    problems: dict[int, list[str]] = field(default_factory=dict)
    """What is wrong with the ID, or between rows, by the number of the row."""

    def note(self, row: Row, problem: str) -> None:
        """A problem of one of the rows."""
        self.problems.setdefault(row.number, []).append(problem)

    def refused(self, *reasons: str, own: Mapping[int, Sequence[str]] | None = None) -> MemberRefused:
        """All rows go back: with what is wrong with them together, and with each of its own."""
        own = own or {}
        numbers = listed(row.number for row in self.rows)
        together = f"한 회원의 행은 함께 돌려드립니다: {numbers}행 (a member's rows go together: {numbers})"
        whole = (*reasons, together) if len(self.rows) > 1 else reasons
        return MemberRefused({row.number: _text((*own.get(row.number, ()), *whole)) for row in self.rows})


@lru_cache(maxsize=256)
def _text(reasons: tuple[str, ...]) -> str:
    """One text for all rows with the same reasons: there may be very many."""
    return "; ".join(reasons)


def entries_of(rows: Sequence[Row], columns: Columns, merged: Iterable[Block]) -> list[Entry]:
    """The rows by member, in the order of their first rows.

    A row with photos and no member ID may belong to the member above it, who then waits for it.
    """
    known: dict[str, Entry] = {}
    by_row: list[Entry] = []
    for row in rows:
        try:
            member_id = _member_id(row, columns)
            entry = known.setdefault(member_id, Entry(member_id))
        except BadId as bad:
            goes_on = bool(by_row) and _goes_on(row, by_row[-1].rows[0], columns)
            entry = by_row[-1] if goes_on else Entry("")
            entry.note(row, str(bad) + _ABOVE * goes_on)
        entry.rows.append(row)
        by_row.append(entry)
    photos = [block for block in merged if block.bottom > block.top and block.left in columns.photos]
    _note_shared(rows, by_row, photos)
    return list({id(entry): entry for entry in by_row}.values())


def _member_id(row: Row, columns: Columns) -> str:
    column = columns.member_id
    return member_id_in(row.value(column), row.formats.get(column, GENERAL))


def _goes_on(row: Row, first: Row, columns: Columns) -> bool:
    """Whether a row whose ID cannot be known has gallery photos and no verification photo of its own."""
    member_id = row.value(columns.member_id)
    if not isinstance(member_id, Unreadable) and text_of(member_id):
        return False
    has_photos = any(row.value(column) or column in row.links for column in columns.gallery)
    return has_photos and set(content_of(row, columns).selfies) <= set(content_of(first, columns).selfies)


def _note_shared(rows: Sequence[Row], by_row: Sequence[Entry], photos: Iterable[Block]) -> None:
    numbers = [row.number for row in rows]
    for block in photos:
        found = range(bisect_left(numbers, block.top), bisect_right(numbers, block.bottom))
        if len({id(by_row[index]) for index in found}) > 1:
            for index in found:
                by_row[index].note(rows[index], _OVER_SEVERAL)


def member_of(entry: Entry, columns: Columns) -> tuple[NewMember, list[int]]:
    """The member, and the numbers of rows that show another address than they lead to.

    Raises MemberRefused.
    """
    contents = {row.number: content_of(row, columns) for row in entry.rows}
    own = {
        number: [*entry.problems.get(number, ()), *(problem for _, problem in one.problems)]
        for number, one in contents.items()
    }
    member, wrong = _joined(entry.member_id, list(contents.values()))
    if wrong or any(own.values()):
        raise entry.refused(*wrong, own=own)
    try:
        _check(member)
    except BadMessage as bad:
        raise entry.refused(f"링크가 올바르지 않습니다 ({bad.text})") from None
    return member, [number for number, one in contents.items() if one.shows_another]


def _joined(member_id: str, contents: Sequence[Content]) -> tuple[NewMember, list[str]]:
    """The rows as one member, and what is wrong with them together."""
    genders = {one.gender for one in contents if one.gender}
    consents = {one.consent for one in contents if one.consent is not None}
    selfies = list(dict.fromkeys(url for one in contents for url in one.selfies))
    photos = tuple(dict.fromkeys(url for one in contents for url in one.photos))
    broken = {what for one in contents for what, _ in one.problems}
    member = NewMember(
        member_id=member_id,
        declared_gender=next(iter(genders), None),
        selfie_url=next(iter(selfies), ""),
        photo_urls=photos,
        training_consent=next(iter(consents), None),
    )
    wrong = (
        (len(genders) > 1, "성별이 행마다 다릅니다 (the rows differ in gender)"),
        (
            not selfies and Field.SELFIE not in broken,
            "인증사진 링크가 없습니다 (no verification photo link)",
        ),
        (len(selfies) > 1, "인증사진 링크가 여러 개입니다 (several verification photo links)"),
        (not photos and Field.GALLERY not in broken, "갤러리 사진 링크가 없습니다 (no gallery photo link)"),
        (
            len(photos) > MAX_PHOTOS,
            f"갤러리 사진이 {MAX_PHOTOS}장을 넘습니다 (more than {MAX_PHOTOS} gallery photos)",
        ),
        (len(consents) > 1, "학습 동의가 행마다 다릅니다 (the rows differ in training consent)"),
    )
    return member, [reason for is_so, reason in wrong if is_so]


def _check(member: NewMember) -> None:
    """By the rules of a message, which it will become. Raises BadMessage."""
    new_job(
        request_id="import",
        member_id=member.member_id,
        selfie_url=member.selfie_url,
        photo_urls=member.photo_urls,
        declared_gender=member.declared_gender,
        requested_at=_ANY_TIME,
    )
