"""What a worker says of its Redis before it takes anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from celery.exceptions import WorkerShutdown

from support.servers import Redis, redis_cluster
from worker.broker.redis_client import UNFIT_EXIT, check, doubtful, occupied, unfit

LIMIT = 256 * 2**20


@pytest.fixture
def client(redis_server: Redis) -> Iterator[redis.Redis]:
    """A client of the test process's own Redis, whose settings are what they were afterwards."""
    with redis.Redis.from_url(redis_server.url) as client:
        yield client
        client.config_set("maxmemory", 0)
        client.config_set("maxmemory-policy", "noeviction")


def facts(client: redis.Redis, **settings: Any) -> Any:
    """INFO with these settings."""
    for name, value in settings.items():
        client.config_set(name.replace("_", "-"), value)
    return client.info()


def test_a_redis_without_a_limit_is_trusted(client: redis.Redis) -> None:
    assert unfit(facts(client)) is None
    assert doubtful(facts(client)) == []


def test_a_redis_with_room_that_refuses_when_it_is_full_is_trusted(client: redis.Redis) -> None:
    assert doubtful(facts(client, maxmemory=LIMIT, maxmemory_policy="noeviction")) == []


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random"])
def test_a_redis_that_throws_queues_away_is_warned_of(client: redis.Redis, policy: str) -> None:
    (warning,) = doubtful(facts(client, maxmemory=LIMIT, maxmemory_policy=policy))
    assert policy in warning
    assert "noeviction" in warning


def test_a_redis_that_throws_away_only_what_expires_keeps_our_keys(client: redis.Redis) -> None:
    assert doubtful(facts(client, maxmemory=LIMIT, maxmemory_policy="volatile-lru")) == []


def test_a_redis_that_holds_no_import_is_warned_of_with_how_many_messages_it_holds(
    client: redis.Redis,
) -> None:
    (warning,) = doubtful(facts(client, maxmemory=20 * 2**20))
    assert "about 5,120 messages" in warning
    assert "78 MB" in warning


def test_a_cluster_is_refused(tmp_path: Path) -> None:
    server = redis_cluster(tmp_path)
    server.start()
    try:
        with redis.Redis.from_url(server.url) as client:
            problem = unfit(client.info())
    finally:
        server.kill()
    assert problem is not None
    assert "cluster" in problem


def test_a_key_of_another_program_is_told_from_a_queue(client: redis.Redis) -> None:
    client.flushdb()
    client.lpush("verify", "x")
    client.hset("bulk", "a", "b")
    assert occupied(client, ["verify", "retrain"]) is None
    assert occupied(client, ["verify", "bulk"]) is not None


def test_a_worker_is_told_of_what_is_doubtful_and_ended_by_what_cannot_work(
    client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    client.flushdb()
    client.config_set("maxmemory-policy", "allkeys-lru")
    client.config_set("maxmemory", LIMIT)
    check(client, ["verify"])
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    client.config_set("maxmemory", 0)
    client.set("verify", "a page")
    with pytest.raises(WorkerShutdown) as ended:
        check(client, ["verify"])
    assert ended.value.code == UNFIT_EXIT
