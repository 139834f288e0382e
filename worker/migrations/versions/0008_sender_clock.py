"""A member's newest request is the one that came last; the sender's clock counts against itself only."""

from __future__ import annotations

import sqlalchemy as sa

from worker.migrations.steps import add_column, table_prefix
from worker.store.tables.columns import UtcDateTime

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Empty for requests from before: theirs is the moment they count from."""
    add_column(f"{table_prefix()}member", sa.Column("sent_at", UtcDateTime))
