"""Dead jobs, and requests that ended in an error, get another chance."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from pipeline.verdict import Status
from worker.errors import BadMessage, NotRequeueable
from worker.jobs.verify_job import VerifyJob, read_job, read_message
from worker.store.acceptance import CONFLICT, Acceptance
from worker.store.base import AnyRow, is_newer
from worker.store.dead_jobs import FORGOTTEN
from worker.store.records import Queued
from worker.store.tables.states import State


class Requeueing(Acceptance):
    """`requeue`, `requeue_request`."""

    def requeue(self, dead_id: int, now: datetime) -> Queued:
        """Put a dead job back; the answer belongs on the broker's queue.

        Raises NotRequeueable where that cannot help, and MemberForgotten.
        """
        return self._write(lambda c: self._requeue(c, dead_id, now))

    def requeue_request(self, request_id: str, now: datetime) -> Queued:
        """Put back a request that is dead or ended in `error`. Raises NotRequeueable."""
        return self._write(lambda c: self._revive(c, request_id, now))

    def _requeue(self, c: sa.Connection, dead_id: int, now: datetime) -> Queued:
        d = self.t.dead_job
        found = c.execute(sa.select(d).where(d.c.id == dead_id).with_for_update()).one_or_none()
        dead = _requeueable(dead_id, found)
        if dead.reason == FORGOTTEN:
            raise NotRequeueable(self._why_refused(c, dead))
        request = dead.request_id and self._lock_both(c, dead.request_id)
        queued = self._revive(c, dead.request_id, now) if request else self._reaccept(c, dead, now)
        c.execute(sa.update(d).where(d.c.id == dead_id).values(requeued_at=now))
        return queued

    def _revive(self, c: sa.Connection, request_id: str, now: datetime) -> Queued:
        both = self._lock_both(c, request_id)
        if both is None:
            raise NotRequeueable("there is no such request, or its member was forgotten")
        member, request = both
        state = State(request.state)
        if state is not State.DEAD and not (state.ended and request.status == Status.ERROR):
            raise NotRequeueable(f"the request is {request.state}, neither dead nor ended in an error")
        if is_newer(member, request.requested_at, request_id):
            raise NotRequeueable("the member has a newer request")
        job = _readable(request.message)
        self._update_request(
            c,
            request_id,
            state=State.QUEUED,
            open_attempts=0,
            postponed=0,
            sweeps=0,
            due_at=now + self._stale_after,
            finished_at=None,  # what it ended with counts no more until it ends again
        )
        return Queued(job, request.queue)

    def _why_refused(self, c: sa.Connection, dead: AnyRow) -> str:
        again = "let the app send it again, for nothing of it was kept, then `dismiss` this one"
        if c.scalar(self._barred([dead.member_hash])) is None:
            return f"the ID is barred no more: {again}"
        return f"the ID is barred since its member was forgotten; if by mistake `unbar` it and {again}"

    def _reaccept(self, c: sa.Connection, dead: AnyRow, now: datetime) -> Queued:
        """What was never accepted, for instance because its schema was not known then."""
        if not dead.message_head:
            raise NotRequeueable(
                "nothing to put back is kept: it was no job, or its message was purged. Let the app send it "
                "again, then `dismiss` this one"
            )
        try:
            job = read_job(dead.message_head)
        except BadMessage as error:
            raise NotRequeueable(f"still no job: {error}") from None
        self._accept(c, job, dead.queue, now)
        return Queued(job, dead.queue)


def _readable(message: object) -> VerifyJob:
    try:
        return read_message(message)
    except BadMessage as error:
        raise NotRequeueable(f"no job any more: {error}") from None


def _requeueable(dead_id: int, dead: AnyRow | None) -> AnyRow:
    if dead is None:
        raise NotRequeueable(f"there is no dead job {dead_id}")
    if dead.requeued_at is not None:
        raise NotRequeueable(f"dead job {dead_id} was put back before")
    if dead.reason == CONFLICT:
        raise NotRequeueable("its request ID is taken by another content: send it with a new one")
    return dead
