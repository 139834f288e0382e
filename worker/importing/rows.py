"""What a row says of a member, and all that is wrong with it, in the words of those who have to mend it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from pipeline.verdict import Gender
from worker.importing.cells import UNKNOWN, Row, Unreadable, text_of
from worker.importing.columns import Columns, Field
from worker.importing.links import A_PAGE, NoAddress, addresses_in, is_address, is_page

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
