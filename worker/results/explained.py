"""What a member may be told of the decisions about the photos: facts, in the shape of an explanation.

Nothing here has a place for what was suspected: no reason of a review, no guess, no other member, no name of
a reviewer, no note. So whatever is made of these facts, in words or as JSON, tells nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pipeline.verdict import PhotoFinding, Reason, Status
from worker.results.reviewer_reasons import ReviewReason, new_photo_text
from worker.results.texts import Language, found_text, member_text
from worker.settings import Settings

Words = Mapping[Language, str]


class Decided(StrEnum):
    """By whom."""

    PROGRAM = "program"
    PERSON = "person"


class Progress(StrEnum):
    """How far a request has come, in a member's terms."""

    WAITING = "waiting"
    ENDED = "ended"
    """With what its steps say."""
    FAILED = "failed"
    """By a fault of ours."""
    SUPERSEDED = "superseded"
    NO_CONSENT = "no_consent"
    NOT_ACCEPTED = "not_accepted"
    """What was sent was not in order."""


@dataclass(frozen=True, slots=True)
class Step:
    """What the program or a person came to; a `review` is what the program left to a person."""

    at: datetime
    by: Decided
    outcome: Status
    text: Words | None = None
    """What the member reads who is asked for another photo."""


@dataclass(frozen=True, slots=True)
class UsedPhoto:
    """A photo that was looked at, in the member's words; position 0 is the selfie."""

    position: int
    text: Words


@dataclass(frozen=True, slots=True)
class ComparedPhoto:
    """The photo that decided; ``similarity`` to the selfie is 0..1, 0.5 is the threshold."""

    position: int
    similarity: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedRequest:
    """One request, and what came of it."""

    request_id: str
    requested_at: datetime
    why: str | None = None
    """As the message says; None where it was not accepted."""
    standing: bool = False
    """Whether the member's result is from it."""
    progress: Progress
    manual: bool = False
    """Whether people look in place of the program, which compared nothing."""
    steps: tuple[Step, ...] = ()
    """In their order; a decision that was taken back is none."""
    waits: bool = False
    """Whether a person is still to decide."""
    looked_at: datetime | None = None
    """When the photos were."""
    photos: tuple[UsedPhoto, ...] = ()
    compared: ComparedPhoto | None = None
    """Only where the program alone has decided by it."""
    model_version: str | None = None
    """Of the model that looked at the photos, if one has; ``policy_version`` likewise of the rules."""
    policy_version: str | None = None


@dataclass(frozen=True, slots=True)
class AgreedTo:
    """A consent on record, or a refusal where it was never given."""

    purpose: str
    version: str
    given_at: datetime | None
    withdrawn_at: datetime | None


@dataclass(frozen=True, slots=True)
class AskedForPerson:
    """An objection of the member's: a wish that a person decides."""

    received_at: datetime
    due_at: datetime
    """By when the law wants an answer."""
    answered_at: datetime | None = None
    """When a person decided; None while nobody has."""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What the threshold of a model was set by, where that is on record."""

    people: int
    false_match_rate: float
    """0..1: the share of pairs of two people that the threshold lets pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What holds for every member, by the settings."""

    rejects_by_program: bool
    number_days: int
    link_days: int
    event_days: int
    dead_job_days: int
    access_days: int
    objection_days: float

    @classmethod
    def of(cls, settings: Settings) -> Terms:
        """Those of the settings."""
        return cls(
            rejects_by_program=settings.auto_reject,
            number_days=settings.retention_days,
            link_days=settings.link_days,
            event_days=settings.event_days,
            dead_job_days=settings.dead_job_days,
            access_days=settings.access_log_days,
            objection_days=settings.objection_days,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """All that one member is told; the standing request first, then the newest."""

    member_id: str
    sandbox: bool
    written_at: datetime
    gender_declared: bool
    """Whether the app has sent one."""
    requests: tuple[ExplainedRequest, ...]
    consents: tuple[AgreedTo, ...]
    agrees: Mapping[str, bool]
    """By purpose, as it holds now."""
    suspended: bool = False
    """Whether no person decides before the member agrees to the verification again."""
    objections: tuple[AskedForPerson, ...]
    """The newest first."""
    calibrated: Calibrated | None
    terms: Terms


def step_of_program(status: Status, reason: Reason | None, about: PhotoFinding | None, at: datetime) -> Step:
    """What the program came to; only where it asks for a photo is the reason the member's to hear."""
    if status is not Status.RETRY_PHOTO or reason is None:
        return Step(at, Decided.PROGRAM, status)
    words = {one: member_text(status, reason, one, about) for one in Language}
    return Step(at, Decided.PROGRAM, status, words)


def step_of_person(status: Status, code: ReviewReason | None, photo: int | None, at: datetime) -> Step:
    """What a person decided; only of a photo to replace is the reason the member's to hear."""
    if status is not Status.RETRY_PHOTO:
        return Step(at, Decided.PERSON, status)
    if photo is None:  # of a time before people said which
        words = {one: member_text(status, Reason.RETRY_PHOTO_BY_PERSON, one) for one in Language}
    else:
        words = {one: new_photo_text(code, photo, one) for one in Language}
    return Step(at, Decided.PERSON, status, words)


def used_photo(finding: PhotoFinding) -> UsedPhoto:
    """What was found in a photo, as the member reads it."""
    return UsedPhoto(finding.position, {one: found_text(finding, one) for one in Language})
