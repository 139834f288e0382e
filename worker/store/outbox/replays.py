"""What operators see of the deliveries, and how they send events again."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import sqlalchemy as sa

from worker.errors import NotPossible
from worker.store.database import AnyRow, Database, fields_of
from worker.store.outbox.records import EndpointReport, OutboxReport, ParkedEvent

_AT_ONCE: Final = 2000
"""Deliveries of one transaction."""


class Replays:
    """The deliveries that have not arrived, or should arrive again."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._t = database.t

    def endpoints(self, now: datetime) -> list[EndpointReport]:
        """Every endpoint that events were ever dispatched to, by name."""
        return self._db.read(lambda c: self._endpoints(c, now))

    def _endpoints(self, c: sa.Connection, now: datetime) -> list[EndpointReport]:
        e, d = self._t.event_endpoint, self._t.event_delivery
        return [
            EndpointReport(
                endpoint=row.endpoint,
                waiting=self._count(c, d.c.endpoint == row.endpoint, d.c.due_at.is_not(None)),
                oldest=self._oldest(c, now, d.c.endpoint == row.endpoint),
                parked=self._count(c, d.c.endpoint == row.endpoint, d.c.parked_at.is_not(None)),
                paused_until=row.paused_until if _is_paused(row, now) else None,
                problem=row.problem,
            )
            for row in c.execute(sa.select(e).order_by(e.c.endpoint)).all()
        ]

    def summary_on(self, c: sa.Connection, now: datetime) -> OutboxReport:
        """Over all endpoints, within the transaction of another."""
        e, d, ev = self._t.event_endpoint, self._t.event_delivery, self._t.event
        new = c.scalar(sa.select(sa.func.count()).select_from(ev).where(sa.not_(ev.c.dispatched))) or 0
        rows = c.execute(sa.select(e).order_by(e.c.endpoint)).all()
        its = d.c.endpoint.in_([row.endpoint for row in rows])  # the indexes begin with it
        return OutboxReport(
            waiting=new + self._count(c, its, d.c.due_at.is_not(None)),
            oldest=self._oldest(c, now, its, undispatched=True),
            parked=self._count(c, its, d.c.parked_at.is_not(None)),
            paused={row.endpoint: row.problem or "" for row in rows if _is_paused(row, now)},
        )

    def _count(self, c: sa.Connection, *which: sa.ColumnElement[bool]) -> int:
        d = self._t.event_delivery
        return c.scalar(sa.select(sa.func.count()).select_from(d).where(*which)) or 0

    def _oldest(
        self, c: sa.Connection, now: datetime, which: sa.ColumnElement[bool], *, undispatched: bool = False
    ) -> timedelta | None:
        """How old the first event is that waits."""
        ev, d = self._t.event, self._t.event_delivery
        firsts = [c.scalar(sa.select(sa.func.min(d.c.id)).where(d.c.due_at.is_not(None), which))]
        if undispatched:
            firsts.append(c.scalar(sa.select(sa.func.min(ev.c.id)).where(sa.not_(ev.c.dispatched))))
        ids = [first for first in firsts if first is not None]
        at = c.scalar(sa.select(ev.c.occurred_at).where(ev.c.id == min(ids))) if ids else None
        return None if at is None else now - at

    def parked(self, limit: int = 1000) -> list[ParkedEvent]:
        """Events that were given up, the latest first."""
        ev, d = self._t.event, self._t.event_delivery
        its = (d.c.endpoint, d.c.attempts, d.c.parked_at, d.c.problem)
        of_event = (ev.c.event_id, ev.c.type, ev.c.member_id, ev.c.request_id, ev.c.occurred_at)
        names = sa.select(self._t.event_endpoint.c.endpoint)
        which = (d.c.endpoint.in_(names), d.c.parked_at.is_not(None))
        query = sa.select(*of_event, *its).join(d, d.c.id == ev.c.id).where(*which)
        latest = query.order_by(d.c.parked_at.desc(), d.c.id.desc()).limit(limit)
        rows = self._db.read(lambda c: c.execute(latest).all())
        return [ParkedEvent(**fields_of(row, ParkedEvent)) for row in rows]

    def replay(
        self,
        now: datetime,
        *,
        endpoint: str | None = None,
        since: datetime | None = None,
        event_ids: Collection[str] = (),
    ) -> int:
        """Send events again, in their order; how many deliveries that are.

        Those with these IDs, or since then, whatever came of them; without either, those that are parked or
        have failed and wait. The endpoints are asked at once. Raises NotPossible for an unknown endpoint.
        """
        e = self._t.event_endpoint
        known = self._db.read(lambda c: c.scalars(sa.select(e.c.endpoint).order_by(e.c.endpoint)).all())
        if endpoint is not None and endpoint not in known:
            raise NotPossible(f"there is no endpoint {endpoint}; there are: {', '.join(known) or 'none yet'}")
        names = known if endpoint is None else [endpoint]
        return sum(self._replay(name, self._which(since, event_ids), now) for name in names)

    def _which(self, since: datetime | None, event_ids: Collection[str]) -> sa.ColumnElement[bool]:
        ev, d = self._t.event, self._t.event_delivery
        if event_ids:
            return ev.c.event_id.in_(event_ids)
        if since is not None:
            return ev.c.occurred_at >= since
        failed = sa.and_(d.c.due_at.is_not(None), d.c.attempts > 0)
        return sa.or_(d.c.parked_at.is_not(None), failed)

    def _replay(self, endpoint: str, which: sa.ColumnElement[bool], now: datetime) -> int:
        replayed, last = 0, 0
        while ids := self._db.write(partial(self._replay_some, endpoint, which, last, now)):
            replayed, last = replayed + len(ids), ids[-1]
        e = self._t.event_endpoint
        at_once = sa.update(e).where(e.c.endpoint == endpoint).values(failures=0, paused_until=None)
        self._db.write(lambda c: c.execute(at_once))
        return replayed

    def _replay_some(
        self, endpoint: str, which: sa.ColumnElement[bool], after: int, now: datetime, c: sa.Connection
    ) -> list[int]:
        ev, d = self._t.event, self._t.event_delivery
        free = sa.or_(ev.c.not_before.is_(None), ev.c.not_before <= now)  # one that is held keeps its time
        its = (d.c.endpoint == endpoint, d.c.id > after, which, free)
        query = sa.select(d.c.id).join(ev, ev.c.id == d.c.id).where(*its).order_by(d.c.id)
        ids = list(c.scalars(query.limit(_AT_ONCE).with_for_update(of=d)))
        fresh: dict[str, Any] = dict.fromkeys(("parked_at", "delivered_at", "first_tried_at", "problem"))
        update = sa.update(d).where(d.c.endpoint == endpoint, d.c.id.in_(ids))
        if ids:
            c.execute(update.values(due_at=now, attempts=0, **fresh))
        return ids


def _is_paused(row: AnyRow, now: datetime) -> bool:
    return row.paused_until is not None and row.paused_until > now
