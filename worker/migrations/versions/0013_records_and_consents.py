"""Records of access with action and place, which outlive their member; consents; encrypted vectors."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from worker.migrations.steps import (
    allow_words,
    copied,
    light_table,
    make_index,
    make_table,
    names_of,
    parent,
    table_prefix,
)
from worker.store.tables.columns import (
    CutText,
    UtcDateTime,
    code,
    identifier,
    one_of,
    row_number,
    sha256,
)

revision = "0013"
down_revision = "0012"

ACCESS_OF_FORGOTTEN = """
CREATE OR REPLACE VIEW {p}access_log_of_forgotten AS
SELECT member_id, member_hash FROM {p}access_log
WHERE member_id IN (SELECT t.erases FROM {p}tombstone t)
OR (member_id IS NULL
    AND member_hash IN (SELECT t.member_hash FROM {p}tombstone t WHERE t.erases IS NOT NULL))
WITH CHECK OPTION
"""
"""Records whose member's ID may be replaced by the hash in the tombstone that names the member."""

CONSENT_OPEN = """
CREATE OR REPLACE VIEW {p}consent_open AS
SELECT member_id, purpose, withdrawn_at, withdrawn_source FROM {p}consent WHERE withdrawn_at IS NULL
"""
SOURCES = ("app", "import", "operator", "message")


def upgrade() -> None:
    """A retraining that is under way embeds its members again: what is there is not encrypted."""
    p = table_prefix()
    _remove_plain_vectors(f"{p}training_face", f"{p}training_member")
    _extend_access_log(f"{p}access_log")
    verifies = sa.Column("verification_consent", sa.Boolean, nullable=False, server_default=sa.true())
    allow_words(f"{p}member", (), (), verifies)
    _make_consent(f"{p}consent", f"{p}member")
    if op.get_bind().dialect.name == "mysql":
        op.execute(CONSENT_OPEN.format(p=p))
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


def _make_consent(consent: str, member: str) -> None:
    """With a row for whoever has agreed to training: nobody wrote down when and how."""
    make_table(
        consent,
        sa.Column("id", row_number(), primary_key=True),
        sa.Column("member_id", identifier(), nullable=False),
        *one_of("purpose", ("verification", "training"), nullable=False),
        sa.Column("version", sa.String(64), nullable=False, server_default=""),
        sa.Column("given_at", UtcDateTime),
        *one_of("source", SOURCES),
        sa.Column("withdrawn_at", UtcDateTime),
        *one_of("withdrawn_source", SOURCES),
        parent(f"{member}.member_id"),
    )
    make_index(consent, "member_id", "purpose")
    m, c = (
        light_table(member, "member_id training_consent"),
        light_table(consent, "member_id purpose version"),
    )
    known = sa.select(c.c.member_id)
    rows = sa.select(m.c.member_id, sa.literal("training"), sa.literal("")).where(
        m.c.training_consent, m.c.member_id.not_in(known)
    )
    op.execute(sa.insert(c).from_select(["member_id", "purpose", "version"], rows))
