"""What the database says is unfinished goes back to the broker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from worker.errors import BadMessage
from worker.jobs.verify_job import read_message
from worker.store.base import AnyRow
from worker.store.records import Queued
from worker.store.results import Results
from worker.store.tables.states import State

_MOST_DOUBLINGS: Final = 5
"""A message that is lost again and again is sent after 2, 4, 8, ... and then every 64 minutes."""
_NOTHING_WAITS: Final[Mapping[str, int]] = {}


class Sweeping(Results):
    """`unfinished`."""

    def unfinished(
        self, now: datetime, limit: int = 500, waiting: Mapping[str, int] = _NOTHING_WAITS
    ) -> list[Queued]:
        """Jobs whose message seems lost: queued too long, due for another try, lease ended.

        ``waiting`` is how many messages lie on each queue of the broker: as many of the jobs that were sent
        are not lost. Each is handed out once, though two sweeps run at once; if it stays unfinished it comes
        again later, and later each time. The longest overdue come first.
        """
        rows = self._due(self._unsent, now, limit)
        for queue, sent in self._sent(now).items():
            lost = min(sent - waiting.get(queue, 0), limit - len(rows))
            if lost > 0:
                rows += self._due(sa.and_(~self._unsent, self.t.verification.c.queue == queue), now, lost)
        return [queued for row in rows if (queued := self._queued(row, now))]

    @property
    def _unsent(self) -> sa.ColumnElement[bool]:
        """Its message was taken, and none was sent since: it waits for a photo host, or its worker died."""
        v = self.t.verification
        return sa.and_(v.c.state != State.QUEUED, v.c.sweeps == 0)

    def _sent(self, now: datetime) -> dict[str, int]:
        """How many that are due have a message, unless it was lost, by queue."""
        v = self.t.verification
        query = sa.select(v.c.queue, sa.func.count()).where(v.c.due_at <= now, ~self._unsent)
        return {row[0]: row[1] for row in self._read(lambda c: c.execute(query.group_by(v.c.queue)).all())}

    def _due(self, which: sa.ColumnElement[bool], now: datetime, limit: int) -> list[AnyRow]:
        return self._write_batches(lambda size, c: self._claim(c, which, now, size), limit)

    def _claim(
        self, c: sa.Connection, which: sa.ColumnElement[bool], now: datetime, limit: int
    ) -> Sequence[AnyRow]:
        v = self.t.verification
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
            c.execute(update, [self._looked_at(row, now) for row in rows])
        return rows

    def _looked_at(self, row: AnyRow, now: datetime) -> dict[str, Any]:
        again = now + self._stale_after * 2 ** min(row.sweeps, _MOST_DOUBLINGS)
        return {"id": row.request_id, "due_at": again, "sweeps": row.sweeps + 1}

    def _queued(self, row: AnyRow, now: datetime) -> Queued | None:
        """The job of a row. One that cannot be read any more must not stop the sweep for the others."""
        try:
            job = read_message(row.message)
        except BadMessage as error:
            self.give_up(row.request_id, error.code, error.text, now)
            return None
        return Queued(job, row.queue)
