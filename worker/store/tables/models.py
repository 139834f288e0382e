"""Tables about models: their heads, who could not use them, what a challenger would have said."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from pipeline.verdict import Status
from worker.store.tables.columns import (
    CutText,
    TableBuilder,
    UtcDateTime,
    ascii_text,
    code,
    identifier,
    json_map,
    one_of,
    sha256,
)
from worker.store.tables.states import ModelState

VERSION_LENGTH = 64


def model_version(build: TableBuilder) -> sa.Table:
    """Heads that workers pull between two jobs, with their manifest and figures."""
    return build.table(
        "model_version",
        sa.Column("version", ascii_text(VERSION_LENGTH), primary_key=True),
        *one_of("state", ModelState, nullable=False),
        sa.Column("manifest", json_map(), nullable=False),
        sa.Column("head", sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql"), nullable=False),
        sa.Column("head_sha256", sha256(), nullable=False),
        sa.Column("figures", json_map()),
        sa.Column("created_at", UtcDateTime, nullable=False),
        # When it became champion; NULL again once it was rolled back. By these, `rollback` goes back.
        sa.Column("promoted_at", UtcDateTime),
        # Ed25519, of whoever published it; NULL where heads are not signed.
        sa.Column("signature", sa.LargeBinary(64)),
        sa.Index(None, "state"),
    )


def model_refusal(build: TableBuilder) -> sa.Table:
    """A head that a host could not use, and why; gone once it can."""
    return build.table(
        "model_refusal",
        sa.Column("version", ascii_text(VERSION_LENGTH), primary_key=True),
        sa.Column("host", CutText(255, ascii_only=True), primary_key=True),
        sa.Column("problem", CutText(255), nullable=False),
        sa.Column("refused_at", UtcDateTime, nullable=False),
        build.parent("model_version.version"),
    )


def shadow_verdict(build: TableBuilder) -> sa.Table:
    """What a head in shadow would have said about a request, beside what the machine decided then."""
    return build.table(
        "shadow_verdict",
        sa.Column("request_id", identifier(), primary_key=True),
        sa.Column("version", ascii_text(VERSION_LENGTH), primary_key=True),
        *one_of("status", Status, nullable=False),
        sa.Column("reason", code(), nullable=False),
        sa.Column("similarity", sa.Double),
        # A person may change the request's own status later.
        *one_of("decided_status", Status, nullable=False),
        sa.Column("decided_reason", code(), nullable=False),
        sa.Column("decided_version", ascii_text(VERSION_LENGTH), nullable=False),
        sa.Column("judged_at", UtcDateTime, nullable=False),
        build.parent("verification.request_id"),
        sa.Index(None, "version"),
    )
