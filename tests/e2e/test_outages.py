"""The database or the broker goes away for a while; nothing is lost, and nobody has to restart a worker."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis

from support.databases import fresh_database
from support.servers import MariaDb, Redis
from support.system import SHORT, Put, System, in_files, on_redis
from support.workers import Worker, children_of, wait_until
from worker.store import NewMember
from worker.store.tables.states import State

Make = Callable[[str, str, Put], System]


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[Redis]:
    """A Redis that the test may kill; it keeps nothing over that."""
    server = Redis(tmp_path / "redis")
    server.start()
    yield server
    server.kill()


@pytest.fixture
def fragile(make_system: Make, mariadb_server: MariaDb, own_redis: Redis) -> Iterator[System]:
    """On servers of this process's own."""
    with (
        fresh_database(mariadb_server.url) as url,
        redis.Redis.from_url(own_redis.url) as client,
    ):
        made = make_system(url, own_redis.url, on_redis(client))
        made.settings |= SHORT
        yield made
        made.stack.close()


def verified(system: System) -> int:
    """How many requests are done."""
    return sum(row["state"] == State.DONE for row in system.verifications())


def test_jobs_that_arrive_while_the_database_is_away_are_done_when_it_is_back(
    fragile: System, mariadb_server: MariaDb
) -> None:
    worker = fragile.start()
    fragile.send(fragile.job("before"))
    fragile.wait_for(["before"])
    mariadb_server.kill()
    jobs = [f"j{number}" for number in range(6)]
    try:
        fragile.send(*(fragile.job(job) for job in jobs), job_of_nobody(fragile))
        wait_until(lambda: "tried again" in worker.words)
    finally:
        mariadb_server.start()
    fragile.wait_for(jobs)
    wait_until(lambda: fragile.dead == ["missing_field"])
    assert worker.running


def test_a_job_whose_time_a_hanging_database_used_up_is_done_later(
    fragile: System, mariadb_server: MariaDb
) -> None:
    worker = fragile.start()
    mariadb_server.freeze()
    try:
        fragile.send(fragile.job("patient"))
        wait_until(lambda: "time limit" in worker.words)
    finally:
        mariadb_server.thaw()
    fragile.wait_for(["patient"])
    assert fragile.dead == []


def test_embedded_a_retry_that_a_full_disk_cannot_take_leaves_the_job_where_it_was(
    make_system: Make, mariadb_server: MariaDb, tmp_path: Path
) -> None:
    queue_files = tmp_path / "var" / "broker" / "queues"
    with fresh_database(mariadb_server.url) as url:
        system = make_system(url, "filesystem://", in_files(queue_files))
        worker = system.start()
        mariadb_server.kill()
        try:
            with no_room_for(worker):
                system.send(system.job("patient"))
                wait_until(lambda: list(queue_files.glob("taken/*.verify.msg")))
                wait_until(lambda: not list(queue_files.glob("taken/*.verify.msg")))
        finally:
            mariadb_server.start()
        system.wait_for(["patient"])
        system.stack.close()


@contextmanager
def no_room_for(worker: Worker) -> Iterator[None]:
    """Its processes may write empty files only, as on a full disk."""
    processes = [worker.pid, *children_of(worker.pid)]

    def limit(most: int) -> None:
        for pid in processes:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))

    limit(0)
    try:
        yield
    finally:
        limit(resource.RLIM_INFINITY)


def job_of_nobody(system: System) -> dict[str, object]:
    """Not a job: what is recorded must survive the outage as well."""
    return {name: value for name, value in system.job("nobody").items() if name != "member_id"}


def test_jobs_that_the_broker_forgot_are_sent_again(fragile: System, own_redis: Redis) -> None:
    worker = fragile.start("--queues", "verify,bulk,maintenance", "--beat")
    fragile.photos.delay = 0.3
    jobs = [fragile.job(f"w{number}") for number in range(12)]
    news = [NewMember(j["member_id"], None, j["selfie_url"], tuple(j["photo_urls"])) for j in jobs]
    fragile.store.members.import_list(news, datetime.now(UTC))
    wait_until(lambda: verified(fragile) >= 2)
    own_redis.kill()
    own_redis.start()
    wait_until(lambda: verified(fragile) == len(jobs))
    assert worker.running
    assert fragile.dead == []


def test_a_worker_that_starts_on_a_full_redis_drains_it(fragile: System, own_redis: Redis) -> None:
    jobs = [f"w{number}" for number in range(3)]
    fragile.send(*(fragile.job(job) for job in jobs))
    with redis.Redis.from_url(own_redis.url) as client:
        client.config_set("maxmemory", 1)
    worker = fragile.start()
    fragile.wait_for(jobs)
    assert worker.running
