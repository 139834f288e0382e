"""The scenarios of the demo, one member each, with the verdicts that they must get."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import openpyxl

from pipeline.verdict import Gender, Reason, Status


@dataclass(frozen=True, slots=True)
class Scenario:
    """A member: what is declared, which files are sent, what must come of it.

    A file that is not in the photo folder is a dead link.
    """

    member_id: str
    situation: str
    declared: Gender
    selfie: str
    photos: tuple[str, ...]
    expected: tuple[Status, Reason]


_MALE, _FEMALE = Gender.MALE, Gender.FEMALE
SCENARIOS: Final = (
    Scenario(
        *("m-1001", "The same person", _MALE, "obama2.jpg", ("obama.jpg", "obama3.jpg")),
        expected=(Status.APPROVED, Reason.SAME_PERSON),
    ),
    Scenario(
        *("m-1002", "Another person", _MALE, "biden.jpg", ("obama.jpg",)),
        expected=(Status.REVIEW, Reason.DIFFERENT_PERSON),
    ),
    Scenario(
        *("m-1003", "No face in the selfie", _FEMALE, "chelsea.png", ("astronaut.png",)),
        expected=(Status.RETRY_PHOTO, Reason.SELFIE_NO_FACE),
    ),
    Scenario(
        *("m-1004", "Only a group photo", _MALE, "obama.jpg", ("group.jpg",)),
        expected=(Status.RETRY_PHOTO, Reason.NO_SOLO_PHOTO),
    ),
    Scenario(
        *("m-1005", "Only a dead link", _MALE, "obama.jpg", ("gone.jpg",)),
        expected=(Status.RETRY_PHOTO, Reason.NO_USABLE_PHOTO),
    ),
    Scenario(
        *("m-1006", "A group, then a solo", _MALE, "obama2.jpg", ("group.jpg", "obama.jpg")),
        expected=(Status.APPROVED, Reason.SAME_PERSON),
    ),
    Scenario(
        *("m-1007", "Declared as a woman", _FEMALE, "obama.jpg", ("obama3.jpg",)),
        expected=(Status.REVIEW, Reason.GENDER_CONFLICT),
    ),
    Scenario(
        *("m-1008", "A picture, sent twice", _FEMALE, "astronaut.png", ("astronaut.png",)),
        expected=(Status.REVIEW, Reason.SAME_PICTURE),
    ),
    Scenario(
        *("m-1009", "A picture, saved anew", _MALE, "obama2.jpg", ("32bit.png",)),
        expected=(Status.REVIEW, Reason.SAME_PICTURE),
    ),
)

_OBAMA: Final = "obama.jpg"
FOR_THE_CONSOLE: Final = (
    Scenario(
        *("m-2001", "A second photo of another person", _MALE, "obama2.jpg", ("obama3.jpg", "biden.jpg")),
        expected=(Status.REVIEW, Reason.DIFFERENT_PERSON),
    ),
    Scenario(
        *("m-2002", "A sampled approval", _MALE, "obama3.jpg", (_OBAMA,)),
        expected=(Status.REVIEW, Reason.BLIND_AUDIT),
    ),
    Scenario(
        *("m-2003", "A man's selfie, a woman's photo", _FEMALE, "biden.jpg", ("astronaut.png",)),
        expected=(Status.REVIEW, Reason.DIFFERENT_PERSON),
    ),
    Scenario(
        *("m-2004", "Another picture, saved anew", _MALE, "32bit.png", ("obama2.jpg", _OBAMA)),
        expected=(Status.REVIEW, Reason.SAME_PICTURE),
    ),
    Scenario(
        *(
            "m-2005",
            "Three photos, the last of another",
            _MALE,
            _OBAMA,
            ("obama2.jpg", "obama3.jpg", "biden.jpg"),
        ),
        expected=(Status.REVIEW, Reason.DIFFERENT_PERSON),
    ),
    Scenario(
        *("m-2006", "A sampled approval with a group", _MALE, _OBAMA, ("obama2.jpg", "group.jpg")),
        expected=(Status.REVIEW, Reason.BLIND_AUDIT),
    ),
    Scenario(
        *("m-2007", "Declared as a woman, two photos", _FEMALE, "obama2.jpg", (_OBAMA, "obama3.jpg")),
        expected=(Status.REVIEW, Reason.GENDER_CONFLICT),
    ),
    Scenario(
        *("m-2008", "A woman's selfie, a man's photo", _FEMALE, "astronaut.png", ("biden.jpg",)),
        expected=(Status.REVIEW, Reason.DIFFERENT_PERSON),
    ),
)
"""Members whom people must look at; their approvals are sampled for the blind audit, all of them."""
OBJECTS: Final = "m-1004"
"""The member who does not agree with the machine, and asks for a person."""


def write_workbook(path: Path, base_url: str, scenarios: Sequence[Scenario] = SCENARIOS) -> None:
    """The Excel file as a company would hand it over, with Korean headers and several photo columns."""
    width = max(len(scenario.photos) for scenario in scenarios)
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("회원")
    sheet.append(["회원번호", "성별", "인증사진 링크", *(f"갤러리사진{i} 링크" for i in range(1, width + 1))])
    for scenario in scenarios:
        gender = "남" if scenario.declared is Gender.MALE else "여"
        sheet.append(
            [
                scenario.member_id,
                gender,
                *(f"{base_url}/{name}" for name in (scenario.selfie, *scenario.photos)),
            ]
        )
    book.save(path)
