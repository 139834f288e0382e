"""Which column is which: where the header is, and what its Korean and English names mean.

A header may stand below titles, in one row or several, and have merged cells.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Final

from worker.importing.cells import Row, Unreadable, text_of
from worker.importing.links import is_address
from worker.importing.sheet import Sheet


class Field(StrEnum):
    """What a column can hold."""

    MEMBER_ID = "member ID (회원번호)"
    GENDER = "gender (성별)"
    GALLERY = "gallery photo (갤러리 사진)"
    SELFIE = "verification photo (인증사진)"
    CONSENT = "training consent (학습 동의)"


PHOTOS: Final = (Field.SELFIE, Field.GALLERY)

_NAMES: Final[Mapping[Field, str]] = {
    Field.MEMBER_ID: """
        회원번호 회원id 회원아이디 회원코드 회원 아이디 id 사용자번호 사용자id 이용자번호 이용자id 고객번호
        memberid member membernumber memberno memberkey userid user usernumber userno
    """,
    Field.GENDER: "성별 회원성별 gender sex declaredgender membergender",
    Field.GALLERY: """
        갤러리사진 갤러리 갤러리이미지 프로필사진 프로필 프로필이미지 사진 회원사진 대표사진
        gallery galleryphoto galleryphotos galleryimage galleryimages photo photos picture pictures
        image images profile profilephoto profilephotos profilepicture profileimage
    """,
    Field.SELFIE: """
        인증사진 인증용사진 인증 인증샷 인증이미지 본인인증사진 본인확인사진 본인사진 얼굴인증사진 셀피 셀카
        selfie selfiephoto selfieimage verification verificationphoto verificationpicture
        verificationimage verifyphoto authphoto
    """,
    Field.CONSENT: """
        학습동의 학습동의여부 학습활용동의 학습활용동의여부 ai학습동의 ai학습동의여부 ai학습활용동의
        trainingconsent consenttotraining consent
    """,
}
_KNOWN: Final = {name: field for field, names in _NAMES.items() for name in names.split()}
_LETTERS: Final = {
    unicodedata.normalize("NFD", name): field for name, field in _KNOWN.items() if len(name) > 1
}
_LONGEST: Final = 100  # characters of a header
_DECORATION: Final = re.compile(r"[\s_\-./·:*#()\[\]]+")
_ENDING: Final = re.compile(r"(?:urls?|links?|링크|주소|경로|\d+|번)$")
REASON: Final = "오류 (reason)"
ROW: Final = "원래 행 (row)"
"""Columns of the workbook that comes back; when it is corrected and imported they are ignored."""
_SEARCHED: Final = 20
"""Titles and notes may stand above the header."""
_MAX_HEADER_ROWS: Final = 3
_MAX_BLOCKS: Final = 2000  # of merged cells that touch the rows searched; more would overlap


@dataclass(frozen=True, slots=True)
class Columns:
    """Where what is, by column number from 0."""

    member_id: int
    selfie: tuple[int, ...]
    gallery: tuple[int, ...]
    gender: int | None
    consent: int | None
    unknown: tuple[str, ...]
    """Headers that were not understood; their cells are left alone."""

    @property
    def photos(self) -> tuple[int, ...]:
        """All columns that may hold a photo."""
        return self.selfie + self.gallery

    @property
    def used(self) -> set[int]:
        """All columns that are read."""
        single = {column for column in (self.gender, self.consent) if column is not None}
        return {self.member_id, *single, *self.photos}


class NoHeader(Exception):
    """The row is no header row; the text says what is missing or double."""


def field_of(header: str) -> Field | None:
    """What a header means; None for one that is not known.

    Case, spaces and punctuation do not count, nor a number or "URL" at the end: `Photo_URL 2` is a
    gallery photo, and so is `갤러리 사진 링크(2)`.
    """
    name = _plain(header)
    while name not in _KNOWN:
        shorter = _ENDING.sub("", name)
        if shorter == name:
            return None
        name = shorter
    return _KNOWN[name]


def near(header: str) -> Field | None:
    """What an unknown header may mean, by its letters: `Galery`, `성벌`."""
    letters = unicodedata.normalize("NFD", _ENDING.sub("", _plain(header)))
    found = get_close_matches(letters, _LETTERS, n=1, cutoff=0.8)
    return _LETTERS[found[0]] if found else None


def _plain(header: str) -> str:
    return _DECORATION.sub("", unicodedata.normalize("NFKC", header[:_LONGEST]).casefold())


def find_columns(headers: Sequence[str]) -> Columns:
    """The columns of a header row. Raises NoHeader."""
    places: dict[Field, list[int]] = {field: [] for field in Field}
    unknown = []
    for place, header in enumerate(headers):
        field = field_of(header)
        if field is not None:
            places[field].append(place)
        elif header and header not in (REASON, ROW):
            unknown.append(header)
    _require(places, headers)
    return Columns(
        member_id=places[Field.MEMBER_ID][0],
        selfie=tuple(places[Field.SELFIE]),
        gallery=tuple(places[Field.GALLERY]),
        gender=next(iter(places[Field.GENDER]), None),
        consent=next(iter(places[Field.CONSENT]), None),
        unknown=tuple(unknown),
    )


def _require(places: Mapping[Field, list[int]], headers: Sequence[str]) -> None:
    optional = (Field.GENDER, Field.CONSENT)
    missing = [field for field, found in places.items() if not found and field not in optional]
    if missing:
        raise NoHeader(f"no column for {', '.join(missing)}")
    for field, found in places.items():
        if len(found) > 1 and field not in PHOTOS:
            double = ", ".join(repr(headers[place]) for place in found)
            raise NoHeader(f"several columns for {field}: {double}")


@dataclass(frozen=True, slots=True)
class Header:
    """The numbers of its first and last row, and the name of each column, empty for none."""

    first: int
    last: int
    names: tuple[str, ...]


def find_header(sheet: Sheet) -> Header:
    """The rows that name most of what is needed; of equals the fewest and highest.

    A row that only numbers the columns below a merged header (`갤러리 사진`: 1, 2, 3) belongs to it.
    """
    grid = _Grid(sheet)
    blocks = [block for first in range(len(grid.rows)) for block in grid.blocks(first)]
    if not blocks:
        return Header(1, 1, ())
    best = max(blocks, key=lambda block: (grid.understood(block), -len(block)))
    longest = [block for block in blocks if block[0] is best[0]][-1]
    if grid.understood(longest) == grid.understood(best):
        best = longest
    return Header(best[0].number, best[-1].number, grid.names(best))


class _Grid:
    """The first rows of a sheet, with merged cells over several columns."""

    def __init__(self, sheet: Sheet) -> None:
        self.rows = sheet.rows[:_SEARCHED]
        last = self.rows[-1].number if self.rows else 0
        touching = [block for block in sheet.merged if block.top <= last and block.left < block.right]
        self._left: dict[tuple[int, int], int] = {}
        """For each cell of a block the block's first column."""
        for block in touching[:_MAX_BLOCKS]:
            numbers = [row.number for row in self.rows if block.top <= row.number <= block.bottom]
            columns = range(block.left, block.right + 1)
            self._left.update({(number, column): block.left for number in numbers for column in columns})
        widths = (len(row.values) for row in self.rows)
        self._width = max((0, *widths, *(column + 1 for _, column in self._left)))

    def blocks(self, first: int) -> list[Sequence[Row]]:
        """The rows that may be a header from this one on, the shortest first."""
        found: list[Sequence[Row]] = [self.rows[first : first + 1]]
        for last in range(first + 1, min(first + _MAX_HEADER_ROWS, len(self.rows))):
            if not self._continues(self.rows[last - 1], self.rows[last]):
                break
            found.append(self.rows[first : last + 1])
        return found

    def understood(self, block: Sequence[Row]) -> int:
        """How many different things the names tell."""
        return len({field for name in self.names(block) if (field := field_of(name))})

    def names(self, block: Sequence[Row]) -> tuple[str, ...]:
        """One for each column, which is understood alone."""
        return tuple(self._name(block, column) for column in range(self._width))

    def _name(self, block: Sequence[Row], column: int) -> str:
        """The lowest text that says something, or all of them, or the one they stand under."""
        texts = [text for row in block if (text := self._text(row, column))]
        if not texts:
            return ""
        whole = " ".join(dict.fromkeys(texts))
        is_own = any(_own(row, column) for row in block)
        for text in (texts[-1], whole):
            field = field_of(text)
            if field and (is_own or field in PHOTOS):
                return text
        above = (text for text in reversed(texts) if field_of(text) in PHOTOS)
        return next(above, whole if is_own else "")

    def _text(self, row: Row, column: int) -> str:
        return _own(row, column) or _own(row, self._left.get((row.number, column), column))

    def _continues(self, above: Row, row: Row) -> bool:
        """Whether the row goes on with the header above it; a member's row never does."""
        if row.number != above.number + 1 or row.links:
            return False
        texts = {column: text for column in range(len(row.values)) if (text := _own(row, column))}
        if any(is_address(text) for text in texts.values()):
            return False
        speaks = {column for column in texts if self._speaks(above, row, column)}
        return bool(speaks) and not any(self._text(above, column) for column in texts.keys() - speaks)

    def _speaks(self, above: Row, row: Row, column: int) -> bool:
        """Whether a cell is a header: by its words, or by what it stands under."""
        text, over = _own(row, column), self._text(above, column)
        if text == over or (above.number, column) in self._left:
            return True
        if text.isdigit():
            return field_of(over) in PHOTOS
        return (field_of(text) or field_of(f"{over} {text}")) is not None


def _own(row: Row, column: int) -> str:
    value = row.value(column)
    return "" if isinstance(value, Unreadable) else " ".join(text_of(value).split())
