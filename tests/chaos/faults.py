"""What is done to a deployment while jobs flow. A fault lasts as long as its `with`."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from chaos import clock
from chaos.broker_faults import (
    VERIFY_AND_BULK,
    app_beside,
    nobody_consumes,
    rabbitmq_alarm,
    redis_cannot_write,
    redis_full,
    soon,
)
from chaos.deployment import Deployment, EmbeddedDeployment, RedisDeployment
from chaos.event_faults import (
    deliverer_killed,
    receiver_hangs,
    receiver_killed,
    receiver_slow,
    two_deliveries,
)
from chaos.failover import FailoverDeployment
from chaos.switchover import SwitchoverDeployment
from worker.app import app
from worker.jobs.queues import MAINTENANCE, SWEEP


@contextmanager
def stopped(processes: Sequence[int]) -> Iterator[None]:
    """Whole process groups stand still."""
    for pid in processes:
        os.killpg(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in processes:
            os.killpg(pid, signal.SIGCONT)


@contextmanager
def pool_process_killed(deployment: Deployment) -> Iterator[None]:
    """`kill -9` of a process that judges just now."""
    pool = deployment.pool_of(deployment.a_verifier())
    for pid in pool[:1]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    yield


@contextmanager
def worker_killed(deployment: Deployment) -> Iterator[None]:
    """`kill -9` of a whole worker; whoever supervises it starts another one."""
    deployment.a_verifier().kill()
    yield
    deployment.worker(*VERIFY_AND_BULK)


@contextmanager
def worker_told_to_end(deployment: Deployment) -> Iterator[None]:
    """SIGTERM in the middle of jobs, as at every update: it ends with its last job; another one starts."""
    ending = deployment.a_verifier()
    ending.process.terminate()
    yield
    assert ending.process.wait(timeout=60) == 0, ending.words[-3000:]
    deployment.worker(*VERIFY_AND_BULK)


@contextmanager
def worker_stopped(deployment: Deployment) -> Iterator[None]:
    """SIGSTOP of a worker with its pool for longer than its leases; others take its jobs over."""
    with stopped([deployment.a_verifier().pid]):
        yield
        time.sleep(6)


@contextmanager
def redis_killed(deployment: Deployment) -> Iterator[None]:
    """`kill -9` of Redis, which keeps nothing: all queues are gone."""
    assert isinstance(deployment, RedisDeployment)
    deployment.broker.kill()
    yield
    time.sleep(1)
    deployment.broker.start()


@contextmanager
def redis_hangs(deployment: Deployment) -> Iterator[None]:
    """Redis stands still: connections stay open and nothing answers."""
    assert isinstance(deployment, RedisDeployment)
    deployment.broker.freeze()
    with soon(5, deployment.broker.thaw):
        yield


@contextmanager
def broker_killed(deployment: Deployment) -> Iterator[None]:
    """`kill -9` of a broker that keeps its queues (RabbitMQ)."""
    broker: Any = deployment.broker  # type: ignore[attr-defined]
    broker.kill()
    with soon(1, broker.start):
        yield


@contextmanager
def redis_fails_over(deployment: Deployment) -> Iterator[None]:
    """`kill -9` of the primary Redis; its replica is promoted, which stands second in the broker's URL or is
    known to Sentinel."""
    assert isinstance(deployment, FailoverDeployment)
    deployment.broker.kill()
    yield
    time.sleep(1)
    deployment.promote()


@contextmanager
def mariadb_killed(deployment: Deployment) -> Iterator[None]:
    """`kill -9` of MariaDB; it comes back with what was committed."""
    mariadb: Any = deployment.mariadb  # type: ignore[attr-defined]
    mariadb.kill()
    with soon(2, mariadb.start):
        yield


@contextmanager
def mariadb_hangs(deployment: Deployment) -> Iterator[None]:
    """MariaDB stands still, in the middle of transactions."""
    mariadb: Any = deployment.mariadb  # type: ignore[attr-defined]
    mariadb.freeze()
    with soon(6, mariadb.thaw):
        yield


@contextmanager
def mariadb_switched_over(deployment: Deployment) -> Iterator[None]:
    """The replica becomes the primary; the old one lives on, read-only, with all connections open."""
    assert isinstance(deployment, SwitchoverDeployment)
    yield
    deployment.switch()


@contextmanager
def beat_killed(deployment: Deployment) -> Iterator[None]:
    """`kill -9` of beat: nobody sweeps until another one is started."""
    deployment.beats[-1].kill()
    yield
    time.sleep(2)
    deployment.beat()


@contextmanager
def two_beats(deployment: Deployment) -> Iterator[None]:
    """A second beat, started by mistake."""
    second = deployment.beat()
    yield
    time.sleep(8)
    second.kill()
    deployment.beats.remove(second)


@contextmanager
def two_sweeps(deployment: Deployment) -> Iterator[None]:
    """Twenty sweeps at once by two workers."""
    second = deployment.worker("--queues", MAINTENANCE, "--concurrency", "2")
    yield
    with app.connection_for_write(deployment.settings["VERIFY_BROKER_URL"]) as connection:
        for _ in range(20):
            app.send_task(SWEEP, queue=MAINTENANCE, connection=connection)
    time.sleep(3)
    second.stop()


@contextmanager
def clock_set_back(deployment: Deployment) -> Iterator[None]:
    """All workers find themselves twenty seconds earlier, and a process is killed at that time."""
    Path(deployment.settings[clock.VARIABLE]).write_text("-20")
    with pool_process_killed(deployment):
        yield


@contextmanager
def clocks_apart(deployment: Deployment) -> Iterator[None]:
    """Beside the others a worker that is five minutes ahead, and sweeps by one that is as much behind."""
    ahead, behind = (deployment.folder / name for name in ("ahead", "behind"))
    ahead.write_text("300")
    behind.write_text("-300")
    odd = [
        deployment.worker(*VERIFY_AND_BULK, CHAOS_CLOCK=str(ahead)),
        deployment.worker("--queues", MAINTENANCE, "--concurrency", "1", CHAOS_CLOCK=str(behind)),
    ]
    with two_sweeps(deployment):
        yield
    for worker in odd:
        worker.stop()


@contextmanager
def disk_full(deployment: Deployment) -> Iterator[None]:
    """No byte more for SQLite and for queue files."""
    assert isinstance(deployment, EmbeddedDeployment)
    home = deployment.folder / "var"
    ballast = home / "ballast"
    if os.path.ismount(home):
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
    else:
        _limit_files(deployment, 1)
    with soon(4, partial(_make_room, deployment, ballast)):
        yield


def _make_room(deployment: Deployment, ballast: Path) -> None:
    ballast.unlink(missing_ok=True)
    _limit_files(deployment, resource.RLIM_INFINITY)


def _limit_files(deployment: Deployment, most: int) -> None:
    """Where no disk of its own may be mounted: its processes may write no file beyond this."""
    for worker in deployment.workers:
        for pid in (worker.pid, *deployment.pool_of(worker)):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A disk of 8 MB in memory, if this user may mount one."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    mounted = os.geteuid() == 0 and not subprocess.run(mount, capture_output=True, check=False).returncode
    try:
        yield
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=False)


@contextmanager
def one_at_random(deployment: Deployment) -> Iterator[None]:
    """Any of those that a system on Redis and MariaDB can have."""
    with random.choice(_AT_RANDOM)(deployment):
        yield


@contextmanager
def nothing(deployment: Deployment) -> Iterator[None]:
    """No fault: what is watched is memory."""
    yield


_AT_RANDOM: Final = (
    *(pool_process_killed, worker_killed, worker_told_to_end, worker_stopped, redis_killed, redis_hangs),
    *(redis_full, redis_cannot_write, mariadb_killed, mariadb_hangs, beat_killed, two_beats, two_sweeps),
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One line of the table."""

    name: str
    inject: Callable[[Deployment], AbstractContextManager[None]]
    deployment: str = "redis"
    """Which kind of system it is done to."""
    pending: bool = False
    """Members who have no request yet: the sweep must make it."""
    accepted: bool = False
    """Jobs that are in the database before they are sent: the broker may forget them."""
    weight: int = 1
    """How many times as many jobs it gets."""
    memory: bool = False
    """Whether processes are watched for growth: only where none is killed."""
    long: bool = False
    """Whether `make chaos` alone does it: it takes long, or is much like another one."""
    once: bool = False
    """Whether it is done one time only: there is no way back, or it takes long."""


FAULTS: Final = (
    Fault("pool process killed", pool_process_killed),
    Fault("worker killed", worker_killed, long=True),
    Fault("worker told to end (TERM)", worker_told_to_end, long=True),
    Fault("worker stopped (SIGSTOP)", worker_stopped),
    Fault("MariaDB killed", mariadb_killed),
    Fault("MariaDB hangs", mariadb_hangs, long=True),
    Fault("Redis killed, all queues gone", redis_killed, accepted=True),
    Fault("Redis hangs", redis_hangs, long=True),
    Fault("Redis full and refilled", redis_full, long=True),
    Fault("Redis cannot write (MISCONF)", redis_cannot_write, long=True),
    Fault("an app's Celery on the same Redis", app_beside, long=True),
    Fault("nobody verifies for ten minutes", nobody_consumes, pending=True, weight=100, once=True, long=True),
    Fault("beat killed", beat_killed, pending=True, long=True),
    Fault("two beats", two_beats, pending=True, long=True),
    Fault("two sweeps at once", two_sweeps, pending=True, long=True),
    Fault("any of these at random", one_at_random, accepted=True, weight=25, long=True),
    Fault("none, memory watched", nothing, weight=25, memory=True, long=True),
    Fault("clock set back", clock_set_back, deployment="clock", long=True),
    Fault("clocks apart", clocks_apart, deployment="clock", long=True),
    Fault("MariaDB switched over", mariadb_switched_over, deployment="switchover", once=True),
    Fault(
        "Redis fails over to its replica",
        redis_fails_over,
        deployment="failover",
        accepted=True,
        once=True,
        long=True,
    ),
    Fault("Redis fails over by Sentinel", redis_fails_over, deployment="sentinel", accepted=True, once=True),
    Fault("disk full (embedded)", disk_full, deployment="embedded"),
    Fault("pool process killed (embedded)", pool_process_killed, deployment="embedded"),
    Fault("RabbitMQ alarm", rabbitmq_alarm, deployment="rabbitmq"),
    Fault("RabbitMQ killed", broker_killed, deployment="rabbitmq"),
    Fault("pool process killed (RabbitMQ)", pool_process_killed, deployment="rabbitmq", long=True),
    Fault("worker killed (RabbitMQ)", worker_killed, deployment="rabbitmq", long=True),
    Fault("worker told to end (RabbitMQ)", worker_told_to_end, deployment="rabbitmq", long=True),
    Fault("MariaDB killed (RabbitMQ)", mariadb_killed, deployment="rabbitmq", long=True),
    Fault("events: receiver killed", receiver_killed, deployment="events", long=True),
    Fault("events: receiver hangs", receiver_hangs, deployment="events", long=True),
    Fault("events: receiver slow", receiver_slow, deployment="events", long=True),
    Fault(
        "events: workers killed between commit and delivery",
        deliverer_killed,
        deployment="events",
        long=True,
    ),
    Fault("events: MariaDB killed", mariadb_killed, deployment="events", long=True),
    Fault("events: two deliveries at once", two_deliveries, deployment="events", long=True),
    Fault("events: beat killed", beat_killed, deployment="events", long=True),
)
