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
from sqlalchemy.exc import SQLAlchemyError

from worker.errors import SchemaConflict, StoreUnavailable
from worker.schema import tables
from worker.store.failures import translate

_LOCK_SECONDS = 60


def migrate(engine: sa.Engine, prefix: str = "") -> str:
    """Make or update our tables; returns the revision. Safe to call from several processes at once.

    Touches no table but ours. Raises SchemaConflict where tables with our names stand that we did
    not make, and StoreUnavailable.
    """
    try:
        with _alone(engine, prefix) as connection:
            _refuse_strangers(connection, prefix)
            command.upgrade(_config(connection, prefix), "head")
            revision = _revision(connection, prefix)
            connection.commit()
    except SQLAlchemyError as error:
        raise translate(error) from error
    return revision or ""


def current_revision(engine: sa.Engine, prefix: str = "") -> str | None:
    """The revision that the database is at; None before the first."""
    try:
        with engine.connect() as connection:
            return _revision(connection, prefix)
    except SQLAlchemyError as error:
        raise translate(error) from error


def version_table(prefix: str) -> str:
    """Where the revision is written down; never Alembic's default, which may be the app's."""
    return f"{prefix or 'verify_'}schema_version"


def _revision(connection: sa.Connection, prefix: str) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table": version_table(prefix)})
    return context.get_current_revision()


def _config(connection: sa.Connection, prefix: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes.update(connection=connection, prefix=prefix, version_table=version_table(prefix))
    return config


@contextmanager
def _alone(engine: sa.Engine, prefix: str) -> Iterator[sa.Connection]:
    """A connection that no other `migrate` runs beside. (SQLite: its BEGIN IMMEDIATE sees to that.)"""
    with engine.connect() as connection:
        if engine.dialect.name != "mysql":
            with _without_foreign_keys(connection):
                yield connection
            return
        name = f"migrate:{engine.url.database}:{prefix}"[:64]
        if connection.scalar(sa.func.get_lock(name, _LOCK_SECONDS)) != 1:
            raise StoreUnavailable("another process is changing the tables")
        try:
            yield connection
        finally:
            connection.scalar(sa.func.release_lock(name))


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


def _refuse_strangers(connection: sa.Connection, prefix: str) -> None:
    """Before the first revision none of our tables may be there: it would be somebody else's.

    Our own version table is made first of all, so that a first run that broke off can go on.
    """
    there = set(sa.inspect(connection).get_table_names())
    if version_table(prefix) in there:
        return
    strangers = sorted(there & set(tables(prefix).metadata.tables))
    if strangers:
        raise SchemaConflict(
            f"tables with our names are there already: {', '.join(strangers)}; set VERIFY_TABLE_PREFIX to "
            "keep ours apart, or VERIFY_MAPPED_TABLE if one of them is the app's member table"
        )
