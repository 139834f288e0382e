"""Face vectors are encrypted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from worker.migrations.steps import light_table, table_prefix

revision = "0013"
down_revision = "0011"


def upgrade() -> None:
    """A retraining that is under way embeds its members again: what is there is not encrypted."""
    p = table_prefix()
    _remove_plain_vectors(f"{p}training_face", f"{p}training_member")


def _remove_plain_vectors(face: str, member: str) -> None:
    m = light_table(member, "state attempts")
    op.execute(sa.delete(light_table(face, "run_id")))
    op.execute(sa.update(m).where(m.c.state == "done").values(state="waiting", attempts=0))
