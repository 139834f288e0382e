"""Who could not use a head, and what a challenger in shadow would have said."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.schema import SchemaItem

from worker.store.tables.columns import UtcDateTime, ascii_text, code, identifier

revision = "0003"
down_revision = "0002"

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
        f"{prefix}model_refusal",
        sa.Column("version", ascii_text(64), primary_key=True),
        sa.Column("host", ascii_text(255), primary_key=True),
        sa.Column("problem", sa.String(255), nullable=False),
        sa.Column("refused_at", UtcDateTime, nullable=False),
        _parent(f"{prefix}model_version.version"),
    )
    _table(
        f"{prefix}shadow_verdict",
        sa.Column("request_id", identifier(), primary_key=True),
        sa.Column("version", ascii_text(64), primary_key=True),
        *_one_of("status", STATUSES),
        *_one_of("reason", REASONS),
        sa.Column("similarity", sa.Double),
        *_one_of("decided_status", STATUSES),
        *_one_of("decided_reason", REASONS),
        sa.Column("decided_version", ascii_text(64), nullable=False),
        sa.Column("judged_at", UtcDateTime, nullable=False),
        _parent(f"{prefix}verification.request_id"),
        indexes=(("version",),),
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


def _one_of(column: str, words: tuple[str, ...]) -> tuple[SchemaItem, SchemaItem]:
    listed = ", ".join(f"'{word}'" for word in words)
    return sa.Column(column, code(), nullable=False), sa.CheckConstraint(f"{column} IN ({listed})", column)


def _parent(column: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column.rsplit(".", 1)[1]], [column], ondelete="CASCADE")
