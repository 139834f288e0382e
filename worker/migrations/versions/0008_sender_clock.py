"""A member's newest request is the one that came last; the sender's clock counts against itself only."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from worker.store.tables.columns import UtcDateTime

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Empty for requests from before: theirs is the moment they count from."""
    table = f"{op.get_context().opts['table_prefix']}member"
    if "sent_at" not in {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}:
        with op.batch_alter_table(table) as batch:
            batch.add_column(sa.Column("sent_at", UtcDateTime))
