"""The driver's errors: which are lost races, which end a connection, and what the others are called by us."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from worker.errors import StoreRefused, StoreUnavailable, WorkerError

# MySQL's and MariaDB's numbers.
_DUPLICATE, _DEADLOCK, _LOCK_WAIT, _RECORD_CHANGED = 1062, 1213, 1205, 1020
_NO_TABLE = 1146
_NO_CONNECTION = 2003
_RIGHT_MISSING: Final = frozenset({1142, 1143, 1227, 1370})
_CHECK_FAILED = frozenset({3819, 4025})  # an OperationalError in some drivers
READ_ONLY: Final = frozenset({1290, 1792, 1836})

_SETTING: Final = "VERIFY_DATABASE_URL"
_TABLES_ARE_OLD: Final = (
    "the tables are older than this program: run `python -m worker init-db`, then worker/grants.sql"
)
_FULL: Final = "its disk is full: make room"
_LOCKS: Final = "transactions wait for each other too long: it is overloaded, or something holds a lock"
_CONNECTIONS: Final = (
    "too many connections: raise max_connections (or the account's limit) on the server, or run fewer "
    "processes"
)
_BROKEN: Final = "the connection broke: the server was ended or restarted, or the network was cut"

_BY_NUMBER: Final[Mapping[int, str]] = {
    1044: f"the database of {_SETTING} is missing, or the account has no right on it: see worker/grants.sql",
    1049: f"there is no database of the name in {_SETTING}: create it, then `python -m worker init-db`",
    **dict.fromkeys(
        (1045, 1698),
        f"the server refuses account and password of {_SETTING}, or lets the account in over TLS only (add "
        "?ssl_ca=/path/to/ca.crt)",
    ),
    1130: f"the server lets the account of {_SETTING} in from other hosts only",
    1129: "the server has blocked this host after too many failed connections: FLUSH HOSTS there",
    **dict.fromkeys(
        (3118, 4151), "the account is locked: ALTER USER … ACCOUNT UNLOCK (see worker/grants.sql)"
    ),
    **dict.fromkeys((1820, 1862), "the account's password has expired: ALTER USER … IDENTIFIED BY …"),
    3159: f"the server demands TLS: add ?ssl_ca=/path/to/ca.crt to {_SETTING}",
    2026: f"{_SETTING} asks for TLS, and the server has none",
    **dict.fromkeys((1040, 1203, 1226), _CONNECTIONS),
    **dict.fromkeys(
        READ_ONLY,
        f"the server is read-only, a replica or a demoted primary: {_SETTING} must name the primary",
    ),
    **dict.fromkeys((3, 1021, 1114), _FULL),
    **dict.fromkeys((_DEADLOCK, _LOCK_WAIT, _RECORD_CHANGED), _LOCKS),
    **dict.fromkeys((1053, 1927, 2006, 2013), _BROKEN),
}
_BY_NETWORK_ERROR: Final[Mapping[type[OSError], str]] = {
    ConnectionRefusedError: f"nothing listens at the host and port of {_SETTING}: is the server up?",
    socket.gaierror: f"the host's name in {_SETTING} is not known here",
    TimeoutError: f"the host of {_SETTING} does not answer: is it up, and is the network open?",
    ssl.SSLCertVerificationError: f"the server's certificate does not fit ssl_ca or the host in {_SETTING}",
    ssl.SSLError: "TLS with the server failed",
    FileNotFoundError: f"there is no socket at the path in {_SETTING}",
}
_BY_SQLITE_WORDS: Final[Mapping[str, str]] = {
    "unable to open database file": f"the file of {_SETTING} cannot be opened: may we use its folder?",
    "readonly database": "this account may not write the file, or its folder: mend their owner or mode",
    "disk is full": _FULL,
    "disk I/O error": "its disk fails, or is full",
    "not a database": f"the file of {_SETTING} is no SQLite database",
    "malformed": "the file is damaged: restore it from a backup",
    "is locked": _LOCKS,
}
_UNKNOWN_COLUMN: Final = re.compile(
    r"(Unknown column '|no such column: |has no column named )(?P<name>[\w.]+)"
)


def lost_race(error: SQLAlchemyError) -> bool:
    """Whether the same work may succeed now: another transaction was first.

    That holds for a duplicate key, too: the second one to insert it will find the row.
    """
    if number_of(error) in (_DUPLICATE, _DEADLOCK, _LOCK_WAIT, _RECORD_CHANGED):
        return True
    text = _text(error)
    return "database is locked" in text or "UNIQUE constraint failed" in text


def translate(error: SQLAlchemyError) -> WorkerError:
    """Ours for the driver's; the text names no value, for values may be people's data."""
    kind = type(getattr(error, "orig", None) or error).__name__
    if isinstance(error, DataError | IntegrityError) or number_of(error) in _CHECK_FAILED:
        return StoreRefused(f"the database refused the values ({kind})")
    if number_of(error) == _NO_TABLE or "no such table" in _text(error):
        return StoreUnavailable("the tables are missing: run `python -m worker init-db`")
    return StoreUnavailable(f"the database cannot be used now: {_cause(error) or kind}")


def right_missing(error: SQLAlchemyError) -> bool:
    """Whether the account may not do what was asked."""
    return number_of(error) in _RIGHT_MISSING


def which_right(error: SQLAlchemyError) -> str:
    """The right that is missing: `INSERT on member`."""
    found = re.match(r"([A-Z ,]+) command denied .*[`'](\w+)[`']$", _message(error))
    return f"{found[1]} on {found[2]}" if found else f"error {number_of(error)}"


def number_of(error: BaseException) -> object:
    """MySQL's number of an error, the driver's or SQLAlchemy's around it."""
    cause: BaseException = getattr(error, "orig", None) or error
    return next(iter(cause.args), None)


def _cause(error: SQLAlchemyError) -> str | None:
    """Which trouble it is, and the next step."""
    number = number_of(error)
    if number in _RIGHT_MISSING:
        return f"the account may not do that ({which_right(error)}): worker/grants.sql says who may do what"
    if column := _UNKNOWN_COLUMN.search(_text(error)):
        return f"there is no column {column['name']}: {_TABLES_ARE_OLD}"
    if number == _NO_CONNECTION:
        return _network_failure(error)
    if isinstance(number, int):
        return _BY_NUMBER.get(number, f"error {number}")
    return next((cause for words, cause in _BY_SQLITE_WORDS.items() if words in _text(error)), None)


def _network_failure(error: SQLAlchemyError) -> str:
    cause = getattr(getattr(error, "orig", None), "original_exception", None)
    known = (text for kind, text in _BY_NETWORK_ERROR.items() if isinstance(cause, kind))
    return next(known, f"the server cannot be reached ({type(cause).__name__})")


def _message(error: SQLAlchemyError) -> str:
    arguments: tuple[Any, ...] = getattr(getattr(error, "orig", None), "args", ())
    return str(arguments[1]) if len(arguments) > 1 else ""


def _text(error: SQLAlchemyError) -> str:
    return str(getattr(error, "orig", None) or error)
