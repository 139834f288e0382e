"""Mapped mode: results also go into the member table that the app already has.

Nothing but the mapped result columns of existing rows is ever written there, and no migration
touches the table. It is looked at once, at the start, so that a wrong name, a column too short
or an enum without our words is a clear message then, and no failed job later.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import ReflectedColumn
from sqlalchemy.exc import NoSuchTableError, SQLAlchemyError

from pipeline.verdict import Gender, Reason, Status
from worker.errors import MappingError
from worker.store.failures import translate

log = logging.getLogger(__name__)

RESULT_COLUMNS: Final = (
    "verification_status",
    "same_person",
    "similarity",
    "predicted_gender",
    "gender_probability",
    "reason",
    "model_version",
    "verified_at",
)
REQUIRED: Final = "verification_status"
_WORDS: Final[Mapping[str, type[StrEnum]]] = {
    "verification_status": Status,
    "predicted_gender": Gender,
    "reason": Reason,
}


_MAY_BE_NULL: Final = frozenset({"same_person", "similarity", "gender_probability"})


class MappedMember:
    """The app's member table. Building it connects, and raises MappingError if it cannot serve."""

    def __init__(
        self,
        engine: sa.Engine,
        table: str,
        id_column: str = "member_id",
        columns: Mapping[str, str] | None = None,
    ) -> None:
        there = _reflect(engine, table)
        self._columns = _choose(table, there, columns or {})
        if id_column not in there:
            raise MappingError(f"VERIFY_MAPPED_ID_COLUMN: {table} has no column {id_column}")
        self._numeric = isinstance(there[id_column]["type"], sa.Integer)
        self._empty = {theirs: None for theirs in self._columns.values() if there[theirs]["nullable"]}
        self._table = _lightweight(table, there)
        self._id = self._table.c[id_column]
        for ours, theirs in self._columns.items():
            _check_fits(table, ours, there[theirs])

    @property
    def columns(self) -> Mapping[str, str]:
        """Our result columns that the table takes, to its own names."""
        return dict(self._columns)

    def write(self, c: sa.Connection, member_id: str, values: Mapping[str, Any]) -> bool:
        """Write the result into the member's row, in the caller's transaction.

        False where the app's table has no such member: that is logged, for the app's rows are the
        app's to make.
        """
        mine = {
            theirs: self._plain(values[ours], theirs)
            for ours, theirs in self._columns.items()
            if ours in values
        }
        found = self._update(c, member_id, mine)
        if not found:
            log.warning("member %s is not in the app's table %s", member_id, self._table.name)
        return found

    def clear(self, c: sa.Connection, member_id: str) -> None:
        """Take our results out of the member's row again."""
        self._update(c, member_id, self._empty)

    def _update(self, c: sa.Connection, member_id: str, values: Mapping[str, Any]) -> bool:
        if not self._numeric:
            update = sa.update(self._table).where(self._id == member_id, *self._exactly(c, member_id))
        elif member_id.isdecimal() and str(int(member_id)) == member_id:
            update = sa.update(self._table).where(self._id == int(member_id))
        else:
            return False  # MySQL would take 7 for '7abc'
        return c.execute(update.values(**values)).rowcount > 0

    def _exactly(self, c: sa.Connection, member_id: str) -> tuple[sa.ColumnElement[bool], ...]:
        """The app's collation may take `Ab1` and `ab1` for one, so the bytes are compared, too.

        Besides the plain comparison and not instead of it, for only that one uses the index.
        """
        if c.dialect.name != "mysql":
            return ()
        return (sa.cast(self._id, sa.LargeBinary) == member_id.encode(),)

    def _plain(self, value: Any, column: str) -> Any:
        """A value that any column takes: no enum, no time zone, not longer than the column."""
        if isinstance(value, datetime):
            return value.astimezone(UTC).replace(tzinfo=None)
        length = getattr(self._table.c[column].type, "length", None)
        return str(value)[:length] if isinstance(value, str) else value


def _reflect(engine: sa.Engine, table: str) -> dict[str, ReflectedColumn]:
    schema, _, name = table.rpartition(".")
    try:
        return {column["name"]: column for column in sa.inspect(engine).get_columns(name, schema or None)}
    except NoSuchTableError:
        raise MappingError(f"VERIFY_MAPPED_TABLE: there is no table {table}") from None
    except SQLAlchemyError as error:
        raise translate(error) from error


def _lightweight(table: str, there: Mapping[str, ReflectedColumn]) -> sa.TableClause:
    schema, _, name = table.rpartition(".")
    columns = [sa.column(column, reflected["type"]) for column, reflected in there.items()]
    return sa.table(name, *columns, schema=schema or None)


def _choose(table: str, there: Mapping[str, ReflectedColumn], named: Mapping[str, str]) -> dict[str, str]:
    """Our columns to theirs. A name from the settings must exist; the others are taken if they do."""
    chosen = {}
    for ours in RESULT_COLUMNS:
        theirs = named.get(ours, ours)
        if theirs in there:
            chosen[ours] = theirs
        elif theirs and ours in named:
            raise MappingError(f"VERIFY_MAPPED_COLUMNS: {table} has no column {theirs} (for {ours})")
    missing = [ours for ours in RESULT_COLUMNS if ours not in chosen]
    _check_names(table, named, missing)
    if missing:
        log.info("not written to %s, which has no columns for them: %s", table, ", ".join(missing))
    return chosen


def _check_names(table: str, named: Mapping[str, str], missing: list[str]) -> None:
    strangers = sorted(set(named) - set(RESULT_COLUMNS))
    if strangers:
        raise MappingError(
            f"VERIFY_MAPPED_COLUMNS: {', '.join(strangers)}: no result of ours; "
            f"there are {', '.join(RESULT_COLUMNS)}"
        )
    if REQUIRED in missing:
        raise MappingError(f"VERIFY_MAPPED_COLUMNS: {table} has no column for {REQUIRED}")


def _check_fits(table: str, ours: str, column: ReflectedColumn) -> None:
    where, kind = f"{table}.{column['name']} (for {ours})", column["type"]
    words = {str(word) for word in _WORDS.get(ours, ())}
    if isinstance(kind, sa.Enum):
        lacking = sorted(words - set(kind.enums))
        if lacking:
            raise MappingError(f"{where} is an enum without {', '.join(lacking)}")
    elif isinstance(kind, sa.String) and kind.length is not None:
        longest = max(map(len, words), default=0)
        if kind.length < longest:
            raise MappingError(f"{where} holds {kind.length} characters, {longest} are needed")
    if ours in _MAY_BE_NULL and not column["nullable"]:
        raise MappingError(f"{where} must allow NULL: not every verdict has it")
