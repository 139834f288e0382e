"""Tables of what was counted."""

from __future__ import annotations

import sqlalchemy as sa

from worker.store.tables.columns import TableBuilder, UtcDateTime, code, json_map


def tally(build: TableBuilder) -> sa.Table:
    """What there was when it was counted last, by what was counted: each row is of one moment."""
    return build.table(
        "tally",
        sa.Column("name", code(), primary_key=True),
        sa.Column("counted_at", UtcDateTime, nullable=False),
        sa.Column("counts", json_map(), nullable=False),
    )


def day_tally(build: TableBuilder) -> sa.Table:
    """What happened on each day in Korea; nothing about a member."""
    return build.table(
        "day_tally",
        sa.Column("day", sa.Date, primary_key=True),
        # NULL: is to be counted, or counted again.
        sa.Column("counted_at", UtcDateTime),
        # Counts up with each change of a day that was counted, so that a count from before is not kept.
        sa.Column("changes", sa.Integer, nullable=False, server_default="0"),
        sa.Column("counts", json_map()),
    )
