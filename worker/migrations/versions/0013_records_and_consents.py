"""Records of access say what was done and from where, and outlive their member; vectors are encrypted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from worker.migrations.steps import copied, light_table, make_index, names_of, table_prefix
from worker.store.tables.columns import CutText, code, identifier, sha256

revision = "0013"
down_revision = "0011"

ACCESS_OF_FORGOTTEN = """
CREATE OR REPLACE VIEW {p}access_log_of_forgotten AS
SELECT member_id, member_hash FROM {p}access_log
WHERE member_id IN (SELECT t.erases FROM {p}tombstone t)
OR (member_id IS NULL
    AND member_hash IN (SELECT t.member_hash FROM {p}tombstone t WHERE t.erases IS NOT NULL))
WITH CHECK OPTION
"""
"""Records whose member's ID may be replaced by the hash in the tombstone that names the member."""


def upgrade() -> None:
    """A retraining that is under way embeds its members again: what is there is not encrypted."""
    p = table_prefix()
    _remove_plain_vectors(f"{p}training_face", f"{p}training_member")
    _extend_access_log(f"{p}access_log")
    if op.get_bind().dialect.name == "mysql":
        op.execute(ACCESS_OF_FORGOTTEN.format(p=p))


def _remove_plain_vectors(face: str, member: str) -> None:
    m = light_table(member, "state attempts")
    op.execute(sa.delete(light_table(face, "run_id")))
    op.execute(sa.update(m).where(m.c.state == "done").values(state="waiting", attempts=0))


def _extend_access_log(log: str) -> None:
    known = names_of(log, "columns")
    with op.batch_alter_table(log, recreate=copied()) as batch:
        batch.alter_column("member_id", existing_type=identifier(), nullable=True)
        for column in (
            sa.Column("member_hash", sha256()),
            sa.Column("action", code(), nullable=False, server_default="show"),
            sa.Column("host", CutText(255)),
            sa.Column("client", CutText(64, ascii_only=True)),
            sa.Column("login", CutText(255)),
        ):
            if column.name not in known:
                batch.add_column(column)
    make_index(log, "member_hash")
