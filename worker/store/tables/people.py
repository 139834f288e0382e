"""Tables about what people do: they decide, look at members, and label photos.

Nothing of it goes with a row of another table: only `forget` deletes it.
"""

from __future__ import annotations

import sqlalchemy as sa

from pipeline.verdict import Gender, Reason, Status
from worker.store.tables.columns import (
    CutText,
    TableBuilder,
    UtcDateTime,
    code,
    identifier,
    one_of,
    row_number,
    sha256,
)
from worker.store.tables.states import ConsentSource, PairLabel, Purpose

VERSION_LENGTH = 64


def decision(build: TableBuilder) -> sa.Table:
    """What a person decided about a request, and the member's verdict before; rows are only ever added."""
    return build.table(
        "decision",
        sa.Column("id", row_number(), primary_key=True),
        sa.Column("request_id", identifier(), nullable=False),
        *one_of("status", Status, nullable=False),
        *one_of("previous_status", Status, nullable=False),
        *one_of("previous_reason", Reason),
        sa.Column("decided_by", CutText(255), nullable=False),
        sa.Column("decided_at", UtcDateTime, nullable=False),
        build.parent("verification.request_id", cascade=False),
        sa.Index(None, "request_id"),
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
        build.parent("member.member_id", cascade=False),
        sa.Index(None, "member_hash"),
        sa.Index(None, "member_id", "looked_at"),
        sa.Index(None, "looked_at"),
    )


def consent(build: TableBuilder) -> sa.Table:
    """What a member agreed to; rows are added, and closed once, by a withdrawal. They go with the member."""
    return build.table(
        "consent",
        sa.Column("id", row_number(), primary_key=True),
        sa.Column("member_id", identifier(), nullable=False),
        *one_of("purpose", Purpose, nullable=False),
        # Of the text that the member was shown; empty where nobody named it.
        sa.Column("version", sa.String(VERSION_LENGTH), nullable=False, server_default=""),
        # NULL of a consent of before revision 0013, and of a refusal by somebody who had never agreed.
        sa.Column("given_at", UtcDateTime),
        *one_of("source", ConsentSource),
        sa.Column("withdrawn_at", UtcDateTime),
        *one_of("withdrawn_source", ConsentSource),
        build.parent("member.member_id"),
        sa.Index(None, "member_id", "purpose"),
    )


def label(build: TableBuilder) -> sa.Table:
    """What a person decided about one photo: the training truth."""
    return build.table(
        "label",
        sa.Column("id", row_number(), primary_key=True),
        sa.Column("request_id", identifier(), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        *one_of("label", PairLabel, nullable=False),
        *one_of("gender", Gender),
        sa.Column("labelled_by", CutText(255), nullable=False),
        sa.Column("labelled_at", UtcDateTime, nullable=False),
        # Of the two files that the person compared: what lies at their addresses may change.
        sa.Column("sha256", sha256()),
        sa.Column("selfie_sha256", sha256()),
        build.parent("verification.request_id", cascade=False),
        sa.Index(None, "request_id", "position"),
    )
