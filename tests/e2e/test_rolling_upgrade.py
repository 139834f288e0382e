"""An update without a stop: tables first, then the workers one by one, while jobs flow; and the way back."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Final

import pytest
import sqlalchemy as sa
from alembic import command

from chaos.deployment import SETTINGS, StubPhotos
from chaos.jobs import Crowd, Member, audit, count_ends
from support.bundle import ROOT
from support.system import LONG
from support.workers import Worker, on_path, open_store_at, wait_until
from worker.broker.publisher import Publisher
from worker.jobs.queues import VERIFY
from worker.migrations import current_revision
from worker.migrations.migrate import _config
from worker.store import Store, build_engine

VERSIONS: Final = ROOT / "worker" / "migrations" / "versions"
JUDGES: Final = ("--queues", "verify,bulk")
KEEPS: Final = ("--queues", "maintenance", "--beat")
STUB: Final = "chaos.stub_worker run"


def test_a_worker_does_not_start_on_tables_that_are_older_than_it_is(tmp_path: Path) -> None:
    before, newest = sorted(path.name[:4] for path in VERSIONS.glob("[0-9]*.py"))[-2:]
    url = f"sqlite:///{tmp_path / 'verify.db'}"
    engine = build_engine(url)
    with engine.connect() as c:
        command.upgrade(_config(c, ""), before)
        c.commit()
    engine.dispose()
    with Worker({"VERIFY_DATABASE_URL": url}, tmp_path, ("--queues", "maintenance")) as worker:
        assert worker.process.wait(timeout=120) == 1
        last = worker.words.splitlines()[-1]
    why = f"the tables are at revision {before}, and this program needs {newest}: run `python -m"
    assert last.startswith(f"the worker cannot start: {why}")


def git(*words: str) -> bytes:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else b""


@pytest.fixture
def old_code(tmp_path: Path) -> Path:
    """The program as it was before the newest revision of the tables."""
    newest = max(VERSIONS.glob("[0-9]*.py")).relative_to(ROOT)
    commit = git("log", "--diff-filter=A", "--format=%H", "-1", "--", str(newest)).decode().strip()
    packed = git("archive", f"{commit}^") if commit else b""
    if not packed:
        pytest.skip("the history has no version from before the newest revision")
    with tarfile.open(fileobj=BytesIO(packed)) as archive:
        archive.extractall(tmp_path / "old", filter="data")
    return tmp_path / "old"


class Upgrade:
    """A system whose workers may be of two versions, and jobs that never stop coming."""

    def __init__(self, database_url: str, broker_url: str, folder: Path, stack: ExitStack) -> None:
        self.settings = {
            **SETTINGS,
            "VERIFY_HOME": str(folder / "var"),
            "VERIFY_DATABASE_URL": database_url,
            "VERIFY_BROKER_URL": broker_url,
        }
        self._folder, self._stack = folder, stack
        self._crowd = Crowd(stack.enter_context(StubPhotos()).url)
        self._publisher = stack.enter_context(Publisher(broker_url))
        self._engine = sa.create_engine(database_url)
        self._ended = threading.Event()
        self.sent: list[Member] = []
        self.workers: list[Worker] = []
        self._sender = threading.Thread(target=self._send)
        stack.callback(self.send_no_more)

    def init_db(self, root: Path) -> None:
        """`python -m worker init-db` of a version."""
        words = [sys.executable, "-m", "worker", "init-db"]
        env = {**os.environ, **on_path(root), **self.settings}
        subprocess.run(words, cwd=root, env=env, check=True, capture_output=True)

    def start(self, root: Path, arguments: tuple[str, ...], *, ready: bool = True) -> Worker:
        """A worker of a version."""
        folder = self._folder / f"worker-{len(self.workers)}"
        worker = Worker(self.settings, folder, arguments, STUB, root)
        self.workers.append(self._stack.enter_context(worker))
        return worker.wait_until_ready() if ready else worker

    def send(self) -> None:
        """Some jobs a second, from now on."""
        self._sender.start()

    def _send(self) -> None:
        while not self._ended.wait(0.5):
            for member in self._crowd.members("m", 4):
                self.sent.append(member)
                for job in member.requests:
                    self._publisher.send(job, VERIFY)

    def send_no_more(self) -> None:
        """The last job is on its way."""
        self._ended.set()
        if self._sender.ident:
            self._sender.join()

    def ended(self) -> int:
        """How many requests have come to their end."""
        with self._engine.connect() as c:
            return int(c.scalar(sa.text("SELECT count(*) FROM verification WHERE finished_at IS NOT NULL")))

    def wait_for_more(self, jobs: int = 30) -> None:
        """Until so many of the jobs that are sent from now on, or as many of before, have ended."""
        enough = self.ended() + jobs
        wait_until(lambda: self.ended() >= enough)


@pytest.fixture
def upgrade(mariadb_database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Upgrade]:
    with ExitStack() as stack:
        yield Upgrade(mariadb_database_url, redis_url, tmp_path, stack)


@LONG
def test_jobs_flow_through_an_update_and_the_way_back(old_code: Path, upgrade: Upgrade) -> None:
    store, audited = installed(upgrade, old_code)
    old = [upgrade.start(old_code, JUDGES), upgrade.start(old_code, KEEPS)]
    before = current_revision(store.database.engine)
    upgrade.send()
    upgrade.wait_for_more()

    refused = upgrade.start(ROOT, JUDGES, ready=False)
    assert refused.process.wait(timeout=120) == 1
    assert "the tables are at revision" in refused.words

    upgrade.init_db(ROOT)
    assert current_revision(store.database.engine) != before
    upgrade.wait_for_more()  # by old workers, on the new tables

    for arguments, ending in zip((JUDGES, KEEPS), old, strict=True):
        upgrade.start(ROOT, arguments)
        upgrade.wait_for_more()  # by both versions side by side
        assert ending.stop() == 0
    upgrade.wait_for_more()

    again = upgrade.start(old_code, JUDGES)  # the way back: the tables stay
    assert upgrade.workers[-3].stop() == 0
    upgrade.wait_for_more()
    assert again.running

    upgrade.send_no_more()
    assert audited() == []
    told = [worker.words for worker in upgrade.workers if worker is not refused]
    assert not [word for word in ("ERROR", "CRITICAL", "no column", "Traceback") if word in "".join(told)]
    store.close()


def installed(upgrade: Upgrade, old_code: Path) -> tuple[Store, Callable[[], list[str]]]:
    """The tables of the version before; a store on them, and what is not as it must be in the end."""
    upgrade.init_db(old_code)
    store = open_store_at(upgrade.settings["VERIFY_DATABASE_URL"], timedelta(seconds=3))
    count_ends(store)

    def audited() -> list[str]:
        requests = sum(member.size for member in upgrade.sent)
        wait_until(lambda: upgrade.ended() >= requests)
        return audit(store, upgrade.sent).lines

    return store, audited
