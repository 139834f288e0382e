"""A request enters the database."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from worker.errors import MemberForgotten, RequestConflict
from worker.jobs.verify_job import VerifyJob
from worker.store.base import AnyRow
from worker.store.dead_jobs import FORGOTTEN, DeadJobs, dead_job_values
from worker.store.galleries import Galleries
from worker.store.records import Accepted, DeadJob
from worker.store.tables.states import State

logger = logging.getLogger(__name__)

CONFLICT = "conflict"
_NOTABLE: Final = timedelta(minutes=1)
"""A clock that is further ahead than this is told to the operator."""


class Acceptance(DeadJobs, Galleries):
    """`accept`."""

    def accept(self, job: VerifyJob, queue: str, now: datetime) -> Accepted:
        """Write the request down; the same message a second time changes nothing.

        Creates the member if need be, and takes selfie, gallery and declared gender from the newest
        request. Older requests of the member that have not started end `superseded`; so does this
        one, at once, where its sender has sent a newer one before. No clock counts but the sender's
        against itself: a request that comes later is the newer one, and none lies in the future.

        Raises RequestConflict and MemberForgotten; a `dead_job` row is written here already.
        """
        try:
            return self._write(lambda c: self._accept(c, job, queue, now))
        except RequestConflict:
            self._write(lambda c: self._bury_conflict(c, job, queue, now))
            raise
        except MemberForgotten:
            self._write(lambda c: self._bury_barred(c, _dead(job, queue), now))
            raise

    def _accept(self, c: sa.Connection, job: VerifyJob, queue: str, now: datetime) -> Accepted:
        member = self._lock_member(c, job.member_id)
        if member is None:
            row = {"member_id": job.member_id, "created_at": now, "updated_at": now}
            c.execute(sa.insert(self.t.member), [row])
        if self._forgotten(c, [job.member_id]):
            raise MemberForgotten("the member was forgotten")
        known = self._lock_request(c, job.request_id)
        if known is not None:
            if known.content_hash != job.content_hash():
                raise RequestConflict(job.request_id)
            return Accepted(job.request_id, State(known.state), new=False)
        sent_at = min(job.requested_at, now)
        if job.requested_at > now + _NOTABLE:
            logger.warning("the sender's clock is ahead of ours: the request counts from now")
        if _was_sent_before(job, sent_at, member, now):
            row = self._request_values(job, sent_at, State.SUPERSEDED, queue, now)
            c.execute(sa.insert(self.t.verification), [row])
            return Accepted(job.request_id, State.SUPERSEDED, new=True)
        self._enter(c, [(job, just_after(member, sent_at))], queue, now)
        m = self.t.member
        c.execute(sa.update(m).where(m.c.member_id == job.member_id).values(sent_at=sent_at))
        return Accepted(job.request_id, State.QUEUED, new=True)

    def _enter(
        self, c: sa.Connection, jobs: Sequence[tuple[VerifyJob, datetime]], queue: str, now: datetime
    ) -> None:
        """Write the newest requests of different members, who are locked, with when each counts from:
        `just_after` the member's newest."""
        rows = [self._request_values(job, at, State.QUEUED, queue, now) for job, at in jobs]
        c.execute(sa.insert(self.t.verification), rows)
        self._make_newest(c, jobs, now)

    def _request_values(
        self, job: VerifyJob, at: datetime, state: State, queue: str, now: datetime
    ) -> dict[str, Any]:
        return {
            "request_id": job.request_id,
            "member_id": job.member_id,
            "why": job.why,
            "queue": queue,
            "requested_at": at,
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
        }

    def _make_newest(
        self, c: sa.Connection, entered: Sequence[tuple[VerifyJob, datetime]], now: datetime
    ) -> None:
        """The members are what their newest requests say."""
        jobs = [job for job, _ in entered]
        m = self.t.member
        newest = sa.update(m).where(m.c.member_id == sa.bindparam("id"))
        settled = newest.values(pending=False, request_after=None)
        c.execute(settled, [_member_values(job, at, now) for job, at in entered])
        self._supersede_waiting(c, jobs, now)
        self._replace_galleries(c, {job.member_id: job.photo_urls for job in jobs}, now)

    def _supersede_waiting(self, c: sa.Connection, jobs: Sequence[VerifyJob], now: datetime) -> None:
        """End what waits; what runs ends by itself, and finds out then."""
        v = self.t.verification
        c.execute(
            sa.update(v)
            .where(
                v.c.member_id.in_([job.member_id for job in jobs]),
                v.c.request_id.not_in([job.request_id for job in jobs]),
                v.c.state.in_([State.QUEUED, State.RETRY_WAIT]),
            )
            .values(
                state=State.SUPERSEDED, open_attempts=0, due_at=None, next_attempt_at=None, finished_at=now
            )
        )

    def _bury_conflict(self, c: sa.Connection, job: VerifyJob, queue: str, now: datetime) -> None:
        """Once for each content, however often the message is delivered."""
        error = "this request ID was sent before with other content"
        d, dead = self.t.dead_job, replace(_dead(job, queue), reason=CONFLICT, error=error)
        values = dead_job_values(dead, now)
        there = sa.select(d.c.id).where(
            d.c.request_id == job.request_id,
            d.c.reason == CONFLICT,
            d.c.message_sha256 == values["message_sha256"],
        )
        self._lock_member(c, job.member_id)
        if self._forgotten(c, [job.member_id]):
            self._bury_barred(c, dead, now)
        elif c.execute(there).first() is None:
            c.execute(sa.insert(d).values(**values))


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


def _member_values(job: VerifyJob, at: datetime, now: datetime) -> dict[str, Any]:
    return {
        "id": job.member_id,
        "declared_gender": job.declared_gender,
        "selfie_url": job.selfie_url,
        "request_id": job.request_id,
        "requested_at": at,
        "updated_at": now,
        "requested_selfie_url": job.selfie_url,
        "requested_gender": job.declared_gender,
        "requested_photos": len(job.photo_urls),
    }
