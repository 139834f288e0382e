"""What the newest request of a member knows, so that changes made in SQL are found."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from worker.migrations.altering import NEEDS_REQUEST
from worker.store.tables.columns import UtcDateTime, code

revision = "0005"
down_revision = "0004"

KNOWN = ("requested_selfie_url", "requested_gender", "requested_photos")
CHANGED = "CASE WHEN requested_url = url AND requested_position = position THEN 0 ELSE 1 END"


def upgrade() -> None:
    """Columns that only we write, beside those that the app writes, and what compares the two."""
    prefix = op.get_context().opts["table_prefix"]
    member, photo = f"{prefix}member", f"{prefix}photo"
    _add(member, sa.Column("requested_selfie_url", sa.String(2048)))
    _add(member, sa.Column("requested_gender", code()))
    _add(member, sa.Column("requested_photos", sa.Integer))
    _add(member, sa.Column("request_after", UtcDateTime))
    _add(photo, sa.Column("requested_url", sa.String(2048)))
    _add(photo, sa.Column("requested_position", sa.Integer))
    if "changed" not in _columns(photo):
        _know_all(member, photo)
    _add(member, sa.Column("needs_request", sa.Boolean, sa.Computed(NEEDS_REQUEST, persisted=True)))
    _add(photo, sa.Column("changed", sa.Boolean, sa.Computed(CHANGED, persisted=True)))
    _index(member, "needs_request", "request_after")
    _index(photo, "changed")
    if f"ix_{member}_pending" in _indexes(member):
        op.drop_index(f"ix_{member}_pending", member)


def _add(table: str, column: sa.Column[Any]) -> None:
    """Unless it is there: MySQL cannot roll DDL back, so a run that broke off goes on here."""
    if column.name not in _columns(table):
        with op.batch_alter_table(table) as batch:
            batch.add_column(column)


def _know_all(member: str, photo: str) -> None:
    """What is there is no change: nobody is verified again for an update."""
    p = _light(photo, "member_id", "position", "url", "requested_url", "requested_position")
    m = _light(member, "member_id", "request_id", "selfie_url", "declared_gender", *KNOWN)
    photos = sa.select(sa.func.count()).where(p.c.member_id == m.c.member_id).scalar_subquery()
    known = dict(zip(KNOWN, (m.c.selfie_url, m.c.declared_gender, photos), strict=True))
    op.execute(sa.update(p).values(requested_url=p.c.url, requested_position=p.c.position))
    op.execute(sa.update(m).where(m.c.request_id.is_not(None)).values(known))


def _light(name: str, *columns: str) -> sa.TableClause:
    return sa.table(name, *(sa.column(column) for column in columns))


def _index(table: str, *columns: str) -> None:
    name = f"ix_{table}_{'_'.join(columns)}"
    if name not in _indexes(table):
        op.create_index(name, table, list(columns))


def _columns(table: str) -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}


def _indexes(table: str) -> set[str | None]:
    return {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}
