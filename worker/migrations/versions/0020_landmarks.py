"""Where eyes, nose and mouth of the compared face lie: a reviewer sees both faces aligned on the eyes."""

from __future__ import annotations

import sqlalchemy as sa

from worker.migrations.steps import add_column, table_prefix
from worker.store.tables.columns import json_map

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Empty for photos from before."""
    add_column(f"{table_prefix()}verification_photo", sa.Column("landmarks", json_map()))
