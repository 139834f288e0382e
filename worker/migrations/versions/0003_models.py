"""Who could not use a head, and what a challenger in shadow would have said."""

from __future__ import annotations

import sqlalchemy as sa

from worker.migrations.steps import FIRST_REASONS, STATUSES, make_index, make_table, parent, table_prefix
from worker.store.tables.columns import UtcDateTime, ascii_text, identifier, one_of

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Two tables."""
    prefix = table_prefix()
    make_table(
        f"{prefix}model_refusal",
        sa.Column("version", ascii_text(64), primary_key=True),
        sa.Column("host", ascii_text(255), primary_key=True),
        sa.Column("problem", sa.String(255), nullable=False),
        sa.Column("refused_at", UtcDateTime, nullable=False),
        parent(f"{prefix}model_version.version"),
    )
    make_table(
        f"{prefix}shadow_verdict",
        sa.Column("request_id", identifier(), primary_key=True),
        sa.Column("version", ascii_text(64), primary_key=True),
        *one_of("status", STATUSES, nullable=False),
        *one_of("reason", FIRST_REASONS, nullable=False),
        sa.Column("similarity", sa.Double),
        *one_of("decided_status", STATUSES, nullable=False),
        *one_of("decided_reason", FIRST_REASONS, nullable=False),
        sa.Column("decided_version", ascii_text(64), nullable=False),
        sa.Column("judged_at", UtcDateTime, nullable=False),
        parent(f"{prefix}verification.request_id"),
    )
    make_index(f"{prefix}shadow_verdict", "version")
