"""Which column is which: Korean and English headers, however they are spelled."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Final


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
    def taken(self) -> set[int]:
        """All columns that are read."""
        single = {column for column in (self.gender, self.consent) if column is not None}
        return {self.member_id, *single, *self.photos}


REASON: Final = "오류 (reason)"
ROW: Final = "원래 행 (row)"
"""Columns of the workbook that comes back; when it is mended and imported they are left alone."""


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
    """What an unknown header may have been meant for, by its letters: `Galery`, `성벌`."""
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
