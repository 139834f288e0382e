"""A delivery becomes an attempt: the right to work on a request for a while."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from worker.store.base import AnyRow, Database, is_newer
from worker.store.records import Attempt, Refusal, Refused
from worker.store.tables.schema import TEXT_LENGTH
from worker.store.tables.states import State


class Attempts(Database):
    """`start_attempt`, `extend`, `postpone`."""

    def start_attempt(
        self, request_id: str, worker: str, lease: timedelta, max_attempts: int, now: datetime
    ) -> Attempt | Refused:
        """Begin work, or say why not. Committed on return, so that a process that dies is counted.

        Of two deliveries of one request only one gets the attempt. A lease that has ended is taken
        over. Attempts that ended in `postpone` do not count towards ``max_attempts``.
        """
        return self._write(lambda c: self._start(c, request_id, worker, now + lease, max_attempts, now=now))

    def _start(
        self, c: sa.Connection, request_id: str, worker: str, until: datetime, most: int, *, now: datetime
    ) -> Attempt | Refused:
        both = self._lock_both(c, request_id)
        if both is None:
            return Refused(request_id, Refusal.UNKNOWN)
        member, request = both
        why = _refusal(member, request, most, now)
        if why is Refusal.SUPERSEDED and not State(request.state).ended:
            ended = {"open_attempts": 0, "lease_until": None, "next_attempt_at": None, "due_at": None}
            self._update_request(c, request_id, state=State.SUPERSEDED, finished_at=now, **ended)
        if why is not None:
            return Refused(request_id, why)
        return self._begin(c, request, worker[:TEXT_LENGTH], until, now)

    def _begin(
        self, c: sa.Connection, request: AnyRow, worker: str, until: datetime, now: datetime
    ) -> Attempt:
        self._update_request(
            c,
            request.request_id,
            state=State.RUNNING,
            attempts=request.attempts + 1,
            open_attempts=request.open_attempts + 1,
            sweeps=0,
            worker=worker,
            lease_until=until,
            next_attempt_at=None,
            due_at=until,
            started_at=now,
        )
        return Attempt(
            request_id=request.request_id,
            member_id=request.member_id,
            number=request.attempts + 1,
            postponed=request.postponed,
            worker=worker,
            lease_until=until,
        )

    def extend(self, attempt: Attempt, lease: timedelta, now: datetime) -> bool:
        """Hold the request longer; False when it belongs to another process by now."""
        until = now + lease
        return self._if_held(attempt, lease_until=until, due_at=until)

    def postpone(self, attempt: Attempt, until: datetime, problem: str, now: datetime) -> bool:
        """Give the request back until a photo server may have recovered; False when it was lost."""
        v = self.t.verification
        return self._if_held(
            attempt,
            state=State.RETRY_WAIT,
            open_attempts=v.c.open_attempts - 1,
            postponed=v.c.postponed + 1,
            problem=problem[:TEXT_LENGTH],
            lease_until=None,
            next_attempt_at=until,
            due_at=max(until, now),
        )

    def _if_held(self, attempt: Attempt, **values: Any) -> bool:
        """One conditional update: the row itself says whose it is."""
        v = self.t.verification
        statement = (
            sa.update(v)
            .where(
                v.c.request_id == attempt.request_id,
                v.c.state == State.RUNNING,
                v.c.attempts == attempt.number,
            )
            .values(**values)
        )
        return self._write(lambda c: c.execute(statement).rowcount == 1)


def holds(request: AnyRow, attempt: Attempt) -> bool:
    """Whether the attempt is still the one that may finish the request.

    A lease that has ended but was not taken over does no harm: the work is done, nobody else began.
    """
    return bool(request.state == State.RUNNING and request.attempts == attempt.number)


def _refusal(member: AnyRow, request: AnyRow, most: int, now: datetime) -> Refusal | None:
    state = State(request.state)
    if state.ended:
        return Refusal(state.value)
    if state is State.RUNNING and request.lease_until > now:
        return Refusal.RUNNING
    if is_newer(member, request.requested_at, request.request_id):
        return Refusal.SUPERSEDED
    if state is State.RETRY_WAIT and request.next_attempt_at > now:
        return Refusal.NOT_DUE
    return Refusal.EXHAUSTED if request.open_attempts >= most else None
