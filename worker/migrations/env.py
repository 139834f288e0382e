"""Alembic's entry: runs the revisions on the connection that `migrate` hands over."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context

from worker.store.tables.columns import NAMING

attributes = context.config.attributes

context.configure(
    connection=attributes["connection"],
    target_metadata=sa.MetaData(naming_convention=NAMING),
    version_table=attributes["version_table"],
    render_as_batch=True,  # SQLite alters a table by copying it
    transaction_per_migration=True,
    table_prefix=attributes["prefix"],
)
with context.begin_transaction():
    context.run_migrations()
