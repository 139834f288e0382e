"""What the newest request of a member knows, so that changes made in SQL are found."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from worker.migrations.steps import NEEDS_REQUEST, add_column, light_table, make_index, names_of, table_prefix
from worker.store.tables.columns import UtcDateTime, code

revision = "0005"
down_revision = "0004"

KNOWN = ("requested_selfie_url", "requested_gender", "requested_photos")
CHANGED = "CASE WHEN requested_url = url AND requested_position = position THEN 0 ELSE 1 END"


def upgrade() -> None:
    """Columns that only we write, beside those that the app writes, and what compares the two."""
    prefix = table_prefix()
    member, photo = f"{prefix}member", f"{prefix}photo"
    add_column(member, sa.Column("requested_selfie_url", sa.String(2048)))
    add_column(member, sa.Column("requested_gender", code()))
    add_column(member, sa.Column("requested_photos", sa.Integer))
    add_column(member, sa.Column("request_after", UtcDateTime))
    add_column(photo, sa.Column("requested_url", sa.String(2048)))
    add_column(photo, sa.Column("requested_position", sa.Integer))
    if "changed" not in names_of(photo, "columns"):
        _know_all(member, photo)
    add_column(member, sa.Column("needs_request", sa.Boolean, sa.Computed(NEEDS_REQUEST, persisted=True)))
    add_column(photo, sa.Column("changed", sa.Boolean, sa.Computed(CHANGED, persisted=True)))
    make_index(member, "needs_request", "request_after")
    make_index(photo, "changed")
    if f"ix_{member}_pending" in names_of(member, "indexes"):
        op.drop_index(f"ix_{member}_pending", member)


def _know_all(member: str, photo: str) -> None:
    """What is there is no change: nobody is verified again for an update."""
    p = light_table(photo, "member_id position url requested_url requested_position")
    m = light_table(member, f"member_id request_id selfie_url declared_gender {' '.join(KNOWN)}")
    photos = sa.select(sa.func.count()).where(p.c.member_id == m.c.member_id).scalar_subquery()
    known = dict(zip(KNOWN, (m.c.selfie_url, m.c.declared_gender, photos), strict=True))
    op.execute(sa.update(p).values(requested_url=p.c.url, requested_position=p.c.position))
    op.execute(sa.update(m).where(m.c.request_id.is_not(None)).values(known))
