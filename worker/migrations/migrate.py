"""Bring a database to the newest revision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import SQLAlchemyError

from worker.errors import SchemaConflict, StoreUnavailable
from worker.store.database import build_engine
from worker.store.failures import right_missing, translate, which_right
from worker.store.tables.schema import tables

_LOCK_SECONDS = 60
_DEFAULT_PREFIX = "verify_"
"""In mapped mode, where no other is set (`Settings.tables_prefix`)."""


def migrate(engine: sa.Engine, prefix: str = "") -> str:
    """Make or update our tables; returns the revision. Safe to call from several processes at once.

    Touches no table but ours. Raises SchemaConflict where tables with our names stand that we did
    not make, where ours are not as their revision says, and StoreUnavailable.
    """
    try:
        with _patient(engine) as patient, _alone(patient) as connection:
            _part_version_tables(connection)
            _refuse_others_tables(connection, prefix)
            _refuse_newer(connection, prefix)
            command.upgrade(_config(connection, prefix), "head")
            _refuse_gaps(connection, prefix)
            revision = _revision(connection, prefix)
            connection.commit()
    except SQLAlchemyError as error:
        raise (_wrong_account(error) if right_missing(error) else translate(error)) from error
    return revision or ""


def _wrong_account(error: SQLAlchemyError) -> StoreUnavailable:
    return StoreUnavailable(
        "the account of VERIFY_DATABASE_URL may not make or change tables: `init-db` needs the one that owns "
        f"them ({which_right(error)})"
    )


def current_revision(engine: sa.Engine, prefix: str = "") -> str | None:
    """The revision that the database is at; None before the first."""
    try:
        with engine.connect() as connection:
            return _revision(connection, prefix)
    except SQLAlchemyError as error:
        raise translate(error) from error


def behind(engine: sa.Engine, prefix: str = "") -> str | None:
    """Why this program cannot work on the tables yet, in one line.

    None if they are of its revision or of a newer one (revisions only add), and where nobody can say: the
    database is away, or the account may not read the revision.
    """
    try:
        with engine.connect() as connection:
            revision = _revision(connection, prefix)
            scripts = ScriptDirectory.from_config(_config(connection, prefix))
    except SQLAlchemyError:
        return None
    newest = scripts.get_current_head()
    if revision == newest or revision not in {script.revision for script in scripts.walk_revisions()}:
        return None
    return (
        f"the tables are at revision {revision}, and this program needs {newest}: "
        "run `python -m worker init-db`, then worker/grants.sql"
    )


def version_table(prefix: str) -> str:
    """Where the revision is written down; never Alembic's default, which may be the app's.

    Each prefix has its own, for tables with and without one may stand in one database.
    """
    names = {"": "verify_schema_version", _DEFAULT_PREFIX: "verify_schema_revision"}
    return names.get(prefix, f"{prefix}schema_version")


def _part_version_tables(connection: sa.Connection) -> None:
    """Once the prefix of mapped mode and no prefix had one version table, so that one kept the other out.

    It goes to whose tables there are. (Both: it is copied.)
    """
    there = set(sa.inspect(connection).get_table_names())
    shared, own = version_table(""), version_table(_DEFAULT_PREFIX)
    if shared not in there or own in there or there.isdisjoint(_names(_DEFAULT_PREFIX)):
        return
    if {"verification_photo", "tombstone"} <= there:  # names that an app's own tables hardly have
        command.stamp(_config(connection, _DEFAULT_PREFIX), _revision(connection, "") or "base")
    else:
        connection.execute(sa.text(f"ALTER TABLE {shared} RENAME TO {own}"))


def _names(prefix: str) -> set[str]:
    return set(tables(prefix).metadata.tables)


def _revision(connection: sa.Connection, prefix: str) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table": version_table(prefix)})
    return context.get_current_revision()


def _config(connection: sa.Connection, prefix: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes.update(connection=connection, prefix=prefix, version_table=version_table(prefix))
    return config


@contextmanager
def _patient(engine: sa.Engine) -> Iterator[sa.Engine]:
    """The same database, where a statement may take minutes: so long an index of a million rows is made."""
    if engine.dialect.name != "mysql":
        yield engine
        return
    own = build_engine(engine.url.render_as_string(hide_password=False), statement_seconds=None)
    try:
        yield own
    finally:
        own.dispose()


@contextmanager
def _alone(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection that no other `migrate` runs beside. (SQLite: its BEGIN IMMEDIATE sees to that.)"""
    with engine.connect() as connection:
        if engine.dialect.name != "mysql":
            with _patiently(connection), _without_foreign_keys(connection):
                yield connection
            return
        name = f"migrate:{engine.url.database}"[:64]
        if connection.scalar(sa.func.get_lock(name, _LOCK_SECONDS)) != 1:
            raise StoreUnavailable("another process is changing the tables")
        try:
            yield connection
        finally:
            if not connection.invalidated:  # else the lock went with it
                connection.scalar(sa.func.release_lock(name))


@contextmanager
def _patiently(connection: sa.Connection) -> Iterator[None]:
    """Wait for other migrations as long as in MySQL: they copy whole tables."""
    raw: Any = connection.connection.driver_connection
    [before] = raw.execute("PRAGMA busy_timeout").fetchone()
    raw.execute(f"PRAGMA busy_timeout = {_LOCK_SECONDS * 1000}")
    try:
        yield
    finally:
        raw.execute(f"PRAGMA busy_timeout = {before}")


@contextmanager
def _without_foreign_keys(connection: sa.Connection) -> Iterator[None]:
    """SQLite alters a table by making it anew: dropping the old one would delete what hangs on it."""
    raw: Any = connection.connection.driver_connection
    raw.execute("PRAGMA foreign_keys = OFF")  # does nothing within a transaction
    try:
        yield
    finally:
        connection.rollback()
        raw.execute("PRAGMA foreign_keys = ON")


def _refuse_others_tables(connection: sa.Connection, prefix: str) -> None:
    """Before the first revision none of our tables may be there: it would be somebody else's.

    Our own version table is made first of all, so that a first run that broke off can go on.
    """
    there = set(sa.inspect(connection).get_table_names())
    others = sorted(there & _names(prefix))
    if not others or _may_read(connection, version_table(prefix)):
        return
    raise SchemaConflict(
        f"tables with our names are there already: {', '.join(others)}; set VERIFY_TABLE_PREFIX to "
        "keep ours apart, or VERIFY_MAPPED_TABLE if one of them is the app's member table"
    )


def _may_read(connection: sa.Connection, table: str) -> bool:
    """Whether the table is there; asked by reading, for one that we have no right to is not listed."""
    try:
        connection.execute(sa.text(f"SELECT 1 FROM {table}")).all()  # noqa: S608 - a name of ours
    except SQLAlchemyError as error:
        if right_missing(error):
            raise
        return False
    return True


def _refuse_newer(connection: sa.Connection, prefix: str) -> None:
    revision = _revision(connection, prefix)
    ours = ScriptDirectory.from_config(_config(connection, prefix)).walk_revisions()
    if revision and revision not in {script.revision for script in ours}:
        raise SchemaConflict(
            f"the tables are at revision {revision}, which a newer version of this program made: update it"
        )


def _refuse_gaps(connection: sa.Connection, prefix: str) -> None:
    """The version table may say more than is there: restored in part, or its tables were dropped."""
    missing = sorted(_names(prefix) - set(sa.inspect(connection).get_table_names()))
    if missing:
        raise SchemaConflict(
            f"{version_table(prefix)} says that the tables are made, but there is no {', '.join(missing)}: "
            "restore them from a backup; or, if none of ours is left, drop that table and run this again"
        )
