"""Tables of a retraining: its runs, and for their duration the members and faces that they learn from."""

from __future__ import annotations

import sqlalchemy as sa

from pipeline.verdict import Gender
from worker.store.tables.columns import (
    CutText,
    TableBuilder,
    UtcDateTime,
    ascii_text,
    code,
    identifier,
    json_map,
    one_of,
    row_number,
    sha256,
)
from worker.store.tables.states import LEARNED_LABELS, RunState, Studied


def training_run(build: TableBuilder) -> sa.Table:
    """One row per retraining, never removed; it is also the lease by which no two work at once."""
    return build.table(
        "training_run",
        sa.Column("run_id", row_number(), primary_key=True),
        *one_of("state", RunState, nullable=False),
        # True until the run has ended, then NULL: the unique index lets one run be under way.
        sa.Column("unfinished", sa.Boolean),
        sa.Column("asked_by", CutText(255), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("started_at", UtcDateTime),
        sa.Column("finished_at", UtcDateTime),
        # When somebody must go on with it; NULL once it has ended.
        sa.Column("due_at", UtcDateTime),
        # Counts how often the lease was acquired, and fences: who holds an older number has lost.
        sa.Column("attempts", sa.Integer, nullable=False),
        # Steps that were broken off, by an error or because their worker was killed.
        sa.Column("lapses", sa.Integer, nullable=False),
        # Rounds of messages to the verify workers, and when the next one is due.
        sa.Column("sends", sa.Integer, nullable=False),
        sa.Column("send_at", UtcDateTime),
        sa.Column("holder", CutText(255)),
        sa.Column("lease_until", UtcDateTime),
        # The newest label that it knew of.
        sa.Column("last_label", sa.BigInteger, nullable=False),
        sa.Column("counts", json_map()),
        sa.Column("report", json_map()),
        sa.Column("version", ascii_text(64)),
        sa.Column("problem", CutText(1000)),
        sa.Index(None, "unfinished", unique=True),
    )


def training_member(build: TableBuilder) -> sa.Table:
    """Members whose labelled photos a run learns from; gone when it ends, or with the member."""
    return build.table(
        "training_member",
        sa.Column("run_id", row_number(), primary_key=True, autoincrement=False),
        sa.Column("member_id", identifier(), primary_key=True),
        # Of a message to the verify workers, which so names nobody.
        sa.Column("batch", sa.Integer, nullable=False),
        *one_of("state", Studied, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("lease_until", UtcDateTime),
        sa.Column("reason", code()),
        build.parent("training_run.run_id"),
        build.parent("member.member_id"),
        sa.Index(None, "run_id", "batch"),
        sa.Index(None, "member_id"),
    )


def training_face(build: TableBuilder) -> sa.Table:
    """What was found in each labelled photo of a run's members; gone with them."""
    return build.table(
        "training_face",
        sa.Column("run_id", row_number(), primary_key=True, autoincrement=False),
        sa.Column("member_id", identifier(), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        *one_of("label", LEARNED_LABELS),
        *one_of("gender", Gender),
        sa.Column("audited", sa.Boolean, nullable=False),
        # Why it is not learned from; NULL for a face that is.
        sa.Column("reason", code()),
        sa.Column("sha256", sha256()),
        # Which networks made the vectors: each one's name and the first twelve digits of its hash.
        sa.Column("networks", ascii_text(255)),
        sa.Column("vectors", sa.LargeBinary),
        build.parent("training_member.run_id", "training_member.member_id"),
    )
