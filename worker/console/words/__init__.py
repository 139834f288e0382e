"""What the console says, in Korean and English. Each module has the words of some pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from worker.console.words import (
    case,
    common,
    errors,
    home,
    jobs,
    machine,
    members,
    people,
    photos,
    queue,
    records,
    signing_in,
    training,
)
from worker.console.words.figures import dashboard, similarity
from worker.results.texts import Both, Language

_MODULES: Final = (
    *(common, errors, home, machine, queue, case, photos, dashboard, similarity),
    *(members, jobs, training, records, people, signing_in),
)


def _all() -> Mapping[str, Both]:
    found: dict[str, Both] = {}
    for module in _MODULES:
        if twice := found.keys() & module.WORDS.keys():
            raise ValueError(f"words of the console that stand twice: {sorted(twice)}")
        found |= module.WORDS
    return found


WORDS: Final = _all()


class Words:
    """The words of one language, by key: `t("app.name")`."""

    def __init__(self, language: Language) -> None:
        self.language = language

    def __call__(self, key: str, **values: Any) -> str:
        """Raises KeyError where there are no such words."""
        text = WORDS[key][self.language is Language.EN]
        return text.format(**values) if values else text

    def has(self, key: str) -> bool:
        """Whether there are words for it."""
        return key in WORDS
