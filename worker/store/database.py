"""The database: an engine for each process, built after the fork, and transactions, tried again."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import SQLAlchemyError

from worker import clock
from worker.client.identifiers import is_identifier
from worker.errors import StoreUnavailable
from worker.store.failures import READ_ONLY, lost_race, number_of, translate
from worker.store.tables.schema import Tables, tables

T = TypeVar("T")
AnyRow = sa.Row[*tuple[Any, ...]]

Window = tuple[str, str | None]
"""Keys from behind the first up to the second; None: to the last one."""

_WINDOW: Final = 5000
"""Rows of one step of a walk over a table."""
BATCH: Final = 50
"""Members or requests in one transaction of a longer work, at most: a sign-up waits for no more."""
_TRIES: Final = 6
_LOCK_WAIT_SECONDS: Final = 4
"""How long a statement waits for another one's lock before its transaction starts over.

All tries together must end well before a job's time limit.
"""
_MEMBER_OF_A_JOB: Final = (
    *("member_id", "verification_consent", "manual", "request_id", "requested_at", "sent_at", "selfie_url"),
    *("sandbox", "verification_status", "reason", "verified_request_id"),
)
"""Columns of `member` that the work on a request asks for. The driver reads a description of each column of
each statement, whether there are rows or not, so a job asks for no others."""
_REQUEST_OF_A_JOB: Final = (
    *("request_id", "member_id", "why", "queue", "requested_at", "message", "content_hash", "state"),
    *("attempts", "open_attempts", "postponed", "lease_until", "next_attempt_at", "status", "finished_at"),
    "sandbox",
)
"""The same of `verification`."""
# A report is of several statements: they should see the same moment. (SQLite's always do.)
_SNAPSHOT: Final = {"mysql": {"isolation_level": "REPEATABLE READ"}}


class Database:
    """An engine with our tables and the rules for transactions on them.

    Locks are always taken in the same order: member, then its requests. Whoever holds the member's
    row is alone with that member.
    """

    def __init__(self, engine: sa.Engine, schema: Tables | None = None) -> None:
        self.engine = engine
        self._asker = engine.execution_options(reads_only=True)
        self._reader = self._asker.execution_options(**_SNAPSHOT.get(engine.dialect.name, {}))
        self.t = schema or tables()
        # Built once: to build them anew takes longer than to run them.
        self._member_of_a_job = _locking(self.t.member, "member_id", _MEMBER_OF_A_JOB)
        self._request_of_a_job = _locking(self.t.verification, "request_id", _REQUEST_OF_A_JOB)
        self._member_update = _updating(self.t.member, "member_id")
        self._request_update = _updating(self.t.verification, "request_id")
        self.seconds = 0.0
        """What transactions have taken so far, from their connection to their commit."""

    @contextmanager
    def _timed(self) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - start

    def write(self, work: Callable[[sa.Connection], T]) -> T:
        """Run the work in a transaction of its own; again, from the start, after a lost race."""
        with self._timed():
            return self._write(work)

    def _write(self, work: Callable[[sa.Connection], T]) -> T:
        tried = 0
        while True:
            tried += 1
            try:
                with self.engine.begin() as connection:
                    return work(connection)
            except SQLAlchemyError as error:
                if tried >= _TRIES or not lost_race(error):
                    raise translate(error) from error
            time.sleep(random.uniform(0, 0.01 * 2**tried))  # noqa: S311  # spreads the losers, no secret

    def write_batches(self, work: Callable[[int, sa.Connection], Sequence[T]], limit: int) -> list[T]:
        """Small transactions, one after the other, until the limit or until one finds less than it may."""
        found: list[T] = []
        while len(found) < limit:
            size = min(BATCH, limit - len(found))
            batch = self.write(partial(work, size))
            found += batch
            if len(batch) < size:
                break
        return found

    def windows(self, column: sa.Column[str]) -> Iterator[Window]:
        """A walk over a whole table by its key, each part of which is asked about by itself."""
        last: str | None = ""
        while last is not None:
            after = last
            end = sa.select(column).where(column > after).order_by(column).limit(1).offset(_WINDOW)
            last = self.read(partial(_scalar, end))
            yield after, last

    def read(self, work: Callable[[sa.Connection], T]) -> T:
        """Run the work on one consistent view of the database."""
        return self._read(self._reader, work)

    def ask(self, work: Callable[[sa.Connection], T]) -> T:
        """Run the work, a single statement: it sees one moment by itself. `read` asks the server four times
        more."""
        return self._read(self._asker, work)

    def _read(self, engine: sa.Engine, work: Callable[[sa.Connection], T]) -> T:
        try:
            with self._timed(), engine.connect() as connection:
                return work(connection)
        except SQLAlchemyError as error:
            raise translate(error) from error

    def empty_write_ahead_log(self) -> None:
        """SQLite's holds pages as they were. A reader in the way is no error: the next checkpoint does it."""
        if self.engine.dialect.name != "sqlite":
            return
        with self.engine.connect() as c:
            raw = c.connection.driver_connection
            if raw is not None:
                c.rollback()
                raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def lock_member(self, c: sa.Connection, member_id: str) -> AnyRow | None:
        """The member's row, ours alone until the end of the transaction."""
        return c.execute(
            sa.select(self.t.member).where(self.t.member.c.member_id == member_id).with_for_update()
        ).one_or_none()

    def lock_request(self, c: sa.Connection, request_id: str) -> AnyRow | None:
        """The request's row. The member's must have been locked before."""
        return c.execute(
            sa.select(self.t.verification)
            .where(self.t.verification.c.request_id == request_id)
            .with_for_update()
        ).one_or_none()

    def lock_member_of_job(self, c: sa.Connection, member_id: str) -> AnyRow | None:
        """As `lock_member`, with the columns that a job asks for."""
        return c.execute(self._member_of_a_job, {"key": member_id}).one_or_none()

    def lock_request_of_job(self, c: sa.Connection, request_id: str) -> AnyRow | None:
        """As `lock_request`, with the columns that a job asks for."""
        return c.execute(self._request_of_a_job, {"key": request_id}).one_or_none()

    def lock_both(
        self, c: sa.Connection, request_id: str, member_id: str | None = None
    ) -> tuple[AnyRow, AnyRow] | None:
        """Member and request, locked in that order, with the columns that a job asks for; None if either is
        not there. ``member_id``: where it is known whose request that is."""
        if not is_identifier(request_id):  # MariaDB would find `r1` for `r1 `
            return None
        if member_id is None:
            v = self.t.verification
            member_id = c.scalar(sa.select(v.c.member_id).where(v.c.request_id == request_id))
        member = None if member_id is None else self.lock_member_of_job(c, member_id)
        request = None if member is None else self.lock_request_of_job(c, request_id)
        return None if member is None or request is None else (member, request)

    def update_request(self, c: sa.Connection, request_id: str, **values: Any) -> None:
        """Write these columns of a request."""
        c.execute(self._request_update, {"key": request_id, **values})

    def update_member(self, c: sa.Connection, member_id: str, **values: Any) -> None:
        """Write these columns of a member."""
        c.execute(self._member_update, {"key": member_id, **values})


def _locking(table: sa.Table, key: str, names: Sequence[str]) -> sa.Select[Any]:
    """The query of some columns of one row, locked; its parameter is ``key``."""
    columns = [table.c[name] for name in names]
    return sa.select(*columns).where(table.c[key] == sa.bindparam("key")).with_for_update()


def _updating(table: sa.Table, key: str) -> sa.Update:
    """The update of one row; its parameters are ``key`` and the columns."""
    return sa.update(table).where(table.c[key] == sa.bindparam("key"))


def _scalar(query: sa.Select[T], c: sa.Connection) -> T | None:
    return c.scalar(query)


def within(column: sa.Column[str], window: Window) -> sa.ColumnElement[bool]:
    """Whether a key lies in the window."""
    after, last = window
    return column > after if last is None else sa.and_(column > after, column <= last)


def build_engine(url: str, *, statement_seconds: int | None = 30) -> sa.Engine:
    """An engine for a URL that `normalise_database_url` has seen. Connects to nothing yet.

    A statement that takes longer than ``statement_seconds`` is given up (MySQL; None: never).
    """
    is_mysql = sa.make_url(url).get_backend_name() == "mysql"
    return _mysql(url, statement_seconds) if is_mysql else _sqlite(url)


def _mysql(url: str, statement_seconds: int | None) -> sa.Engine:
    engine = sa.create_engine(
        url,
        hide_parameters=True,  # in errors: they hold links and IDs
        # The default, REPEATABLE READ, locks gaps: two sign-ups of new members would stop each other.
        isolation_level="READ COMMITTED",
        pool_pre_ping=True,  # "MySQL server has gone away" after a quiet night
        pool_recycle=1800,
        pool_timeout=_LOCK_WAIT_SECONDS,
        connect_args={
            "connect_timeout": 5,
            "read_timeout": statement_seconds,
            "write_timeout": statement_seconds,
        },
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
    engine = sa.create_engine(url, hide_parameters=True, connect_args={"timeout": _LOCK_WAIT_SECONDS})
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
    connection.create_function("bit_count", 1, _count_bits, deterministic=True)
    connection.execute("PRAGMA secure_delete = ON")  # who is forgotten must not stay in free pages


def _count_bits(number: int | None) -> int | None:
    """MySQL's `bit_count`, of 64 bits."""
    return None if number is None else (number % 2**64).bit_count()


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


def fields_of(row: AnyRow, record: type) -> dict[str, Any]:
    """The columns that have the names of fields of the record, a dataclass."""
    names = {field.name for field in fields(record)}
    return {name: value for name, value in row._asdict().items() if name in names}
