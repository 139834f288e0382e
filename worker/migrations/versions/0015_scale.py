"""Indexes and a tally: what a monitor, reviewers and the app ask costs the same with a million members.

Workers go on meanwhile: columns are added at once, and an index is built beside all writes.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from worker.migrations.steps import add_column, light_table, make_index, make_table, table_prefix
from worker.store.tables.columns import UtcDateTime, code, json_map

revision = "0015"
down_revision = "0014"

AT_ONCE = 500


def upgrade() -> None:
    """Members whose newest request has failed are written down at the end, when the index is there."""
    p = table_prefix()
    make_table(
        f"{p}tally",
        sa.Column("name", code(), primary_key=True),
        sa.Column("counted_at", UtcDateTime, nullable=False),
        sa.Column("counts", json_map(), nullable=False),
    )
    member, verification, case = f"{p}member", f"{p}verification", f"{p}review_case"
    add_column(member, sa.Column("failed_at", UtcDateTime))
    make_index(member, "failed_at")
    make_index(member, "sandbox", "verification_status")
    make_index(member, "verification_consent")
    waiting = ("due_at", "state", "sweeps", "queue", "sandbox", "accepted_at")
    make_index(verification, *waiting, name="waiting")
    counted = ("unfinished", "due_at", "sandbox", "opened_at", "escalated_at", "lease_until")
    make_index(case, *counted, name="open")
    make_index(f"{p}dead_job", "requeued_at", "dismissed_at")
    make_index(f"{p}decision", "undoes")
    _note_failed(member, verification)


def _note_failed(member: str, verification: str) -> None:
    """In small steps, so that no row is locked for long."""
    names = "member_id request_id verified_request_id verification_status requested_state failed_at"
    m = light_table(member, names)
    v = light_table(verification, "request_id status finished_at")
    ended = (m.c.requested_state.in_(("done", "dead")), m.c.verification_status != "error")
    other = sa.func.coalesce(m.c.verified_request_id, "") != m.c.request_id
    failed = (
        sa.select(m.c.member_id.label("id"), v.c.finished_at.label("at"))
        .join(v, v.c.request_id == m.c.request_id)
        .where(*ended, other, v.c.status == "error", m.c.failed_at.is_(None))
    )
    rows = [{"id": row.id, "at": row.at} for row in op.get_bind().execute(failed)]
    same = (m.c.member_id == sa.bindparam("id"), m.c.failed_at.is_(None))
    update = sa.update(m).where(*same).values(failed_at=sa.bindparam("at"))
    for start in range(0, len(rows), AT_ONCE):
        op.get_bind().execute(update, rows[start : start + AT_ONCE])
