"""Cases that people claim, what each made of them, and answers about photos before anything else is shown."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa
from alembic import op

from worker.migrations.steps import (
    add_column,
    allow_reasons,
    allow_words,
    light_table,
    make_index,
    make_table,
    table_prefix,
)
from worker.store.tables.columns import CutText, UtcDateTime, code, identifier, one_of, row_number, sha256

revision = "0012"
down_revision = "0011"

REASONS = (
    *("same_person", "different_person", "primary_unsure", "primary_not_judged", "primary_not_member"),
    *("no_solo_photo", "same_picture", "gender_conflict", "selfie_changed", "photo_reused", "too_many_tries"),
    *("blind_audit", "selfie_no_face", "selfie_several_faces", "selfie_face_too_small"),
    *("selfie_too_blurred", "selfie_too_dark", "selfie_too_bright", "selfie_extreme_pose"),
    *("selfie_occluded", "selfie_invalid", "selfie_not_fetched", "no_usable_photo", "photos_not_fetched"),
    *("no_photos", "internal_error", "approved_by_person", "rejected_by_person", "retry_photo_by_person"),
)
CODES = (
    *("same_person", "others_are_harmless", "other_person", "copied_photo", "screen_or_print", "made_up"),
    *("face_not_shown", "face_covered", "face_turned", "face_too_small", "too_blurred", "too_dark"),
    *("too_bright", "several_people", "too_edited", "cannot_tell", "member_is_known", "other"),
)
CAUSES = ("verdict", "correction", "objection", "retries", "manual")
CHOICES = ("approve", "reject", "new_photo", "escalate", "undo")
VIEWS = {
    "review_vote_of_forgotten": "SELECT request_id FROM {p}review_vote WHERE request_id IN "
    "(SELECT v.request_id FROM {p}verification v JOIN {p}tombstone t ON t.erases = v.member_id)",
    "review_case_of_forgotten": "SELECT member_id FROM {p}review_case WHERE member_id IN "
    "(SELECT t.erases FROM {p}tombstone t)",
    "review_vote_of_sandbox": "SELECT request_id FROM {p}review_vote WHERE request_id IN "
    "(SELECT v.request_id FROM {p}verification v WHERE v.sandbox)",
    "review_case_of_sandbox": "SELECT member_id FROM {p}review_case WHERE member_id IN "
    "(SELECT v.member_id FROM {p}verification v WHERE v.sandbox)",
}
"""Rows that may be deleted by an account that has no right to delete from the tables."""
DUE = timedelta(hours=24)
AT_ONCE = 500


def upgrade() -> None:
    """Tables, columns and words; and a case for each member who waits for a person."""
    p = table_prefix()
    allow_reasons(p, REASONS)
    allow_words(f"{p}result", ("reason",), REASONS)
    allow_words(f"{p}verification", ("machine_reason",), REASONS)
    _make_case(p)
    _make_vote(p)
    _extend_decision(f"{p}decision")
    label = f"{p}label"
    allow_words(label, ("label",), ("genuine", "impostor", "cannot_tell"))
    add_column(label, sa.Column("case_id", sa.BigInteger))
    allow_words(label, ("phase",), ("blind", "evidence"), sa.Column("phase", code()))
    make_index(label, "case_id")
    _open_cases(p)
    if op.get_bind().dialect.name == "mysql":
        for view, select in VIEWS.items():
            op.execute(f"CREATE OR REPLACE VIEW {p}{view} AS {select.format(p=p)}")


def _make_case(p: str) -> None:
    case = f"{p}review_case"
    make_table(
        case,
        sa.Column("id", row_number(), primary_key=True),
        sa.Column("member_id", identifier(), nullable=False),
        sa.Column("request_id", identifier(), nullable=False),
        *one_of("cause", CAUSES, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("unfinished", sa.Boolean),
        sa.Column("opened_at", UtcDateTime, nullable=False),
        sa.Column("opened_by", CutText(255)),
        sa.Column("due_at", UtcDateTime, nullable=False),
        sa.Column("closed_at", UtcDateTime),
        sa.Column("second", sa.Boolean, nullable=False),
        sa.Column("sandbox", sa.Boolean, nullable=False),
        sa.Column("escalated_at", UtcDateTime),
        sa.Column("escalated_by", CutText(255)),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("reviewer", CutText(255)),
        sa.Column("claimed_at", UtcDateTime),
        sa.Column("lease_until", UtcDateTime),
        sa.Column("looked_at", UtcDateTime),
        sa.Column("looked_hash", sha256()),
        sa.ForeignKeyConstraint(["member_id"], [f"{p}member.member_id"]),
    )
    make_index(case, "member_id", "unfinished", unique=True)
    make_index(case, "unfinished", "priority", "due_at")
    make_index(case, "reviewer")


def _make_vote(p: str) -> None:
    vote = f"{p}review_vote"
    make_table(
        vote,
        sa.Column("id", row_number(), primary_key=True),
        sa.Column("case_id", sa.BigInteger, nullable=False),
        sa.Column("request_id", identifier(), nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        *one_of("choice", CHOICES, nullable=False),
        *one_of("code", CODES),
        sa.Column("photo", sa.Integer),
        sa.Column("note", sa.String(1000)),
        sa.Column("voted_by", CutText(255), nullable=False),
        sa.Column("claimed_at", UtcDateTime, nullable=False),
        sa.Column("voted_at", UtcDateTime, nullable=False),
        sa.Column("decision_id", sa.BigInteger),
        sa.ForeignKeyConstraint(["request_id"], [f"{p}verification.request_id"]),
    )
    for column in ("case_id", "request_id", "voted_by"):
        make_index(vote, column)


def _extend_decision(decision: str) -> None:
    for column in (
        sa.Column("case_id", sa.BigInteger),
        sa.Column("photo", sa.Integer),
        sa.Column("note", sa.String(1000)),
        sa.Column("previous_request_id", identifier()),
        sa.Column("previous_at", UtcDateTime),
        sa.Column("undoes", sa.BigInteger),
    ):
        add_column(decision, column)
    allow_words(decision, ("code",), CODES, sa.Column("code", code()))
    make_index(decision, "case_id")


def _open_cases(p: str) -> None:
    """For members in a review who have none; those who wait longest get the smallest numbers."""
    columns = "member_id request_id verification_status sandbox"
    m = light_table(f"{p}member", columns, "verified_at", "requested_at")
    names = "id member_id request_id cause priority unfinished second sandbox round attempts"
    case = light_table(f"{p}review_case", names, "opened_at", "due_at")
    since = sa.type_coerce(sa.func.coalesce(m.c.verified_at, m.c.requested_at), UtcDateTime)
    waiting = (
        sa.select(m.c.member_id, m.c.request_id, m.c.sandbox, since.label("since"))
        .where(m.c.verification_status == "review", m.c.request_id.is_not(None), since.is_not(None))
        .where(m.c.member_id.not_in(sa.select(case.c.member_id).where(case.c.unfinished.is_not(None))))
        .order_by(since, m.c.member_id)
    )
    same = {"cause": "verdict", "priority": 1, "unfinished": True, "second": False, "round": 0, "attempts": 0}
    rows = [
        {**same, "member_id": i, "request_id": r, "sandbox": bool(s), "opened_at": at, "due_at": at + DUE}
        for i, r, s, at in op.get_bind().execute(waiting)
    ]
    for start in range(0, len(rows), AT_ONCE):
        op.get_bind().execute(sa.insert(case), rows[start : start + AT_ONCE])
