"""An app's own Celery on the same Redis database: neither takes, repeats or ends anything of the other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import redis

from support.invalid_messages import envelope, headers, job_message
from support.shop import Shop
from support.system import HASTY, System, on_redis
from support.workers import wait_until

TIDY: Final = envelope(b"[[], {}, {}]", headers(task="app.tidy"))


@pytest.fixture
def shop(redis_url: str, tmp_path: Path) -> Iterator[Shop]:
    """The app's worker, which also serves a queue of its own that is called as one of ours is."""
    with Shop(redis_url, tmp_path, "celery,maintenance") as shop:
        yield shop


def put_by_an_earlier_version(broker: redis.Redis, item: bytes) -> None:
    """A job of ours that is overdue, in the keys that this program shared with every Celery once."""
    broker.hset("unacked", "a-tag", json.dumps([json.loads(item), "", "verify"]))
    broker.zadd("unacked_index", {"a-tag": 1.0})


def test_what_an_app_has_not_acknowledged_stays_with_it(
    system: System, shop: Shop, broker: redis.Redis
) -> None:
    system.settings |= HASTY
    shop.charge("long", seconds=3600)
    for number in range(5):
        shop.charge(f"reminder-{number}", countdown=3600)
    shop.wait_for("long")
    wait_until(lambda: broker.hlen("unacked") == 6)
    tags: list[Any] = broker.hkeys("unacked")
    for tag in tags:
        broker.zadd("unacked_index", {tag: 1.0})  # as after more than our lease
    system.start()
    put_by_an_earlier_version(broker, job_message(system.job("ours")))
    system.wait_for(["ours"])  # so everything that is overdue was looked at
    assert (broker.hlen("unacked"), broker.llen("celery")) == (6, 0)
    assert shop.charged == {"long": 1}


def test_a_task_of_an_app_on_a_queue_that_is_called_as_ours_is_done_by_the_app(
    system: System, shop: Shop, broker: redis.Redis
) -> None:
    worker = system.start("--queues", "maintenance", "--beat", VERIFY_SWEEP_SECONDS="1")
    orders = [f"order-{number}" for number in range(30)]
    for order in orders:
        shop.charge(order, queue="maintenance")
    shop.wait_for(*orders)
    assert set(shop.charged.values()) == {1}
    wait_until(lambda: not broker.hlen("verify:unacked"))
    assert system.dead == []
    assert worker.running


def test_commands_of_an_app_to_its_workers_reach_none_of_ours(system: System, shop: Shop) -> None:
    worker = system.start()
    shop.charge("warm")
    shop.wait_for("warm")
    shop.broadcast("shutdown")
    assert shop.process.wait(timeout=60) == 0
    system.send(system.job("after"))
    system.wait_for(["after"])
    assert worker.running


def test_queues_with_a_prefix_leave_those_of_the_same_name_alone(system: System, broker: redis.Redis) -> None:
    system.settings |= {**HASTY, "VERIFY_QUEUE_PREFIX": "faces-"}
    for name in ("verify", "bulk", "maintenance", "retrain"):
        broker.lpush(name, TIDY)
    worker = system.start("--queues", "verify,maintenance", "--beat")
    put = on_redis(broker)
    put("faces-verify", job_message(system.job("live")))
    put("faces-bulk", job_message(system.job("imported")))
    put("faces-bulk", b"no message")
    system.wait_for(["live", "imported"])
    wait_until(lambda: system.dead == ["bad_json"])
    request = system.store.requests.find("imported")
    assert request is not None
    assert request.queue == "bulk"
    assert [broker.lrange(name, 0, -1) for name in ("verify", "bulk", "maintenance", "retrain")] == [
        [TIDY]
    ] * 4
    wait_until(lambda: not broker.hlen("faces-verify:unacked"))
    assert worker.running


def test_an_account_for_keys_of_our_own_that_may_ask_nothing_of_the_server_is_enough(
    system: System, broker: redis.Redis, redis_url: str
) -> None:
    keys = ["verify*", "bulk*", "maintenance*", "retrain*", "*verify.pidbox*"]
    commands = ["+@all", "-info", "-config"]
    channels = ["/0.verify.pidbox", "/0.verify.events/*"]
    broker.acl_setuser(
        "ours", enabled=True, passwords=["+word"], keys=keys, channels=channels, commands=commands
    )
    try:
        url = redis_url.replace("redis://:@", "redis://ours:word@")
        worker = system.start("--queues", "verify,bulk,maintenance", "--beat", VERIFY_BROKER_URL=url)
        system.send(system.job("live"))
        system.wait_for(["live"])
        assert worker.words.count("may not ask Redis") == 1
        assert "NOPERM" not in worker.words
        assert worker.running
    finally:
        broker.acl_deluser("ours")


def test_a_queue_of_ours_whose_name_is_another_key_of_that_redis_is_refused_at_the_start(
    system: System, broker: redis.Redis
) -> None:
    broker.set("bulk", "a cached page")
    worker = system.start(ready=False)
    assert worker.process.wait(timeout=60) == 78
    assert (
        "the key bulk of this Redis is a string of another program: set VERIFY_QUEUE_PREFIX" in worker.words
    )
    assert broker.get("bulk") == b"a cached page"
