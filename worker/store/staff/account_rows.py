"""Rows of `staff_account`, found and locked for the other modules here."""

from __future__ import annotations

import unicodedata

import sqlalchemy as sa

from worker.errors import NotPossible
from worker.store.database import AnyRow
from worker.store.tables.staff import StaffTables


def normal_name(name: str) -> str:
    """The same letters from every keyboard."""
    return unicodedata.normalize("NFC", name.strip())


def folded_name(name: str) -> str:
    """By which an account is found: `Lee` and `lee` are one."""
    return normal_name(name).lower()


def find_open(c: sa.Connection, t: StaffTables, name: str) -> AnyRow | None:
    """The account of this name, unless it was closed."""
    a = t.account
    query = sa.select(a).where(a.c.folded == folded_name(name), a.c.closed_at.is_(None))
    return c.execute(query).one_or_none()


def locked(c: sa.Connection, t: StaffTables, account_id: int) -> AnyRow | None:
    """An open account, ours alone until the end of the transaction."""
    a = t.account
    query = sa.select(a).where(a.c.id == account_id, a.c.closed_at.is_(None))
    return c.execute(query.with_for_update()).one_or_none()


def existing(c: sa.Connection, t: StaffTables, account_id: int) -> AnyRow:
    """The same. Raises NotPossible."""
    row = locked(c, t, account_id)
    if row is None:
        raise NotPossible("there is no such account, or it was closed")
    return row


def change(c: sa.Connection, t: StaffTables, account_id: int, **values: object) -> None:
    """Write these columns."""
    c.execute(sa.update(t.account).where(t.account.c.id == account_id).values(**values))
