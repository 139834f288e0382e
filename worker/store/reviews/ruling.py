"""What a reviewer says of a case, checked before it is written down."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from pipeline.verdict import Status
from worker.errors import NotPossible
from worker.results.reviewer_reasons import FOR_A_NEW_PHOTO, FOR_APPROVAL, FOR_REJECTION, ReviewReason
from worker.store.tables.columns import NOTE_LENGTH
from worker.store.tables.states import Choice

CODES: Final[Mapping[Choice, Collection[ReviewReason]]] = {
    Choice.APPROVE: FOR_APPROVAL,
    Choice.REJECT: FOR_REJECTION,
    Choice.NEW_PHOTO: FOR_A_NEW_PHOTO,
    Choice.ESCALATE: frozenset(ReviewReason),
}
STATUSES: Final[Mapping[Choice, Status]] = {
    Choice.APPROVE: Status.APPROVED,
    Choice.REJECT: Status.REJECTED,
    Choice.NEW_PHOTO: Status.RETRY_PHOTO,
}
"""What becomes of the member."""
_REFUSED: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
"""Kinds of characters that a note may not have: control, invisible, half and unknown ones."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """A choice with its reason; made by `ruling`."""

    choice: Choice
    code: ReviewReason
    photo: int | None = None
    """The photo that the member is to replace; 0 is the selfie."""
    note: str | None = None


def ruling(choice: Choice, code: str, photo: int | None = None, note: str | None = None) -> Ruling:
    """Check what a person said. Raises NotPossible, whose text says what would be right."""
    fitting = CODES.get(choice)
    if fitting is None:
        raise NotPossible(f"{choice} is no decision: approve, reject, new_photo or escalate")
    if code not in fitting:
        there = ", ".join(reason for reason in ReviewReason if reason in fitting)
        raise NotPossible(f"{code[:40]!r} is no reason to {choice}: there are {there}", "no_reason")
    if (photo is not None) != (choice is Choice.NEW_PHOTO):
        problem = "a new photo, and nothing else, needs the number of a photo (0 is the selfie)"
        raise NotPossible(problem, "photo_needed")
    reason, text = ReviewReason(code), _checked(note)
    if reason is ReviewReason.OTHER and text is None:
        raise NotPossible(f"the reason {reason} needs a note that says what it is", "note_needed")
    return Ruling(choice, reason, photo, text)


def _checked(note: str | None) -> str | None:
    text = (note or "").strip()
    if len(text) > NOTE_LENGTH:
        raise NotPossible(f"the note has {len(text):,} characters, and may have {NOTE_LENGTH:,}", "note_long")
    if any(unicodedata.category(character) in _REFUSED for character in text):
        raise NotPossible("the note has control characters or others that cannot be seen", "note_signs")
    return text or None
