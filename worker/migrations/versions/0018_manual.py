"""Members at whose photos people look in place of the machine."""

from __future__ import annotations

import sqlalchemy as sa

from worker.migrations.steps import altered, names_of, table_prefix

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Whether a member wants that, and whether the newest request did."""
    member = f"{table_prefix()}member"
    known = names_of(member, "columns")
    with altered(member) as batch:
        for name in ("manual", "requested_manual"):
            if name not in known:
                batch.add_column(sa.Column(name, sa.Boolean, nullable=False, server_default=sa.false()))
