"""Retrainings: runs, and the members and faces that a run learns from."""

from __future__ import annotations

import sqlalchemy as sa

from worker.migrations.steps import GENDERS, make_index, make_table, parent, table_prefix
from worker.store.tables.columns import (
    UtcDateTime,
    ascii_text,
    code,
    identifier,
    json_map,
    one_of,
    row_number,
    sha256,
)

revision = "0004"
down_revision = "0003"

RUN_STATES = ("queued", "collecting", "training", "done", "failed", "rejected", "promoted")


def upgrade() -> None:
    """Three tables."""
    prefix = table_prefix()
    _runs(f"{prefix}training_run")
    _members(f"{prefix}training_member", prefix)
    _faces(f"{prefix}training_face", prefix)


def _runs(name: str) -> None:
    make_table(
        name,
        sa.Column("run_id", row_number(), primary_key=True),
        *one_of("state", RUN_STATES, nullable=False),
        sa.Column("unfinished", sa.Boolean),
        sa.Column("asked_by", sa.String(255), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("started_at", UtcDateTime),
        sa.Column("finished_at", UtcDateTime),
        sa.Column("due_at", UtcDateTime),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("lapses", sa.Integer, nullable=False),
        sa.Column("sends", sa.Integer, nullable=False),
        sa.Column("send_at", UtcDateTime),
        sa.Column("holder", sa.String(255)),
        sa.Column("lease_until", UtcDateTime),
        sa.Column("last_label", sa.BigInteger, nullable=False),
        sa.Column("counts", json_map()),
        sa.Column("report", json_map()),
        sa.Column("version", ascii_text(64)),
        sa.Column("problem", sa.String(1000)),
    )
    make_index(name, "unfinished", unique=True)


def _members(name: str, prefix: str) -> None:
    make_table(
        name,
        sa.Column("run_id", row_number(), primary_key=True, autoincrement=False),
        sa.Column("member_id", identifier(), primary_key=True),
        sa.Column("batch", sa.Integer, nullable=False),
        *one_of("state", ("waiting", "done", "failed"), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("lease_until", UtcDateTime),
        sa.Column("reason", code()),
        parent(f"{prefix}training_run.run_id"),
        parent(f"{prefix}member.member_id"),
    )
    make_index(name, "run_id", "batch")
    make_index(name, "member_id")


def _faces(name: str, prefix: str) -> None:
    make_table(
        name,
        sa.Column("run_id", row_number(), primary_key=True, autoincrement=False),
        sa.Column("member_id", identifier(), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        *one_of("label", ("genuine", "impostor")),
        *one_of("gender", GENDERS),
        sa.Column("audited", sa.Boolean, nullable=False),
        sa.Column("reason", code()),
        sa.Column("sha256", sha256()),
        sa.Column("networks", ascii_text(255)),
        sa.Column("vectors", sa.LargeBinary),
        parent(f"{prefix}training_member.run_id", f"{prefix}training_member.member_id"),
    )
