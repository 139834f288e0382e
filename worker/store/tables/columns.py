"""Column types that mean the same in MySQL, MariaDB and SQLite."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

NAMING: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
"""How constraints are called: what has a name can be dropped by a later migration."""

NOTE_LENGTH: Final = 1000
"""Characters of what a person writes beside a decision, or when dismissing a dead job."""


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: aware in Python, UTC without a zone in the database, always with microseconds."""

    impl = sa.DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """DATETIME(6) in MySQL, which cuts the microseconds off otherwise."""
        return dialect.type_descriptor(mysql.DATETIME(fsp=6) if dialect.name == "mysql" else sa.DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """To UTC; a time without a zone is a mistake of the caller."""
        if value is not None and value.tzinfo is None:
            raise ValueError("a time without a time zone")
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Back with its zone."""
        return None if value is None else value.replace(tzinfo=UTC)


class CutText(TypeDecorator[str]):
    """Text for operators: what is longer than the column is cut."""

    impl = sa.String
    cache_ok = True

    def __init__(self, length: int, *, ascii_only: bool = False) -> None:
        super().__init__(length)
        self.length = length
        self.ascii_only = ascii_only

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The same column as without cutting."""
        plain = ascii_text(self.length) if self.ascii_only else sa.String(self.length)
        return plain.dialect_impl(dialect)

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """As much of it as fits."""
        return None if value is None else value[: self.length]


def ascii_text(length: int) -> TypeEngine[str]:
    """Text of IDs, codes and hashes: compared byte by byte."""
    binary = mysql.VARCHAR(length, charset="ascii", collation="ascii_bin")
    return sa.String(length).with_variant(binary, "mysql")


def identifier() -> TypeEngine[str]:
    """A member's or a request's ID."""
    return ascii_text(64)


def sha256() -> TypeEngine[str]:
    """A hash in hexadecimal."""
    return ascii_text(64)


def code() -> TypeEngine[str]:
    """A word out of a short list."""
    return ascii_text(32)


def no_space(column: str) -> sa.CheckConstraint:
    """Refuses an ID with spaces that somebody inserts by SQL: comparisons take `ab1 ` for `ab1`."""
    return sa.CheckConstraint(f"instr({column}, ' ') = 0", column)


def json_map() -> TypeEngine[Any]:
    """A small JSON object; None is SQL's NULL and not JSON's null."""
    return sa.JSON(none_as_null=True)


def row_number() -> TypeEngine[int]:
    """A key that counts up (SQLite does so for INTEGER only)."""
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def one_of(
    column: str, words: Iterable[str], *, nullable: bool = True
) -> tuple[sa.Column[str], sa.CheckConstraint]:
    """A column for these words, those of an enum for instance, with its CHECK.

    Reasons have a plain `code` column: a CHECK cannot be widened without a copy of the table.
    """
    listed = ", ".join(f"'{word}'" for word in words)
    return sa.Column(column, code(), nullable=nullable), sa.CheckConstraint(f"{column} IN ({listed})", column)


@dataclass(frozen=True, slots=True)
class TableBuilder:
    """Makes tables with the same options under one prefix."""

    metadata: sa.MetaData
    prefix: str

    def table(self, name: str, *parts: sa.schema.SchemaItem) -> sa.Table:
        """A table of ours; ``name`` is without the prefix."""
        return sa.Table(
            self.prefix + name,
            self.metadata,
            *parts,
            mysql_engine="InnoDB",
            mysql_charset="utf8mb4",
            mysql_collate="utf8mb4_bin",
        )

    def index_name(self, table: str, what: str) -> str:
        """Of an index over so many columns that a name of all of them would be too long."""
        return f"ix_{self.prefix}{table}_{what}"

    def parent(self, *columns: str, cascade: bool = True) -> sa.ForeignKeyConstraint:
        """To the columns of the same name in another table: `parent("member.member_id")`.

        Rows go with their parent; without ``cascade`` the parent cannot go while they are there.
        """
        names = [column.rsplit(".", 1)[1] for column in columns]
        parents = [self.prefix + column for column in columns]
        return sa.ForeignKeyConstraint(names, parents, ondelete="CASCADE" if cascade else None)
