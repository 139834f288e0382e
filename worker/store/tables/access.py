"""Tables of who looked at whom, and of who has checked that."""

from __future__ import annotations

import sqlalchemy as sa

from worker.store.tables.columns import (
    NOTE_LENGTH,
    CutText,
    TableBuilder,
    UtcDateTime,
    ascii_text,
    code,
    identifier,
    row_number,
    sha256,
)


def access_log(build: TableBuilder) -> sa.Table:
    """Who looked at members or changed something of them: what (``action``), how (``way``), from where.

    The member is NULL in a record of a list; of one who was erased the keyed hash stays.
    """
    return build.table(
        "access_log",
        sa.Column("id", row_number(), primary_key=True),
        sa.Column("member_id", identifier()),
        sa.Column("looked_by", CutText(255), nullable=False),
        sa.Column("way", CutText(32, ascii_only=True), nullable=False),
        sa.Column("looked_at", UtcDateTime, nullable=False),
        sa.Column("member_hash", sha256()),
        sa.Column("action", code(), nullable=False, server_default="show"),
        # Of the machine, and the address that the person came from over SSH.
        sa.Column("host", CutText(255)),
        sa.Column("client", CutText(64, ascii_only=True)),
        sa.Column("login", CutText(255)),
        # The place in the chain and its link; NULL in records of before revision 0021.
        sa.Column("number", sa.BigInteger),
        sa.Column("link", sha256()),
        build.parent("member.member_id", cascade=False),
        sa.Index(None, "member_hash"),
        sa.Index(None, "member_id", "looked_at"),
        sa.Index(None, "looked_at"),
    )


def access_chain(build: TableBuilder) -> sa.Table:
    """Where the chain of `access_log` ends (the head), and where it begins since the purge (the anchor)."""
    return build.table(
        "access_chain",
        sa.Column("name", code(), primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("link", sha256(), nullable=False, server_default=""),
        sa.Column("seal", sha256(), nullable=False, server_default=""),
        sa.Column("anchor_number", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("anchor_link", sha256(), nullable=False, server_default=""),
        # Places where what was purged did not hold.
        sa.Column("anchor_breaks", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("anchor_seal", sha256(), nullable=False, server_default=""),
    )


def access_review(build: TableBuilder) -> sa.Table:
    """That somebody has checked a month's records of access; rows are only ever added."""
    return build.table(
        "access_review",
        sa.Column("id", row_number(), primary_key=True),
        sa.Column("month", ascii_text(7), nullable=False),
        sa.Column("checked_by", CutText(255), nullable=False),
        sa.Column("checked_at", UtcDateTime, nullable=False),
        sa.Column("note", sa.String(NOTE_LENGTH), nullable=False),
        sa.Column("records", sa.BigInteger, nullable=False),
        sa.Column("own_records", sa.BigInteger, nullable=False),
        # Places where the chain was known not to hold.
        sa.Column("breaks", sa.BigInteger, nullable=False),
        # Where the chain ended, with the record of this signature.
        sa.Column("chain_number", sa.BigInteger, nullable=False),
        sa.Column("chain_link", sha256(), nullable=False),
        sa.Column("seal", sha256(), nullable=False),
        sa.Index(None, "month"),
    )
