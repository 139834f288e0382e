"""Faults of real processes raise the alarms: workers, beat, servers and a receiver, watched by Prometheus."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
import redis

from support.databases import fresh_database
from support.heads import a_bundle
from support.photo_server import Answer
from support.prometheus import ALERTS, Prometheus, hurried
from support.servers import MariaDb, Redis, free_port, quick_folder
from support.system import HASTY, LONG, Put, System, on_redis
from support.webhook_receiver import SECRET, Reply, WebhookReceiver
from support.workers import Worker, wait_until
from worker.clock import utc_now
from worker.serving.registry import publish
from worker.store.tables.states import State

PATIENCE_SECONDS = 300


class Watched:
    """A system whose workers a Prometheus watches."""

    def __init__(self, system: System, broker: Redis, database: MariaDb, stack: ExitStack) -> None:
        self.system, self.broker, self.database, self.stack = system, broker, database, stack
        ports = [free_port(), free_port()]
        self.addresses = [f"127.0.0.1:{port}" for port in ports]
        rules = hurried(ALERTS.read_text())
        self.prometheus = Prometheus(system.folder / "prometheus", self.addresses, rules)
        stack.callback(self.prometheus.kill)
        self.prometheus.start()

    def worker(self, number: int, queues: str) -> Worker:
        """One that serves its metrics at this address."""
        address = self.addresses[number]
        return self.system.start("--queues", queues, VERIFY_METRICS_ADDRESS=address)

    def beat(self) -> Worker:
        """Beat as production has it, a process of its own."""
        folder = self.system.folder / "beat"
        return self.stack.enter_context(
            Worker(self.system.settings, folder, ["beat"], "celery -A worker.app")
        )

    def until_raised(self, *names: str) -> None:
        """Until Prometheus has raised all these alarms at one time or another."""
        seen: set[str] = set()

        def raised() -> bool:
            seen.update(self.prometheus.firing())
            return seen >= set(names)

        wait_until(raised, PATIENCE_SECONDS)


@pytest.fixture
def watched(make_system: Callable[[str, str, Put], System], tmp_path: Path) -> Iterator[Watched]:
    """On servers that the test may kill; Redis throws messages away when it is full."""
    with ExitStack() as stack:
        broker = Redis(tmp_path / "redis", "--maxmemory", "10mb", "--maxmemory-policy", "allkeys-lru")
        database = MariaDb(stack.enter_context(quick_folder()))
        for server in (broker, database):
            stack.callback(server.kill)
            server.start()
        url = stack.enter_context(fresh_database(database.url))
        client = stack.enter_context(redis.Redis.from_url(broker.url))
        receiver = stack.enter_context(WebhookReceiver())
        receiver.reply = lambda _: Reply(500)
        made = make_system(url, broker.url, on_redis(client))
        made.settings |= HASTY | {
            "VERIFY_WEBHOOKS": json.dumps({"app": {"url": receiver.url, "secrets": [SECRET]}}),
            "VERIFY_APP_PRIVATE_HOSTS": "127.0.0.1",
        }
        yield Watched(made, broker, database, stack)
        database.kill()
        database.start()  # to drop its database


@LONG
def test_faults_of_real_processes_raise_the_alarms(watched: Watched, tmp_path: Path) -> None:
    system = watched.system
    maintenance, beat = watched.worker(0, "maintenance"), watched.beat()
    judge = watched.worker(1, "verify,bulk")
    watched.until_raised("VerifyRedisSettings")
    at_first = {"VerifyWorkerDown", "VerifyStateMissing", "VerifySweepMissing"}
    wait_until(lambda: not at_first & watched.prometheus.firing().keys())

    # The receiver fails, a message is no job, the champion is none that this worker can use.
    good = [f"r{number}" for number in range(6)]
    system.send(*(system.job(name) for name in good))
    system.put("verify", b"no job")
    version = publish(system.store.models, a_bundle(tmp_path / "head", "head"), utc_now())
    system.store.models.promote(version, utc_now())
    watched.until_raised("VerifyReceiverDown", "VerifyDeadJobs", "VerifyHeadRefused", "VerifyErrorLines")

    # The photo host is down.
    down = system.photos.add("down.jpg", Answer(status=503))
    system.send(*(system.job(f"d{n}", photo_urls=[down], selfie_url=down) for n in range(6)))
    watched.until_raised("VerifyPhotoHost")

    # The one that judges is killed in the middle of a job, and an old sign-up finds nobody.
    slow = system.photos.add("slow.jpg", Answer(system.couple[1].read_bytes(), delay=3600))
    system.send(system.job("killed", photo_urls=[slow]))
    system.wait_for(["killed"], State.RUNNING)
    judge.kill()
    ago = (utc_now() - timedelta(minutes=10)).isoformat()
    system.send(system.job("old", requested_at=ago))
    watched.until_raised("VerifyLapsed", "VerifySignupsWait", "VerifyWorkerDown")

    # Beat stands still; then the servers go, and at last who would tell.
    os.killpg(beat.pid, signal.SIGSTOP)
    watched.until_raised("VerifySweepMissing")
    watched.prometheus.every(5)
    watched.database.kill()
    watched.until_raised("VerifyDatabaseDown")
    watched.broker.kill()
    watched.until_raised("VerifyBrokerDown")
    os.kill(maintenance.pid, signal.SIGSTOP)
    watched.until_raised("VerifyWorkerHangs")
    maintenance.kill()
    watched.until_raised("VerifyStateMissing")
