"""How much there is to learn from, for a page: counted when it is asked for while there is little, else kept.

Each label's request and member are read for it, and they lie anywhere among all requests and members.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from worker.store.counts.tally import Kept
from worker.store.database import Database
from worker.store.training.labels import Labels
from worker.store.training.records import Truth

_EVERY: Final = timedelta(hours=1)
COUNTED_NOW: Final = 2000
"""Up to so many labels, as they were counted last, each question is answered by a count."""


class KeptTruth:
    """The row of `tally` about labels."""

    def __init__(self, database: Database, labels: Labels, counted_now: int = COUNTED_NOW) -> None:
        """``counted_now``: see `COUNTED_NOW`."""
        self._db = database
        self._labels = labels
        self._kept = Kept(database, "labels", _EVERY)
        self._counted_now = counted_now

    def truth(self) -> tuple[Truth, datetime | None]:
        """How much there is to learn from, and when it was counted: None for just now."""
        row = self._db.read(self._kept.row_on)
        if row is not None and row.counts["size"] > self._counted_now:
            return Truth(**row.counts["truth"]), row.counted_at
        return self._labels.truth(), None

    def renew(self, now: datetime) -> bool:
        """Count again where the last time is an hour ago; whether it was so."""
        return self._kept.renew(now, lambda: self._db.read(self._count))

    def _count(self, c: sa.Connection) -> dict[str, Any]:
        size = c.scalar(sa.select(sa.func.count()).select_from(self._db.t.label))
        return {"size": size, "truth": asdict(self._labels.truth_on(c))}
