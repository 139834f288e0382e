"""What several revisions do. Each step may have been done: MySQL cannot roll DDL back, so a run that broke
off goes on here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import sqlalchemy as sa
from alembic import op
from alembic.operations.base import BatchOperations
from sqlalchemy.schema import SchemaItem

from worker.store.tables.columns import UtcDateTime

GENDERS = ("male", "female", "unknown")
STATUSES = ("approved", "review", "retry_photo", "rejected", "error")
FIRST_REASONS = (  # of the revisions before 0006
    *("same_person", "different_person", "primary_unsure", "no_solo_photo", "same_picture"),
    *("gender_conflict", "selfie_changed", "blind_audit", "selfie_no_face", "selfie_several_faces"),
    *("selfie_face_too_small", "selfie_too_blurred", "selfie_too_dark", "selfie_too_bright"),
    *("selfie_extreme_pose", "selfie_occluded", "selfie_invalid", "selfie_not_fetched"),
    *("no_usable_photo", "photos_not_fetched", "no_photos", "internal_error"),
)
NEEDS_REQUEST = (  # as revision 0005 has it
    "CASE WHEN selfie_url IS NOT NULL AND (pending OR (requested_selfie_url IS NOT NULL "
    "AND (selfie_url <> requested_selfie_url "
    "OR coalesce(declared_gender, '') <> coalesce(requested_gender, '')))) THEN 1 ELSE 0 END"
)


def table_prefix() -> str:
    """Before the name of each table of ours."""
    return str(op.get_context().opts["table_prefix"])


def make_table(name: str, *items: SchemaItem) -> None:
    """Unless it is there."""
    if not sa.inspect(op.get_bind()).has_table(name):
        op.create_table(
            name, *items, mysql_engine="InnoDB", mysql_charset="utf8mb4", mysql_collate="utf8mb4_bin"
        )


def make_index(table: str, *columns: str, unique: bool = False, name: str | None = None) -> None:
    """Unless it is there. ``name``: in place of the columns' names, where these are too many."""
    name = f"ix_{table}_{name or '_'.join(columns)}"
    if name not in names_of(table, "indexes"):
        op.create_index(name, table, list(columns), unique=unique)


def parent(*columns: str) -> sa.ForeignKeyConstraint:
    """To these columns, of the same name, of another table; rows go with their parent."""
    names = [column.rsplit(".", 1)[1] for column in columns]
    return sa.ForeignKeyConstraint(names, list(columns), ondelete="CASCADE")


def names_of(
    table: str, what: Literal["columns", "indexes", "foreign_keys", "check_constraints"]
) -> set[str | None]:
    """Those that are there."""
    found: list[Any] = getattr(sa.inspect(op.get_bind()), f"get_{what}")(table)
    return {each["name"] for each in found}


def light_table(name: str, columns: str, *times: str) -> sa.TableClause:
    """A table to change rows of: its columns, and those of times."""
    moments = (sa.column(time, UtcDateTime) for time in times)
    return sa.table(name, *map(sa.column, columns.split()), *moments)


def allow_words(table: str, columns: Sequence[str], words: Sequence[str], *new: sa.Column[Any]) -> None:
    """Let these columns hold these words and no others; new ones are added first, unless they are there."""
    known, names = names_of(table, "check_constraints"), names_of(table, "columns")
    listed = ", ".join(f"'{word}'" for word in words)
    with altered(table) as batch:
        for column in new:
            if column.name not in names:
                batch.add_column(column)
        for checked in columns:
            name = f"ck_{table}_{checked}"
            if name in known:
                batch.drop_constraint(op.f(name), type_="check")
            batch.create_check_constraint(op.f(name), sa.text(f"{checked} IN ({listed})"))


def allow_any_word(table: str, *columns: str) -> None:
    """Let these columns hold whatever the code writes: their CHECKs go, where there are any."""
    names = {f"ck_{table}_{column}" for column in columns} & names_of(table, "check_constraints")
    with altered(table) as batch:
        for name in sorted(names):
            batch.drop_constraint(op.f(name), type_="check")


@contextmanager
def altered(table: str) -> Iterator[BatchOperations]:
    """All steps at once. Where the table is copied, computed columns are made anew, which the copy would
    insert into otherwise."""
    there = sa.inspect(op.get_bind()).get_columns(table)
    computed = [column for column in there if "computed" in column and copied() == "always"]
    with op.batch_alter_table(table) as batch:
        yield batch
        for told in computed:
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
    known = names_of(table, "columns")
    with op.batch_alter_table(table, recreate=copied()) as batch:
        for column in columns:
            if column.name not in known:
                batch.add_column(column)


def add_column(table: str, column: sa.Column[Any]) -> None:
    """Unless it is there; without a copy where SQLite can do without."""
    if column.name not in names_of(table, "columns"):
        with op.batch_alter_table(table) as batch:
            batch.add_column(column)


def copied() -> Literal["always", "never"]:
    """SQLite's tables are copied, so that they read as if they had been made so."""
    return "always" if op.get_bind().dialect.name == "sqlite" else "never"
