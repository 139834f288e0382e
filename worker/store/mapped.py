"""Mapped mode: results also go into the member table that the app already has.

Nothing but the mapped result columns of existing rows is ever written there, and no migration
touches the table. It is looked at once, at the start, so that a wrong name, a column too short or of
another type, or an enum without our words is a clear message then, and no failed job later.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import Enum, StrEnum, auto
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.engine.interfaces import ReflectedColumn
from sqlalchemy.exc import DBAPIError, NoSuchTableError, SQLAlchemyError
from sqlalchemy.types import TypeEngine

from pipeline.verdict import Gender, Reason, Status
from worker.client.identifiers import MAX_LENGTH
from worker.errors import MappingError
from worker.store.failures import lost_race, translate
from worker.store.tables.states import State

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
    "verified_request_id",
    "requested_state",
    "request_id",
)
_ONLY_NAMED: Final = frozenset({"request_id"})
"""Of the newest request. An app's own column of that name may be about anything."""
REQUIRED: Final = "verification_status"
_WORDS: Final[Mapping[str, type[StrEnum]]] = {
    "verification_status": Status,
    "predicted_gender": Gender,
    "reason": Reason,
    "requested_state": State,
}


_MAY_BE_NULL: Final = frozenset({"same_person", "similarity", "gender_probability"})
_TEXT: Final = frozenset(
    {
        *("verification_status", "predicted_gender", "reason", "model_version", "verified_request_id"),
        *("requested_state", "request_id"),
    }
)
_IDS: Final = frozenset({"verified_request_id", "request_id"})
_SHARES: Final = frozenset({"similarity", "gender_probability"})
_BIGGEST_ID: Final = 2**63
"""From here on SQLite's driver refuses a number."""


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
        self._id_kind = _id_kind(table, there[id_column])
        self._empty = {theirs: _empty(engine, there[theirs]) for theirs in self._columns.values()}
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

    def write_request(self, c: sa.Connection, member_id: str, values: Mapping[str, Any]) -> None:
        """Write how the newest request stands, where the table has columns for that.

        What the table does not take of it is logged: it must not keep a request from being accepted.
        """
        if not set(values) & set(self._columns):
            return
        try:
            with c.begin_nested():
                self.write(c, member_id, values)
        except DBAPIError as error:
            if lost_race(error) or error.connection_invalidated:
                raise
            log.warning("the app's table does not take the state of a request: %s", translate(error))

    def clear(self, c: sa.Connection, member_id: str) -> tuple[str, ...]:
        """Take our results out of the member's row again; the columns where the table does not let us.

        One after the other: what one column refuses must not keep a member from being forgotten.
        """
        there = sa.select(self._id).where(*self._its(c, member_id))
        if c.execute(there).first() is None:
            return ()
        return tuple(theirs for theirs in self._empty if not self._emptied(c, member_id, theirs))

    def _emptied(self, c: sa.Connection, member_id: str, theirs: str) -> bool:
        if self._empty[theirs] is None:
            return False
        try:
            return self._update(c, member_id, {theirs: self._empty[theirs]})
        except DBAPIError as error:  # of this statement alone: the transaction goes on
            if lost_race(error) or error.connection_invalidated:
                raise
            return False

    def _update(self, c: sa.Connection, member_id: str, values: Mapping[str, Any]) -> bool:
        update = sa.update(self._table).where(*self._its(c, member_id))
        return c.execute(update.values(**values)).rowcount > 0

    def _its(self, c: sa.Connection, member_id: str) -> tuple[sa.ColumnElement[bool], ...]:
        """The member's row, and no other."""
        key = _KEYS[self._id_kind](member_id)
        return (sa.false(),) if key is None else (self._id == key, *self._exactly(c, member_id))

    def _exactly(self, c: sa.Connection, member_id: str) -> tuple[sa.ColumnElement[bool], ...]:
        """The app's collation may take `Ab1` and `ab1` for one, so the bytes are compared, too.

        Besides the plain comparison and not instead of it, for only that one uses the index.
        """
        if c.dialect.name != "mysql" or self._id_kind is not _IdKind.TEXT:
            return ()
        return (sa.cast(self._id, sa.LargeBinary) == member_id.encode(),)

    def _plain(self, value: Any, column: str) -> Any:
        """A value that any column takes: no enum, no time zone, not longer than the column."""
        if isinstance(value, datetime):
            return value.astimezone(UTC).replace(tzinfo=None)
        length = getattr(self._table.c[column].type, "length", None)
        return str(value)[:length] if isinstance(value, str) else value


class _IdKind(Enum):
    """What the app's IDs are."""

    NUMBER = auto()
    UUID = auto()
    TEXT = auto()


def _id_kind(table: str, column: ReflectedColumn) -> _IdKind:
    kinds = {sa.Integer: _IdKind.NUMBER, sa.Uuid: _IdKind.UUID, sa.Enum: None, sa.String: _IdKind.TEXT}
    found = next((k for kind, k in kinds.items() if isinstance(column["type"], kind)), None)
    if found is None:
        raise MappingError(
            f"VERIFY_MAPPED_ID_COLUMN: {table}.{column['name']} is {column['type']!r}; member IDs are "
            "compared with whole numbers, texts or UUIDs: name such a column (a generated one will do)"
        )
    return found


def _number(member_id: str) -> int | None:
    """MySQL would take 7 for '7abc'."""
    same = member_id.isdecimal() and str(int(member_id)) == member_id
    return int(member_id) if same and int(member_id) < _BIGGEST_ID else None


def _uuid(member_id: str) -> UUID | None:
    """Only as UUIDs are usually written: two spellings would be two members here."""
    try:
        found = UUID(member_id)
    except ValueError:
        return None
    return found if str(found) == member_id else None


_KEYS: Final[Mapping[_IdKind, Callable[[str], object]]] = {
    _IdKind.NUMBER: _number,
    _IdKind.UUID: _uuid,
    _IdKind.TEXT: str,
}
"""From a member's ID to what the column is compared with; None where it can be nobody's."""


def _reflect(engine: sa.Engine, table: str) -> dict[str, ReflectedColumn]:
    schema, _, name = table.rpartition(".")
    try:
        return {column["name"]: column for column in sa.inspect(engine).get_columns(name, schema or None)}
    except NoSuchTableError:
        raise MappingError(f"VERIFY_MAPPED_TABLE: there is no table {table}") from None
    except SQLAlchemyError as error:
        raise translate(error) from error


def _empty(engine: sa.Engine, column: ReflectedColumn) -> sa.ColumnElement[Any] | None:
    """What stands in such a column while there is no result; None where nothing can."""
    if column["nullable"]:
        return sa.null()
    if (default := column.get("default")) is not None:
        return sa.literal_column("DEFAULT" if engine.dialect.name == "mysql" else default)
    is_text = isinstance(column["type"], sa.String) and not isinstance(column["type"], sa.Enum)
    return sa.literal("") if is_text else None


def _lightweight(table: str, there: Mapping[str, ReflectedColumn]) -> sa.TableClause:
    schema, _, name = table.rpartition(".")
    columns = [sa.column(column, reflected["type"]) for column, reflected in there.items()]
    return sa.table(name, *columns, schema=schema or None)


def _choose(table: str, there: Mapping[str, ReflectedColumn], named: Mapping[str, str]) -> dict[str, str]:
    """Our columns to theirs. A name from the settings must exist; the others are taken if they do."""
    chosen = {}
    for ours in RESULT_COLUMNS:
        theirs = named.get(ours, ours)
        if theirs in there and (ours in named or ours not in _ONLY_NAMED):
            chosen[ours] = theirs
        elif theirs and ours in named:
            raise MappingError(f"VERIFY_MAPPED_COLUMNS: {table} has no column {theirs} (for {ours})")
    missing = [ours for ours in RESULT_COLUMNS if ours not in chosen]
    _check_names(table, named, missing)
    if missing:
        log.info("not written to %s, which has no columns for them: %s", table, ", ".join(missing))
    return chosen


def _check_names(table: str, named: Mapping[str, str], missing: list[str]) -> None:
    unknown = sorted(set(named) - set(RESULT_COLUMNS))
    if unknown:
        raise MappingError(
            f"VERIFY_MAPPED_COLUMNS: {', '.join(unknown)}: no result of ours; "
            f"there are {', '.join(RESULT_COLUMNS)}"
        )
    if REQUIRED in missing:
        raise MappingError(f"VERIFY_MAPPED_COLUMNS: {table} has no column for {REQUIRED}")


def _sort(ours: str) -> str:
    return "text" if ours in _TEXT else "share" if ours in _SHARES else ours


_WHAT: Final = {
    "text": "a word such as `approved`",
    "share": "a share such as 0.83",
    "same_person": "true or false",
    "verified_at": "date and time",
}
_HOLD: Final[Mapping[str, tuple[type[TypeEngine[Any]], ...]]] = {
    "text": (sa.String,),
    "share": (sa.Numeric, sa.Float),
    "same_person": (sa.Boolean, sa.Integer, mysql.BIT),
    "verified_at": (sa.DateTime,),
}


def _types(ours: str) -> tuple[type[TypeEngine[Any]], ...]:
    """The kinds of columns that can hold a result."""
    return _HOLD[_sort(ours)]


def _check_fits(table: str, ours: str, column: ReflectedColumn) -> None:
    where, kind = f"{table}.{column['name']} (for {ours})", column["type"]
    if not isinstance(kind, _types(ours)) or (ours in _SHARES and getattr(kind, "scale", None) == 0):
        raise MappingError(f"{where} is {kind!r}, which cannot hold {_WHAT[_sort(ours)]}")
    words = {str(word) for word in _WORDS.get(ours, ())}
    if isinstance(kind, sa.Enum):
        lacking = sorted(words - set(kind.enums))
        if lacking:
            raise MappingError(f"{where} is an enum without {', '.join(lacking)}")
    elif isinstance(kind, sa.String) and kind.length is not None:
        longest = MAX_LENGTH if ours in _IDS else max(map(len, words), default=0)
        if kind.length < longest:
            raise MappingError(f"{where} holds {kind.length} characters, {longest} are needed")
    if ours in _MAY_BE_NULL and not column["nullable"]:
        raise MappingError(f"{where} must allow NULL: not every verdict has it")
