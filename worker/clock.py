"""The one place that asks what time it is."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Now, in UTC, with microseconds: what every ``now`` of the store wants."""
    return datetime.now(UTC)
