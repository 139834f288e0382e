"""Requests that a worker of an earlier version has ended, which told the app nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

import sqlalchemy as sa

from worker.results.document import EventType
from worker.store.database import Database, Window, within
from worker.store.outbox.outcomes import Outcomes
from worker.store.tables.states import State

_ENDS: Final = {
    State.DONE: EventType.COMPLETED,
    State.DEAD: EventType.FAILED,
    State.SUPERSEDED: EventType.SUPERSEDED,
}


class Untold:
    """Finds them by comparing all requests with their results: for once a day."""

    def __init__(self, database: Database, outcomes: Outcomes) -> None:
        self._db = database
        self._t = database.t
        self._outcomes = outcomes

    def tell(self, now: datetime) -> int:
        """Write the results and events that are missing; how many there were."""
        windows = self._db.windows(self._t.verification.c.request_id)
        ids = (one for window in windows for one in self._db.read(partial(self._some, window)))
        return sum(self._db.write(partial(self._tell, request_id, now)) for request_id in ids)

    def _some(self, window: Window, c: sa.Connection) -> Sequence[str]:
        v = self._t.verification
        query = self._untold(v.c.request_id).where(within(v.c.request_id, window))
        return c.scalars(query.order_by(v.c.request_id)).all()

    def _untold(self, *columns: Any) -> sa.Select[Any]:
        v, r = self._t.verification, self._t.result
        both = v.outerjoin(r, r.c.request_id == v.c.request_id)
        waits = sa.or_(r.c.request_id.is_(None), r.c.state.not_in(_ENDS))
        return sa.select(*columns).select_from(both).where(v.c.state.in_(_ENDS), waits)

    def _tell(self, request_id: str, now: datetime, c: sa.Connection) -> bool:
        """Asked again under the lock: this version may have told it meanwhile."""
        self._db.lock_both(c, request_id)
        v = self._t.verification
        state = c.scalar(self._untold(v.c.state).where(v.c.request_id == request_id))
        if state is not None:
            self._outcomes.changed(c, request_id, now, _ENDS[State(state)])
        return state is not None
