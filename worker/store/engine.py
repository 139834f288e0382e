"""Engines: one per process, built after the fork."""

from __future__ import annotations

import sqlite3
import time
from datetime import UTC
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from worker import clock
from worker.errors import StoreUnavailable
from worker.store.failures import READ_ONLY, number_of

_LOCK_WAIT_SECONDS = 4
"""How long a statement waits for another one's lock before its transaction starts over.

All tries together must end well before a job's time limit.
"""


def build_engine(url: str) -> sa.Engine:
    """An engine for a URL that `normalise_database_url` has seen. Connects to nothing yet."""
    return _mysql(url) if sa.make_url(url).get_backend_name() == "mysql" else _sqlite(url)


def _mysql(url: str) -> sa.Engine:
    engine = sa.create_engine(
        url,
        # The default, REPEATABLE READ, locks gaps: two sign-ups of new members would stop each other.
        isolation_level="READ COMMITTED",
        pool_pre_ping=True,  # "MySQL server has gone away" after a quiet night
        pool_recycle=1800,
        pool_timeout=_LOCK_WAIT_SECONDS,
        connect_args={"connect_timeout": 5, "read_timeout": 30, "write_timeout": 30},
    )
    event.listen(engine, "connect", _prepare_mysql)
    event.listen(engine, "do_connect", _connect_mysql)
    event.listen(engine, "handle_error", _leave_read_only)
    return engine


def _connect_mysql(dialect: sa.Dialect, _record: Any, arguments: Any, options: Any) -> Any:
    """What the driver raises before it asks the server is no error of the database to SQLAlchemy."""
    try:
        return dialect.connect(*arguments, **options)
    except OSError as error:
        raise StoreUnavailable(
            f"the certificates of VERIFY_DATABASE_URL cannot be used ({type(error).__name__})"
        ) from error


def _leave_read_only(context: sa.ExceptionContext) -> None:
    """After a switch-over the pool would stay with the demoted primary, which lives on and answers."""
    if number_of(context.original_exception) in READ_ONLY:
        context.is_disconnect = True


def _prepare_mysql(connection: Any, _record: Any) -> None:
    with connection.cursor() as cursor:
        # Said explicitly, for servers differ: a value that does not fit must be refused, not cut.
        cursor.execute(
            "SET SESSION time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', "
            f"innodb_lock_wait_timeout = {_LOCK_WAIT_SECONDS}"
        )
        cursor.execute("SELECT UTC_TIMESTAMP(6)")
        clock.follow(cursor.fetchone()[0].replace(tzinfo=UTC))


def _sqlite(url: str) -> sa.Engine:
    engine = sa.create_engine(url, connect_args={"timeout": _LOCK_WAIT_SECONDS})
    event.listen(engine, "do_connect", _make_file)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_file(_dialect: sa.Dialect, _record: Any, arguments: Any, _options: Any) -> None:
    """Members' data is nobody else's to read. SQLite's own files beside it get the same mode."""
    file = Path(arguments[0])
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not file.exists():
            file.touch(mode=0o600)
    except OSError as error:
        raise StoreUnavailable(
            f"the database cannot be used now: {file} cannot be made ({type(error).__name__}); is its folder "
            "there, and may this account write it?"
        ) from error


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # pysqlite would begin by itself, and too late; see _begin_sqlite
    _write_ahead(connection)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")  # who is forgotten must not stay in free pages


def _write_ahead(connection: Any) -> None:
    """Readers do not wait for the writer. To switch a new file SQLite wants it alone, and does not wait."""
    for left in reversed(range(_LOCK_WAIT_SECONDS * 10)):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not left or "locked" not in str(error):
                raise
            time.sleep(0.1)
        else:
            return


def _begin_sqlite(connection: sa.Connection) -> None:
    """Take the write lock first: a read that turns into a write fails at once when another writes."""
    reads = connection.get_execution_options().get("reads_only", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
