"""The driver's errors: which are lost races, and what the others are called by us."""

from __future__ import annotations

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError

from worker.errors import StoreRefused, StoreUnavailable, WorkerError

_DEADLOCK, _LOCK_WAIT, _RECORD_CHANGED = 1213, 1205, 1020  # MySQL's and MariaDB's numbers


def lost_race(error: SQLAlchemyError) -> bool:
    """Whether the same work may succeed now: another transaction was first."""
    if isinstance(error, IntegrityError):
        return True  # two inserted the same key: the second will find the row
    if not isinstance(error, DBAPIError) or error.orig is None:
        return False
    number = error.orig.args[0] if error.orig.args else None
    return number in (_DEADLOCK, _LOCK_WAIT, _RECORD_CHANGED) or "database is locked" in str(error.orig)


def translate(error: SQLAlchemyError) -> WorkerError:
    """Ours for the driver's; the text names no value, for values may be people's data."""
    cause = getattr(error, "orig", None)
    kind = type(cause or error).__name__
    if isinstance(error, DataError | IntegrityError):
        return StoreRefused(f"the database refused the values ({kind})")
    text = str(cause or error)
    if "no such table" in text or "1146" in text:
        return StoreUnavailable("the tables are missing: run `python -m worker init-db`")
    return StoreUnavailable(f"the database cannot be used now ({kind})")
