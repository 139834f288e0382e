"""What people do and look at, as it goes into the store and comes out of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pipeline.verdict import Outcome, Reason, Status
from worker.store.tables.states import State

BY_PERSON: Final = {
    Status.APPROVED: Reason.APPROVED_BY_PERSON,
    Status.REJECTED: Reason.REJECTED_BY_PERSON,
}
"""What a person may decide, and the reason that the verdict has then."""


@dataclass(frozen=True, slots=True)
class WaitingReview:
    """A member whom a person must decide about."""

    member_id: str
    reason: Reason | None
    """Why the review is open, since when, and by which request."""
    since: datetime | None
    opened_by: str | None
    request_id: str | None
    """The newest request, which the decision is about; what became of it follows."""
    newest_state: State | None
    newest_status: Status | None
    newest_reason: Reason | None


@dataclass(frozen=True, slots=True)
class Decided:
    """Returned by decide: what a person said, and the member's verdict before."""

    request_id: str
    status: Status
    previous_status: Status
    previous_reason: Reason | None


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """What a person decided about a request, and the member's verdict before."""

    status: Status
    previous_status: Status
    previous_reason: Reason | None
    decided_by: str
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Returned by forget: how many rows went from each table."""

    removed: dict[str, int]
    not_emptied: tuple[str, ...]
    """Columns of the app's table where a result stays: it takes neither NULL nor a default nor an empty
    text there."""


@dataclass(frozen=True, slots=True)
class Lifted:
    """Returned by lift: when the ID was barred, and what was refused meanwhile."""

    forgotten_at: datetime
    refused: tuple[int, ...]
    """Numbers of open dead jobs."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """Returned by label: the photo that was labelled, and whether it may be trained on."""

    request_id: str
    position: int
    outcome: Outcome
    training_consent: bool


@dataclass(frozen=True, slots=True)
class Look:
    """One entry of the access log."""

    looked_at: datetime
    looked_by: str
    way: str
