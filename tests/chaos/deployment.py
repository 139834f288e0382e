"""Whole systems to be broken: private servers, workers with the stub, beat; and ways to send jobs."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Final, Protocol

import redis

from chaos.jobs import Crowd, Findings, Member, Told, audit, count_ends, unended
from chaos.stub_worker import a_photo
from support.bundle import ROOT
from support.databases import fresh_database
from support.photo_server import Answer, PhotoServer
from support.rabbitmq import RabbitMq
from support.servers import MariaDb, Redis
from support.system import HASTY
from support.workers import TESTS_ON_PATH, Worker, children_of, open_empty_store
from worker.broker.publisher import Publisher
from worker.client.broker import DEFAULT_ACCESS
from worker.client.errors import NotSent
from worker.clock import utc_now
from worker.errors import StoreUnavailable
from worker.jobs.queues import BULK, IN_ORDER, VERIFY
from worker.jobs.verify_job import VerifyJob

PATIENCE: Final = 120.0
"""Seconds after which what has not ended is lost."""
SETTINGS: Final = {
    **HASTY,
    "VERIFY_ALLOW_HTTP": "true",
    "VERIFY_ALLOW_PRIVATE_ADDRESSES": "true",
    "VERIFY_BLIND_AUDIT_SHARE": "0",
    "VERIFY_REVIEW_REUSED_PHOTOS": "false",
    "VERIFY_CONCURRENCY": "2",
    "VERIFY_FETCH_RETRY_SECONDS": "1,1",
}


class StubPhotos(PhotoServer):
    """`/WHAT/MILLISECONDS/name.jpg` is a photo of the stub that says so."""

    def _file(self, path: str) -> Answer:
        _, what, milliseconds, name = path.split("/")
        return Answer(a_photo(what, int(milliseconds), name))


class Beat:
    """`celery -A worker.app beat` as a process."""

    def __init__(self, settings: dict[str, str], log: Path) -> None:
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "worker.app", "beat"],
                env={**os.environ, **TESTS_ON_PATH, **settings},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        """Whether it lives."""
        return self.process.poll() is None

    def kill(self) -> None:
        """`kill -9`."""
        if self.running:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Deployment:
    """A database, a broker, two workers that verify, one for maintenance, and beat."""

    program = "chaos.stub_worker run"

    access = DEFAULT_ACCESS

    def __init__(self, folder: Path, database_url: str, broker_url: str, stack: ExitStack) -> None:
        self.folder, self.stack = folder, stack
        self.store = open_empty_store(database_url, timedelta(seconds=float(HASTY["VERIFY_STALE_SECONDS"])))
        stack.callback(self.store.close)
        count_ends(self.store)
        self.photos = stack.enter_context(StubPhotos())
        self.crowd = Crowd(self.photos.url)
        self.settings = {
            **SETTINGS,
            "VERIFY_HOME": str(folder / "var"),
            "VERIFY_DATABASE_URL": database_url,
            "VERIFY_BROKER_URL": broker_url,
        }
        self.publisher = Publisher(broker_url, folder / "var" / "broker", self.access)
        stack.callback(self.publisher.close)
        self.remarks = Findings()
        """What a fault has found by itself."""
        self.told: Told | None = None
        """Of the members that were audited last, where an app takes events."""
        self._audited: list[Member] = []
        self.workers: list[Worker] = []
        self.beats: list[Beat] = []
        self._started = 0

    def start(self) -> None:
        """All processes that do not run."""
        for _ in range(2 - len(self.verifiers)):
            self.worker("--queues", "verify,bulk", ready=False)
        if not any(w.running for w in self.workers if w not in self.verifiers):
            self.worker("--queues", "maintenance", "--concurrency", "1", ready=False)
        if not any(beat.running for beat in self.beats):
            self.beat()
        for worker in self.workers:
            if worker.running:
                worker.wait_until_ready()

    def worker(self, *arguments: str, ready: bool = True, **settings: str) -> Worker:
        """One more worker, the last of `workers`."""
        self._started += 1
        folder = self.folder / f"worker-{self._started}"
        started = Worker({**self.settings, **settings}, folder, arguments, self.program)
        self.stack.enter_context(started)
        self.workers.append(started)
        return started.wait_until_ready() if ready else started

    def beat(self) -> Beat:
        """One more beat."""
        self.beats.append(Beat(self.settings, self.folder / "beat.log"))
        self.stack.callback(self.beats[-1].kill)
        return self.beats[-1]

    @property
    def verifiers(self) -> list[Worker]:
        """Workers that live and verify."""
        return [w for w in self.workers if w.running and "maintenance" not in w.arguments]

    def a_verifier(self) -> Worker:
        """One of them, at random."""
        return random.choice(self.verifiers)

    def pool_of(self, worker: Worker) -> list[int]:
        """The worker's pool processes that live."""
        return sorted(set(worker.pool()) & set(children_of(worker.pid)))

    def memory(self) -> dict[int, int]:
        """Resident KiB of the processes that verify, by their IDs."""
        pids = [pid for worker in self.verifiers for pid in (worker.pid, *self.pool_of(worker))]
        return {pid: size for pid in pids if (size := resident(pid))}

    def send(self, members: Sequence[Member]) -> None:
        """As apps do: most send the message, every seventh twice; some only insert the member's row."""
        for number, job in enumerate(job for member in members for job in member.requests):
            for _ in range(2 if number % 7 == 0 else 1):
                self._publish(job, VERIFY, tries=60)
        rows = [member.as_row() for member in members if not member.requests]
        if rows:
            self.store.members.import_list(rows, utc_now())

    def accept(self, members: Sequence[Member]) -> None:
        """As `worker import` and `enqueue` do: into the database first, and then, if it may be, onto the
        broker."""
        sends = True
        for job in (job for member in members for job in member.requests):
            self._accept(job)
            # After it has failed once the broker is not asked again: the sweep will send the rest.
            sends = sends and self._publish(job, BULK, tries=1)

    def _accept(self, job: VerifyJob) -> None:
        """Whoever is told that the database is away tries again."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.store.requests.accept(job, BULK, utc_now())
            except StoreUnavailable:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
            else:
                return

    def _publish(self, job: VerifyJob, queue: str, tries: int) -> bool:
        """A sender that is told that its message was not taken sends it again."""
        for _ in range(tries):
            try:
                self.publisher.send(job, queue)
            except NotSent:
                time.sleep(0.2)
            else:
                return True
        return False

    def wait_for_some(self, members: Sequence[Member], share: float = 0.25) -> None:
        """Until work is in full swing."""
        size = sum(member.size for member in members)
        self._wait(lambda: unended(self.store, members) <= size * (1 - share), 30)

    def wait_for_all(self, members: Sequence[Member]) -> float:
        """Until every request has its end, or too long; seconds."""
        started = time.monotonic()
        self._wait(lambda: not unended(self.store, members), PATIENCE + len(members) / 10)
        return time.monotonic() - started

    def _wait(self, true: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not true() and time.monotonic() < deadline:
            time.sleep(0.05)

    def audit(self, members: Sequence[Member]) -> Findings:
        """What is not as it must be, in the database and in what a fault has found."""
        found, self.remarks = self.remarks, Findings()
        found += audit(self.store, members, self._audited)
        self._audited += members
        return found

    def left(self) -> int:
        """Waits until the broker has no more messages; how many stay, waiting or unacknowledged."""
        counts = [1]

        def none() -> bool:
            counts.append(self.messages())
            return not counts[-1]

        self._wait(none, PATIENCE)
        return counts[-1]

    def messages(self) -> int:
        """Messages on the broker, the unacknowledged ones as well."""
        raise NotImplementedError


class HasUrl(Protocol):
    """A MariaDB, or what stands before one."""

    @property
    def url(self) -> str:
        """SQLAlchemy URL without a database."""
        ...


class RedisDeployment(Deployment):
    """On MariaDB and Redis."""

    def __init__(self, folder: Path, mariadb: HasUrl, broker: Redis, stack: ExitStack) -> None:
        self.mariadb, self.broker = mariadb, broker
        super().__init__(folder, stack.enter_context(fresh_database(mariadb.url)), self.broker_url, stack)

    @property
    def broker_url(self) -> str:
        """Where its workers look for the broker."""
        return self.broker.url

    def messages(self) -> int:
        """On all queues, and unacknowledged."""
        with redis.Redis.from_url(self.broker.url) as client:
            waiting = sum(client.llen(name) for name in IN_ORDER)
            return int(waiting + client.hlen("verify:unacked"))


class RabbitDeployment(Deployment):
    """On MariaDB and RabbitMQ."""

    def __init__(self, folder: Path, mariadb: MariaDb, broker: RabbitMq, stack: ExitStack) -> None:
        self.mariadb, self.broker = mariadb, broker
        super().__init__(folder, stack.enter_context(fresh_database(mariadb.url)), broker.url, stack)

    def messages(self) -> int:
        """On the queues, after the workers have ended and released theirs."""
        for worker in self.verifiers:
            worker.stop()
        return sum(self.broker.depth(name) for name in (VERIFY, BULK))


class EmbeddedDeployment(Deployment):
    """On SQLite and queue files: one worker does everything."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        (folder / "var").mkdir(parents=True, exist_ok=True)
        super().__init__(folder, f"sqlite:///{folder / 'var' / 'verify.db'}", "filesystem://", stack)

    def start(self) -> None:
        """The one worker."""
        if not self.verifiers:
            self.worker()

    def messages(self) -> int:
        """Files of the queues of jobs, the unacknowledged ones as well."""
        files = (self.folder / "var" / "broker" / "queues").rglob("*.msg")
        return sum(not file.name.endswith(".maintenance.msg") for file in files)


def resident(pid: int) -> int:
    """KiB of memory that a process has; 0 if it has ended."""
    try:
        words = Path(f"/proc/{pid}/status").read_text().split()
    except FileNotFoundError:
        return 0
    return int(words[words.index("VmRSS:") + 1]) if "VmRSS:" in words else 0
