"""What a member reads of a photo's file that cannot be used as it is, and what helps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pipeline.verdict import FetchProblem, Outcome, PhotoFinding

Both = tuple[str, str]
"""Korean, English. `{photo}` becomes "2번 사진" or "photo 2", `{Photo}` the same at a beginning; both
Korean names end in "사진", so the particles fit."""

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


def file_problem(photo: PhotoFinding) -> tuple[Both, Both] | None:
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
