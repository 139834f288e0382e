"""What the app is told of a request: the columns of `result`, and the payload of an event (EVENT.md).

No gender guess and no address is in either. An event moreover says nothing that was suspected: a review has
no reason, and a photo of somebody else reads like one that could not be verified.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from pipeline.verdict import Outcome, PhotoFinding, Reason, Status
from worker.results.reviewer_reasons import ReviewReason, new_photo_text
from worker.results.texts import Language, member_text, photo_text

SCHEMA: Final = 1
"""Of the payload; a change that a reader must know about raises it."""
_SPEAKS_OF_THE_PERSON: Final = frozenset(
    {Outcome.USABLE, Outcome.SAME, Outcome.DIFFERENT, Outcome.UNSURE, Outcome.NOT_COMPARED}
)
_SEVERAL: Final = frozenset({Outcome.GROUP_SAME, Outcome.MEMBER_NOT_SEEN, Outcome.SEVERAL_FACES})


class EventType(StrEnum):
    """What happened; the `type` of an event."""

    COMPLETED = "verification.completed"
    """A request ended with a verdict by machine."""
    DECIDED = "verification.decided"
    """A person decided about a request."""
    SUPERSEDED = "verification.superseded"
    """A newer request of the member came before it ended."""
    FAILED = "verification.failed"
    """A request was given up: no verdict came of it."""
    REFUSED = "verification.refused"
    """A message, or a member's row, that cannot become a request."""
    ERASED = "member.erased"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the app is told of one request. ``photo`` and all that follows is None until it has ended."""

    request_id: str
    member_id: str
    state: str
    waiting_until: datetime | None = None
    status: Status | None = None
    reason: Reason | None = None
    problem: str | None = None
    """Why it is dead: the reason of the dead job."""
    photo: int | None = None
    similarity: float | None = None
    decided_by: str | None = None
    finished_at: datetime | None = None
    findings: tuple[PhotoFinding, ...] = ()
    """The selfie's first."""
    verified: frozenset[int] = frozenset()
    """Positions of the photos that show the member: by the person who approved, else by the machine."""
    code: ReviewReason | None = None
    """Why a person asks for another photo."""
    sandbox: bool = False

    def columns(self) -> dict[str, Any]:
        """Those of `result` that change with the request."""
        korean, english = self._texts()
        return {
            "member_id": self.member_id,
            "state": self.state,
            "waiting_until": self.waiting_until,
            "status": self.status,
            "reason": self.reason,
            "problem": self.problem,
            "photo": self.photo,
            "similarity": self.similarity,
            "decided_by": self.decided_by,
            "text_ko": korean,
            "text_en": english,
            "photos": [self._photo_entry(finding) for finding in self.findings] or None,
            "sandbox": self.sandbox,
            "finished_at": self.finished_at,
        }

    def payload(self, event: EventType, at: datetime, member: Mapping[str, Any]) -> dict[str, Any]:
        """The body of an event; ``member`` is how the member stands by now."""
        korean, english = self._texts()
        open_about_it = self._tells_no_suspicion()
        data = {
            "member_id": self.member_id,
            "request_id": self.request_id,
            "state": self.state,
            "status": self.status,
            "reason": self.reason if open_about_it else None,
            "problem": self.problem,
            "decided_by": self.decided_by,
            "photo": self.photo if open_about_it else None,
            "text": None if korean is None else {"ko": korean, "en": english},
            "photos": [self._told_of(finding) for finding in self.findings if finding.position > 0],
            "member": dict(member),
            "sandbox": self.sandbox,
        }
        return envelope(event, at, data)

    def _texts(self) -> tuple[str, str] | tuple[None, None]:
        if self.status is None or self.reason is None:
            return None, None
        if self.reason is Reason.RETRY_PHOTO_BY_PERSON and self.photo is not None:
            korean, english = (new_photo_text(self.code, self.photo, one) for one in Language)
            return korean, english
        about = next((f for f in self.findings if f.position == self.photo), None)
        korean, english = (member_text(self.status, self.reason, one, about) for one in Language)
        return korean, english

    def _tells_no_suspicion(self) -> bool:
        """Whether the reason is one that the member may hear."""
        by_machine = self.decided_by != "person"
        return self.status is not Status.REVIEW and not (self.status is Status.REJECTED and by_machine)

    def _is_verified(self, finding: PhotoFinding) -> bool:
        """Whether the photo may carry the member's badge: nothing may while the member has none."""
        return self.status is Status.APPROVED and finding.position in self.verified

    def _photo_entry(self, finding: PhotoFinding) -> dict[str, Any]:
        compared = finding.comparison
        return {
            "position": finding.position,
            "outcome": finding.outcome,
            "verdict": finding.verdict,
            "verified": self._is_verified(finding),
            "similarity": None if compared is None else round(compared.similarity, 4),
            "fault": finding.fault,
            "text_ko": photo_text(finding, Language.KO),
            "text_en": photo_text(finding, Language.EN),
        }

    def _told_of(self, finding: PhotoFinding) -> dict[str, Any]:
        return {
            "position": finding.position,
            "verified": self._is_verified(finding),
            "problem": _problem_of(finding),
            "fault": finding.fault,
        }


def _problem_of(finding: PhotoFinding) -> str | None:
    """What another photo would mend; None of all that speaks of whom the photo shows."""
    if finding.outcome in _SEVERAL:
        return Outcome.SEVERAL_FACES
    return None if finding.outcome in _SPEAKS_OF_THE_PERSON else finding.outcome


def refused(
    request_id: str | None, member_id: str | None, problem: str, at: datetime, *, sandbox: bool = False
) -> dict[str, Any]:
    """The body of an event about a message that cannot become a request."""
    nothing: dict[str, Any] = dict.fromkeys(
        ("state", "status", "reason", "decided_by", "photo", "text", "member")
    )
    data = {"member_id": member_id, "request_id": request_id, **nothing, "problem": problem, "photos": []}
    return envelope(EventType.REFUSED, at, {**data, "sandbox": sandbox})


def erased(member_id: str, at: datetime, *, sandbox: bool = False) -> dict[str, Any]:
    """The body of the last event about a member."""
    return envelope(EventType.ERASED, at, {"member_id": member_id, "sandbox": sandbox})


def envelope(event: EventType, at: datetime, data: Mapping[str, Any]) -> dict[str, Any]:
    """Type, time and data, as Standard Webhooks wants them."""
    moment = at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return {"type": event, "timestamp": moment, "data": {"schema": SCHEMA, **data}}
