"""Deliveries of events: frozen values, no rows and no connections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any


@dataclass(frozen=True, slots=True)
class EndpointLease:
    """The right to deliver to an endpoint until the lease ends; ``attempt`` fences."""

    endpoint: str
    attempt: int
    failures: int
    """Failures in a row so far."""
    paused: bool
    """Whether so many failed in a row that one event at a time is tried."""


@dataclass(frozen=True, slots=True)
class WaitingEvent:
    """An event that an endpoint should get now."""

    id: int
    event_id: str
    """The `webhook-id`: the same at every try."""
    payload: Mapping[str, Any]
    traceparent: str | None = None
    """The trace (W3C) in which the event was written, if there was one."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of one try to deliver an event."""

    id: int
    problem: str | None = None
    """Why it failed; None: it was delivered."""
    retry_after: timedelta | None = None
    """How long the receiver wants to be left alone."""


@dataclass(frozen=True, slots=True)
class EndpointReport:
    """How an endpoint is doing."""

    endpoint: str
    waiting: int
    oldest: timedelta | None
    """Age of the oldest event that waits, held ones included."""
    parked: int
    paused_until: datetime | None
    """None: it is not paused."""
    problem: str | None
    """What failed last, since its latest success."""


@dataclass(frozen=True, slots=True)
class OutboxReport:
    """The events that have not arrived, over all endpoints."""

    waiting: int
    """Deliveries, and events that no delivery was made of yet."""
    oldest: timedelta | None
    parked: int
    paused: Mapping[str, str]
    """Endpoints that are left alone for a while, and what failed."""


@dataclass(frozen=True, slots=True)
class ParkedEvent:
    """An event that an endpoint did not take for three days."""

    event_id: str
    endpoint: str
    type: str
    member_id: str | None
    request_id: str | None
    occurred_at: datetime
    attempts: int
    parked_at: datetime
    problem: str | None
