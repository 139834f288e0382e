"""Heads may be signed."""

from __future__ import annotations

import sqlalchemy as sa

from worker.migrations.steps import add_column, table_prefix

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Versions that stand there stay unsigned: `models sign` vouches for one."""
    add_column(f"{table_prefix()}model_version", sa.Column("signature", sa.LargeBinary(64)))
