"""Requests and dead jobs: frozen values, no rows and no connections."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from pipeline.verdict import Gender, PhotoFinding, PhotoVerdict, Reason, Status
from worker.jobs.links import PhotoLink
from worker.jobs.verify_job import VerifyJob, Why
from worker.results.reviewer_reasons import ReviewReason
from worker.store.members.records import DecisionRecord
from worker.store.tables.states import Decider, PairLabel, State

_SAID: Final = {PairLabel.GENUINE: PhotoVerdict.VERIFIED, PairLabel.IMPOSTOR: PhotoVerdict.CONTRADICTS}


class Refusal(StrEnum):
    """Why a delivery may not start work. All but `EXHAUSTED` mean: drop the message."""

    DONE = "done"
    DEAD = "dead"
    RUNNING = "running"
    """Another process has the lease; if it dies, the sweep sends the request again."""
    EXHAUSTED = "exhausted"
    """Started as often as allowed and never ended: give it up."""
    SUPERSEDED = "superseded"
    NOT_DUE = "not_due"
    """Waits for a photo server; the sweep sends it again in time."""
    UNKNOWN = "unknown"
    """No such request: never accepted, or its member was forgotten."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """Returned by accept when the request stands in the database."""

    request_id: str
    state: State
    new: bool
    """False when it was there before, with the same content."""
    sandbox: bool = False
    """Whether a new one is of a member of the sandbox."""
    manual: bool = False
    """Whether people look at a new one in place of the machine."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A started attempt: the right to finish this request until the lease ends.

    ``number`` counts all starts of the request and fences: who holds an older number has lost.
    """

    request_id: str
    member_id: str
    number: int
    postponed: int
    """How often it was put off because of a photo server: the index into the waits."""
    worker: str
    lease_until: datetime
    links: tuple[PhotoLink, ...]
    """By the photos' positions, as they stand in the database now."""
    sandbox: bool = False
    """Whether the request is of a member of the sandbox."""
    manual: bool = False
    """Whether people look in place of the machine."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Returned by acquire when the delivery may not start work."""

    request_id: str
    why: Refusal


@dataclass(frozen=True, slots=True)
class DeadJob:
    """What could not be processed. Of a ``body`` that is no job only the hash and the length are kept."""

    reason: str
    """A stable code: that of a BadMessage, or `poison`, `conflict`, `internal_error`, ..."""
    error: str
    body: bytes
    queue: str
    request_id: str | None = None
    """Only where it is a valid ID."""
    member_id: str | None = None
    attempts: int = 0
    sha256: str | None = None
    """Of the whole message, where ``body`` is only its beginning; ``length`` likewise, in bytes."""
    length: int | None = None

    def without_body(self) -> DeadJob:
        """Nothing of the message but its hash and its length."""
        digest = hashlib.sha256(self.body).hexdigest()
        return replace(self, body=b"", sha256=digest, length=len(self.body))


@dataclass(frozen=True, slots=True)
class DeadJobRecord:
    """A dead job as it stands in the database."""

    id: int
    reason: str
    error: str
    queue: str
    request_id: str | None
    member_id: str | None
    attempts: int
    message_sha256: str
    message_length: int
    created_at: datetime
    requeued_at: datetime | None
    dismissed_at: datetime | None
    dismissed_by: str | None
    dismissed_note: str | None
    member_hash: str | None
    """In place of the member's ID where the message was refused because the ID is barred."""
    message_kept: bool
    """Whether there is still something of the message; what was accepted is in the database anyway."""


@dataclass(frozen=True, slots=True)
class Queued:
    """A job that belongs on a queue of the broker."""

    job: VerifyJob
    queue: str


@dataclass(frozen=True, slots=True)
class Enqueued:
    """What became of members who were to get a request."""

    jobs: tuple[Queued, ...]
    refused: Mapping[str, str]
    """Member IDs, as they stand in the database, with why not."""


@dataclass(frozen=True, slots=True)
class PendingMember:
    """A member with a selfie who wants a request. An app may have written it in SQL: nothing is checked."""

    member_id: str
    declared_gender: str | None
    selfie_url: str
    photo_urls: tuple[str, ...]
    seen_before: bool
    """Whether an earlier request of the member was accepted."""


@dataclass(frozen=True, slots=True)
class PhotoReuse:
    """A photo of a request that another member had used. For reviewers only."""

    position: int
    of_member_id: str
    of_request_id: str
    of_position: int
    of_since: datetime
    """When the other request ended."""
    same_file: bool
    """Byte for byte; else it is a near copy."""


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request with what became of it."""

    request_id: str
    member_id: str
    why: Why
    queue: str
    state: State
    attempts: int
    postponed: int
    problem: str | None
    """The last trouble on the way, for operators."""
    next_attempt_at: datetime | None
    """While it waits for a photo host."""
    sandbox: bool
    requested_at: datetime
    accepted_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    status: Status | None = None
    reason: Reason | None = None
    photo: int | None = None
    same_person: bool | None = None
    similarity: float | None = None
    gender: Gender | None = None
    gender_probability: float | None = None
    code: ReviewReason | None = None
    """What the person saw who decided."""
    decided_by: Decider | None = None
    """Who said ``status`` and ``reason``; all the numbers are the machine's."""
    machine_status: Status | None = None
    """What the machine said, also where a person decided otherwise; ``machine_reason`` likewise."""
    machine_reason: Reason | None = None
    decisions: tuple[DecisionRecord, ...] = ()
    """What people decided, the latest last."""
    answers: Mapping[int, PairLabel] = field(default_factory=dict)
    """What the person whose approval stands has said of the photos, by position."""
    model_version: str | None = None
    policy_version: str | None = None
    timings: Mapping[str, float] = field(default_factory=dict)
    selfie: PhotoFinding | None = None
    photos: tuple[PhotoFinding, ...] = ()
    swapped: tuple[int, ...] = ()
    """Positions of photos at whose address another picture lay when the verdict before was made."""
    reuses: tuple[PhotoReuse, ...] = ()
    """Photos that another member had used before."""

    def verdict_of(self, finding: PhotoFinding) -> PhotoVerdict | None:
        """How a photo may be labelled: as the person said who approved, else as the machine found."""
        said = self.answers.get(finding.position)
        return finding.verdict if said is None else _SAID.get(said, finding.verdict)

    @property
    def findings(self) -> list[PhotoFinding]:
        """The selfie's, where there is one, then those of the gallery photos."""
        return [*([self.selfie] if self.selfie else []), *self.photos]
