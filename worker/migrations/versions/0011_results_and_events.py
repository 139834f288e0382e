"""Results that the app reads, events on their way to it, and what finds copies of photos over members."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from worker.migrations.steps import (
    STATUSES,
    add_column,
    allow_reasons,
    allow_words,
    light_table,
    make_index,
    make_table,
    parent,
    table_prefix,
)
from worker.store.tables.columns import (
    CutText,
    UtcDateTime,
    ascii_text,
    code,
    identifier,
    json_map,
    one_of,
    row_number,
)

revision = "0011"
down_revision = "0010"

REASONS = (
    *("same_person", "different_person", "primary_unsure", "primary_not_judged", "primary_not_member"),
    *("no_solo_photo", "same_picture", "gender_conflict", "selfie_changed", "photo_reused", "too_many_tries"),
    *("blind_audit", "selfie_no_face", "selfie_several_faces", "selfie_face_too_small"),
    *("selfie_too_blurred", "selfie_too_dark", "selfie_too_bright", "selfie_extreme_pose"),
    *("selfie_occluded", "selfie_invalid", "selfie_not_fetched", "no_usable_photo", "photos_not_fetched"),
    *("no_photos", "internal_error", "approved_by_person", "rejected_by_person"),
)
MEMBER_STATES = ("queued", "retry_wait", "done", "dead")
RESULT_DECIDED = """
CREATE OR REPLACE VIEW {p}result_decided AS
SELECT r.* FROM {p}result r
WHERE r.status IS NULL OR r.status = 'error' OR EXISTS (
    SELECT 1 FROM {p}decision d WHERE d.request_id = r.request_id
    AND (r.status = d.previous_status OR (r.status = d.status AND r.reason = concat(d.status, '_by_person'))))
WITH CHECK OPTION
"""
"""Results that may become what a person has decided, or wait again, by an account that sets no verdict."""
RESULT_OF_FORGOTTEN = """
CREATE OR REPLACE VIEW {p}result_of_forgotten AS
SELECT member_id FROM {p}result WHERE member_id IN (SELECT t.erases FROM {p}tombstone t)
"""
BANDS = ("band_1", "band_2", "band_3", "band_4")
FALSE, TRUE = sa.false(), sa.true()
OF_SANDBOX = {
    "label": ("request_id", "request_id IN (SELECT v.request_id FROM {p}verification v WHERE v.sandbox)"),
    "decision": ("request_id", "request_id IN (SELECT v.request_id FROM {p}verification v WHERE v.sandbox)"),
    "verification": ("member_id", "sandbox"),
    "result": ("member_id", "member_id IN (SELECT v.member_id FROM {p}verification v WHERE v.sandbox)"),
}
"""Rows of the sandbox, which an account may delete that has no right to delete from the tables."""


def upgrade() -> None:
    """Tables, columns and words; and the results of requests that there were, without texts and photos."""
    p = table_prefix()
    allow_reasons(p, REASONS)
    _extend_member(f"{p}member", f"{p}verification")
    add_column(f"{p}verification", sa.Column("sandbox", sa.Boolean, nullable=False, server_default=FALSE))
    add_column(f"{p}verification", sa.Column("has_links", sa.Boolean, nullable=False, server_default=TRUE))
    make_index(f"{p}verification", "has_links", "finished_at")
    _extend_photos(p)
    _make_result(f"{p}result", f"{p}verification")
    _make_events(p)
    if op.get_bind().dialect.name == "mysql":
        op.execute(RESULT_DECIDED.format(p=p))
        op.execute(RESULT_OF_FORGOTTEN.format(p=p))
        for table, (key, where) in OF_SANDBOX.items():
            rows = f"SELECT {key} FROM {p}{table} WHERE {where.format(p=p)}"  # noqa: S608 - ours
            op.execute(f"CREATE OR REPLACE VIEW {p}{table}_of_sandbox AS {rows}")


def _extend_member(member: str, verification: str) -> None:
    new = (
        sa.Column("requested_state", code()),
        sa.Column("sandbox", sa.Boolean, nullable=False, server_default=FALSE),
    )
    allow_words(member, ("requested_state",), MEMBER_STATES, *new)
    make_index(member, "updated_at")
    m, v = light_table(member, "request_id requested_state"), light_table(verification, "request_id state")
    state = sa.case((v.c.state == "running", "queued"), else_=v.c.state)
    newest = sa.select(state).where(v.c.request_id == m.c.request_id, v.c.state != "superseded")
    unset = m.c.requested_state.is_(None)
    op.execute(sa.update(m).where(unset).values(requested_state=newest.scalar_subquery()))


def _extend_photos(p: str) -> None:
    photo, verification = f"{p}verification_photo", f"{p}verification"
    add_column(photo, sa.Column("phash", sa.BigInteger))
    add_column(photo, sa.Column("phash_fine", ascii_text(64)))
    make_index(photo, "sha256")
    for band in BANDS:
        add_column(photo, sa.Column(band, sa.Integer))
        make_index(photo, band, "phash")
    for name, words in {"machine_status": STATUSES, "machine_reason": REASONS}.items():
        add_column(verification, sa.Column(name, code()))
        allow_words(verification, (name,), words)
    make_table(
        f"{p}photo_reuse",
        sa.Column("request_id", identifier(), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("of_request_id", identifier(), primary_key=True),
        sa.Column("of_position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("same_file", sa.Boolean, nullable=False),
        sa.ForeignKeyConstraint(["request_id"], [f"{verification}.request_id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["of_request_id"], [f"{verification}.request_id"], ondelete="CASCADE"),
    )
    make_index(f"{p}photo_reuse", "of_request_id")


def _make_result(result: str, verification: str) -> None:
    make_table(
        result,
        sa.Column("request_id", identifier(), primary_key=True),
        sa.Column("member_id", identifier()),
        *one_of("state", (*MEMBER_STATES, "superseded"), nullable=False),
        sa.Column("waiting_until", UtcDateTime),
        *one_of("status", STATUSES),
        *one_of("reason", REASONS),
        sa.Column("problem", CutText(32, ascii_only=True)),
        sa.Column("photo", sa.Integer),
        sa.Column("similarity", sa.Double),
        *one_of("decided_by", ("machine", "person")),
        sa.Column("text_ko", sa.String(1000)),
        sa.Column("text_en", sa.String(1000)),
        sa.Column("photos", json_map()),
        sa.Column("sandbox", sa.Boolean, nullable=False, server_default=FALSE),
        sa.Column("requested_at", UtcDateTime),
        sa.Column("accepted_at", UtcDateTime, nullable=False),
        sa.Column("finished_at", UtcDateTime),
        sa.Column("changed_at", UtcDateTime, nullable=False),
    )
    make_index(result, "member_id")
    make_index(result, "changed_at", "request_id")
    _fill_result(result, verification)


def _fill_result(result: str, verification: str) -> None:
    same = ("request_id", "member_id", "photo", "similarity", "requested_at", "accepted_at", "finished_at")
    v = light_table(verification, " ".join(same) + " state status reason decided_by next_attempt_at")
    r = light_table(result, " ".join(same) + " state status reason decided_by waiting_until changed_at")
    ended = v.c.state.in_(("done", "dead", "superseded"))
    said = [sa.case((ended, v.c[name])) for name in ("status", "reason", "decided_by")]
    rows = sa.select(
        *(v.c[name] for name in same),
        sa.case((v.c.state == "running", "queued"), else_=v.c.state),
        *said,
        sa.case((v.c.state == "retry_wait", v.c.next_attempt_at)),
        sa.func.coalesce(v.c.finished_at, v.c.accepted_at),
    ).where(v.c.request_id.not_in(sa.select(r.c.request_id)))
    names = (*same, "state", "status", "reason", "decided_by", "waiting_until", "changed_at")
    op.execute(sa.insert(r).from_select(list(names), rows))


def _make_events(p: str) -> None:
    make_table(
        f"{p}event",
        sa.Column("id", row_number(), primary_key=True),
        sa.Column("event_id", ascii_text(40), nullable=False),
        sa.Column("type", code(), nullable=False),
        sa.Column("member_id", identifier()),
        sa.Column("request_id", identifier()),
        sa.Column("payload", json_map(), nullable=False),
        sa.Column("occurred_at", UtcDateTime, nullable=False),
        sa.Column("not_before", UtcDateTime),
        sa.Column("dispatched", sa.Boolean, nullable=False, server_default=FALSE),
    )
    make_index(f"{p}event", "event_id", unique=True)
    make_index(f"{p}event", "dispatched", "id")
    for column in ("member_id", "request_id", "occurred_at"):
        make_index(f"{p}event", column)
    delivery = f"{p}event_delivery"
    make_table(
        delivery,
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("endpoint", ascii_text(32), primary_key=True),
        sa.Column("member_id", identifier()),
        sa.Column("due_at", UtcDateTime),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("problem", CutText(255)),
        sa.Column("first_tried_at", UtcDateTime),
        sa.Column("delivered_at", UtcDateTime),
        sa.Column("parked_at", UtcDateTime),
        parent(f"{p}event.id"),
    )
    for columns in (("endpoint", "due_at"), ("endpoint", "member_id", "due_at"), ("endpoint", "parked_at")):
        make_index(delivery, *columns)
    make_table(
        f"{p}event_endpoint",
        sa.Column("endpoint", ascii_text(32), primary_key=True),
        sa.Column("lease_until", UtcDateTime),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("worker", CutText(255)),
        sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
        sa.Column("paused_until", UtcDateTime),
        sa.Column("problem", CutText(255)),
    )
