"""What happened on each day, kept: the sweep counts a day until it has settled, and again what has changed.

A page reads one row for each day, however many members there are. Rows are never deleted; they hold nothing
about a member.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Final

import sqlalchemy as sa

from worker.store.counts.day import DayCounts, bounds, count_day, day_of
from worker.store.database import AnyRow, Database
from worker.store.tables.schema import Tables

_EVERY: Final = timedelta(minutes=10)
_SETTLED: Final = timedelta(hours=1)
"""After the end of a day nothing of it changes any more without a word (`days_changed`)."""
_AT_ONCE: Final = 5
"""Days of one sweep."""
HISTORY: Final = timedelta(days=400)
"""How far back the sweep counts days of before there were counts."""


@dataclass(frozen=True, slots=True)
class Day:
    """A day and what was counted of it."""

    day: date
    counted_at: datetime
    counts: DayCounts


class Days:
    """The rows of `day_tally`."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._t = database.t

    def latest(self, now: datetime, days: int) -> list[Day]:
        """The last days up to today, the oldest first; days that nobody has counted are missing."""
        d, first = self._t.day_tally, day_of(now) - timedelta(days=days - 1)
        query = sa.select(d).where(d.c.day >= first, d.c.counts.is_not(None)).order_by(d.c.day)
        return [
            # One that is to be counted again is shown as it was counted.
            Day(row.day, row.counted_at or now, DayCounts(**row.counts))
            for row in self._db.read(lambda c: c.execute(query).all())
        ]

    def renew(self, now: datetime) -> int:
        """Count days that are not settled, have changed or are missing, the newest first; how many."""
        due = sorted(self._db.read(partial(self._due, now)), reverse=True)[:_AT_ONCE]
        for day in due:
            self._count(day, now)
        return len(due)

    def _due(self, now: datetime, c: sa.Connection) -> set[date]:
        d, today = self._t.day_tally, day_of(now)
        known = {row.day: row for row in c.execute(sa.select(d.c.day, d.c.counted_at))}
        first = max(self._first(c) or today, today - HISTORY)
        missing = {first + timedelta(days=n) for n in range((today - first).days + 1)} - known.keys()
        return missing | {day for day, row in known.items() if _is_due(row, now)}

    def _first(self, c: sa.Connection) -> date | None:
        """The day on which the first request ended."""
        v = self._t.verification
        first = sa.select(sa.func.min(v.c.finished_at))
        found = [c.scalar(first.where(v.c.has_links == has)) for has in (sa.true(), sa.false())]
        return min((day_of(moment) for moment in found if moment), default=None)

    def _count(self, day: date, now: datetime) -> None:
        """The row is there before it is counted, so that whoever changes the day meanwhile can say so."""
        self._db.write(partial(self._add, day))
        changes, counts = self._db.read(partial(self._read, day))
        d = self._t.day_tally
        same = (d.c.day == day, d.c.changes == changes)
        keep = sa.update(d).where(*same).values(counted_at=now, counts=counts.facts())
        self._db.write(lambda c: c.execute(keep))

    def _add(self, day: date, c: sa.Connection) -> None:
        d = self._t.day_tally
        if c.scalar(sa.select(d.c.day).where(d.c.day == day)) is None:
            c.execute(sa.insert(d).values(day=day))

    def _read(self, day: date, c: sa.Connection) -> tuple[int, DayCounts]:
        d = self._t.day_tally
        changes = c.execute(sa.select(d.c.changes).where(d.c.day == day)).scalar_one()
        return changes, count_day(c, self._t, day)


def _is_due(row: AnyRow, now: datetime) -> bool:
    if row.counted_at is None or row.counted_at > now:  # the clock was set back
        return True
    settled = bounds(row.day)[1] + _SETTLED
    return bool(row.counted_at < settled and row.counted_at <= now - _EVERY)


def days_changed(c: sa.Connection, t: Tables, moments: Iterable[datetime | None]) -> None:
    """Something that was counted at these moments is gone: their days are to be counted again."""
    d, days = t.day_tally, {day_of(moment) for moment in moments if moment is not None}
    if days:
        again = {"counted_at": None, "changes": d.c.changes + 1}
        c.execute(sa.update(d).where(d.c.day.in_(sorted(days))).values(**again))
