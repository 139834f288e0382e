"""Backup and restore as docs/operations.md says, while jobs flow: nobody who was erased is back, nothing of
the backup is lost, and what was unfinished ends."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

import pytest
import sqlalchemy as sa

from pipeline.verdict import Status
from support.bundle import ROOT
from support.jobs import LEASE, MOST, NOW, a_job, a_verdict, later
from support.servers import MariaDb, quick_folder
from support.workers import open_store_at, rows, wait_until
from worker.errors import MemberForgotten
from worker.store import Attempt, Store
from worker.store.tables.states import State

KEY: Final = "test key"
SECTION: Final = (ROOT / "docs" / "operations.md").read_text().partition("## Backup and restore\n")[2]
BACKUP, RESTORE = (block.splitlines() for block in re.findall(r"(?m)(?:^    \S.*\n)+", SECTION)[:2])
OPEN, ERASED, ERASED_LATER, STAYS = "m-open", "m-erased", "m-erased-later", "m-stays"


@dataclass(frozen=True)
class Host:
    """Where an operator works: a login for the server in ~/.my.cnf, dumps in the folder."""

    server: MariaDb
    folder: Path

    @property
    def url(self) -> str:
        """Of the database `verify`."""
        return self.server.url.replace("/?", "/verify?")

    def run(self, line: str) -> None:
        """A command of the runbook, or one like it."""
        home = self.folder / f"home-{self.server.port}"
        home.mkdir(exist_ok=True)
        login = f"[client]\nuser=root\nhost=127.0.0.1\nport={self.server.port}\n"
        (home / ".my.cnf").write_text(login)
        settings = {"VERIFY_DATABASE_URL": self.url, "VERIFY_TOMBSTONE_KEY": KEY, "PYTHONPATH": str(ROOT)}
        python = line.strip().replace("python -m", f"{sys.executable} -m")
        done = subprocess.run(
            ["sh", "-euc", python],
            cwd=self.folder,
            env={**os.environ, **settings, "HOME": str(home)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (line, done.stderr)

    def make_database(self) -> None:
        """An empty one."""
        self.run("mariadb -e 'CREATE DATABASE verify CHARACTER SET utf8mb4'")

    def store(self) -> Store:
        """As a worker opens it."""
        return open_store_at(self.url, tombstone_key=KEY)


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[tuple[Host, Host]]:
    """Two servers; the database of the first one has tables."""
    with ExitStack() as stack:
        servers = [MariaDb(stack.enter_context(quick_folder())) for _ in range(2)]
        for server in servers:
            server.start()
            stack.callback(server.kill)
        first, second = (Host(server, tmp_path) for server in servers)
        first.make_database()
        first.run("python -m worker init-db")
        yield first, second


def end(store: Store, request_id: str, at: float) -> None:
    """As a worker judges it."""
    attempt = store.requests.acquire(request_id, "w", LEASE, MOST, later(at))
    assert isinstance(attempt, Attempt)
    assert store.requests.finish(attempt, a_verdict(), later(at))


def judged(store: Store, member_id: str) -> None:
    store.requests.accept(a_job(f"r-{member_id}", member_id), "verify", NOW)
    end(store, f"r-{member_id}", 1)


@contextmanager
def jobs_flow(host: Host) -> Iterator[Callable[[], int]]:
    """Members come and are judged, one after the other; how many have been."""
    ended, store, number = threading.Event(), host.store(), count()
    done: list[int] = []

    def flow() -> None:
        while not ended.is_set():
            judged(store, f"m-{(each := next(number))}")
            done.append(each)

    thread = threading.Thread(target=flow)
    thread.start()
    try:
        yield lambda: len(done)
    finally:
        ended.set()
        thread.join()
        store.close()


def everything(store: Store) -> str:
    """All rows of all tables, as text."""
    tables = store.database.t.metadata.sorted_tables
    return "\n".join(f"{table.name} {row}" for table in tables for row in rows(store, table))


def test_what_is_restored_holds_the_backup_and_nobody_who_was_erased(hosts: tuple[Host, Host]) -> None:
    first, second = hosts
    before = first.store()
    for member_id in (ERASED, ERASED_LATER, STAYS):
        judged(before, member_id)
    before.requests.accept(a_job(f"r-{OPEN}", OPEN), "verify", NOW)
    first.run(f"python -m worker forget {ERASED} --yes")
    backup, tombstones = BACKUP
    with jobs_flow(first) as flowed:
        wait_until(lambda: flowed() >= 20)
        in_backup = flowed()
        first.run(backup)
        end(before, f"r-{OPEN}", 2)
        first.run(f"python -m worker forget {ERASED_LATER} --yes")
        first.run(tombstones)
    assert ERASED_LATER not in (first.folder / "tombstones.sql").read_text()
    before.close()
    first.server.kill()

    second.make_database()
    for line in RESTORE[:2]:
        second.run(line)
    after = second.store()
    assert after.members.find(ERASED_LATER)  # the backup knows no better
    assert after.members.barred() == [ERASED_LATER]
    for line in RESTORE[2:]:
        second.run(line)
    assert after.members.barred() == []
    assert not [name for name in (ERASED, ERASED_LATER) if re.search(rf"{name}\b(?!-)", everything(after))]
    for name in (ERASED, ERASED_LATER):
        with pytest.raises(MemberForgotten):
            after.requests.accept(a_job("r-again", name), "verify", NOW)

    for name in (STAYS, *(f"m-{number}" for number in range(in_backup))):
        member = after.members.find(name)
        assert member is not None
        assert (member.status, member.verified_request_id) == (Status.APPROVED, f"r-{name}")
    assert_whole(after)
    unfinished = {queued.job.request_id for queued in after.requests.unfinished(later(3600))}
    assert f"r-{OPEN}" in unfinished
    for request_id in unfinished:
        end(after, request_id, 3600)
    assert after.requests.unfinished(later(9 * 3600)) == []
    after.close()


def assert_whole(store: Store) -> None:
    """Each request that has ended has its photos; each that has not has none."""
    t = store.database.t
    with store.database.engine.connect() as c:
        photos = Counter(c.scalars(sa.select(t.verification_photo.c.request_id)))
        ended = set(
            c.scalars(sa.select(t.verification.c.request_id).where(t.verification.c.state == State.DONE))
        )
    assert len(ended) > 20
    assert photos.keys() == ended
    assert len(set(photos.values())) == 1
