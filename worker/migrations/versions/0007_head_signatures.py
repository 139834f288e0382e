"""Heads may be signed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Versions that stand there stay unsigned: `models sign` vouches for one."""
    table = f"{op.get_context().opts['table_prefix']}model_version"
    if "signature" not in {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}:
        with op.batch_alter_table(table) as batch:
            batch.add_column(sa.Column("signature", sa.LargeBinary(64)))
