"""What waits, and what somebody must do something about: exact, and found by indexes among all rows.

`status` and a monitor ask for it as often as they like: it costs what there is to do, not what there was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from worker.store.counts.failing import failing_on
from worker.store.reviews.claims import is_suspended
from worker.store.tables.people import is_waiting
from worker.store.tables.schema import Tables, is_open
from worker.store.tables.states import State


@dataclass(frozen=True, slots=True)
class Backlog:
    """All of one moment, without the sandbox. What a field means: see `StatusReport`."""

    pending: int
    queued: Mapping[str, int]
    oldest_waiting: timedelta | None
    lapsed: int
    failed_since_verdict: int
    failed_requests: tuple[str, ...]
    dead_jobs: int


def backlog_on(c: sa.Connection, t: Tables, now: datetime) -> Backlog:
    """Within the transaction of another."""
    queued, oldest = _waiting(c, t)
    failing, failed = failing_on(c, t)
    return Backlog(
        pending=_pending(c, t, now),
        queued=queued,
        oldest_waiting=None if oldest is None else now - oldest,
        lapsed=_lapsed(c, t, now),
        failed_since_verdict=failing,
        failed_requests=failed,
        dead_jobs=_dead_jobs(c, t),
    )


def _waiting(c: sa.Connection, t: Tables) -> tuple[dict[str, int], datetime | None]:
    """Unfinished requests by queue, and when the first of them was accepted."""
    v = t.verification
    first = sa.func.min(v.c.accepted_at).label("first")
    query = sa.select(v.c.queue, sa.func.count().label("waiting"), first)
    rows = c.execute(query.where(v.c.due_at.is_not(None), sa.not_(v.c.sandbox)).group_by(v.c.queue)).all()
    return {row.queue: row.waiting for row in rows}, min((row.first for row in rows), default=None)


def _pending(c: sa.Connection, t: Tables, now: datetime) -> int:
    """All, less those of the sandbox, who are few: so no row is read of many who wait."""
    m = t.member
    due = sa.and_(m.c.needs_request, sa.or_(m.c.request_after.is_(None), m.c.request_after <= now))
    query = sa.select(sa.func.count()).select_from(m).where(due)
    return (c.scalar(query) or 0) - (c.scalar(query.where(m.c.sandbox)) or 0)


def _lapsed(c: sa.Connection, t: Tables, now: datetime) -> int:
    v = t.verification
    lapsed = (v.c.state == State.RUNNING, v.c.lease_until <= now, sa.not_(v.c.sandbox))
    return c.scalar(sa.select(sa.func.count()).select_from(v).where(*lapsed)) or 0


def _dead_jobs(c: sa.Connection, t: Tables) -> int:
    d, m = t.dead_job, t.member
    of_sandbox = sa.exists().where(m.c.member_id == d.c.member_id, m.c.sandbox)
    query = sa.select(sa.func.count()).select_from(d).where(is_open(d), sa.not_(of_sandbox))
    return c.scalar(query) or 0


@dataclass(frozen=True, slots=True)
class OpenCases:
    """How many cases wait for a person."""

    open: int
    overdue: int
    """Without those that are suspended."""
    claimed: int
    escalated: int
    suspended: int


def open_cases_on(c: sa.Connection, t: Tables, now: datetime, *, sandbox: bool = False) -> OpenCases:
    """Within the transaction of another.

    What is suspended is found by the members who have withdrawn consent: they are few.
    """
    case, m = t.review_case, t.member
    which = (is_waiting(case), case.c.sandbox == sandbox)
    overdue = _number_of(case.c.due_at <= now)
    claimed, escalated = _number_of(case.c.lease_until > now), _number_of(case.c.escalated_at.is_not(None))
    row = c.execute(sa.select(sa.func.count(), overdue, claimed, escalated).where(*which)).one()
    withdrawn = sa.select(sa.func.count(), overdue).join(m, m.c.member_id == case.c.member_id)
    suspended, late = c.execute(withdrawn.where(*which, is_suspended(t))).one()
    return OpenCases(row[0], int(row[1]) - int(late), int(row[2]), int(row[3]), suspended)


def _number_of(which: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.coalesce(sa.func.sum(sa.case((which, 1), else_=0)), 0)
