"""Events in the outbox as a transaction of the store writes them, and what became of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from support.jobs import NOW
from worker.results.document import EventType
from worker.store import Store
from worker.store.outbox.records import EndpointLease, Tried

LEASE = timedelta(seconds=30)


def an_event(number: int, member_id: str | None = "m1", at: datetime = NOW, **changes: Any) -> dict[str, Any]:
    """A row of `event`; its ID is `evt_` and the number."""
    kind = changes.get("type", EventType.COMPLETED)
    data = {"schema": 1, "member_id": member_id, "request_id": f"r{number}", "text": {"ko": "1번 사진"}}
    return {
        "id": number,
        "event_id": f"evt_{number}",
        "type": kind,
        "member_id": member_id,
        "request_id": f"r{number}",
        "payload": {"type": kind, "timestamp": at.isoformat(), "data": data},
        "occurred_at": at,
        "not_before": None,
        **changes,
    }


def write_events(store: Store, *rows: dict[str, Any]) -> None:
    store.database.write(lambda c: c.execute(sa.insert(store.database.t.event), list(rows)))


def ready_events(store: Store, *numbers: int, endpoints: tuple[str, ...] = ("app",)) -> None:
    """Events of a member each, dispatched."""
    write_events(store, *(an_event(number, f"m{number}") for number in numbers))
    store.deliveries.dispatch(endpoints, NOW)


def acquire(store: Store, endpoint: str = "app", now: datetime = NOW, worker: str = "w") -> EndpointLease:
    lease = store.deliveries.acquire(endpoint, worker, LEASE, now)
    assert lease is not None
    return lease


def due(store: Store, endpoint: str = "app", now: datetime = NOW, limit: int = 100) -> list[int]:
    """The numbers of the events that are due."""
    return [one.id for one in store.deliveries.due(endpoint, now, limit)]


def fail(
    store: Store, *numbers: int, now: datetime = NOW, endpoint: str = "app", **more: Any
) -> EndpointLease:
    """One try of each of these events, which fails."""
    lease = acquire(store, endpoint, now)
    tried = [Tried(number, "status 500", **more) for number in numbers]
    held = store.deliveries.record(lease, tried, LEASE, now)
    assert held is not None
    store.deliveries.release(held)
    return held


def arrive(store: Store, *numbers: int, endpoint: str = "app", now: datetime = NOW) -> None:
    """These events are delivered."""
    lease = acquire(store, endpoint, now)
    assert store.deliveries.record(lease, [Tried(number) for number in numbers], LEASE, now)
    store.deliveries.release(lease)


def delivery(store: Store, number: int, endpoint: str = "app") -> dict[str, Any]:
    """A row of `event_delivery`."""
    d = store.database.t.event_delivery
    query = sa.select(d).where(d.c.id == number, d.c.endpoint == endpoint)
    return dict(store.database.read(lambda c: c.execute(query).one())._mapping)


def events_left(store: Store) -> list[int]:
    e = store.database.t.event
    return list(store.database.read(lambda c: c.scalars(sa.select(e.c.id).order_by(e.c.id)).all()))
