"""Tables about what people do: they decide, and they look at members."""

from __future__ import annotations

import sqlalchemy as sa

from pipeline.verdict import Reason, Status
from worker.columns import TableBuilder, UtcDateTime, code, identifier, one_of, row_number

NAME_LENGTH = 255


def decision(build: TableBuilder) -> sa.Table:
    """What a person decided about a request, and what stood there before; rows are only ever added."""
    return build.table(
        "decision",
        sa.Column("id", row_number(), primary_key=True),
        sa.Column("request_id", identifier(), nullable=False),
        *one_of("status", Status, nullable=False),
        *one_of("previous_status", Status, nullable=False),
        *one_of("previous_reason", Reason),
        sa.Column("decided_by", sa.String(NAME_LENGTH), nullable=False),
        sa.Column("decided_at", UtcDateTime, nullable=False),
        build.parent("verification.request_id"),
        sa.Index(None, "request_id"),
    )


def access_log(build: TableBuilder) -> sa.Table:
    """Who looked at a member's photos and results."""
    return build.table(
        "access_log",
        sa.Column("id", row_number(), primary_key=True),
        sa.Column("member_id", identifier(), nullable=False),
        sa.Column("looked_by", sa.String(NAME_LENGTH), nullable=False),
        sa.Column("way", code(), nullable=False),
        sa.Column("looked_at", UtcDateTime, nullable=False),
        build.parent("member.member_id"),
        sa.Index(None, "member_id", "looked_at"),
        sa.Index(None, "looked_at"),
    )
