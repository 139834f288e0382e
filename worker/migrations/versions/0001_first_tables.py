"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql
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

revision = "0001"
down_revision = None

GENDERS = ("male", "female", "unknown")
STATUSES = ("approved", "review", "retry_photo", "rejected", "error")
REASONS = (
    "same_person",
    "different_person",
    "primary_unsure",
    "no_solo_photo",
    "same_picture",
    "gender_conflict",
    "selfie_changed",
    "blind_audit",
    "selfie_no_face",
    "selfie_several_faces",
    "selfie_face_too_small",
    "selfie_too_blurred",
    "selfie_too_dark",
    "selfie_too_bright",
    "selfie_extreme_pose",
    "selfie_occluded",
    "selfie_invalid",
    "selfie_not_fetched",
    "no_usable_photo",
    "photos_not_fetched",
    "no_photos",
    "internal_error",
)
OUTCOMES = (
    "usable",
    "same",
    "different",
    "unsure",
    "group_same",
    "member_not_seen",
    "no_face",
    "several_faces",
    "face_too_small",
    "too_blurred",
    "too_dark",
    "too_bright",
    "extreme_pose",
    "occluded",
    "not_fetched",
    "invalid_image",
    "not_compared",
)
FAULTS = ("member", "host", "ours")
FETCH_PROBLEMS = (
    "gone",
    "forbidden",
    "expired",
    "too_large",
    "wrong_type",
    "refused_address",
    "bad_response",
    "timeout",
    "server_error",
    "unreachable",
)
STATES = ("queued", "running", "retry_wait", "done", "dead", "superseded")
WHYS = ("signup", "photos_changed", "operator")
MODEL_STATES = ("challenger", "shadow", "champion", "rejected", "retired")


def upgrade() -> None:
    """Make all tables, parents first."""
    prefix = op.get_context().opts["table_prefix"]
    for make in (_member, _photo, _verification, _verification_photo, _label, _model_version, _dead_job):
        make(prefix)
    _table(
        f"{prefix}tombstone",
        sa.Column("member_hash", sha256(), primary_key=True),
        sa.Column("forgotten_at", UtcDateTime, nullable=False),
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


def _parent(*columns: str) -> sa.ForeignKeyConstraint:
    names = [column.rsplit(".", 1)[1] for column in columns]
    return sa.ForeignKeyConstraint(names, list(columns), ondelete="CASCADE")


def _member(prefix: str) -> None:
    _table(
        f"{prefix}member",
        sa.Column("member_id", identifier(), primary_key=True),
        sa.CheckConstraint("instr(member_id, ' ') = 0", "member_id"),
        *_one_of("declared_gender", GENDERS),
        sa.Column("selfie_url", sa.String(2048)),
        *_one_of("verification_status", STATUSES),
        sa.Column("same_person", sa.Boolean),
        sa.Column("similarity", sa.Double),
        *_one_of("predicted_gender", GENDERS),
        sa.Column("gender_probability", sa.Double),
        *_one_of("reason", REASONS),
        sa.Column("model_version", sa.String(64)),
        sa.Column("verified_at", UtcDateTime),
        sa.Column("request_id", identifier()),
        sa.Column("requested_at", UtcDateTime),
        sa.Column("training_consent", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("pending", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.Column("created_at", UtcDateTime),
        sa.Column("updated_at", UtcDateTime),
        indexes=(("pending",),),
    )


def _photo(prefix: str) -> None:
    _table(
        f"{prefix}photo",
        sa.Column("member_id", identifier(), primary_key=True),
        sa.CheckConstraint("instr(member_id, ' ') = 0", "member_id"),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("url", sa.String(2048), nullable=False),
        sa.Column("created_at", UtcDateTime),
        _parent(f"{prefix}member.member_id"),
    )


def _verification(prefix: str) -> None:
    _table(
        f"{prefix}verification",
        sa.Column("request_id", identifier(), primary_key=True),
        sa.Column("member_id", identifier(), nullable=False),
        *_one_of("why", WHYS, nullable=False),
        sa.Column("queue", code(), nullable=False),
        sa.Column("requested_at", UtcDateTime, nullable=False),
        sa.Column("message", json_map(), nullable=False),
        sa.Column("content_hash", sha256(), nullable=False),
        *_one_of("state", STATES, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("open_attempts", sa.Integer, nullable=False),
        sa.Column("postponed", sa.Integer, nullable=False),
        sa.Column("sweeps", sa.Integer, nullable=False),
        sa.Column("worker", sa.String(255)),
        sa.Column("problem", sa.String(255)),
        sa.Column("lease_until", UtcDateTime),
        sa.Column("next_attempt_at", UtcDateTime),
        sa.Column("due_at", UtcDateTime),
        sa.Column("accepted_at", UtcDateTime, nullable=False),
        sa.Column("started_at", UtcDateTime),
        sa.Column("finished_at", UtcDateTime),
        *_one_of("status", STATUSES),
        *_one_of("reason", REASONS),
        sa.Column("photo", sa.Integer),
        sa.Column("same_person", sa.Boolean),
        sa.Column("similarity", sa.Double),
        *_one_of("predicted_gender", GENDERS),
        sa.Column("gender_probability", sa.Double),
        *_one_of("decided_by", ("machine", "person")),
        sa.Column("photo_set_hash", sha256()),
        sa.Column("model_version", sa.String(64)),
        sa.Column("policy_version", sa.String(64)),
        sa.Column("timings", json_map()),
        _parent(f"{prefix}member.member_id"),
        indexes=(("member_id", "requested_at"), ("due_at",), ("state",)),
    )


def _verification_photo(prefix: str) -> None:
    _table(
        f"{prefix}verification_photo",
        sa.Column("request_id", identifier(), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        *_one_of("outcome", OUTCOMES, nullable=False),
        *_one_of("fault", FAULTS),
        sa.Column("sha256", sha256()),
        sa.Column("faces", sa.Integer, nullable=False),
        sa.Column("box_x", sa.Double),
        sa.Column("box_y", sa.Double),
        sa.Column("box_width", sa.Double),
        sa.Column("box_height", sa.Double),
        sa.Column("gate", code()),
        sa.Column("gate_value", sa.Double),
        sa.Column("gate_limit", sa.Double),
        sa.Column("quality", json_map()),
        sa.Column("score", sa.Double),
        sa.Column("similarity", sa.Double),
        sa.Column("approve_edge", sa.Double),
        sa.Column("different_edge", sa.Double),
        sa.Column("cosines", json_map()),
        sa.Column("distances", json_map()),
        *_one_of("fetch_problem", FETCH_PROBLEMS),
        sa.Column("detail", sa.String(255), nullable=False),
        sa.Column("replay", sa.Boolean, nullable=False),
        _parent(f"{prefix}verification.request_id"),
    )


def _label(prefix: str) -> None:
    _table(
        f"{prefix}label",
        sa.Column("id", row_number(), primary_key=True),
        sa.Column("request_id", identifier(), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        *_one_of("label", ("genuine", "impostor"), nullable=False),
        *_one_of("gender", GENDERS),
        sa.Column("labelled_by", sa.String(255), nullable=False),
        sa.Column("labelled_at", UtcDateTime, nullable=False),
        _parent(f"{prefix}verification_photo.request_id", f"{prefix}verification_photo.position"),
        indexes=(("request_id", "position"),),
    )


def _model_version(prefix: str) -> None:
    _table(
        f"{prefix}model_version",
        sa.Column("version", ascii_text(64), primary_key=True),
        *_one_of("state", MODEL_STATES, nullable=False),
        sa.Column("manifest", json_map(), nullable=False),
        sa.Column("head", sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql"), nullable=False),
        sa.Column("head_sha256", sha256(), nullable=False),
        sa.Column("figures", json_map()),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("promoted_at", UtcDateTime),
        indexes=(("state",),),
    )


def _dead_job(prefix: str) -> None:
    _table(
        f"{prefix}dead_job",
        sa.Column("id", row_number(), primary_key=True),
        sa.Column("reason", code(), nullable=False),
        sa.Column("error", sa.String(1000), nullable=False),
        sa.Column("queue", code(), nullable=False),
        sa.Column("request_id", identifier()),
        sa.Column("member_id", identifier()),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("message_sha256", sha256(), nullable=False),
        sa.Column("message_length", sa.BigInteger, nullable=False),
        sa.Column("message_head", sa.LargeBinary().with_variant(mysql.BLOB(), "mysql"), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("requeued_at", UtcDateTime),
        indexes=(("request_id",), ("member_id",), ("created_at",)),
    )
