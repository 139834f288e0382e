"""How many members and requests there are in all: counted now while they are few, else by the sweep.

No index can count all rows at once, and a row that is counted up at each request would let all workers wait
for each other. So the counts of many are those of the last ten minutes, and say when that was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from pipeline.verdict import Status
from worker.store.database import AnyRow, Database
from worker.store.tables.states import State

COUNTED_NOW: Final = 10_000
"""Up to so many requests, as they were counted last, each question is answered by a count."""
_EVERY: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Counts:
    """All of one moment. Members of the sandbox are in none of the others."""

    members: int
    sandbox: int
    verdicts: Mapping[Status, int]
    """Members by their standing status; members without one are in none."""
    requests: Mapping[State, int]
    """They add up to all that were ever accepted."""


class Kept:
    """A row of `tally`: what was counted of one thing, again when the last time is ``every`` so long ago."""

    def __init__(self, database: Database, name: str, every: timedelta = _EVERY) -> None:
        self._db = database
        self._t = database.t.tally
        self._name = name
        self._every = every

    def row_on(self, c: sa.Connection) -> AnyRow | None:
        """Its ``counts`` and ``counted_at``; None where nobody has counted yet."""
        query = sa.select(self._t.c.counts, self._t.c.counted_at).where(self._t.c.name == self._name)
        return c.execute(query).one_or_none()

    def renew(self, now: datetime, count: Callable[[], Mapping[str, Any]]) -> bool:
        """Count again where the last time is so long ago; whether it was so. Locks nobody out."""
        query = sa.select(self._t.c.counted_at).where(self._t.c.name == self._name)
        last = self._db.read(lambda c: c.scalar(query))
        if last is not None and now - self._every < last <= now:
            return False
        counts = count()
        self._db.write(lambda c: keep_count(c, self._t, self._name, counts, now))
        return True


class Tally:
    """All members and requests."""

    def __init__(self, database: Database, counted_now: int = COUNTED_NOW) -> None:
        """``counted_now``: see `COUNTED_NOW`."""
        self._db = database
        self._t = database.t
        self._kept = Kept(database, "all")
        self._counted_now = counted_now

    def counts_on(self, c: sa.Connection) -> tuple[Counts, datetime | None]:
        """The counts, and when they were counted: None for just now."""
        row = self._kept.row_on(c)
        if row is not None and sum(row.counts["requests"].values()) > self._counted_now:
            return _counts_of(row.counts), row.counted_at
        return self._count(c), None

    def renew(self, now: datetime) -> bool:
        """Count again where the last time is ten minutes ago; whether it was so."""
        return self._kept.renew(now, lambda: asdict(self._db.read(self._count)))

    def _count(self, c: sa.Connection) -> Counts:
        m, number = self._t.member, sa.func.count()
        query = sa.select(m.c.sandbox, m.c.verification_status, number)
        rows = [tuple(row) for row in c.execute(query.group_by(m.c.sandbox, m.c.verification_status))]
        verdicts = {status: n for sandbox, status, n in rows if not sandbox}
        return Counts(
            members=sum(verdicts.values()),
            sandbox=sum(n for sandbox, _, n in rows if sandbox),
            verdicts={status: verdicts.get(status, 0) for status in Status},
            requests=self._requests(c),
        )

    def _requests(self, c: sa.Connection) -> dict[State, int]:
        """Those of the sandbox, which are few, are taken away: so the index on the state is enough."""
        v, m, number = self._t.verification, self._t.member, sa.func.count()
        every = sa.select(v.c.state, number).group_by(v.c.state)
        of_sandbox = sa.and_(m.c.member_id == v.c.member_id, m.c.sandbox, v.c.sandbox)
        few = dict(map(tuple, c.execute(every.join(m, of_sandbox))))
        found = dict(map(tuple, c.execute(every)))
        return {state: found.get(state, 0) - few.get(state, 0) for state in State}


def keep_count(
    c: sa.Connection, tally: sa.Table, name: str, counts: Mapping[str, Any], now: datetime
) -> None:
    """Put what was counted in place of what was counted under this name before."""
    values = {"counts": counts, "counted_at": now}
    if not c.execute(sa.update(tally).where(tally.c.name == name).values(**values)).rowcount:
        c.execute(sa.insert(tally).values(name=name, **values))


def _counts_of(counts: Mapping[str, Any]) -> Counts:
    return Counts(
        members=counts["members"],
        sandbox=counts["sandbox"],
        verdicts={status: counts["verdicts"].get(status, 0) for status in Status},
        requests={state: counts["requests"].get(state, 0) for state in State},
    )
