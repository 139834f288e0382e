"""The trace in which an event was written."""

from __future__ import annotations

import sqlalchemy as sa

from worker.migrations.steps import add_column, table_prefix
from worker.store.tables.columns import ascii_text

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Empty without traces, and for events of before."""
    add_column(f"{table_prefix()}event", sa.Column("traceparent", ascii_text(55)))
