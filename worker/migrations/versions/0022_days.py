"""What happened on each day, and indexes for what was decided and said lately."""

from __future__ import annotations

import sqlalchemy as sa

from worker.migrations.steps import make_index, make_table, table_prefix
from worker.store.tables.columns import UtcDateTime, json_map

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """The sweep counts the days before, some at a time. Indexes are built beside all writes."""
    p = table_prefix()
    make_table(
        f"{p}day_tally",
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("counted_at", UtcDateTime),
        sa.Column("changes", sa.Integer, nullable=False, server_default="0"),
        sa.Column("counts", json_map()),
    )
    make_index(f"{p}verification", "reason", "sandbox")
    make_index(f"{p}decision", "decided_at")
    make_index(f"{p}review_vote", "voted_at")
    make_index(f"{p}label", "labelled_at")
