"""The members of the demo: each stands for one situation, and each has the verdict that it must get."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import openpyxl

from pipeline.verdict import Gender, Reason, Status


@dataclass(frozen=True, slots=True)
class Role:
    """A member: what is declared, which files are sent, what must come of it.

    A file that is not in the photo folder is a dead link.
    """

    member_id: str
    story: str
    declared: Gender
    selfie: str
    photos: tuple[str, ...]
    expected: tuple[Status, Reason]


_HE, _SHE = Gender.MALE, Gender.FEMALE
CAST: Final = (
    Role(
        *("m-1001", "The same person", _HE, "obama2.jpg", ("obama.jpg", "obama3.jpg")),
        expected=(Status.APPROVED, Reason.SAME_PERSON),
    ),
    Role(
        *("m-1002", "Another person", _HE, "biden.jpg", ("obama.jpg",)),
        expected=(Status.REVIEW, Reason.DIFFERENT_PERSON),
    ),
    Role(
        *("m-1003", "No face in the selfie", _SHE, "chelsea.png", ("astronaut.png",)),
        expected=(Status.RETRY_PHOTO, Reason.SELFIE_NO_FACE),
    ),
    Role(
        *("m-1004", "Only a group photo", _HE, "obama.jpg", ("group.jpg",)),
        expected=(Status.RETRY_PHOTO, Reason.NO_SOLO_PHOTO),
    ),
    Role(
        *("m-1005", "Only a dead link", _HE, "obama.jpg", ("gone.jpg",)),
        expected=(Status.RETRY_PHOTO, Reason.NO_USABLE_PHOTO),
    ),
    Role(
        *("m-1006", "A group, then a solo", _HE, "obama2.jpg", ("group.jpg", "obama.jpg")),
        expected=(Status.APPROVED, Reason.SAME_PERSON),
    ),
    Role(
        *("m-1007", "Declared as a woman", _SHE, "obama.jpg", ("obama3.jpg",)),
        expected=(Status.REVIEW, Reason.GENDER_CONFLICT),
    ),
    Role(
        *("m-1008", "A picture, sent twice", _SHE, "astronaut.png", ("astronaut.png",)),
        expected=(Status.REVIEW, Reason.SAME_PICTURE),
    ),
    Role(
        *("m-1009", "A picture, saved anew", _HE, "obama2.jpg", ("32bit.png",)),
        expected=(Status.REVIEW, Reason.SAME_PICTURE),
    ),
)


def write_workbook(path: Path, base_url: str, cast: Sequence[Role] = CAST) -> None:
    """The Excel file as a company would hand it over, with Korean headers and several photo columns."""
    most = max(len(role.photos) for role in cast)
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("회원")
    sheet.append(["회원번호", "성별", "인증사진 링크", *(f"갤러리사진{i} 링크" for i in range(1, most + 1))])
    for role in cast:
        gender = "남" if role.declared is Gender.MALE else "여"
        sheet.append(
            [role.member_id, gender, *(f"{base_url}/{name}" for name in (role.selfie, *role.photos))]
        )
    book.save(path)
