"""What several revisions do to tables. Each step may have been done: MySQL cannot roll DDL back, so a run
that broke off goes on here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import sqlalchemy as sa
from alembic import op

NEEDS_REQUEST = (  # as revision 0005 has it
    "CASE WHEN selfie_url IS NOT NULL AND (pending OR (requested_selfie_url IS NOT NULL "
    "AND (selfie_url <> requested_selfie_url "
    "OR coalesce(declared_gender, '') <> coalesce(requested_gender, '')))) THEN 1 ELSE 0 END"
)


def allow_words(table: str, columns: Sequence[str], words: Sequence[str]) -> None:
    """Let these columns hold these words and no others."""
    inspector = sa.inspect(op.get_bind())
    known = {check["name"] for check in inspector.get_check_constraints(table)}
    computed = [c for c in inspector.get_columns(table) if "computed" in c and copied() == "always"]
    listed = ", ".join(f"'{word}'" for word in words)
    with op.batch_alter_table(table) as batch:
        for column in columns:
            name = f"ck_{table}_{column}"
            if name in known:
                batch.drop_constraint(op.f(name), type_="check")
            batch.create_check_constraint(op.f(name), sa.text(f"{column} IN ({listed})"))
        for told in computed:  # or the copy would insert into them
            batch.drop_column(told["name"])
            # Its text is not taken from the database: of SQLite's, SQLAlchemy reads on to the next bracket.
            batch.add_column(
                sa.Column(told["name"], told["type"], sa.Computed(NEEDS_REQUEST, persisted=True))
            )


def allow_reasons(prefix: str, reasons: Sequence[str]) -> None:
    """Let every column that holds a reason hold these and no others."""
    for table, columns in {
        "member": ("reason",),
        "verification": ("reason",),
        "decision": ("previous_reason",),
        "shadow_verdict": ("reason", "decided_reason"),
    }.items():
        allow_words(prefix + table, columns, reasons)


def add_columns(table: str, *columns: sa.Column[Any]) -> None:
    """Those that are not there yet."""
    known = {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}
    with op.batch_alter_table(table, recreate=copied()) as batch:
        for column in columns:
            if column.name not in known:
                batch.add_column(column)


def copied() -> Literal["always", "never"]:
    """SQLite's tables are copied, so that they read as if they had been made so."""
    return "always" if op.get_bind().dialect.name == "sqlite" else "never"
