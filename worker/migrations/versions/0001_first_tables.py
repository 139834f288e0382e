"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from worker.migrations.steps import (
    FIRST_REASONS,
    GENDERS,
    STATUSES,
    make_index,
    make_table,
    parent,
    table_prefix,
)
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

revision = "0001"
down_revision = None

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
    prefix = table_prefix()
    for make in (_member, _photo, _verification, _verification_photo, _label, _model_version, _dead_job):
        make(prefix)
    make_table(
        f"{prefix}tombstone",
        sa.Column("member_hash", sha256(), primary_key=True),
        sa.Column("forgotten_at", UtcDateTime, nullable=False),
    )


def _member(prefix: str) -> None:
    make_table(
        f"{prefix}member",
        sa.Column("member_id", identifier(), primary_key=True),
        sa.CheckConstraint("instr(member_id, ' ') = 0", "member_id"),
        *one_of("declared_gender", GENDERS),
        sa.Column("selfie_url", sa.String(2048)),
        *one_of("verification_status", STATUSES),
        sa.Column("same_person", sa.Boolean),
        sa.Column("similarity", sa.Double),
        *one_of("predicted_gender", GENDERS),
        sa.Column("gender_probability", sa.Double),
        *one_of("reason", FIRST_REASONS),
        sa.Column("model_version", sa.String(64)),
        sa.Column("verified_at", UtcDateTime),
        sa.Column("request_id", identifier()),
        sa.Column("requested_at", UtcDateTime),
        sa.Column("training_consent", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("pending", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.Column("created_at", UtcDateTime),
        sa.Column("updated_at", UtcDateTime),
    )
    make_index(f"{prefix}member", "pending")


def _photo(prefix: str) -> None:
    make_table(
        f"{prefix}photo",
        sa.Column("member_id", identifier(), primary_key=True),
        sa.CheckConstraint("instr(member_id, ' ') = 0", "member_id"),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("url", sa.String(2048), nullable=False),
        sa.Column("created_at", UtcDateTime),
        parent(f"{prefix}member.member_id"),
    )


def _verification(prefix: str) -> None:
    make_table(
        f"{prefix}verification",
        sa.Column("request_id", identifier(), primary_key=True),
        sa.Column("member_id", identifier(), nullable=False),
        *one_of("why", WHYS, nullable=False),
        sa.Column("queue", code(), nullable=False),
        sa.Column("requested_at", UtcDateTime, nullable=False),
        sa.Column("message", json_map(), nullable=False),
        sa.Column("content_hash", sha256(), nullable=False),
        *one_of("state", STATES, nullable=False),
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
        *one_of("status", STATUSES),
        *one_of("reason", FIRST_REASONS),
        sa.Column("photo", sa.Integer),
        sa.Column("same_person", sa.Boolean),
        sa.Column("similarity", sa.Double),
        *one_of("predicted_gender", GENDERS),
        sa.Column("gender_probability", sa.Double),
        *one_of("decided_by", ("machine", "person")),
        sa.Column("photo_set_hash", sha256()),
        sa.Column("model_version", sa.String(64)),
        sa.Column("policy_version", sa.String(64)),
        sa.Column("timings", json_map()),
        parent(f"{prefix}member.member_id"),
    )
    make_index(f"{prefix}verification", "member_id", "requested_at")
    make_index(f"{prefix}verification", "due_at")
    make_index(f"{prefix}verification", "state")


def _verification_photo(prefix: str) -> None:
    make_table(
        f"{prefix}verification_photo",
        sa.Column("request_id", identifier(), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        *one_of("outcome", OUTCOMES, nullable=False),
        *one_of("fault", FAULTS),
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
        *one_of("fetch_problem", FETCH_PROBLEMS),
        sa.Column("detail", sa.String(255), nullable=False),
        sa.Column("replay", sa.Boolean, nullable=False),
        parent(f"{prefix}verification.request_id"),
    )


def _label(prefix: str) -> None:
    make_table(
        f"{prefix}label",
        sa.Column("id", row_number(), primary_key=True),
        sa.Column("request_id", identifier(), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        *one_of("label", ("genuine", "impostor"), nullable=False),
        *one_of("gender", GENDERS),
        sa.Column("labelled_by", sa.String(255), nullable=False),
        sa.Column("labelled_at", UtcDateTime, nullable=False),
        parent(f"{prefix}verification_photo.request_id", f"{prefix}verification_photo.position"),
    )
    make_index(f"{prefix}label", "request_id", "position")


def _model_version(prefix: str) -> None:
    make_table(
        f"{prefix}model_version",
        sa.Column("version", ascii_text(64), primary_key=True),
        *one_of("state", MODEL_STATES, nullable=False),
        sa.Column("manifest", json_map(), nullable=False),
        sa.Column("head", sa.LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql"), nullable=False),
        sa.Column("head_sha256", sha256(), nullable=False),
        sa.Column("figures", json_map()),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("promoted_at", UtcDateTime),
    )
    make_index(f"{prefix}model_version", "state")


def _dead_job(prefix: str) -> None:
    make_table(
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
    )
    make_index(f"{prefix}dead_job", "request_id")
    make_index(f"{prefix}dead_job", "member_id")
    make_index(f"{prefix}dead_job", "created_at")
