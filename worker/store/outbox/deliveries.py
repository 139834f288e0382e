"""Events on their way to the endpoints: which are due, who delivers them, what came of it.

An endpoint belongs to one process for as long as its lease, so that the events of a member arrive in their
order. Locks are always taken in the same order: endpoint, event, delivery.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import sqlalchemy as sa

from worker.results.document import EventType
from worker.store.database import AnyRow, Database
from worker.store.leases import is_leased, update_leased
from worker.store.outbox.records import EndpointLease, Tried, WaitingEvent

PARK_AFTER: Final = timedelta(days=3)
"""Since the first try; the last one is then."""
PAUSE_AFTER: Final = 5
"""Failures in a row after which the endpoint is left alone, and then tried with one event."""
_WAITS: Final = (5, 30, 120, 600, 1800, 7200, 21_600, 43_200)
"""Seconds before an event is tried again; the last one for all further tries."""
_PAUSES: Final = (10, 30, 60, 120, 300)
_JITTER: Final = 0.2
"""Share of a wait that is added at random."""
_AT_ONCE: Final = 200
"""Events of one transaction."""
MOST_EVENTS: Final = 20_000
"""Of one call: whoever was away for long gets them in steps, and its other work is not kept waiting."""


class Deliveries:
    """Each event once for each endpoint, in order per member."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._t = database.t

    def dispatch(self, endpoints: Collection[str], now: datetime) -> int:
        """Make deliveries of new events to these endpoints; how many events that were, `MOST_EVENTS` at most.

        An endpoint gets the events that are dispatched from then on. Without endpoints events are only
        marked: nobody waits for them.
        """
        names, dispatched = sorted(endpoints), 0
        self._db.write(lambda c: self._enter(c, names))
        while dispatched < MOST_EVENTS:
            step = self._db.write(partial(self._dispatch_some, names, now))
            dispatched += step
            if not step:
                break
        return dispatched

    def _enter(self, c: sa.Connection, endpoints: Sequence[str]) -> None:
        e = self._t.event_endpoint
        known = set(c.scalars(sa.select(e.c.endpoint).where(e.c.endpoint.in_(endpoints))))
        new = [{"endpoint": name} for name in endpoints if name not in known]
        if new:
            c.execute(sa.insert(e), new)

    def _dispatch_some(self, endpoints: Sequence[str], now: datetime, c: sa.Connection) -> int:
        """One process at a time, or a member's events could be dispatched out of order."""
        e, end = self._t.event, self._t.event_endpoint
        locked = sa.select(end.c.endpoint).where(end.c.endpoint.in_(endpoints)).order_by(end.c.endpoint)
        c.execute(locked.with_for_update()).all()
        new = sa.select(e.c.id, e.c.member_id, e.c.not_before).where(sa.not_(e.c.dispatched)).order_by(e.c.id)
        # What is locked is not committed yet.
        rows = c.execute(new.limit(_AT_ONCE).with_for_update(skip_locked=True)).all()
        ids = [row.id for row in rows]
        if ids:
            c.execute(sa.update(e).where(e.c.id.in_(ids)).values(dispatched=True))
        deliveries = [_delivery(row, endpoint, now) for row in rows for endpoint in endpoints]
        if deliveries:
            c.execute(sa.insert(self._t.event_delivery), deliveries)
        elif ids:
            self._remove_erased(c, ids)
        return len(ids)

    def acquire(self, endpoint: str, worker: str, lease: timedelta, now: datetime) -> EndpointLease | None:
        """The right to deliver to the endpoint; None where another process has it, where the endpoint is left
        alone for a while, and where nothing is due."""
        return self._db.write(lambda c: self._acquire(c, endpoint, worker, now + lease, now))

    def _acquire(
        self, c: sa.Connection, endpoint: str, worker: str, until: datetime, now: datetime
    ) -> EndpointLease | None:
        e = self._t.event_endpoint
        row = c.execute(sa.select(e).where(e.c.endpoint == endpoint).with_for_update()).one_or_none()
        if row is None or is_leased(row, now) or (row.paused_until is not None and row.paused_until > now):
            return None
        if not c.execute(self._due(endpoint, now).limit(1)).first():
            return None
        held = {"attempts": row.attempts + 1, "lease_until": until, "worker": worker}
        c.execute(sa.update(e).where(e.c.endpoint == endpoint).values(**held))
        return EndpointLease(endpoint, row.attempts + 1, row.failures, row.failures >= PAUSE_AFTER)

    def release(self, lease: EndpointLease) -> bool:
        """Give the lease back; False when another process has the endpoint by now."""
        return self._db.write(lambda c: self._update(c, lease, lease_until=None))

    def _update(self, c: sa.Connection, lease: EndpointLease, **values: Any) -> bool:
        e = self._t.event_endpoint
        return update_leased(c, e, lease.attempt, e.c.endpoint == lease.endpoint, **values)

    def due(self, endpoint: str, now: datetime, limit: int) -> list[WaitingEvent]:
        """Events that the endpoint should get now, the longest overdue first.

        Of each member the first one only: the next waits until that one is delivered or parked.
        """
        query = self._due(endpoint, now).limit(limit)
        rows = self._db.read(lambda c: c.execute(query).all())
        return [WaitingEvent(row.id, row.event_id, row.payload, row.traceparent) for row in rows]

    def _due(self, endpoint: str, now: datetime) -> sa.Select[Any]:
        e, d = self._t.event, self._t.event_delivery
        before = d.alias("before")
        first = ~sa.exists().where(
            before.c.endpoint == endpoint,
            before.c.member_id == d.c.member_id,
            before.c.due_at.is_not(None),
            before.c.id < d.c.id,
        )
        its = sa.select(e.c.id, e.c.event_id, e.c.payload, e.c.traceparent).join(d, d.c.id == e.c.id)
        return its.where(d.c.endpoint == endpoint, d.c.due_at <= now, first).order_by(d.c.due_at, d.c.id)

    def record(
        self, lease: EndpointLease, tried: Sequence[Tried], extended: timedelta, now: datetime
    ) -> EndpointLease | None:
        """Write down what came of some tries, in their order, and extend the lease; the lease as it is then.

        A failure is tried again later, and parked three days after its first try. None, and nothing written,
        when another process has the endpoint by now: it delivers these events again.
        """
        return self._db.write(lambda c: self._record(c, lease, tried, now + extended, now))

    def _record(
        self, c: sa.Connection, lease: EndpointLease, tried: Sequence[Tried], until: datetime, now: datetime
    ) -> EndpointLease | None:
        failures, last = _in_a_row(lease.failures, tried)
        paused = _pause(failures, last, now) if failures >= PAUSE_AFTER else None
        health = {"failures": failures, "paused_until": paused, "problem": last and last.problem}
        if not self._update(c, lease, lease_until=until, **(health if tried else {})):
            return None
        rows = self._rows(c, lease.endpoint, [one.id for one in tried])
        values = [_values(rows[one.id], one, now) for one in tried if one.id in rows]
        if values:
            d = self._t.event_delivery
            its = (d.c.endpoint == lease.endpoint, d.c.id == sa.bindparam("its_id"))
            c.execute(sa.update(d).where(*its), values)
            self._remove_erased(c, list(rows))
        return replace(lease, failures=failures, paused=failures >= PAUSE_AFTER)

    def _rows(self, c: sa.Connection, endpoint: str, ids: Sequence[int]) -> dict[int, AnyRow]:
        """Those that still wait: the member may have been forgotten meanwhile."""
        d = self._t.event_delivery
        its = (d.c.endpoint == endpoint, d.c.id.in_(ids), d.c.due_at.is_not(None))
        rows = c.execute(sa.select(d).where(*its).order_by(d.c.id).with_for_update())
        return {row.id: row for row in rows}

    def _remove_erased(self, c: sa.Connection, ids: Sequence[int]) -> None:
        """Nothing stays of a member who was erased, once every endpoint was told or is given up."""
        e, d = self._t.event, self._t.event_delivery
        erased = sa.select(e.c.id).where(e.c.id.in_(ids), e.c.type == EventType.ERASED)
        # Alone with them: two endpoints that end at once would each see the other one's as waiting.
        told = c.scalars(erased.with_for_update()).all()
        if told:
            waits = sa.exists().where(d.c.id == e.c.id, d.c.due_at.is_not(None))
            c.execute(sa.delete(e).where(e.c.id.in_(told), ~waits))


def _delivery(event: AnyRow, endpoint: str, now: datetime) -> dict[str, Any]:
    due = max(now, event.not_before or now)
    return {"id": event.id, "endpoint": endpoint, "member_id": event.member_id, "due_at": due}


def _in_a_row(failures: int, tried: Sequence[Tried]) -> tuple[int, Tried | None]:
    """How many tries have failed since the last success, and the last one of them.

    Those that were sent at the same time are enough for a first pause, not for a longer one.
    """
    last, most = None, max(PAUSE_AFTER, failures + 1)
    for one in tried:
        failures, last = (0, None) if one.problem is None else (min(failures + 1, most), one)
    return failures, last


def _pause(failures: int, last: Tried | None, now: datetime) -> datetime:
    """Until when an endpoint is left alone."""
    pause = timedelta(seconds=_PAUSES[min(failures - PAUSE_AFTER, len(_PAUSES) - 1)])
    return now + max(pause, (last and last.retry_after) or pause)


def _values(row: AnyRow, tried: Tried, now: datetime) -> dict[str, Any]:
    """What a try makes of a delivery."""
    first = row.first_tried_at or now
    ended = tried.problem is None or now >= first + PARK_AFTER
    return {
        "its_id": row.id,
        "attempts": row.attempts + 1,
        "first_tried_at": first,
        "problem": tried.problem,
        "due_at": None if ended else min(now + _wait(row.attempts, tried), first + PARK_AFTER),
        "delivered_at": now if tried.problem is None else None,
        "parked_at": now if ended and tried.problem is not None else None,
    }


def _wait(attempts: int, tried: Tried) -> timedelta:
    seconds = _WAITS[min(attempts, len(_WAITS) - 1)] * (1 + _JITTER * random.random())  # noqa: S311 - no secret
    return max(timedelta(seconds=seconds), tried.retry_after or timedelta(0))
