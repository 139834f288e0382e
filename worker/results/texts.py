"""What a verdict says in words: to the member in Korean and English, to operators in English.

A member's text says what it is about ("2번 사진 …"), what to do next, and, unless all is well, how to reach a
person. It never says what a face was taken for, nor that anything was suspected: every review reads the
same, whatever opened it, and so do all photos that could be judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from pipeline.verdict import Fault, FetchProblem, Outcome, PhotoFinding, Reason, Status

Both = tuple[str, str]
"""Korean, English. `{photo}` becomes "2번 사진" or "photo 2", `{Photo}` the same at a beginning; both
Korean names end in "사진", so the particles fit."""


class Language(StrEnum):
    """Languages of the members."""

    KO = "ko"
    EN = "en"


CONTACT: Final[Both] = (
    "도움이 필요하시면 고객센터로 연락해 주세요. 담당자가 직접 도와드리겠습니다.",
    "If you need help, please contact our customer support: a person will be glad to assist you.",
)
_WITHOUT_CONTACT: Final = frozenset({Status.APPROVED, Status.REJECTED})
"""What needs no help, and what names customer support by itself."""
_BY_STATUS: Final[Mapping[Status, Both]] = {
    Status.APPROVED: (
        "사진 인증이 완료되었습니다. 따로 하실 일은 없습니다. 감사합니다.",
        "Your photos have been verified. There is nothing more to do. Thank you.",
    ),
    Status.REVIEW: (
        "담당자가 사진을 직접 확인하고 있습니다. 지금 하실 일은 없으며, 확인이 끝나면 알려 드리겠습니다.",
        "A person is looking at your photos. There is nothing to do for now; we will let you know.",
    ),
    Status.REJECTED: (
        "사진 인증을 완료하지 못했습니다. 고객센터로 연락해 주시면 담당자가 다시 확인해 드리겠습니다.",
        "We could not verify your photos. Please contact our customer support: a person will look again.",
    ),
    Status.ERROR: (
        "저희 쪽 문제로 사진을 아직 확인하지 못해 죄송합니다. 지금 하실 일은 없으며, 다시 확인하겠습니다.",
        "For reasons on our side your photos are not checked yet. There is nothing to do; we will try again.",
    ),
}

_RECEIVED: Final[Both] = ("{Photo}은 잘 받았습니다.", "{Photo} has arrived.")
_SEVERAL: Final[Both] = (
    "{Photo}에는 여러 사람이 함께 나와 있습니다.",
    "{Photo} shows several people.",
)
_PHOTO: Final[Mapping[Outcome, Both]] = {
    Outcome.USABLE: _RECEIVED,
    Outcome.SAME: _RECEIVED,
    Outcome.DIFFERENT: _RECEIVED,
    Outcome.UNSURE: _RECEIVED,
    Outcome.NOT_COMPARED: _RECEIVED,
    Outcome.GROUP_SAME: _SEVERAL,
    Outcome.MEMBER_NOT_SEEN: _SEVERAL,
    Outcome.SEVERAL_FACES: _SEVERAL,
    Outcome.NO_FACE: ("{Photo}에서 얼굴을 찾지 못했습니다.", "We could not find a face in {photo}."),
    Outcome.FACE_TOO_SMALL: ("{Photo}에서 얼굴이 너무 작게 보입니다.", "The face in {photo} is too small."),
    Outcome.TOO_BLURRED: ("{Photo}이 흐리거나 화질이 좋지 않습니다.", "{Photo} is blurred or grainy."),
    Outcome.TOO_DARK: ("{Photo}이 너무 어둡게 나왔습니다.", "{Photo} is too dark."),
    Outcome.TOO_BRIGHT: ("{Photo}이 너무 밝게 나왔습니다.", "{Photo} is too bright."),
    Outcome.EXTREME_POSE: (
        "{Photo}에서 얼굴이 옆이나 위아래를 향하고 있습니다.",
        "The face in {photo} is turned away.",
    ),
    Outcome.OCCLUDED: (
        "{Photo}에서 얼굴 일부가 가려져 있습니다.",
        "Part of the face in {photo} is covered.",
    ),
    Outcome.NOT_FETCHED: (
        "{Photo}을 불러오지 못했습니다.",
        "{Photo} could not be loaded.",
    ),
    Outcome.INVALID_IMAGE: (
        "{Photo}은 열 수 없는 파일입니다.",
        "The file of {photo} cannot be opened.",
    ),
}
_FETCH: Final[Mapping[FetchProblem, Both]] = {
    FetchProblem.GONE: ("{Photo}을 찾을 수 없습니다.", "{Photo} can no longer be found."),
}
"""Where the member can do something about it; all other problems read like `NOT_FETCHED`."""

_SMALLER: Final[Both] = (
    "사진 크기를 줄여서 다시 올리시거나, 카메라 설정에서 사진 크기를 낮추고 다시 찍어 주세요.",
    "Please upload a smaller copy, or choose a smaller size in your camera and take it again.",
)
_TOO_MANY_BYTES: Final = (("{Photo} 파일이 너무 큽니다.", "The file of {photo} is too large."), _SMALLER)
_FILE: Final[Mapping[str, tuple[Both, Both]]] = {
    "ImageTooLarge": (
        ("{Photo}은 해상도가 너무 커서 열 수 없습니다.", "{Photo} has too many pixels to be opened."),
        _SMALLER,
    ),
    "UnsupportedFormat": (
        (
            "{Photo}은 사용할 수 없는 형식{kind}의 파일입니다.",
            "The file of {photo} is of a kind that cannot be used{kind}.",
        ),
        (
            "JPG 형식의 사진으로 저장해서 다시 올려 주세요.",
            "Please save it as a JPEG photo and upload that.",
        ),
    ),
    "UndecodableImage: cut off": (
        ("{Photo}이 끝까지 올라오지 않았습니다.", "Only a part of {photo} has arrived."),
        ("사진을 다시 올려 주세요.", "Please upload it again."),
    ),
}
"""What is wrong with a file, by how a photo's detail begins, and what helps; else it reads like
`INVALID_IMAGE`."""
_WE_TRY_AGAIN: Final[Both] = ("저희가 다시 시도하겠습니다.", "We will try again.")
_RETAKE: Final[Mapping[Outcome, Both]] = {
    Outcome.NO_FACE: (
        "얼굴이 화면 가운데에 오도록 다시 찍어 주세요.",
        "Please take it again with your face in the middle of the picture.",
    ),
    Outcome.SEVERAL_FACES: (
        "본인만 나오도록 다시 찍어 주세요.",
        "Please take it again with nobody else in the picture.",
    ),
    Outcome.FACE_TOO_SMALL: (
        "휴대전화를 조금 더 가까이 들고 다시 찍어 주세요.",
        "Please hold the phone a little closer and take it again.",
    ),
    Outcome.TOO_BLURRED: (
        "밝은 곳에서 휴대전화를 흔들리지 않게 들고 다시 찍어 주세요.",
        "Please hold the phone still in good light and take it again.",
    ),
    Outcome.TOO_DARK: (
        "밝은 곳에서 다시 찍어 주세요.",
        "Please take it again in a brighter place.",
    ),
    Outcome.TOO_BRIGHT: (
        "햇빛이나 조명이 얼굴에 바로 비치지 않는 곳에서 다시 찍어 주세요.",
        "Please take it again away from direct sunlight and lamps.",
    ),
    Outcome.EXTREME_POSE: (
        "카메라를 정면으로 바라보고 다시 찍어 주세요.",
        "Please look straight at the camera and take it again.",
    ),
    Outcome.OCCLUDED: (
        "마스크나 선글라스를 벗고, 손으로 얼굴을 가리지 않고 다시 찍어 주세요. 안경은 쓰셔도 괜찮습니다.",
        "Please take it again without mask, sunglasses or hands before your face. Your glasses may stay on.",
    ),
    Outcome.NOT_FETCHED: ("인증 사진을 다시 올려 주세요.", "Please upload your verification photo again."),
    Outcome.INVALID_IMAGE: (
        "휴대전화로 인증 사진을 다시 찍어 올려 주세요.",
        "Please take your verification photo again with your phone and upload it.",
    ),
}
"""What to do about a selfie."""
_ANOTHER: Final[Both] = (
    "얼굴이 잘 보이고 본인만 나온 사진을 올려 주세요.",
    "Please upload a photo that shows only you, with your face clearly visible.",
)
"""What to do about a gallery photo."""
_ANOTHER_FIRST: Final[Both] = (
    "첫 번째 사진을 얼굴이 잘 보이고 본인만 나온 사진으로 바꿔 주세요.",
    "Please let your first photo be one that shows only you, with your face clearly visible.",
)
"""The same where a later photo shows the member well."""
_NO_PHOTOS: Final[Both] = ("아직 올리신 프로필 사진이 없습니다.", "There is no profile photo yet.")
_NOTHING_USABLE: Final[Both] = (
    "올리신 프로필 사진에서 얼굴을 확인하기 어렵습니다.",
    "Your face is hard to see in your profile photos.",
)

_UNCLEAR: Final[Both] = ("{Photo}에서 얼굴을 확인하기 어렵습니다.", "The face in {photo} is hard to see.")

OF_SELFIES: Final[Mapping[Reason, Outcome]] = {
    Reason.SELFIE_NO_FACE: Outcome.NO_FACE,
    Reason.SELFIE_SEVERAL_FACES: Outcome.SEVERAL_FACES,
    Reason.SELFIE_FACE_TOO_SMALL: Outcome.FACE_TOO_SMALL,
    Reason.SELFIE_TOO_BLURRED: Outcome.TOO_BLURRED,
    Reason.SELFIE_TOO_DARK: Outcome.TOO_DARK,
    Reason.SELFIE_TOO_BRIGHT: Outcome.TOO_BRIGHT,
    Reason.SELFIE_EXTREME_POSE: Outcome.EXTREME_POSE,
    Reason.SELFIE_OCCLUDED: Outcome.OCCLUDED,
    Reason.SELFIE_INVALID: Outcome.INVALID_IMAGE,
    Reason.SELFIE_NOT_FETCHED: Outcome.NOT_FETCHED,
}
"""What was found in the selfie, where that is the reason."""
_GALLERY: Final = frozenset(
    {
        *(Reason.NO_USABLE_PHOTO, Reason.NO_SOLO_PHOTO, Reason.PHOTOS_NOT_FETCHED),
        *(Reason.PRIMARY_NOT_JUDGED, Reason.RETRY_PHOTO_BY_PERSON),
    }
)


_REASONS: Final[Mapping[Reason, str]] = {
    Reason.SAME_PERSON: "The first gallery photo that could be judged shows the person of the selfie.",
    Reason.DIFFERENT_PERSON: "A gallery photo of one person shows, confidently, somebody else.",
    Reason.PRIMARY_UNSURE: "The first gallery photo that could be judged lies between the two thresholds.",
    Reason.PRIMARY_NOT_JUDGED: "The first gallery photo shows no face that can be judged, a later one does.",
    Reason.PRIMARY_NOT_MEMBER: "The first gallery photo shows several people, none of them the member.",
    Reason.NO_SOLO_PHOTO: "Only group photos could be judged; they never prove a member.",
    Reason.SAME_PICTURE: "Selfie and gallery photo are the same picture: perhaps a stolen one.",
    Reason.GENDER_CONFLICT: "The faces contradict the declared gender. Decide on the faces first.",
    Reason.SELFIE_CHANGED: "The new selfie disagrees with the one before.",
    Reason.PHOTO_REUSED: "Another member has used one of these photos, or a near copy of it.",
    Reason.TOO_MANY_TRIES: "An approval by machine after many tries without one; look at those first.",
    Reason.MANY_RETRIES: "For the third time in a row another photo would be asked for; a person looks.",
    Reason.BLIND_AUDIT: "An approval by machine, selected for the blind audit.",
    Reason.MANUAL: "The app asks for a person in place of the machine: no face was looked for.",
    Reason.SELFIE_NO_FACE: "No face was found in the selfie.",
    Reason.SELFIE_SEVERAL_FACES: "The selfie shows a second face more than half as large as the first.",
    Reason.SELFIE_FACE_TOO_SMALL: "The face in the selfie is too small.",
    Reason.SELFIE_TOO_BLURRED: "The selfie is too blurred or grainy.",
    Reason.SELFIE_TOO_DARK: "The selfie is too dark.",
    Reason.SELFIE_TOO_BRIGHT: "The selfie is too bright.",
    Reason.SELFIE_EXTREME_POSE: "The face in the selfie is turned too far away.",
    Reason.SELFIE_OCCLUDED: "A mask, sunglasses or a hand covers part of the face in the selfie.",
    Reason.SELFIE_INVALID: "The selfie's file is no picture that can be read.",
    Reason.SELFIE_NOT_FETCHED: "The selfie could not be fetched.",
    Reason.NO_USABLE_PHOTO: "No gallery photo shows a face that can be judged.",
    Reason.PHOTOS_NOT_FETCHED: "Gallery photos could not be fetched, by their host's fault or ours.",
    Reason.NO_PHOTOS: "The gallery is empty.",
    Reason.INTERNAL_ERROR: "Something failed inside; the log of that time says what.",
    Reason.APPROVED_BY_PERSON: "A person approved, whatever the machine found.",
    Reason.REJECTED_BY_PERSON: "A person rejected, whatever the machine found.",
    Reason.RETRY_PHOTO_BY_PERSON: "A person asked for another photo, whatever the machine found.",
}
_FETCH_PROBLEMS: Final[Mapping[FetchProblem, str]] = {
    FetchProblem.GONE: "the photo is no longer there (404 or 410)",
    FetchProblem.FORBIDDEN: "its host forbids it (401 or 403); S3 says so of a missing photo, too, where "
    "whoever signed the link may not list the bucket",
    FetchProblem.EXPIRED: "the signed address is past its date",
    FetchProblem.TOO_LARGE: "the file is larger than VERIFY_FETCH_MAX_BYTES",
    FetchProblem.WRONG_TYPE: "its host sent a web page, a text or nothing",
    FetchProblem.REFUSED_ADDRESS: "photos may not be fetched from there (VERIFY_PHOTO_HOSTS, _PORTS)",
    FetchProblem.BAD_RESPONSE: "its host's response makes no sense",
    FetchProblem.TIMEOUT: "its host took too long",
    FetchProblem.SERVER_ERROR: "its host has an error (5xx or 429)",
    FetchProblem.UNREACHABLE: "its host cannot be reached, or its certificate is not accepted",
}


def member_text(status: Status, reason: Reason, language: Language, photo: PhotoFinding | None = None) -> str:
    """What the member reads: what it is about, what to do, and, unless all is well, the way to a person.

    ``photo`` is the photo that the reason speaks of; it is named only where the member can do
    something about it.
    """
    said = [_BY_STATUS[status]] if status in _BY_STATUS else _to_do(reason, photo)
    position = 0 if photo is None else photo.position
    contact = [] if status in _WITHOUT_CONTACT else [CONTACT]
    return " ".join(_filled(text, position, language) for text in (*said, *contact))


def another_photo_text(
    position: int,
    language: Language,
    *,
    outcome: Outcome | None = None,
    said: tuple[Both, Both] | None = None,
) -> str:
    """What a member reads whom a person asks for another photo: what is wrong with it, and what to do.

    ``outcome`` is what the machine would have found in it, None where it is only hard to see the face.
    """
    if said is None:
        about = _UNCLEAR if outcome is None else _PHOTO[outcome]
        remedy = _RETAKE[outcome or Outcome.NO_FACE] if position == 0 else _ANOTHER
        said = (about, remedy)
    return " ".join(_filled(text, position, language) for text in (*said, CONTACT))


def photo_text(photo: PhotoFinding, language: Language) -> str:
    """What the member reads about one photo, without what to do."""
    said = [_about(photo)]
    if photo.outcome is Outcome.NOT_FETCHED and photo.fault is not Fault.MEMBER:
        said.append(_WE_TRY_AGAIN)
    return " ".join(_filled(text, photo.position, language) for text in said)


def found_text(photo: PhotoFinding, language: Language) -> str:
    """The same without a promise: of a request that has ended long ago."""
    return _filled(_about(photo), photo.position, language)


def photo_name(position: int, language: Language) -> str:
    """Position 0 is the selfie, 1 the first gallery photo."""
    if position == 0:
        return ("인증 사진", "your verification photo")[language is Language.EN]
    return (f"{position}번 사진", f"photo {position}")[language is Language.EN]


def _to_do(reason: Reason, photo: PhotoFinding | None) -> list[Both]:
    """For a member who is asked for another photo."""
    if photo is not None and (problem := _file_problem(photo)):
        return list(problem)
    if outcome := OF_SELFIES.get(reason):
        return [_PHOTO[outcome] if photo is None else _about(photo), _RETAKE[outcome]]
    if reason is Reason.NO_PHOTOS:
        return [_NO_PHOTOS, _ANOTHER]
    if reason is Reason.PRIMARY_NOT_JUDGED and photo is not None:
        return [_about(photo), _ANOTHER_FIRST]
    if reason in _GALLERY:
        return [_NOTHING_USABLE if photo is None else _about(photo), _ANOTHER]
    return [_BY_STATUS[Status.REVIEW]]  # no other reason is the member's to hear


def _about(photo: PhotoFinding) -> Both:
    if problem := _file_problem(photo):
        return problem[0]
    known = _FETCH.get(photo.fetch_problem) if photo.fetch_problem else None
    return known or _PHOTO[photo.outcome]


def _file_problem(photo: PhotoFinding) -> tuple[Both, Both] | None:
    """What is wrong, and what to do; None where nothing better can be said than of any file."""
    if photo.fetch_problem is FetchProblem.TOO_LARGE:
        return _TOO_MANY_BYTES
    if photo.outcome is not Outcome.INVALID_IMAGE:
        return None
    found = next((texts for begins, texts in _FILE.items() if photo.detail.startswith(begins)), None)
    if found is None:
        return None
    # An abbreviation (GIF) is understood in both languages; a description would not be.
    name = photo.detail.partition(": ")[2].partition(" is not taken")[0]
    kind = f" ({name})" if name.isalpha() and name.isupper() else ""
    (korean, english), remedy = found
    return (korean.replace("{kind}", kind), english.replace("{kind}", kind)), remedy


def _filled(text: Both, position: int, language: Language) -> str:
    name = photo_name(position, language)
    return text[language is Language.EN].format(photo=name, Photo=name[0].upper() + name[1:])


def operator_text(reason: Reason) -> str:
    """What the reason means, for those who run this."""
    return _REASONS[reason]


def fetch_text(problem: FetchProblem) -> str:
    """Why a photo could not be fetched, for those who run this."""
    return _FETCH_PROBLEMS[problem]
