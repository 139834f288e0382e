"""Why a person decides as they do, in words of what a reviewer sees; apart from the machine's reasons.

Of a photo that the member is asked to replace the reason also says what the member reads about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from pipeline.verdict import Outcome
from worker.results.texts import Both, Language, another_photo_text


class ReviewReason(StrEnum):
    """What a reviewer sees; a stable code."""

    SAME_PERSON = "same_person"
    OTHERS_ARE_HARMLESS = "others_are_harmless"
    OTHER_PERSON = "other_person"
    COPIED_PHOTO = "copied_photo"
    SCREEN_OR_PRINT = "screen_or_print"
    MADE_UP = "made_up"
    FACE_NOT_SHOWN = "face_not_shown"
    FACE_COVERED = "face_covered"
    FACE_TURNED = "face_turned"
    FACE_TOO_SMALL = "face_too_small"
    TOO_BLURRED = "too_blurred"
    TOO_DARK = "too_dark"
    TOO_BRIGHT = "too_bright"
    SEVERAL_PEOPLE = "several_people"
    TOO_EDITED = "too_edited"
    CANNOT_TELL = "cannot_tell"
    MEMBER_IS_KNOWN = "member_is_known"
    OTHER = "other"
    """The note says what."""


FOR_APPROVAL: Final = frozenset(
    {ReviewReason.SAME_PERSON, ReviewReason.OTHERS_ARE_HARMLESS, ReviewReason.OTHER}
)
FOR_REJECTION: Final = frozenset(
    {
        *(ReviewReason.OTHER_PERSON, ReviewReason.COPIED_PHOTO, ReviewReason.SCREEN_OR_PRINT),
        *(ReviewReason.MADE_UP, ReviewReason.OTHER),
    }
)
_SHOWS: Final[Mapping[ReviewReason, Outcome]] = {
    ReviewReason.FACE_NOT_SHOWN: Outcome.NO_FACE,
    ReviewReason.FACE_COVERED: Outcome.OCCLUDED,
    ReviewReason.FACE_TURNED: Outcome.EXTREME_POSE,
    ReviewReason.FACE_TOO_SMALL: Outcome.FACE_TOO_SMALL,
    ReviewReason.TOO_BLURRED: Outcome.TOO_BLURRED,
    ReviewReason.TOO_DARK: Outcome.TOO_DARK,
    ReviewReason.TOO_BRIGHT: Outcome.TOO_BRIGHT,
    ReviewReason.SEVERAL_PEOPLE: Outcome.SEVERAL_FACES,
}
"""What the machine would have said of such a photo: the member reads the same."""
FOR_A_NEW_PHOTO: Final = frozenset({*_SHOWS, ReviewReason.TOO_EDITED, ReviewReason.CANNOT_TELL})
_TOO_EDITED: Final[tuple[Both, Both]] = (
    ("{Photo}은 보정이 많이 되어 얼굴을 확인하기 어렵습니다.", "{Photo} is edited too much to see the face."),
    ("보정하지 않은 사진을 올려 주세요.", "Please upload one that is not edited."),
)
_WORDS: Final[Mapping[ReviewReason, Both]] = {
    ReviewReason.SAME_PERSON: (
        "셀카와 프로필 사진이 같은 사람입니다.",
        "The photos show the person of the selfie.",
    ),
    ReviewReason.OTHERS_ARE_HARMLESS: (
        "다른 사람이 나온 사진이 있지만 본인인 척하는 사진은 아닙니다.",
        "A photo shows others, and none of them passes for the member.",
    ),
    ReviewReason.OTHER_PERSON: (
        "프로필 사진이 셀카와 다른 사람입니다.",
        "A photo shows somebody else than the selfie.",
    ),
    ReviewReason.COPIED_PHOTO: (
        "다른 사람에게서 가져온 사진입니다.",
        "A photo is somebody else's: of a well-known person, or seen elsewhere.",
    ),
    ReviewReason.SCREEN_OR_PRINT: (
        "화면이나 인쇄물을 다시 찍은 사진입니다.",
        "The selfie is a picture of a screen or of a print.",
    ),
    ReviewReason.MADE_UP: ("만들어 낸 얼굴입니다.", "A face is generated or put in by a program."),
    ReviewReason.FACE_NOT_SHOWN: ("얼굴이 보이지 않습니다.", "No face is to be seen."),
    ReviewReason.FACE_COVERED: ("얼굴이 가려져 있습니다.", "The face is covered."),
    ReviewReason.FACE_TURNED: ("얼굴이 정면이 아닙니다.", "The face is turned away."),
    ReviewReason.FACE_TOO_SMALL: ("얼굴이 너무 작습니다.", "The face is too small."),
    ReviewReason.TOO_BLURRED: ("사진이 흐립니다.", "The photo is blurred."),
    ReviewReason.TOO_DARK: ("사진이 너무 어둡습니다.", "The photo is too dark."),
    ReviewReason.TOO_BRIGHT: ("사진이 너무 밝습니다.", "The photo is too bright."),
    ReviewReason.SEVERAL_PEOPLE: ("여러 사람이 나와 있습니다.", "Several people are in the photo."),
    ReviewReason.TOO_EDITED: ("보정이 너무 많습니다.", "The photo is edited too much."),
    ReviewReason.CANNOT_TELL: (
        "이 사진으로는 판단할 수 없습니다.",
        "Nobody can tell from these photos.",
    ),
    ReviewReason.MEMBER_IS_KNOWN: (
        "제가 아는 회원입니다.",
        "The reviewer knows the member: somebody else should decide.",
    ),
    ReviewReason.OTHER: ("그 밖의 이유(메모 참고).", "Something else, which the note says."),
}


def review_reason_text(reason: ReviewReason, language: Language) -> str:
    """What the reason means, for reviewers."""
    return _WORDS[reason][language is Language.EN]


def new_photo_text(reason: ReviewReason | None, position: int, language: Language) -> str:
    """What a member reads whom a person asks for another photo in place of that one; 0 is the selfie."""
    if reason is ReviewReason.TOO_EDITED:
        return another_photo_text(position, language, said=_TOO_EDITED)
    return another_photo_text(position, language, outcome=_SHOWS.get(reason) if reason else None)
