"""What the database says is unfinished goes back to the broker."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from worker.errors import BadMessage
from worker.messages import read_message
from worker.store.base import AnyRow
from worker.store.records import Queued
from worker.store.results import Results

_MOST_DOUBLINGS: Final = 5
"""A queue that is long, and not lost, is asked after 2, 4, 8, ... and then every 64 minutes."""


class Sweeping(Results):
    """`unfinished`."""

    def unfinished(self, now: datetime, limit: int = 500) -> list[Queued]:
        """Jobs whose message seems lost: queued too long, due for another try, lease ended.

        Each is handed out once, though two sweeps run at once; if it stays unfinished it comes
        again later, and later each time. The longest overdue come first.
        """
        rows = self._write_batches(lambda size, c: self._claim(c, now, size), limit)
        return [queued for row in rows if (queued := self._queued(row, now))]

    def _claim(self, c: sa.Connection, now: datetime, limit: int) -> Sequence[AnyRow]:
        v = self.t.verification
        rows = c.execute(
            sa.select(v.c.request_id, v.c.message, v.c.queue, v.c.sweeps)
            .where(v.c.due_at <= now)
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
