"""Leases: a row belongs to one process until `lease_until`; its count of `attempts` fences.

A request, a retraining and a member of a retraining are worked on like this. `acquire` counts an attempt up
and is committed on return, so that a process that dies is counted; whoever holds an older number has lost.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from worker.store.database import AnyRow


def is_leased(row: AnyRow, now: datetime) -> bool:
    """Whether a process holds the row."""
    return row.lease_until is not None and row.lease_until > now


def is_free(table: sa.Table, now: datetime) -> sa.ColumnElement[bool]:
    """The same in SQL, the other way round."""
    return sa.or_(table.c.lease_until.is_(None), table.c.lease_until <= now)


def update_leased(
    c: sa.Connection, table: sa.Table, attempt: int, *which: sa.ColumnElement[bool], **values: Any
) -> bool:
    """One conditional update: the row itself says whose it is. False when it belongs to another by now."""
    held = sa.and_(*which, table.c.attempts == attempt)
    return c.execute(sa.update(table).where(held).values(**values)).rowcount == 1
