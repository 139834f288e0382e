"""Members whose newest request has failed while a verdict of an earlier one stands.

Whoever ends a request sets `member.failed_at`, so that an index finds these few among all members; what else
must hold is asked of the row itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

import sqlalchemy as sa

from pipeline.verdict import Status
from worker.store.database import AnyRow, Database, Window, within
from worker.store.tables.schema import Tables
from worker.store.tables.states import State

_EXAMPLES: Final = 10
"""Requests that a report names of those that it counts."""


def is_of_another(member: AnyRow) -> bool:
    """Whether the standing verdict is of another request than the newest, and none of our errors."""
    other = (member.verified_request_id or "") != member.request_id
    return other and member.verification_status not in (None, Status.ERROR)


def _is_of_another(t: Tables) -> sa.ColumnElement[bool]:
    """The same in SQL."""
    m = t.member
    other = sa.func.coalesce(m.c.verified_request_id, "") != m.c.request_id
    return sa.and_(m.c.verification_status != Status.ERROR, other)


def _is_failing(t: Tables) -> sa.ColumnElement[bool]:
    """Workers of the version before leave `failed_at` as it was."""
    m = t.member
    ended = m.c.requested_state.in_([State.DONE, State.DEAD])
    return sa.and_(m.c.failed_at.is_not(None), sa.not_(m.c.sandbox), _is_of_another(t), ended)


def failing_on(c: sa.Connection, t: Tables) -> tuple[int, tuple[str, ...]]:
    """How many there are, and the newest of these requests, a few."""
    m = t.member
    count = c.scalar(sa.select(sa.func.count()).select_from(m).where(_is_failing(t))) or 0
    newest = sa.select(m.c.request_id).where(_is_failing(t)).order_by(m.c.failed_at.desc(), m.c.request_id)
    return count, tuple(c.scalars(newest.limit(_EXAMPLES))) if count else ()


class MissedFailures:
    """Those that a worker of the version before has ended: for once a day."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._t = database.t

    def follow(self, now: datetime) -> int:
        """Note them; how many there were."""
        windows = self._db.windows(self._t.member.c.member_id)
        return sum(self._db.write(partial(self._note, ids, now)) for ids in map(self._some, windows) if ids)

    def _some(self, window: Window) -> Sequence[str]:
        return self._db.read(lambda c: c.scalars(self._missed().where(self._in(window))).all())

    def _in(self, window: Window) -> sa.ColumnElement[bool]:
        return within(self._t.member.c.member_id, window)

    def _missed(self) -> sa.Select[Any]:
        m, v = self._t.member, self._t.verification
        failed = sa.and_(v.c.request_id == m.c.request_id, v.c.status == Status.ERROR)
        ended = m.c.requested_state.in_([State.DONE, State.DEAD])
        unnoted = m.c.failed_at.is_(None)
        return sa.select(m.c.member_id).join(v, failed).where(unnoted, ended, _is_of_another(self._t))

    def _note(self, member_ids: Sequence[str], now: datetime, c: sa.Connection) -> int:
        """Asked again under the locks: a new request may have come meanwhile."""
        m = self._t.member
        c.execute(sa.select(m.c.member_id).where(m.c.member_id.in_(member_ids)).with_for_update()).all()
        still = c.scalars(self._missed().where(m.c.member_id.in_(member_ids))).all()
        if still:
            c.execute(sa.update(m).where(m.c.member_id.in_(still)).values(failed_at=now))
        return len(still)
