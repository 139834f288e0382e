"""A person's decision has a reason of its own; dead letters are dismissed, and bars lifted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from worker.migrations.steps import FIRST_REASONS, add_columns, allow_reasons, light_table, table_prefix
from worker.store.tables.columns import UtcDateTime, sha256

revision = "0006"
down_revision = "0005"

BY_PERSON = {"approved": "approved_by_person", "rejected": "rejected_by_person"}
REASONS = (*FIRST_REASONS, *BY_PERSON.values())
FOUND_SAME = {"same_person": True, "blind_audit": True, "gender_conflict": True, "different_person": False}
"""What the machine says with these reasons; with all others it says nothing about that."""


def upgrade() -> None:
    """Two more words in the CHECKs, new columns; and what decisions wrote over is put right."""
    prefix = table_prefix()
    allow_reasons(prefix, REASONS)
    add_columns(
        f"{prefix}dead_job",
        sa.Column("dismissed_at", UtcDateTime),
        sa.Column("dismissed_by", sa.String(255)),
        sa.Column("dismissed_note", sa.String(1000)),
        sa.Column("member_hash", sha256()),
    )
    add_columns(
        f"{prefix}tombstone", sa.Column("lifted_at", UtcDateTime), sa.Column("lifted_by", sa.String(255))
    )
    _key_by(f"{prefix}tombstone", ("member_hash", "forgotten_at"))
    _put_right(prefix)


def _key_by(table: str, columns: tuple[str, ...]) -> None:
    if op.get_bind().dialect.name == "mysql":  # in one statement: some servers take no table without a key
        op.execute(f"ALTER TABLE `{table}` DROP PRIMARY KEY, ADD PRIMARY KEY ({', '.join(columns)})")
        return
    with op.batch_alter_table(table) as batch:
        batch.drop_constraint(op.f(f"pk_{table}"), type_="primary")
        batch.create_primary_key(op.f(f"pk_{table}"), list(columns))


def _put_right(prefix: str) -> None:
    """Until now a decision wrote a reason of the machine's, and whether the photos show one person.

    What the machine had found is known by the first decision about a request. A member's row is a
    decision's where it was written at that very time.
    """
    bind = op.get_bind()
    decision = light_table(
        f"{prefix}decision", "id request_id status previous_status previous_reason", "decided_at"
    )
    request = light_table(f"{prefix}verification", "request_id member_id reason same_person")
    member = light_table(f"{prefix}member", "member_id verification_status reason same_person", "verified_at")
    d, v, m = decision.c, request.c, member.c
    rows = sa.select(decision, v.member_id).join(request, v.request_id == d.request_id).order_by(d.id)
    found: dict[str, str | None] = {}
    for row in bind.execute(rows).all():
        if row.request_id in found:
            corrected = sa.update(decision).where(d.id == row.id)
            bind.execute(corrected.values(previous_reason=BY_PERSON[row.previous_status]))
        found.setdefault(row.request_id, row.previous_reason)
        said = {"reason": BY_PERSON[row.status], "same_person": FOUND_SAME.get(found[row.request_id] or "")}
        bind.execute(sa.update(request).where(v.request_id == row.request_id).values(said))
        its = (m.member_id == row.member_id, m.verification_status == row.status)
        bind.execute(sa.update(member).where(*its, m.verified_at == row.decided_at).values(said))
