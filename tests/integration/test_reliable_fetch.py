"""Redis has every message at every moment: in its list, or unacknowledged under a key of ours."""

# mypy: allow-untyped-calls

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest
import redis

from support.invalid_messages import envelope, headers, job_message
from support.redis_queue import VISIBLE_AFTER, Broker
from support.servers import Redis
from support.workers import wait_until


@pytest.fixture(params=["", "faces-"], ids=["plain names", "names with a prefix"])
def broker(request: pytest.FixtureRequest, redis_url: str) -> Iterator[Broker]:
    with ExitStack() as stack:
        yield Broker(redis_url, request.param, stack)


def texts(messages: list[Any]) -> list[str]:
    return [message.payload["text"] for message in messages]


def test_a_message_is_unacknowledged_before_its_receiver_has_it(broker: Broker) -> None:
    broker.send("only here")
    broker.receiver().send_fetch()
    wait_until(lambda: not broker.waiting())
    assert broker.unacknowledged() == 1


def test_the_message_of_a_receiver_that_died_is_released_to_another(broker: Broker) -> None:
    broker.send("only here")
    broker.receiver().send_fetch()
    wait_until(lambda: broker.unacknowledged() == 1)
    broker.let_time_pass(VISIBLE_AFTER + 1)
    assert texts(broker.receiver().drain(1)) == ["only here"]
    assert (broker.waiting(), broker.unacknowledged()) == (0, 1)


def test_the_message_of_a_receiver_that_may_be_alive_is_not_released(broker: Broker) -> None:
    broker.send("mine")
    broker.receiver().send_fetch()
    wait_until(lambda: broker.unacknowledged() == 1)
    broker.let_time_pass(VISIBLE_AFTER / 2)
    assert broker.receiver().poll() == 0
    assert (broker.waiting(), broker.unacknowledged()) == (0, 1)


def test_a_reply_that_is_lost_with_its_connection_loses_no_message(broker: Broker) -> None:
    broker.send("on the way")
    unlucky = broker.receiver()
    unlucky.send_fetch()
    wait_until(lambda: broker.unacknowledged() == 1)
    unlucky.channel.client.connection.disconnect()
    broker.let_time_pass(VISIBLE_AFTER + 1)
    assert texts(unlucky.drain(1)) == ["on the way"]


def test_a_message_is_gone_when_it_is_acknowledged(broker: Broker) -> None:
    broker.send("one")
    (message,) = broker.receiver().drain(1)
    assert (broker.waiting(), broker.unacknowledged()) == (0, 1)
    message.ack()
    assert (broker.waiting(), broker.unacknowledged()) == (0, 0)
    broker.let_time_pass(VISIBLE_AFTER + 1)
    assert broker.receiver().poll() == 0


def test_a_message_that_is_rejected_goes_behind_all_others(broker: Broker) -> None:
    broker.send("not now", "next")
    receiver = broker.receiver()
    receiver.drain(1)[0].reject(requeue=True)
    receiver.drain(2)[1].ack()
    assert texts(receiver.drain(3)) == ["not now", "next", "not now"]
    assert (broker.waiting(), broker.unacknowledged()) == (0, 1)


def test_a_message_that_is_rejected_for_good_is_gone(broker: Broker) -> None:
    broker.send("of no use")
    (message,) = broker.receiver().drain(1)
    message.reject()
    assert (broker.waiting(), broker.unacknowledged()) == (0, 0)


def test_a_receiver_that_ends_releases_what_it_has_not_acknowledged(broker: Broker) -> None:
    broker.send("unfinished", "behind it")
    receiver = broker.receiver()
    receiver.drain(1)
    receiver.connection.close()
    assert (broker.waiting(), broker.unacknowledged()) == (2, 0)
    assert texts(broker.receiver().drain(1)) == ["unfinished"]


def test_what_needs_no_acknowledgement_is_not_unacknowledged_when_it_is_delivered(broker: Broker) -> None:
    broker.send("an answer")
    assert texts(broker.receiver(no_ack=True).drain(1)) == ["an answer"]
    assert (broker.waiting(), broker.unacknowledged()) == (0, 0)


def test_a_receiver_that_found_nothing_gets_what_is_sent_later(broker: Broker) -> None:
    receiver = broker.receiver()
    receiver.drain(0)
    broker.send("later")
    assert texts(receiver.drain(1)) == ["later"]


def test_queues_are_served_in_their_order_and_the_oldest_message_first(broker: Broker) -> None:
    broker.send("imported", queue="bulk")
    broker.send("first", "second", queue="verify")
    receiver = broker.receiver("verify", "bulk")
    for number in range(3):
        receiver.drain(number + 1)[-1].ack()
    assert texts(receiver.got) == ["first", "second", "imported"]


def test_a_released_message_is_the_next_of_its_own_queue(broker: Broker) -> None:
    broker.send("taken", "behind it", queue="bulk")
    broker.receiver("bulk").send_fetch()
    wait_until(lambda: broker.unacknowledged() == 1)
    broker.let_time_pass(VISIBLE_AFTER + 1)
    assert broker.receiver("verify").poll() == 0
    assert broker.waiting("bulk") == 2
    assert texts(broker.receiver("verify", "bulk").drain(1)) == ["taken"]


def test_bytes_that_are_no_message_are_released_like_every_other(broker: Broker) -> None:
    broker.client.lpush(f"{broker.prefix}verify", b"\xff\x00 no message")
    broker.receiver().send_fetch()
    wait_until(lambda: broker.unacknowledged() == 1)
    broker.let_time_pass(VISIBLE_AFTER + 1)
    (message,) = broker.receiver().drain(1)
    assert message.headers["worker_garbage"]["code"] == "bad_json"


def test_a_full_redis_is_drained(broker: Broker) -> None:
    broker.send("released", "first", "second")
    broker.receiver().send_fetch()
    wait_until(lambda: broker.unacknowledged() == 1)
    broker.let_time_pass(VISIBLE_AFTER + 1)
    try:
        broker.client.config_set("maxmemory", 1)
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            broker.client.lpush("verify", "x")
        receiver = broker.receiver()
        for number in range(3):
            message = receiver.drain(number + 1)[-1]
            message.ack()
        receiver.connection.close()
    finally:
        broker.client.config_set("maxmemory", 0)
    assert texts(receiver.got) == ["released", "first", "second"]
    assert (broker.waiting(), broker.unacknowledged()) == (0, 0)


def test_a_full_redis_can_release_a_message(broker: Broker) -> None:
    broker.send("one")
    receiver = broker.receiver()
    (message,) = receiver.drain(1)
    try:
        broker.client.config_set("maxmemory", 1)
        message.reject(requeue=True)
    finally:
        broker.client.config_set("maxmemory", 0)
    assert (broker.waiting(), broker.unacknowledged()) == (1, 0)


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """One whose disk the test may take away."""
    server = Redis(tmp_path)
    server.start()
    with ExitStack() as stack:
        stack.callback(server.kill)
        broker = Broker(server.url, "", stack)
        broker.server = server
        yield broker


def test_a_redis_that_cannot_write_is_asked_again_until_it_can(own_broker: Broker) -> None:
    own_broker.send("patient")
    receiver = own_broker.receiver()
    own_broker.server.lose_disk()
    for _ in range(3):
        assert receiver.poll() == 0
    assert receiver.channel.refused
    own_broker.server.regain_disk()
    assert texts(receiver.drain(1)) == ["patient"]
    assert not receiver.channel.refused


def test_what_is_acknowledged_while_redis_cannot_write_holds_up_nothing_and_comes_once_more(
    own_broker: Broker,
) -> None:
    own_broker.send("done", "next")
    receiver = own_broker.receiver()
    (done,) = receiver.drain(1)
    own_broker.server.lose_disk()
    done.ack()
    own_broker.server.regain_disk()
    receiver.drain(2)[1].ack()
    own_broker.let_time_pass(VISIBLE_AFTER + 1)
    assert texts(receiver.drain(3)) == ["done", "next", "done"]


def test_a_redis_that_is_a_replica_is_left_for_another(own_broker: Broker) -> None:
    receiver = own_broker.receiver()
    own_broker.client.replicaof("127.0.0.1", "1")
    with pytest.raises(receiver.connection.connection_errors):
        receiver.drain(1)


@pytest.mark.parametrize("queue", ["maintenance", "retrain"])
def test_another_programs_task_is_left_on_its_queue_and_ours_are_taken(
    broker: Broker, queue: str, caplog: pytest.LogCaptureFixture
) -> None:
    items = [envelope(b"[[], {}, {}]", headers(task=f"app.tidy_{number}")) for number in range(3)]
    ours = envelope(b"[[], {}, {}]", headers(task="worker.sweep"))
    name = broker.prefix + queue
    broker.client.lpush(name, *items, ours)
    receiver = broker.receiver(queue)
    (message,) = receiver.drain(1)
    assert message.headers["task"] == "worker.sweep"
    message.ack()
    receiver.poll()
    wait_until(lambda: broker.waiting(queue) == 3)
    assert sorted(broker.client.lrange(name, 0, -1)) == sorted(items)
    told = [record.getMessage() for record in caplog.records if "another program" in record.getMessage()]
    assert len(told) == 1
    assert "app.tidy_" in told[0]
    assert "VERIFY_QUEUE_PREFIX" in told[0]


def test_another_programs_tasks_hold_up_no_other_queue(broker: Broker) -> None:
    broker.client.lpush(
        f"{broker.prefix}maintenance", *[envelope(b"[[], {}, {}]", headers(task="app.tidy"))] * 5
    )
    broker.send("first", "second")
    receiver = broker.receiver("maintenance", "verify")
    for number in range(2):
        receiver.drain(number + 1)[-1].ack()
    assert texts(receiver.got) == ["first", "second"]
    assert broker.waiting("maintenance") == 5


class Earlier:
    """What workers of the version before, and an app's Celery, have left in kombu's own keys."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def unacked(self, tag: str, item: bytes, queue: str, age: float) -> None:
        note = json.dumps([json.loads(item), "", queue])
        self._client.hset("unacked", tag, note)
        self._client.zadd("unacked_index", {tag: self._now() - age})

    def held(self, item: bytes, queue: str, age: float) -> None:
        name = "0" * 32 + queue
        self._client.hset("unacked_held", name, item)
        self._client.zadd("unacked_held_index", {name: self._now() - age})

    def _now(self) -> float:
        return float(self._client.time()[0])


OLD: Final = VISIBLE_AFTER + 5


def test_what_a_worker_of_an_earlier_version_left_is_restored(broker: Broker) -> None:
    earlier = Earlier(broker.client)
    earlier.unacked("t1", job_message({"n": 1}), "verify", OLD)
    earlier.unacked("t2", envelope(b"x", {"worker_garbage": {"code": "bad_json"}}), "bulk", OLD)
    earlier.held(job_message({"n": 2}), "verify", 11)
    broker.receiver().channel.qos.restore_visible()
    assert (broker.waiting("verify"), broker.waiting("bulk")) == (2, 1)
    assert not broker.client.exists("unacked", "unacked_index", "unacked_held", "unacked_held_index")


def test_what_a_worker_of_an_earlier_version_may_still_work_on_is_left_to_it(broker: Broker) -> None:
    earlier = Earlier(broker.client)
    earlier.unacked("t1", job_message({}), "verify", VISIBLE_AFTER / 2)
    earlier.held(
        job_message({}), "verify", -60
    )  # as if it were taken in a minute: so long this test may last
    broker.receiver().channel.qos.restore_visible()
    assert broker.waiting() == 0
    assert (broker.client.hlen("unacked"), broker.client.hlen("unacked_held")) == (1, 1)


def test_of_an_apps_celery_nothing_is_ever_restored(broker: Broker) -> None:
    earlier = Earlier(broker.client)
    task = envelope(b"[[], {}, {}]", headers(task="app.charge"))
    ours_by_name = envelope(b"[[], {}, {}]", headers(task="worker.verify_member"))
    earlier.unacked("t1", task, "celery", OLD)
    earlier.unacked("t2", task, "maintenance", OLD)
    earlier.unacked("t3", ours_by_name, "celery", OLD)
    earlier.unacked("t4", b"[1]", "verify", OLD)
    before = {key: broker.client.dump(key) for key in broker.client.scan_iter()}
    receiver = broker.receiver("maintenance", "verify")
    for _ in range(2):
        receiver.channel.qos.restore_visible()
        receiver.poll()
    assert {key: broker.client.dump(key) for key in broker.client.scan_iter()} == before
