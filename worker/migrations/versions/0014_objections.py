"""Objections: that a member wants a person to look, and by when."""

from __future__ import annotations

import sqlalchemy as sa

from worker.migrations.steps import make_index, make_table, parent, table_prefix
from worker.store.tables.columns import CutText, UtcDateTime, identifier, one_of, row_number

revision = "0014"
down_revision = "0013"

WAYS = ("message", "operator")


def upgrade() -> None:
    """A table."""
    p = table_prefix()
    objection = f"{p}objection"
    make_table(
        objection,
        sa.Column("id", row_number(), primary_key=True),
        sa.Column("objection_id", identifier()),
        sa.Column("member_id", identifier(), nullable=False),
        *one_of("way", WAYS, nullable=False),
        sa.Column("received_at", UtcDateTime, nullable=False),
        sa.Column("due_at", UtcDateTime, nullable=False),
        sa.Column("recorded_at", UtcDateTime, nullable=False),
        sa.Column("recorded_by", CutText(255)),
        sa.Column("case_id", sa.BigInteger),
        sa.Column("against", sa.BigInteger),
        parent(f"{p}member.member_id"),
    )
    make_index(objection, "objection_id", unique=True)
    make_index(objection, "member_id")
    make_index(objection, "case_id")
