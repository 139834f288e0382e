"""What people wrote outlives everything but `forget`; a member's row names the request of its verdict."""

from __future__ import annotations

from typing import Any, Literal

import sqlalchemy as sa
from alembic import op

from worker.migrations.steps import add_column, copied, light_table, make_index, names_of, table_prefix
from worker.store.tables.columns import UtcDateTime, identifier, json_map, sha256

revision = "0009"
down_revision = "0008"

OF_FORGOTTEN = {
    "label": "request_id IN (SELECT v.request_id FROM {p}verification v JOIN {p}tombstone t "
    "ON t.erases = v.member_id)",
    "decision": "request_id IN (SELECT v.request_id FROM {p}verification v JOIN {p}tombstone t "
    "ON t.erases = v.member_id)",
    "access_log": "member_id IN (SELECT t.erases FROM {p}tombstone t)",
    "verification": "member_id IN (SELECT t.erases FROM {p}tombstone t)",
}
"""Rows of which members an account may delete that has no right to delete from the tables."""
KEYS = {
    table: "member_id" if "member_id IN" in where else "request_id" for table, where in OF_FORGOTTEN.items()
}
DECIDED = """
CREATE OR REPLACE VIEW {p}member_decided AS
SELECT member_id, verification_status, reason, verified_at, verified_request_id, updated_at
FROM {p}member
WHERE EXISTS (
    SELECT 1 FROM {p}decision d JOIN {p}verification v ON v.request_id = d.request_id
    WHERE d.request_id = {p}member.request_id AND v.member_id = {p}member.member_id
    AND ({p}member.verification_status = d.previous_status
        OR ({p}member.verification_status = d.status
            AND {p}member.reason = concat(d.status, '_by_person'))))
WITH CHECK OPTION
"""
"""Members about whose newest request a person has decided; a change must be to what was decided."""


def upgrade() -> None:
    """New columns and foreign keys, what can be known of the past, and views with the owner's rights."""
    p = table_prefix()
    add_column(f"{p}member", sa.Column("verified_request_id", identifier()))
    _alter(
        f"{p}verification",
        sa.Column("refetch_at", UtcDateTime),
        sa.Column("swapped", json_map()),
        key=("member_id", f"{p}member"),
    )
    make_index(f"{p}verification", "refetch_at")
    _alter(
        f"{p}label",
        sa.Column("sha256", sha256()),
        sa.Column("selfie_sha256", sha256()),
        key=("request_id", f"{p}verification"),
        old=f"fk_{p}label_request_id_position",
    )
    _alter(f"{p}decision", key=("request_id", f"{p}verification"))
    _alter(f"{p}access_log", key=("member_id", f"{p}member"))
    erases = sa.Column("erases", identifier())
    _alter(f"{p}tombstone", erases, key=("erases", f"{p}member"), ondelete="SET NULL")
    _fill(p)
    if op.get_bind().dialect.name == "mysql":
        op.execute(DECIDED.format(p=p))
        for table, where in OF_FORGOTTEN.items():
            rows = f"SELECT {KEYS[table]} FROM {p}{table} WHERE {where.format(p=p)}"  # noqa: S608 - ours
            op.execute(f"CREATE OR REPLACE VIEW {p}{table}_of_forgotten AS {rows}")


def _alter(
    table: str,
    *columns: sa.Column[Any],
    key: tuple[str, str],
    old: str | None = None,
    ondelete: Literal["SET NULL"] | None = None,
) -> None:
    """More columns, and another foreign key in place of the one that cascaded."""
    column, parent = key
    name = f"fk_{table}_{column}"
    target = "member_id" if parent.endswith("member") else "request_id"
    known, there = names_of(table, "columns"), names_of(table, "foreign_keys")
    with op.batch_alter_table(table, recreate=copied()) as batch:
        for one in columns:
            if one.name not in known:
                batch.add_column(one)
        for gone in {name, old or name} & there:
            batch.drop_constraint(op.f(gone), type_="foreignkey")
        batch.create_foreign_key(op.f(name), parent, [column], [target], ondelete=ondelete)


def _fill(prefix: str) -> None:
    """The request of a member's verdict ended, or was decided about, at the very time of the verdict."""
    bind = op.get_bind()
    member = light_table(
        f"{prefix}member", "member_id verification_status verified_request_id", "verified_at"
    )
    request = light_table(
        f"{prefix}verification", "request_id member_id status reason decided_by", "finished_at"
    )
    decision = light_table(
        f"{prefix}decision", "id request_id status previous_status previous_reason", "decided_at"
    )
    label = light_table(f"{prefix}label", "request_id position sha256 selfie_sha256")
    photo = light_table(f"{prefix}verification_photo", "request_id position sha256")
    m, v, d, seen = member.c, request.c, decision.c, photo.c
    its = (v.member_id == m.member_id, m.verification_status.is_not(None))
    ended = sa.select(sa.func.max(v.request_id)).where(
        *its, v.finished_at == m.verified_at, v.status == m.verification_status
    )
    decided = (
        sa.select(sa.func.max(d.request_id))
        .where(d.request_id == v.request_id, *its, d.decided_at == m.verified_at)
        .where(d.status == m.verification_status)
    )
    found = sa.func.coalesce(decided.scalar_subquery(), ended.scalar_subquery())
    bind.execute(sa.update(member).where(m.verified_at.is_not(None)).values(verified_request_id=found))
    # A decision wrote over what the machine had said, which its first one has kept.
    first = sa.select(sa.func.min(d.id)).group_by(d.request_id)
    for row in bind.execute(sa.select(decision).where(d.id.in_(first))).all():
        said = {"status": row.previous_status, "reason": row.previous_reason, "decided_by": "machine"}
        bind.execute(sa.update(request).where(v.request_id == row.request_id).values(said))
    of = seen.request_id == label.c.request_id
    files = {
        "sha256": sa.select(seen.sha256).where(of, seen.position == label.c.position).scalar_subquery(),
        "selfie_sha256": sa.select(seen.sha256).where(of, seen.position == 0).scalar_subquery(),
    }
    bind.execute(sa.update(label).values(files))
