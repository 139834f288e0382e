"""Words of what went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from worker.results.texts import Both

WORDS: Final[Mapping[str, Both]] = {
    "error.title": ("처리하지 못했습니다", "This did not work"),
    "error.back": ("처음으로 돌아가기", "Back to the start"),
    "error.detail": ("자세한 내용", "Details"),
    "error.400": ("요청을 이해할 수 없습니다.", "The request could not be understood."),
    "error.403": ("이 화면을 볼 권한이 없습니다.", "You may not see this."),
    "error.404": ("찾을 수 없습니다.", "There is nothing here."),
    "error.405": ("이렇게 요청할 수 없는 주소입니다.", "This address cannot be asked like that."),
    "error.408": (
        "보낸 내용이 끝까지 오지 않았습니다. 다시 해 주세요.",
        "What was sent did not arrive in full. Please try again.",
    ),
    "error.409": (
        "그사이에 내용이 바뀌어 처리하지 않았습니다.",
        "Something has changed meanwhile, so nothing was done.",
    ),
    "error.413": ("보낸 내용이 너무 큽니다.", "What was sent is too large."),
    "error.500": (
        "프로그램 오류입니다. 시각을 운영자에게 알려 주세요.",
        "An error of the program. Please tell your operator the time.",
    ),
    "error.503": (
        "데이터베이스에 연결할 수 없습니다. 잠시 후 다시 시도해 주세요.",
        "The database cannot be reached. Please try again in a while.",
    ),
    "error.csrf": (
        "화면이 오래되었습니다. 새로 고친 뒤 다시 해 주세요.",
        "This page has been open for too long. Please reload it and try again.",
    ),
}
