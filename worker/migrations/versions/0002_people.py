"""What people decide, and who looks at members."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import SchemaItem

from worker.store.tables.columns import UtcDateTime, code, identifier, row_number

revision = "0002"
down_revision = "0001"

STATUSES = ("approved", "review", "retry_photo", "rejected", "error")
REASONS = (
    *("same_person", "different_person", "primary_unsure", "no_solo_photo", "same_picture"),
    *("gender_conflict", "selfie_changed", "blind_audit", "selfie_no_face", "selfie_several_faces"),
    *("selfie_face_too_small", "selfie_too_blurred", "selfie_too_dark", "selfie_too_bright"),
    *("selfie_extreme_pose", "selfie_occluded", "selfie_invalid", "selfie_not_fetched"),
    *("no_usable_photo", "photos_not_fetched", "no_photos", "internal_error"),
)


def upgrade() -> None:
    """Two tables."""
    prefix = op.get_context().opts["table_prefix"]
    _table(
        f"{prefix}decision",
        sa.Column("id", row_number(), primary_key=True),
        sa.Column("request_id", identifier(), nullable=False),
        *_one_of("status", STATUSES, nullable=False),
        *_one_of("previous_status", STATUSES, nullable=False),
        *_one_of("previous_reason", REASONS),
        sa.Column("decided_by", sa.String(255), nullable=False),
        sa.Column("decided_at", UtcDateTime, nullable=False),
        _parent(f"{prefix}verification.request_id"),
        indexes=(("request_id",),),
    )
    _table(
        f"{prefix}access_log",
        sa.Column("id", row_number(), primary_key=True),
        sa.Column("member_id", identifier(), nullable=False),
        sa.Column("looked_by", sa.String(255), nullable=False),
        sa.Column("way", code(), nullable=False),
        sa.Column("looked_at", UtcDateTime, nullable=False),
        _parent(f"{prefix}member.member_id"),
        indexes=(("member_id", "looked_at"), ("looked_at",)),
    )


def _table(name: str, *items: SchemaItem, indexes: tuple[tuple[str, ...], ...] = ()) -> None:
    """What is not there yet: MySQL cannot roll DDL back, so a run that broke off goes on here."""
    if not sa.inspect(op.get_bind()).has_table(name):
        op.create_table(
            name, *items, mysql_engine="InnoDB", mysql_charset="utf8mb4", mysql_collate="utf8mb4_bin"
        )
    known = {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(name)}
    for columns in indexes:
        index = f"ix_{name}_{'_'.join(columns)}"
        if index not in known:
            op.create_index(index, name, list(columns))


def _one_of(column: str, words: tuple[str, ...], *, nullable: bool = True) -> tuple[SchemaItem, SchemaItem]:
    listed = ", ".join(f"'{word}'" for word in words)
    return sa.Column(column, code(), nullable=nullable), sa.CheckConstraint(f"{column} IN ({listed})", column)


def _parent(column: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column.rsplit(".", 1)[1]], [column], ondelete="CASCADE")
