"""How a request comes into the database, new or again."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from pipeline.verdict import Status
from worker.errors import BadMessage, ConsentWithdrawn, MemberForgotten, NotRequeueable, RequestConflict
from worker.jobs.verify_job import VerifyJob, parse_stored_job
from worker.store.counts.days import days_changed
from worker.store.database import AnyRow, Database
from worker.store.members.galleries import Galleries
from worker.store.members.refused_consent import WITHDRAWN
from worker.store.members.sandbox import is_sandbox
from worker.store.members.tombstones import Tombstones
from worker.store.outbox.outcomes import Outcomes
from worker.store.requests.dead_letters import FORGOTTEN, DeadLetters, dead_job_values
from worker.store.requests.records import Accepted, DeadJob, Queued
from worker.store.requests.rows import is_manual, is_newer
from worker.store.tables.states import State

logger = logging.getLogger(__name__)

CONFLICT = "conflict"
_WAITING: Final[Mapping[str, Any]] = {}
"""Of a request that nobody works on yet."""
_NOTABLE: Final = timedelta(minutes=1)
"""A clock that is further ahead than this is told to the operator."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A request that comes in: when it counts from, and whether it is of the sandbox."""

    job: VerifyJob
    at: datetime
    sandbox: bool
    sent_at: datetime | None = None
    """When the app sent it; None of one that we have made ourselves."""


class Acceptance:
    """Writes requests down within the transactions of others."""

    def __init__(
        self,
        database: Database,
        tombstones: Tombstones,
        dead_letters: DeadLetters,
        outcomes: Outcomes,
        stale_after: timedelta,
    ) -> None:
        self._db = database
        self._t = database.t
        self._tombstones = tombstones
        self._dead_letters = dead_letters
        self._outcomes = outcomes
        self._galleries = Galleries(database.t)
        self._stale_after = stale_after
        self._sandbox_prefix = outcomes.sandbox_prefix

    def accept(
        self, c: sa.Connection, job: VerifyJob, queue: str, now: datetime, begun: Mapping[str, Any] = _WAITING
    ) -> Accepted:
        """See `Requests.accept`. ``begun``: columns of a request that is new, whose work begins at once."""
        member = self._db.lock_member_of_job(c, job.member_id)
        sent_at = min(job.requested_at, now)
        sandbox = self.is_sandbox(job.member_id, member)
        entry = Entry(job, just_after(member, sent_at), sandbox, sent_at)
        if member is None:  # at first, so that it is locked
            new = {"member_id": job.member_id, "created_at": now, **_settled(entry, now)}
            c.execute(sa.insert(self._t.member), [new])
        if self._tombstones.among(c, [job.member_id]):
            raise MemberForgotten("the member was forgotten")
        known = self._db.lock_request_of_job(c, job.request_id)
        if known is not None:
            # What was put back after its links were purged comes as it stands in the row.
            if known.content_hash != job.content_hash() and known.message != job.to_message():
                raise RequestConflict(job.request_id)
            return Accepted(job.request_id, State(known.state), new=False)
        if member is not None and not member.verification_consent and not is_manual(member, job.to_message()):
            raise ConsentWithdrawn(WITHDRAWN)
        if job.requested_at > now + _NOTABLE:
            logger.warning("the sender's clock is ahead of ours: the request counts from now")
        if _was_sent_before(job, sent_at, member, now):
            row = self._request_values(replace(entry, at=sent_at), State.SUPERSEDED, queue, now)
            c.execute(sa.insert(self._t.verification), [row])
            self._outcomes.queued(c, [row], now)
            return Accepted(job.request_id, State.SUPERSEDED, new=True)
        row = self._request_values(entry, State.QUEUED, queue, now) | {**begun}
        self._take_in(c, entry, member, row, now)
        manual = job.manual or (member is not None and bool(member.manual))
        return Accepted(job.request_id, row["state"], new=True, sandbox=sandbox, manual=manual)

    def _take_in(
        self, c: sa.Connection, entry: Entry, member: AnyRow | None, row: dict[str, Any], now: datetime
    ) -> None:
        """Write down the newest request of a member; of a new one (None) nothing else can be there."""
        c.execute(sa.insert(self._t.verification), [row])
        if member is None:
            self._galleries.add(c, {entry.job.member_id: entry.job.photo_urls}, now)
        else:
            self._make_newest(c, [entry], now)
        self._outcomes.queued(c, [row], now)

    def is_sandbox(self, member_id: str, member: AnyRow | None) -> bool:
        """Whether a request of the member is of the sandbox."""
        return is_sandbox(self._sandbox_prefix, member_id, member)

    def enter(self, c: sa.Connection, entries: Sequence[Entry], queue: str, now: datetime) -> None:
        """Write the newest requests of different members, who are locked; each counts from `just_after` the
        member's newest."""
        rows = [self._request_values(entry, State.QUEUED, queue, now) for entry in entries]
        c.execute(sa.insert(self._t.verification), rows)
        self._make_newest(c, entries, now)
        self._outcomes.queued(c, rows, now)

    def _request_values(self, entry: Entry, state: State, queue: str, now: datetime) -> dict[str, Any]:
        job = entry.job
        return {
            "request_id": job.request_id,
            "member_id": job.member_id,
            "why": job.why,
            "queue": queue,
            "requested_at": entry.at,
            "message": job.to_message(),
            "content_hash": job.content_hash(),
            "state": state,
            "attempts": 0,
            "open_attempts": 0,
            "postponed": 0,
            "sweeps": 0,
            "accepted_at": now,
            "due_at": None if state.ended else now + self._stale_after,
            "finished_at": now if state.ended else None,
            "sandbox": entry.sandbox,
        }

    def _make_newest(self, c: sa.Connection, entries: Sequence[Entry], now: datetime) -> None:
        """The members are what their newest requests say."""
        jobs = [entry.job for entry in entries]
        m = self._t.member
        newest = sa.update(m).where(m.c.member_id == sa.bindparam("id"))
        c.execute(newest, [{"id": entry.job.member_id, **_settled(entry, now)} for entry in entries])
        self._supersede_waiting(c, jobs, now)
        self._galleries.replace(c, {job.member_id: job.photo_urls for job in jobs}, now)

    def _supersede_waiting(self, c: sa.Connection, jobs: Sequence[VerifyJob], now: datetime) -> None:
        """End what waits; what runs ends by itself, and finds out then."""
        v = self._t.verification
        waiting = sa.select(v.c.request_id).where(
            v.c.member_id.in_([job.member_id for job in jobs]),
            v.c.request_id.not_in([job.request_id for job in jobs]),
            v.c.state.in_([State.QUEUED, State.RETRY_WAIT]),
        )
        ids = c.scalars(waiting.with_for_update()).all()
        if ids:
            ended = {"open_attempts": 0, "due_at": None, "next_attempt_at": None, "finished_at": now}
            update = sa.update(v).where(v.c.request_id.in_(ids))
            c.execute(update.values(state=State.SUPERSEDED, **ended))
            self._outcomes.superseded(c, ids, now)

    def write_conflict(self, c: sa.Connection, job: VerifyJob, queue: str, now: datetime) -> None:
        """Once for each content, however often the message is delivered."""
        error = "this request ID was sent before with other content"
        d, dead = self._t.dead_job, replace(_dead(job, queue), reason=CONFLICT, error=error)
        values = dead_job_values(dead, now)
        there = sa.select(d.c.id).where(
            d.c.request_id == job.request_id,
            d.c.reason == CONFLICT,
            d.c.message_sha256 == values["message_sha256"],
        )
        self._db.lock_member(c, job.member_id)
        if self._tombstones.among(c, [job.member_id]):
            self._dead_letters.write_barred(c, dead, now)
        elif c.execute(there).first() is None:
            c.execute(sa.insert(d).values(**values))
            self._outcomes.refused(c, job.request_id, job.member_id, CONFLICT, now)

    def write_forgotten(self, c: sa.Connection, job: VerifyJob, queue: str, now: datetime) -> None:
        """A request for a member who is barred."""
        self._dead_letters.write_barred(c, _dead(job, queue), now)

    def revive(self, c: sa.Connection, request_id: str, now: datetime) -> Queued:
        """Put a request back; see `Requests.requeue`."""
        both = self._db.lock_both(c, request_id)
        if both is None:
            raise NotRequeueable("there is no such request, or its member was forgotten")
        member, request = both
        state = State(request.state)
        if state is not State.DEAD and not (state.ended and request.status == Status.ERROR):
            raise NotRequeueable(f"the request is {request.state}, neither dead nor ended in an error")
        if is_newer(member, request.requested_at, request_id):
            raise NotRequeueable("the member has a newer request")
        if not member.verification_consent and not is_manual(member, request.message):
            raise NotRequeueable(WITHDRAWN)
        job = _readable(request.message)
        days_changed(c, self._t, [request.finished_at])
        self._db.update_request(
            c,
            request_id,
            state=State.QUEUED,
            open_attempts=0,
            postponed=0,
            sweeps=0,
            due_at=now + self._stale_after,
            finished_at=None,  # what it ended with counts no more until it ends again
        )
        self._outcomes.requeued(c, request_id, now)
        return Queued(job, request.queue)


def _readable(message: object) -> VerifyJob:
    try:
        return parse_stored_job(message)
    except BadMessage as error:
        raise NotRequeueable(f"no job any more: {error}") from None


def _dead(job: VerifyJob, queue: str) -> DeadJob:
    return DeadJob(
        reason=FORGOTTEN,
        error="",
        body=json.dumps(job.to_message()).encode(),
        queue=queue,
        request_id=job.request_id,
        member_id=job.member_id,
    )


def just_after(member: AnyRow | None, at: datetime) -> datetime:
    """When a request counts from that comes now: ``at``, or just after the member's newest."""
    if member is None or member.requested_at is None:
        return at
    newest: datetime = member.requested_at
    return max(at, newest + timedelta(microseconds=1))


def _was_sent_before(job: VerifyJob, sent_at: datetime, member: AnyRow | None, now: datetime) -> bool:
    """Whether the app has sent a newer one already: by its own clock, and by the ID at the same moment.

    Requests of our own (of an import, the sweep, an operator) say nothing here: they were made of what
    stood in the database.
    """
    if member is None or member.request_id is None:
        return False
    newest = member.sent_at or min(member.requested_at, now)
    same_moment = sent_at == newest and job.requested_at <= now
    return sent_at < newest or (same_moment and job.request_id < member.request_id)


def _settled(entry: Entry, now: datetime) -> dict[str, Any]:
    """The columns of a member whose newest request this is."""
    job = entry.job
    return {
        "pending": False,
        "request_after": None,
        "declared_gender": job.declared_gender,
        "selfie_url": job.selfie_url,
        "request_id": job.request_id,
        "requested_at": entry.at,
        "sandbox": entry.sandbox,
        "requested_state": State.QUEUED,
        "failed_at": None,
        "updated_at": now,
        "requested_selfie_url": job.selfie_url,
        "requested_gender": job.declared_gender,
        "requested_photos": len(job.photo_urls),
        "requested_manual": job.manual,
        **({"sent_at": entry.sent_at} if entry.sent_at else {}),
    }
