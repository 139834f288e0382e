"""The accounts of worker/grants.sql on a real server, under names of the test's own: accounts belong to
the server and not to a database, and others may use it."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa

from support.bundle import ROOT
from support.databases import fresh_database
from worker.migrations import migrate
from worker.store import build_engine
from worker.store.tables.schema import tables

GRANTS = (ROOT / "worker" / "grants.sql").read_text()
ACCOUNTS = ("verify_worker", "verify_app", "verify_operator", "verify_console")
OWNER = "verify"
"""Of the tables, as compose makes it: all rights in our database."""
_PASSWORD = "Not-a-secret-1"


@dataclass(frozen=True)
class Granted:
    """A database with our tables and accounts; ``admin`` is the administrator's engine."""

    admin: sa.Engine
    suffix: str

    def url_of(self, account: str) -> str:
        """The database's URL for one of the accounts."""
        url = self.admin.url.set(username=account + self.suffix, password=_PASSWORD)
        return url.render_as_string(hide_password=False)

    def empty(self) -> None:
        """Take every row out of our tables."""
        with self.admin.begin() as c:
            for table in reversed(tables().metadata.sorted_tables):
                c.execute(sa.delete(table))

    def run(self, *statements: str) -> None:
        """Run SQL as the administrator; names of accounts in quotes are led to this test's."""
        with self.admin.begin() as c:
            for statement in statements:
                renamed = re.sub(r"'(\w+)'@", rf"'\1{self.suffix}'@", statement)
                c.exec_driver_sql(renamed.replace("%", "%%"))


@contextmanager
def granted_database(server_url: str) -> Iterator[Granted]:
    """For as long as a test needs it."""
    script = [part.strip() for part in re.sub(r"(?m)^--.*$", "", GRANTS).split(";") if part.strip()]
    accounts = (*ACCOUNTS, OWNER)
    with fresh_database(server_url) as url:
        granted = Granted(build_engine(url), f"_{uuid.uuid4().hex[:8]}")
        migrate(granted.admin)
        granted.run(*script)
        granted.run(*script)  # as after an update
        granted.run(f"CREATE USER '{OWNER}'@'%'")
        granted.run(f"GRANT ALL ON `{granted.admin.url.database}`.* TO '{OWNER}'@'%'")
        for account in accounts:
            granted.run(f"ALTER USER '{account}'@'%' IDENTIFIED BY '{_PASSWORD}' ACCOUNT UNLOCK")
        yield granted
        granted.run(*(f"DROP USER '{account}'@'%'" for account in accounts))
        granted.admin.dispose()
