"""Requests: accepted, worked on under a lease, ended, and sent again where their message seems lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from pipeline.verdict import Verdict
from worker.client.identifiers import is_identifier
from worker.errors import BadMessage, ConsentWithdrawn, MemberForgotten, RequestConflict
from worker.jobs.links import PhotoLink, current_links, urls_of
from worker.jobs.verify_job import VerifyJob, parse_stored_job
from worker.results.document import EventType
from worker.store.database import AnyRow, Database, T
from worker.store.leases import is_leased, update_leased
from worker.store.members.galleries import Galleries
from worker.store.outbox.outcomes import Outcomes
from worker.store.requests.acceptance import Acceptance
from worker.store.requests.reading import read_requests
from worker.store.requests.records import Accepted, Attempt, Queued, Refusal, Refused, RequestRecord
from worker.store.requests.results import Results, known_contents, note_contents
from worker.store.requests.rows import is_manual, is_newer
from worker.store.tables.states import State

_MOST_DOUBLINGS: Final = 5
"""A message that is lost again and again is sent after 2, 4, 8, ... and then every 64 minutes."""
_NOTHING_WAITS: Final[Mapping[str, int]] = {}


class Requests:
    """Every request from its acceptance to its end."""

    def __init__(
        self,
        database: Database,
        acceptance: Acceptance,
        results: Results,
        outcomes: Outcomes,
        stale_after: timedelta,
    ) -> None:
        self._db = database
        self._t = database.t
        self._acceptance = acceptance
        self._results = results
        self._outcomes = outcomes
        self._stale_after = stale_after

    def accept(self, job: VerifyJob, queue: str, now: datetime) -> Accepted:
        """Write the request down; the same message a second time changes nothing.

        Creates the member if need be, and takes selfie, gallery and declared gender from the newest
        request. Older requests of the member that have not started end `superseded`; so does this
        one, at once, where its sender has sent a newer one before. No clock counts but the sender's
        against itself: a request that comes later is the newer one, and none lies in the future.

        Raises RequestConflict, MemberForgotten and ConsentWithdrawn; a `dead_job` row is there then.
        """
        return self._take_in(lambda c: self._acceptance.accept(c, job, queue, now), job, queue, now)

    def _take_in(self, work: Callable[[sa.Connection], T], job: VerifyJob, queue: str, now: datetime) -> T:
        """Run the work, which accepts the job; write down why it is not accepted."""
        try:
            return self._db.write(work)
        except RequestConflict:
            self._db.write(lambda c: self._acceptance.write_conflict(c, job, queue, now))
            raise
        except MemberForgotten:
            self._db.write(lambda c: self._acceptance.write_forgotten(c, job, queue, now))
            raise
        except ConsentWithdrawn:
            self._db.write(lambda c: self._results.refused_consent.refuse(c, job, queue, now))
            raise

    def begin(
        self, job: VerifyJob, queue: str, worker: str, lease: timedelta, max_attempts: int, *, now: datetime
    ) -> Attempt | Refused:
        """`accept` and `acquire`, in one transaction. Raises what `accept` raises."""
        until = now + lease

        def work(c: sa.Connection) -> Attempt | Refused:
            accepted = self._acceptance.accept(c, job, queue, now, _begun(1, 1, worker, until, now))
            if accepted.new and accepted.state is State.RUNNING:
                return _first_attempt(job, accepted, worker, until)
            its = (job.request_id, job.member_id)
            return self._acquire(c, *its, worker=worker, until=until, most=max_attempts, now=now)

        return self._take_in(work, job, queue, now)

    def acquire(
        self, request_id: str, worker: str, lease: timedelta, max_attempts: int, now: datetime
    ) -> Attempt | Refused:
        """Begin work, or say why not. Committed on return, so that a process that dies is counted.

        Of two deliveries of one request only one gets the attempt. A lease that has ended can be
        acquired. Attempts that ended in `postpone` do not count towards ``max_attempts``.
        """
        until, most = now + lease, max_attempts
        return self._db.write(
            lambda c: self._acquire(c, request_id, None, worker=worker, until=until, most=most, now=now)
        )

    def _acquire(
        self,
        c: sa.Connection,
        request_id: str,
        member_id: str | None,
        *,
        worker: str,
        until: datetime,
        most: int,
        now: datetime,
    ) -> Attempt | Refused:
        both = self._db.lock_both(c, request_id, member_id)
        if both is None:
            return Refused(request_id, Refusal.UNKNOWN)
        member, request = both
        why = _refusal(member, request, most, now)
        if why is Refusal.SUPERSEDED and not State(request.state).ended:
            ended = {"open_attempts": 0, "lease_until": None, "next_attempt_at": None, "due_at": None}
            self._db.update_request(c, request_id, state=State.SUPERSEDED, finished_at=now, **ended)
            self._outcomes.changed(c, request_id, now, EventType.SUPERSEDED)
        if why is not None:
            return Refused(request_id, why)
        if not member.verification_consent and not is_manual(member, request.message):
            self._results.refused_consent.end(c, request, now)
            return Refused(request_id, Refusal.DEAD)
        return self._begin(c, member, request, worker, until=until, now=now)

    def _begin(
        self,
        c: sa.Connection,
        member: AnyRow,
        request: AnyRow,
        worker: str,
        *,
        until: datetime,
        now: datetime,
    ) -> Attempt:
        begun = _begun(request.attempts + 1, request.open_attempts + 1, worker, until, now)
        self._db.update_request(c, request.request_id, sweeps=0, next_attempt_at=None, **begun)
        if request.state == State.RETRY_WAIT:
            self._outcomes.changed(c, request.request_id, now)
        return Attempt(
            request_id=request.request_id,
            member_id=request.member_id,
            number=request.attempts + 1,
            postponed=request.postponed,
            worker=worker,
            lease_until=until,
            links=self._links(c, member, request),
            sandbox=request.sandbox,
            manual=is_manual(member, request.message),
        )

    def _links(self, c: sa.Connection, member: AnyRow, request: AnyRow) -> tuple[PhotoLink, ...]:
        """Of what was put back the contents are known that were judged before."""
        known = {} if request.status is None else known_contents(c, self._t, request.request_id)
        now = Galleries(self._t).links(c, member)
        return current_links(urls_of(request.message), now, request.member_id, known)

    def extend(self, attempt: Attempt, lease: timedelta, now: datetime) -> bool:
        """Extend the lease; False when the request belongs to another process by now."""
        until = now + lease
        return self._db.write(lambda c: self._update(c, attempt, lease_until=until, due_at=until))

    def postpone(self, attempt: Attempt, until: datetime, problem: str, now: datetime) -> bool:
        """Give the request back until a photo server may have recovered; False when it was lost."""
        return self._db.write(lambda c: self._postpone(c, attempt, until, problem, now))

    def _postpone(
        self, c: sa.Connection, attempt: Attempt, until: datetime, problem: str, now: datetime
    ) -> bool:
        v = self._t.verification
        self._db.lock_member(c, attempt.member_id)
        postponed = self._update(
            c,
            attempt,
            state=State.RETRY_WAIT,
            open_attempts=v.c.open_attempts - 1,
            postponed=v.c.postponed + 1,
            problem=problem,
            lease_until=None,
            next_attempt_at=until,
            due_at=max(until, now),
        )
        if postponed:
            self._outcomes.changed(c, attempt.request_id, now)
        return postponed

    def _update(self, c: sa.Connection, attempt: Attempt, **values: Any) -> bool:
        v = self._t.verification
        its = (v.c.request_id == attempt.request_id, v.c.state == State.RUNNING)
        return update_leased(c, v, attempt.number, *its, **values)

    def finish(self, attempt: Attempt, verdict: Verdict, now: datetime) -> Verdict | None:
        """Write the verdict: the request, its photos and the member, together or not at all.

        Returns it as it is recorded, for a second look may make a review of it.

        The member's row is left alone where a newer request is known (this one ends `superseded`,
        its numbers are kept), where an error would wipe a standing verdict, and while a review is open
        for another reason than doubt. None, and nothing written, when the attempt has lost the request
        or the member was forgotten.
        """
        return self._db.write(lambda c: self._results.finish(c, attempt, verdict, now))

    def give_up(
        self,
        request_id: str,
        reason: str,
        message: str,
        now: datetime,
        *,
        attempt: Attempt | None = None,
    ) -> bool:
        """End the request `dead`, with a `dead_job` row; the member's verdict becomes `error`.

        With the ``attempt`` only while that one holds the request; without, only while nobody does.
        Where the app's own table does not take the result, the dead job says so: it is written all the same.
        False, and nothing written, otherwise, and when the request has ended or is unknown.
        ``reason`` is a stable code, ``message`` is for operators.
        """
        return self._db.write(
            lambda c: self._results.give_up(c, request_id, reason, message, attempt, now=now)
        )

    def requeue(self, request_id: str, now: datetime) -> Queued:
        """Put back a request that is dead or ended in `error`. Raises NotRequeueable."""
        return self._db.write(lambda c: self._acceptance.revive(c, request_id, now))

    def note_contents(self, member_id: str, seen: Mapping[str, str]) -> bool:
        """Hold what lies at these links now (SHA-256) against what was judged there.

        True where a photo that the member has is another one by now: the member gets a request then.
        """
        return self._db.write(lambda c: note_contents(c, self._db, member_id, seen))

    def unfinished(
        self, now: datetime, limit: int = 500, waiting: Mapping[str, int] = _NOTHING_WAITS
    ) -> list[Queued]:
        """Requests whose message seems lost: queued too long, due for another try, lease ended.

        ``waiting`` is how many messages lie on each queue of the broker: as many of the requests that were
        sent are not lost. Each is handed out once, though two sweeps run at once; if it stays unfinished it
        comes again later, and later each time. The longest overdue come first.
        """
        rows = self._due(self._unsent, now, limit)
        for queue, sent in self._sent(now).items():
            lost = min(sent - waiting.get(queue, 0), limit - len(rows))
            if lost > 0:
                rows += self._due(sa.and_(~self._unsent, self._t.verification.c.queue == queue), now, lost)
        return [queued for row in rows if (queued := self._queued(row, now))]

    @property
    def _unsent(self) -> sa.ColumnElement[bool]:
        """Its message was taken, and none was sent since: it waits for a photo host, or its worker died."""
        v = self._t.verification
        return sa.and_(v.c.state != State.QUEUED, v.c.sweeps == 0)

    def _sent(self, now: datetime) -> dict[str, int]:
        """How many that are due have a message, unless it was lost, by queue."""
        v = self._t.verification
        query = sa.select(v.c.queue, sa.func.count()).where(v.c.due_at <= now, ~self._unsent)
        return {row[0]: row[1] for row in self._db.read(lambda c: c.execute(query.group_by(v.c.queue)).all())}

    def _due(self, which: sa.ColumnElement[bool], now: datetime, limit: int) -> list[AnyRow]:
        return self._db.write_batches(lambda size, c: self._put_off(c, which, now, size), limit)

    def _put_off(
        self, c: sa.Connection, which: sa.ColumnElement[bool], now: datetime, limit: int
    ) -> Sequence[AnyRow]:
        v = self._t.verification
        rows = c.execute(
            sa.select(v.c.request_id, v.c.message, v.c.queue, v.c.sweeps)
            .where(v.c.due_at <= now, which)
            .order_by(v.c.due_at)
            .limit(limit)
            # Rows of the other sweep, or of a worker just now: not ours to wait for.
            .with_for_update(skip_locked=True)
        ).all()
        if rows:
            update = sa.update(v).where(v.c.request_id == sa.bindparam("id"))
            c.execute(update, [self._sent_again(row, now) for row in rows])
        return rows

    def _sent_again(self, row: AnyRow, now: datetime) -> dict[str, Any]:
        again = now + self._stale_after * 2 ** min(row.sweeps, _MOST_DOUBLINGS)
        return {"id": row.request_id, "due_at": again, "sweeps": row.sweeps + 1}

    def _queued(self, row: AnyRow, now: datetime) -> Queued | None:
        """The job of a row. One that cannot be read any more must not stop the sweep for the others."""
        try:
            job = parse_stored_job(row.message)
        except BadMessage as error:
            self.give_up(row.request_id, error.code, error.text, now)
            return None
        return Queued(job, row.queue)

    def find(self, request_id: str) -> RequestRecord | None:
        """One request with its photos; None if there is none of that ID."""
        v = self._t.verification
        if not is_identifier(request_id):
            return None
        query = sa.select(v).where(v.c.request_id == request_id)
        found = self._db.read(lambda c: read_requests(c, self._t, query))
        return found[0] if found else None

    def of_member(self, member_id: str, limit: int = 10) -> list[RequestRecord]:
        """The member's requests, the newest first."""
        v = self._t.verification
        query = (
            sa.select(v)
            .where(v.c.member_id == member_id)
            .order_by(v.c.requested_at.desc(), v.c.request_id.desc())
            .limit(limit)
        )
        return self._db.read(lambda c: read_requests(c, self._t, query))


def _begun(attempts: int, open_attempts: int, worker: str, until: datetime, now: datetime) -> dict[str, Any]:
    """The columns of a request that an attempt of this number has begun."""
    return {
        "state": State.RUNNING,
        "attempts": attempts,
        "open_attempts": open_attempts,
        "worker": worker,
        "lease_until": until,
        "due_at": until,
        "started_at": now,
    }


def _first_attempt(job: VerifyJob, accepted: Accepted, worker: str, until: datetime) -> Attempt:
    """Of a request that is the member's newest: the links are those of its message."""
    return Attempt(
        request_id=job.request_id,
        member_id=job.member_id,
        number=1,
        postponed=0,
        worker=worker,
        lease_until=until,
        links=current_links([job.selfie_url, *job.photo_urls], (), job.member_id, {}),
        sandbox=accepted.sandbox,
        manual=accepted.manual,
    )


def _refusal(member: AnyRow, request: AnyRow, most: int, now: datetime) -> Refusal | None:
    state = State(request.state)
    if state.ended:
        return Refusal(state.value)
    if state is State.RUNNING and is_leased(request, now):
        return Refusal.RUNNING
    if is_newer(member, request.requested_at, request.request_id):
        return Refusal.SUPERSEDED
    if state is State.RETRY_WAIT and request.next_attempt_at > now:
        return Refusal.NOT_DUE
    return Refusal.EXHAUSTED if request.open_attempts >= most else None
