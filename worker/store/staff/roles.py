"""Who has which role now: the latest row of the history about it says so."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from worker.store.database import AnyRow
from worker.store.tables.staff import StaffTables
from worker.store.tables.states import Role, StaffAction


def roles_of(c: sa.Connection, t: StaffTables, account_id: int) -> frozenset[Role]:
    """The roles of one account."""
    return folded(c.execute(_history(t).where(t.grant.c.account_id == account_id)))


def all_roles(c: sa.Connection, t: StaffTables) -> dict[int, frozenset[Role]]:
    """The roles of every account that ever had one."""
    rows: dict[int, list[AnyRow]] = {}
    for row in c.execute(_history(t)):
        rows.setdefault(row.account_id, []).append(row)
    return {account: folded(its) for account, its in rows.items()}


def checkers(c: sa.Connection, t: StaffTables) -> frozenset[str]:
    """The names of those who are, in small letters."""
    a, g = t.account, t.grant
    query = sa.select(a.c.folded, g.c.action).join(a, a.c.id == g.c.account_id)
    query = query.where(g.c.role == Role.CHECKER, a.c.closed_at.is_(None)).order_by(g.c.id)
    last = {row.folded: row.action for row in c.execute(query)}
    return frozenset(name for name, action in last.items() if action == StaffAction.GIVEN)


def _history(t: StaffTables) -> sa.Select[tuple[int, str, str]]:
    g = t.grant
    query = sa.select(g.c.account_id, g.c.role, g.c.action).where(g.c.role.is_not(None))
    return query.order_by(g.c.id)


def folded(rows: Iterable[AnyRow]) -> frozenset[Role]:
    """What is left of roles that were given and taken, in this order."""
    last = {Role(row.role): row.action for row in rows}
    return frozenset(role for role, action in last.items() if action == StaffAction.GIVEN)
