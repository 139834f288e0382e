"""The records of access form a chain; the month's check of them is signed."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from worker.migrations.steps import add_column, make_index, make_table, table_prefix
from worker.store.tables.columns import (
    NOTE_LENGTH,
    CutText,
    UtcDateTime,
    ascii_text,
    code,
    row_number,
    sha256,
)

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """What was written before has no link."""
    p = table_prefix()
    for column in (sa.Column("number", sa.BigInteger), sa.Column("link", sha256())):
        add_column(f"{p}access_log", column)
    make_table(
        f"{p}access_chain",
        sa.Column("name", code(), primary_key=True),
        *_place(""),
        *_place("anchor_", sa.Column("anchor_breaks", sa.BigInteger, nullable=False, server_default="0")),
    )
    make_table(
        f"{p}access_review",
        sa.Column("id", row_number(), primary_key=True),
        sa.Column("month", ascii_text(7), nullable=False),
        sa.Column("checked_by", CutText(255), nullable=False),
        sa.Column("checked_at", UtcDateTime, nullable=False),
        sa.Column("note", sa.String(NOTE_LENGTH), nullable=False),
        *(_count(name) for name in ("records", "own_records", "breaks", "chain_number")),
        *(sa.Column(name, sha256(), nullable=False) for name in ("chain_link", "seal")),
    )
    make_index(f"{p}access_review", "month")


def _place(prefix: str, *more: sa.Column[int]) -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column(f"{prefix}number", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column(f"{prefix}link", sha256(), nullable=False, server_default=""),
        *more,
        sa.Column(f"{prefix}seal", sha256(), nullable=False, server_default=""),
    )


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False)
