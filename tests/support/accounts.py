"""Accounts of a database server with few rights, for one test each."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

PASSWORD = "hunter2"


@contextmanager
def account(database_url: str, *grants: str, options: str = "") -> Iterator[str]:
    """The URL of the database for a new account that has these rights: `SELECT ON member`, `ALL ON *`."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    engine = sa.create_engine(database_url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    url = engine.url.set(username=name, password=PASSWORD)
    with engine.connect() as c:
        c.exec_driver_sql(f"CREATE USER '{name}'@'%%' IDENTIFIED BY '{PASSWORD}' {options}")
        for grant in grants:
            c.exec_driver_sql(f"GRANT {grant} TO '{name}'@'%%'")
    try:
        yield url.render_as_string(hide_password=False)
    finally:
        with engine.connect() as c:
            c.exec_driver_sql(f"DROP USER '{name}'@'%%'")
