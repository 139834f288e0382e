"""What people decide, and who looks at members."""

from __future__ import annotations

import sqlalchemy as sa

from worker.migrations.steps import FIRST_REASONS, STATUSES, make_index, make_table, parent, table_prefix
from worker.store.tables.columns import UtcDateTime, code, identifier, one_of, row_number

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Two tables."""
    prefix = table_prefix()
    make_table(
        f"{prefix}decision",
        sa.Column("id", row_number(), primary_key=True),
        sa.Column("request_id", identifier(), nullable=False),
        *one_of("status", STATUSES, nullable=False),
        *one_of("previous_status", STATUSES, nullable=False),
        *one_of("previous_reason", FIRST_REASONS),
        sa.Column("decided_by", sa.String(255), nullable=False),
        sa.Column("decided_at", UtcDateTime, nullable=False),
        parent(f"{prefix}verification.request_id"),
    )
    make_index(f"{prefix}decision", "request_id")
    make_table(
        f"{prefix}access_log",
        sa.Column("id", row_number(), primary_key=True),
        sa.Column("member_id", identifier(), nullable=False),
        sa.Column("looked_by", sa.String(255), nullable=False),
        sa.Column("way", code(), nullable=False),
        sa.Column("looked_at", UtcDateTime, nullable=False),
        parent(f"{prefix}member.member_id"),
    )
    make_index(f"{prefix}access_log", "member_id", "looked_at")
    make_index(f"{prefix}access_log", "looked_at")
