"""Rows become members. A member may stand in several rows: they are taken together or not at all.

Were some of a member's rows taken and the others sent back, importing those later would replace the
photos that came with the first. So they go back together, and stand together in the error workbook.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from worker.errors import BadMessage
from worker.importing.cells import Block, Row, Unreadable, listed, text_of
from worker.importing.columns import Columns, Field
from worker.importing.ids import BadId, member_id_in
from worker.importing.parts import GENERAL
from worker.importing.rows import Content, content_of
from worker.jobs.verify_job import MAX_PHOTOS, new_job
from worker.store import NewMember

_ANY_TIME: Final = datetime(2026, 1, 1, tzinfo=UTC)
_OVER_SEVERAL: Final = (
    "사진 칸이 여러 회원에 걸쳐 병합되어 있습니다 (the cell of a photo is merged over several members)"
)
_ABOVE: Final = (
    ". 위 회원의 사진이면 그 회원번호를 적어 주세요 (if it is a photo of the member above, write that ID)"
)


class Refused(Exception):
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

    def refused(self, *reasons: str, own: Mapping[int, Sequence[str]] | None = None) -> Refused:
        """All rows go back: with what is wrong with them together, and with each of its own."""
        own = own or {}
        numbers = listed(row.number for row in self.rows)
        together = f"한 회원의 행은 함께 돌려드립니다: {numbers}행 (a member's rows go together: {numbers})"
        whole = (*reasons, together) if len(self.rows) > 1 else reasons
        return Refused({row.number: _text((*own.get(row.number, ()), *whole)) for row in self.rows})


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
    """The member, and the numbers of rows that show another address than they lead to. Raises Refused."""
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
