"""Which head each host judges with, by its latest verdicts."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from worker.store.database import Database
from worker.store.models.records import HostUse

_WITHIN: Final = timedelta(days=1)
_MOST: Final = 1000
"""Verdicts that are looked at: the latest ones, found by an index."""


class Hosts:
    """Reads it from the requests: a worker writes its name down with each."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._t = database.t

    def in_use(self, now: datetime) -> list[HostUse]:
        """The head of each host that has judged anybody within a day, by the hosts' names."""
        v = self._t.verification
        # Links stand longer than a day in every row: with them the index says the order.
        recent = sa.and_(v.c.has_links == sa.true(), v.c.finished_at > now - _WITHIN)
        judged = (v.c.worker.is_not(None), v.c.model_version.is_not(None), sa.not_(v.c.sandbox))
        query = sa.select(v.c.worker, v.c.model_version, v.c.finished_at).where(recent, *judged)
        rows = self._db.read(lambda c: c.execute(query.order_by(v.c.finished_at.desc()).limit(_MOST)).all())
        found: dict[str, HostUse] = {}
        for worker, version, last_at in rows:
            host = worker.rpartition(":")[0] or worker
            found.setdefault(host, HostUse(host, version, last_at))
        return [found[host] for host in sorted(found)]
