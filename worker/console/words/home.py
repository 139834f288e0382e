"""Words of the first page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from worker.results.texts import Both

WORDS: Final[Mapping[str, Both]] = {
    "home.title": ("환영합니다", "Welcome"),
    "home.nothing": (
        "아직 권한이 없습니다. 관리자에게 역할을 요청해 주세요.",
        "You have no role yet. Please ask an administrator for one.",
    ),
}
