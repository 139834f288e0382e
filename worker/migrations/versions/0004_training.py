"""Retrainings: runs, and the members and faces that a run learns from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import SchemaItem

from worker.store.tables.columns import (
    UtcDateTime,
    ascii_text,
    code,
    identifier,
    json_map,
    row_number,
    sha256,
)

revision = "0004"
down_revision = "0003"

RUN_STATES = ("queued", "collecting", "training", "done", "failed", "rejected", "promoted")


def upgrade() -> None:
    """Three tables."""
    prefix = op.get_context().opts["table_prefix"]
    _runs(f"{prefix}training_run")
    _members(f"{prefix}training_member", prefix)
    _faces(f"{prefix}training_face", prefix)


def _runs(name: str) -> None:
    _table(
        name,
        sa.Column("run_id", row_number(), primary_key=True),
        *_one_of("state", RUN_STATES, nullable=False),
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
    _index(name, "unfinished", unique=True)


def _members(name: str, prefix: str) -> None:
    _table(
        name,
        sa.Column("run_id", row_number(), primary_key=True, autoincrement=False),
        sa.Column("member_id", identifier(), primary_key=True),
        sa.Column("batch", sa.Integer, nullable=False),
        *_one_of("state", ("waiting", "done", "failed"), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("lease_until", UtcDateTime),
        sa.Column("reason", code()),
        _parent(f"{prefix}training_run", "run_id"),
        _parent(f"{prefix}member", "member_id"),
    )
    _index(name, "run_id", "batch")
    _index(name, "member_id")


def _faces(name: str, prefix: str) -> None:
    _table(
        name,
        sa.Column("run_id", row_number(), primary_key=True, autoincrement=False),
        sa.Column("member_id", identifier(), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        *_one_of("label", ("genuine", "impostor")),
        *_one_of("gender", ("male", "female", "unknown")),
        sa.Column("audited", sa.Boolean, nullable=False),
        sa.Column("reason", code()),
        sa.Column("sha256", sha256()),
        sa.Column("networks", ascii_text(255)),
        sa.Column("vectors", sa.LargeBinary),
        _parent(f"{prefix}training_member", "run_id", "member_id"),
    )


def _table(name: str, *items: SchemaItem) -> None:
    """Unless it is there: MySQL cannot roll DDL back, so a run that broke off goes on here."""
    if not sa.inspect(op.get_bind()).has_table(name):
        op.create_table(
            name, *items, mysql_engine="InnoDB", mysql_charset="utf8mb4", mysql_collate="utf8mb4_bin"
        )


def _index(table: str, *columns: str, unique: bool = False) -> None:
    name = f"ix_{table}_{'_'.join(columns)}"
    if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(name, table, list(columns), unique=unique)


def _one_of(column: str, words: tuple[str, ...], *, nullable: bool = True) -> tuple[SchemaItem, SchemaItem]:
    listed = ", ".join(f"'{word}'" for word in words)
    return sa.Column(column, code(), nullable=nullable), sa.CheckConstraint(f"{column} IN ({listed})", column)


def _parent(table: str, *columns: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(list(columns), [f"{table}.{c}" for c in columns], ondelete="CASCADE")
