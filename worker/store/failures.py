"""The driver's errors: which are lost races, and what the others are called by us."""

from __future__ import annotations

from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from worker.errors import StoreRefused, StoreUnavailable, WorkerError

# MySQL's and MariaDB's numbers.
_DUPLICATE, _DEADLOCK, _LOCK_WAIT, _RECORD_CHANGED = 1062, 1213, 1205, 1020
_NO_TABLE = 1146
_CHECK_FAILED = frozenset({3819, 4025})  # an OperationalError in some drivers


def lost_race(error: SQLAlchemyError) -> bool:
    """Whether the same work may succeed now: another transaction was first.

    That holds for a duplicate key, too: the second one to insert it will find the row.
    """
    if _number(error) in (_DUPLICATE, _DEADLOCK, _LOCK_WAIT, _RECORD_CHANGED):
        return True
    text = _text(error)
    return "database is locked" in text or "UNIQUE constraint failed" in text


def translate(error: SQLAlchemyError) -> WorkerError:
    """Ours for the driver's; the text names no value, for values may be people's data."""
    kind = type(getattr(error, "orig", None) or error).__name__
    if isinstance(error, DataError | IntegrityError) or _number(error) in _CHECK_FAILED:
        return StoreRefused(f"the database refused the values ({kind})")
    if _number(error) == _NO_TABLE or "no such table" in _text(error):
        return StoreUnavailable("the tables are missing: run `python -m worker init-db`")
    return StoreUnavailable(f"the database cannot be used now ({kind})")


def _number(error: SQLAlchemyError) -> object:
    cause = getattr(error, "orig", None)
    return cause.args[0] if cause is not None and cause.args else None


def _text(error: SQLAlchemyError) -> str:
    return str(getattr(error, "orig", None) or error)
