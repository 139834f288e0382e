"""What the machine found, made ready for the page of a case; and what can be decided about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipeline.faces.quality import QualityLimits
from pipeline.verdict import PhotoFinding, Reason, Status
from worker.console.pages.photos import told_facts
from worker.console.photos.crops import Marks
from worker.console.photos.pictures import ReadyPhoto, Shape
from worker.console.visit import Visit
from worker.results.reviewer_reasons import ReviewReason, new_photo_text, review_reason_text
from worker.results.texts import Language, member_text
from worker.store import CaseView, Evidence
from worker.store.members.records import BY_PERSON
from worker.store.requests.records import PhotoReuse
from worker.store.reviews.ruling import CODES, STATUSES
from worker.store.tables.states import Choice

_LIMITS: Final = QualityLimits()
_HIGHEST: Final[Mapping[str, float]] = {
    "shadows": _LIMITS.shadows,
    "yaw": _LIMITS.yaw,
    "noise": _LIMITS.noise,
    "burnt": _LIMITS.burnt,
}
_LOWEST: Final[Mapping[str, float]] = {
    "face_px": _LIMITS.face_px,
    "sharpness": _LIMITS.sharpness,
    "highlights": _LIMITS.highlights,
}
CHOICES: Final = (Choice.APPROVE, Choice.NEW_PHOTO, Choice.REJECT, Choice.ESCALATE)
KEYS: Final[Mapping[Choice, str]] = {
    Choice.APPROVE: "A",
    Choice.NEW_PHOTO: "N",
    Choice.REJECT: "R",
    Choice.ESCALATE: "E",
}


@dataclass(frozen=True, slots=True)
class Measured:
    """A measurement of a face against its limit."""

    name: str
    value: float
    limit: float
    at_most: bool
    fine: bool


@dataclass(frozen=True, slots=True)
class FoundPhoto:
    """What the machine found in one photo, and what else is known of it."""

    finding: PhotoFinding
    measured: tuple[Measured, ...]
    reuses: tuple[PhotoReuse, ...]
    swapped: bool
    marks: Mapping[Shape, Marks]
    """Of the pictures that are shown; empty where the photo is not here."""
    facts: Sequence[tuple[str, str]]
    """What the file says of itself."""


@dataclass(frozen=True, slots=True)
class MemberText:
    """What the member reads, in both languages; ``code`` and ``photo`` only of a new photo."""

    choice: Choice
    code: ReviewReason | None
    photo: int | None
    korean: str
    english: str


def evidence_values(visit: Visit, view: CaseView) -> dict[str, Any]:
    """For the template; nothing before every photo is answered."""
    if view.evidence is None:
        return {"evidence": None}
    rules = visit.services.store.reviews.rules
    return {
        "evidence": view.evidence,
        "found": {one.finding.position: one for one in _found(visit, view, view.evidence)},
        "standing": _standing(view.evidence),
        "choices": CHOICES,
        "keys": KEYS,
        "codes": _codes(visit.language),
        "texts": _texts([photo.position for photo in view.photos]),
        "about": view.evidence.request.photo,
        "reason_text": lambda code: review_reason_text(code, visit.language),
        "rejection_votes": rules.rejection_votes,
        "undo_seconds": int(rules.undo_within.total_seconds()),
    }


def _found(visit: Visit, view: CaseView, evidence: Evidence) -> Iterator[FoundPhoto]:
    request = evidence.request
    known = visit.services.photos.known(view.claim, visit.now)
    for finding in request.findings:
        photo = known.get(finding.position)
        ready = photo if isinstance(photo, ReadyPhoto) else None
        yield FoundPhoto(
            finding,
            tuple(_measured(finding)),
            tuple(one for one in request.reuses if one.position == finding.position),
            finding.position in request.swapped,
            ready.marks if ready else {},
            told_facts(ready.facts, visit.words) if ready else (),
        )


def _measured(finding: PhotoFinding) -> list[Measured]:
    """The gate that refused the face says its own limit; the others are those that hold by default."""
    values = dict(finding.quality)
    if finding.gate:
        values[finding.gate.name] = finding.gate.value
    lowest = [
        _against(finding, name, values[name], limit, at_most=False)
        for name, limit in _LOWEST.items()
        if name in values
    ]
    highest = [
        _against(finding, name, values[name], limit, at_most=True)
        for name, limit in _HIGHEST.items()
        if name in values
    ]
    return [*lowest, *highest]


def _against(finding: PhotoFinding, name: str, value: float, limit: float, *, at_most: bool) -> Measured:
    refused = finding.gate is not None and finding.gate.name == name
    limit = finding.gate.limit if finding.gate is not None and refused else limit
    fine = abs(value) <= limit if at_most else value >= limit
    return Measured(name, value, limit, at_most, fine and not refused)


def _standing(evidence: Evidence) -> Reason | None:
    """The reason of the member's verdict where that is from another request, or from a person."""
    request = evidence.request
    its = (request.machine_reason, request.request_id)
    return evidence.reason if (evidence.reason, evidence.opened_by) != its else None


def _codes(language: Language) -> dict[Choice, list[tuple[ReviewReason, str]]]:
    return {
        choice: [(code, review_reason_text(code, language)) for code in ReviewReason if code in CODES[choice]]
        for choice in CHOICES
    }


def _texts(positions: Sequence[int]) -> list[MemberText]:
    """All that the member may come to read."""
    found = [_text_of(choice) for choice in (Choice.APPROVE, Choice.REJECT)]
    for code in CODES[Choice.NEW_PHOTO]:
        for position in positions:
            korean, english = (new_photo_text(code, position, one) for one in (Language.KO, Language.EN))
            found.append(MemberText(Choice.NEW_PHOTO, code, position, korean, english))
    return found


def _text_of(choice: Choice) -> MemberText:
    status: Status = STATUSES[choice]
    reason = BY_PERSON[status]
    korean, english = (member_text(status, reason, one) for one in (Language.KO, Language.EN))
    return MemberText(choice, None, None, korean, english)
