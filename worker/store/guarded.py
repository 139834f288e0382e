"""The views of `worker.store.tables.views`, as the store writes through them.

An account that may not delete what people wrote deletes it through such a view, which shows the rows of
members whose tombstone stands; one that may not set a verdict sets the one that a person has decided.
SQLite has no accounts, and needs no views.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa


def of_forgotten(c: sa.Connection, table: sa.Table) -> sa.TableClause:
    """The table's rows that may be deleted because their member is being forgotten (`tombstone.erases`)."""
    return _view(c, table, f"{table.name}_of_forgotten")


def decided(c: sa.Connection, member: sa.Table) -> sa.TableClause:
    """Members whose verdict may become what a person has decided about their newest request."""
    return _view(c, member, f"{member.name}_decided")


def _view(c: sa.Connection, table: sa.Table, name: str) -> sa.TableClause:
    if c.dialect.name == "sqlite":
        return table
    columns: list[sa.ColumnClause[Any]] = [sa.column(column.name, column.type) for column in table.c]
    return sa.table(name, *columns)
