"""Cases that a worker of an earlier version did not open, move or close, and those of members whose newest
request a withdrawal of consent has ended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

import sqlalchemy as sa

from pipeline.verdict import Status
from worker.store.database import Database, Window, within
from worker.store.reviews.cases import Cases
from worker.store.tables.people import is_waiting
from worker.store.tables.states import State


class MissedCases:
    """Finds them by comparing all members with their cases: for once a day."""

    def __init__(self, database: Database, cases: Cases) -> None:
        self._db = database
        self._t = database.t
        self._cases = cases

    def follow(self, now: datetime) -> int:
        """Let the cases follow the members' verdicts; how many were behind."""
        windows = self._db.windows(self._t.member.c.member_id)
        ids = (one for window in windows for one in self._db.read(partial(self._some, window)))
        return sum(self._db.write(partial(self._follow, member_id, now)) for member_id in ids)

    def _some(self, window: Window, c: sa.Connection) -> Sequence[str]:
        m = self._t.member
        query = self._behind(m.c.member_id).where(within(m.c.member_id, window))
        return c.scalars(query.order_by(m.c.member_id)).all()

    def _behind(self, column: sa.Column[str]) -> sa.Select[Any]:
        m, case, o = self._t.member, self._t.review_case, self._t.objection
        its = sa.and_(case.c.member_id == m.c.member_id, is_waiting(case))
        waits = sa.and_(case.c.id.is_(None), m.c.verification_status == Status.REVIEW)
        objects = sa.exists().where(o.c.member_id == m.c.member_id, o.c.case_id.is_(None))
        moved = case.c.request_id != m.c.request_id
        ended = m.c.requested_state.in_([State.DONE, State.DEAD])
        return (
            sa.select(column).select_from(m.outerjoin(case, its)).where(sa.or_(waits, moved, objects), ended)
        )

    def _follow(self, member_id: str, now: datetime, c: sa.Connection) -> bool:
        """Asked again under the lock: this version may have done it meanwhile."""
        self._db.lock_member(c, member_id)
        m = self._t.member
        behind = c.scalar(self._behind(m.c.member_id).where(m.c.member_id == member_id)) is not None
        if behind:
            self._cases.follow(c, member_id, now)
        return behind
