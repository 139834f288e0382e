"""Cases, and what people make of them: frozen values, no rows and no connections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from pipeline.verdict import Outcome, Reason, Status
from worker.results.reviewer_reasons import ReviewReason
from worker.store.requests.records import RequestRecord
from worker.store.tables.states import Cause, Choice, ObjectionWay, PairLabel, Phase
from worker.store.training.records import Audit


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRules:
    """How cases are decided."""

    due_after: timedelta = timedelta(hours=24)
    second_share: float = 0.0
    """Share (0..1) of the cases that two reviewers answer and decide."""
    rejection_votes: int = 1
    """How many people it takes to reject a member."""
    seniors: frozenset[str] = frozenset()
    """Who decides what was escalated, besides the checkers of the console; nobody at all: anybody but who
    escalated it."""
    key: bytes = b""
    lease: timedelta = timedelta(minutes=5)
    undo_within: timedelta = timedelta(seconds=60)
    answer_within: timedelta = timedelta(days=30)
    """How long an objection may wait for its answer."""
    alarm_before: timedelta = timedelta(days=7)
    """How long before that ends `status` says so."""
    other_person: bool = True
    """Whether whoever decided last may not decide about an objection to that."""


@dataclass(frozen=True, slots=True)
class NewObjection:
    """A member's wish that a person looks."""

    member_id: str
    received_at: datetime
    objection_id: str | None = None
    """The sender's; None where a person writes it down."""
    by: str | None = None
    """That person; None for a message."""


@dataclass(frozen=True, slots=True)
class Objection:
    """An objection with its answer, which is the decision that stands about its case."""

    received_at: datetime
    way: ObjectionWay
    recorded_by: str | None
    due_at: datetime
    answer: Status | None
    """What the member's verdict became; None while nobody has decided."""
    answered_by: str | None
    answered_at: datetime | None


@dataclass(frozen=True, slots=True)
class WaitingObjection:
    """An objection that nobody has answered yet."""

    id: int
    member_id: str
    received_at: datetime
    way: ObjectionWay
    recorded_by: str | None
    due_at: datetime
    soon: bool
    """Its deadline comes within the days of the alarm, or has gone by."""
    overdue: bool
    suspended: bool
    """The member has withdrawn consent to verification: nobody decides, and no deadline counts."""


@dataclass(frozen=True, slots=True)
class ObjectionCounts:
    """Members of whom an objection waits for its answer; none of the sandbox."""

    open: int
    """Those among them who have withdrawn consent to verification are in neither of the others."""
    due_soon: int
    """Of these; their deadline comes within the days of the alarm."""
    overdue: int
    """Of these; it has gone by."""


@dataclass(frozen=True, slots=True)
class CaseCounts:
    """Open cases, and those that are overdue; none of the sandbox."""

    open: int
    overdue: int


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to decide a case until the lease ends; ``attempt`` fences."""

    case_id: int
    member_id: str
    request_id: str
    reviewer: str
    attempt: int
    until: datetime


@dataclass(frozen=True, slots=True)
class CasePhoto:
    """A photo as a reviewer gets it, with what this reviewer has answered. Nothing of the machine's."""

    position: int
    """0 is the selfie."""
    url: str = field(repr=False)
    fetched: bool
    """Whether the worker had the file: only such a photo can be answered."""
    answer: PairLabel | None = None


@dataclass(frozen=True, slots=True)
class EarlierVote:
    """What somebody else made of an escalated case."""

    choice: Choice
    code: ReviewReason | None
    photo: int | None
    note: str | None
    voted_by: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the machine found; for a reviewer who has answered blind."""

    request: RequestRecord
    earlier: tuple[RequestRecord, ...]
    """The member's other requests, the newest first."""
    reason: Reason | None
    """Why the member's verdict is a review, and by which request."""
    opened_by: str | None
    declared_gender: str | None
    tries: int | None
    """Earlier ones without an approval, where the review is open for them."""
    cause: Cause
    objected_at: datetime | None
    """When the member objected, where the case is about that."""
    votes: tuple[EarlierVote, ...]
    """Of those who escalated it; empty in all other cases: a second reviewer sees nothing of the first."""


@dataclass(frozen=True, slots=True)
class CaseView:
    """A case as its reviewer may see it: without evidence until every photo is answered."""

    claim: Claim
    photos: tuple[CasePhoto, ...]
    """The selfie first."""
    evidence: Evidence | None

    @property
    def to_answer(self) -> tuple[int, ...]:
        """Positions of the photos that have no answer yet."""
        return tuple(p.position for p in self.photos if p.position and p.fetched and p.answer is None)


@dataclass(frozen=True, slots=True)
class GivenAnswer:
    """An answer that was written down."""

    position: int
    label: PairLabel
    phase: Phase


@dataclass(frozen=True, slots=True)
class Answered:
    """Returned by answer: what was new, and whether training may learn from it."""

    new: tuple[GivenAnswer, ...]
    training_consent: bool


class Effect(StrEnum):
    """What a reviewer's choice led to."""

    DECIDED = "decided"
    WAITS = "waits"
    """Another person must come to the same."""
    ESCALATED = "escalated"


@dataclass(frozen=True, slots=True)
class Ruled:
    """Returned by decide; ``status`` is the member's verdict then."""

    member_id: str
    request_id: str
    choice: Choice
    effect: Effect
    status: Status
    previous_status: Status
    previous_reason: Reason | None


@dataclass(frozen=True, slots=True)
class LastChoice:
    """What a reviewer has decided last, and can still take back."""

    choice: Choice
    effect: Effect
    member_id: str
    request_id: str
    until: datetime
    """How long it can be taken back."""


@dataclass(frozen=True, slots=True)
class Undone:
    """Returned by undo; ``status`` and ``reason`` are the member's verdict again."""

    member_id: str
    choice: Choice
    status: Status | None
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class ListedCase:
    """An open case in the list."""

    case_id: int
    member_id: str
    opened_at: datetime
    due_at: datetime
    overdue: bool
    escalated: bool
    suspended: bool
    """Whether it waits for the member's consent to verification; it is not overdue then."""
    reviewer: str | None
    """Who has it now."""


@dataclass(frozen=True, slots=True)
class CaseList:
    """A page of the open cases, and how many there are in all."""

    open: int
    overdue: int
    claimed: int
    escalated: int
    suspended: int
    """How many wait for their members' consent to verification: nobody gets these."""
    objections: ObjectionCounts
    matching: int
    """Of the open ones, those that the list is about."""
    cases: tuple[ListedCase, ...]
    after: int | None
    """Where the next page begins; None on the last one."""


@dataclass(frozen=True, slots=True)
class ReviewPace:
    """How long cases wait, and how fast people decide."""

    oldest: timedelta | None
    """Since the oldest open case of a real member was opened."""
    votes: int
    """Of all reviewers in the last hour, 1,000 at most."""
    median_seconds: float | None
    """Of those, from the claim to the vote."""


@dataclass(frozen=True, slots=True)
class ReviewerReport:
    """How one reviewer has worked."""

    reviewer: str
    cases: int
    decisions: Mapping[Choice, int]
    answers: int
    """Blind answers about photos."""
    changed: int
    """Answers that were changed after the evidence."""
    compared: int
    """Blind answers about photos that somebody else has answered, too."""
    agreement: float | None
    """Share of those on which both agree."""
    kappa: float | None
    """Cohen's: 1 is perfect agreement, 0 that of guessing."""
    overturned: int
    """Votes that the member's verdict contradicts in the end."""
    median_seconds: float | None
    """From the claim to the decision."""


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What the blind audit says of the machine's approvals."""

    counts: Audit
    open: int
    """Of those sampled, how many wait for a person."""
    rate: float | None
    """Share of wrong ones among those judged."""
    interval: tuple[float, float]
    """Of that share, with 95 % confidence (Clopper-Pearson)."""


@dataclass(frozen=True, slots=True)
class ReviewReport:
    """How people decide."""

    since: datetime
    reviewers: tuple[ReviewerReport, ...]
    audit: AuditReport


@dataclass(frozen=True, slots=True)
class FoundPhoto:
    """What is known of a photo that an answer is about."""

    position: int
    outcome: Outcome
    sha256: str | None
