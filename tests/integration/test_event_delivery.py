"""Events reach real receivers: at least once, in order per member, whatever a receiver or a worker does."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Final

import pytest
import redis
import sqlalchemy as sa
from pydantic import SecretStr

from support.bundle import ROOT
from support.databases import fresh_database
from support.events import LEASE, an_event, delivery, write_events
from support.jobs import NOW, later
from support.webhook_receiver import SECRET, Received, Reply, WebhookReceiver, made_up_secret
from support.workers import open_empty_store, wait_until
from worker import runtime
from worker.broker.publisher import Publisher
from worker.downloads.signed_post import PostLimits, Receiver, SignedPost
from worker.events.delivery import Endpoint, EventDelivery
from worker.events.nudge import Nudge
from worker.events.stream import StreamEndpoint
from worker.events.webhooks import WebhookEndpoint
from worker.store import Store

on_mariadb = pytest.mark.parametrize("engine", ["mariadb"], indirect=True)
"""For what does not depend on the database."""
MONTH: Final = timedelta(days=30)


def webhook(receiver: WebhookReceiver, *secrets: str, seconds: float = 60) -> WebhookEndpoint:
    post = SignedPost(["127.0.0.1"], PostLimits(seconds, seconds, seconds))
    return WebhookEndpoint(post, Receiver(receiver.url, tuple(map(SecretStr, secrets or [SECRET]))))


def deliver(store: Store, endpoints: Mapping[str, Endpoint], at: float = 0, worker: str = "w") -> int:
    """A run so many seconds after `NOW`; how many events arrived."""
    return a_run(store, endpoints, at, worker).run()


def a_run(
    store: Store,
    endpoints: Mapping[str, Endpoint],
    at: float = 0,
    worker: str = "w",
    busy: Callable[[], bool] = lambda: False,
) -> EventDelivery:
    return EventDelivery(
        deliveries=store.deliveries,
        endpoints=endpoints,
        worker=worker,
        busy=busy,
        clock=lambda: later(at),
    )


def order_of(members: int, events: int) -> dict[str | None, list[str]]:
    """What each of so many members must get of so many events that take turns."""
    return {f"m{m}": [f"evt_{n}" for n in range(1, events + 1) if n % members == m] for m in range(members)}


def write_turns(store: Store, members: int, events: int) -> None:
    write_events(store, *(an_event(n, f"m{n % members}") for n in range(1, events + 1)))


def test_every_event_arrives_in_order_though_the_receiver_fails_every_third_time(store: Store) -> None:
    write_turns(store, 7, 60)
    choose = random.Random(1)
    with WebhookReceiver() as receiver:
        receiver.reply = lambda _: Reply(choose.choice([204, 200, 503]))
        endpoints = {"app": webhook(receiver)}
        at = 0.0
        while len(set(receiver.ids())) < 60:
            deliver(store, endpoints, at := at + 3600)
        assert receiver.by_member() == order_of(7, 60)
    payload = receiver.accepted[0].payload
    assert payload["type"] == "verification.completed"
    assert payload["data"]["text"] == {"ko": "1번 사진"}
    assert store.reports.status(NOW).outbox.waiting == 0


def test_two_runs_at_once_share_the_work_and_send_nothing_twice(store: Store) -> None:
    write_turns(store, 5, 60)
    with WebhookReceiver() as one, WebhookReceiver() as two:
        endpoints = {"one": webhook(one), "two": webhook(two)}
        with ThreadPoolExecutor() as pool:
            counts = [pool.submit(deliver, store, endpoints, worker=name) for name in "ab"]
            assert sum(count.result() for count in counts) == 120
        for receiver in (one, two):
            assert len(receiver.received) == 60
            assert receiver.by_member() == order_of(5, 60)


def test_a_worker_that_is_killed_after_the_post_leaves_it_to_be_sent_again(mariadb_url: str) -> None:
    with fresh_database(mariadb_url) as url, WebhookReceiver() as receiver:
        store = open_empty_store(url)
        write_events(store, an_event(1), an_event(2))
        program = _worker_process(url, receiver)

        def kill(_: Received) -> Reply:
            os.kill(program.pid, signal.SIGKILL)
            return Reply()

        receiver.reply = kill
        assert program.wait(120) == -signal.SIGKILL
        receiver.reply = lambda _: Reply()
        assert deliver(store, {"app": webhook(receiver)}, _acquired(store)) == 0  # its lease has not lapsed
        assert deliver(store, {"app": webhook(receiver)}, _acquired(store) + 31) == 2
        assert [one.message_id for one in receiver.received] == ["evt_1", "evt_1", "evt_2"]
        store.close()


def _worker_process(url: str, receiver: WebhookReceiver) -> subprocess.Popen[bytes]:
    """One run with the settings of an operator."""
    settings = {
        "VERIFY_DATABASE_URL": url,
        "VERIFY_WEBHOOKS": json.dumps({"app": {"url": receiver.url, "secrets": [SECRET]}}),
        "VERIFY_APP_PRIVATE_HOSTS": "127.0.0.1",
    }
    code = "from worker import runtime; runtime.event_delivery().run()"
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, **settings})


def _acquired(store: Store) -> float:
    """How many seconds after `NOW` the process had its lease; it follows the database's clock."""
    e = store.database.t.event_endpoint
    until: datetime = store.database.read(lambda c: c.execute(sa.select(e.c.lease_until)).scalar_one())
    return (until - LEASE - NOW).total_seconds()


@on_mariadb
def test_a_receiver_that_hangs_delays_no_other_one_and_is_left_alone_soon(store: Store) -> None:
    write_turns(store, 20, 20)
    over = threading.Event()

    def hang(_: Received) -> Reply:
        over.wait(60)
        return Reply()

    with WebhookReceiver() as hanging, WebhookReceiver() as good:
        hanging.reply = hang
        endpoints = {"hanging": webhook(hanging, seconds=2), "good": webhook(good)}
        with ThreadPoolExecutor() as pool:
            running = pool.submit(deliver, store, endpoints)
            wait_until(lambda: len(good.accepted) == 20)
            write_events(store, an_event(21, "late"))  # while the other one still hangs
            wait_until(lambda: len(good.accepted) == 21)
            assert running.result() == 21
        assert store.replays.endpoints(NOW)[1].paused_until == later(10)
        tried = len(hanging.received)
        assert tried < 20
        assert deliver(store, endpoints, 9) == 0
        assert len(hanging.received) == tried
        over.set()
        assert deliver(store, endpoints, 60) == 21


def test_a_receiver_that_refuses_for_days_gets_nothing_any_more_until_somebody_says_so(store: Store) -> None:
    write_events(store, an_event(1, "a"), an_event(2, "a"), an_event(3, "b"))
    with WebhookReceiver() as receiver:
        receiver.reply = lambda one: Reply(400 if one.member_id == "a" else 200)
        endpoints = {"app": webhook(receiver)}
        assert deliver(store, endpoints) == 1
        at = 0.0
        while delivery(store, 2)["parked_at"] is None:
            deliver(store, endpoints, at := at + 6 * 3600)
        assert (receiver.ids(), at < 8 * 86_400) == (["evt_3"], True)
        assert {one.problem for one in store.replays.parked()} == {"status 400"}
        receiver.reply = lambda _: Reply(410)
        assert store.replays.replay(later(at), event_ids=["evt_2"]) == 1
        assert deliver(store, endpoints, at) == 0
        assert "says that it is gone" in str(delivery(store, 2)["problem"])
        receiver.reply = lambda _: Reply()
        assert store.replays.replay(later(at + 1)) == 2
        assert deliver(store, endpoints, at + 1) == 2
        assert receiver.ids() == ["evt_3", "evt_1", "evt_2"]


@on_mariadb
def test_a_secret_is_replaced_without_losing_an_event(store: Store) -> None:
    old, new = made_up_secret("old"), made_up_secret("new")
    with WebhookReceiver([old]) as receiver:
        steps = ([old], (old,)), ([old], (new, old)), ([new], (new, old)), ([new], (new,))
        for number, (known, sent) in enumerate(steps, 1):
            write_events(store, an_event(number))
            receiver.secrets = known
            assert deliver(store, {"app": webhook(receiver, *sent)}) == 1
        assert receiver.forged == 0


@on_mariadb
def test_a_run_ends_early_where_other_work_waits_and_the_next_one_goes_on(store: Store) -> None:
    def slowly(_: Received) -> Reply:
        time.sleep(0.05)
        return Reply()

    write_turns(store, 1, 30)
    with WebhookReceiver() as receiver:
        receiver.reply = slowly
        run = a_run(store, {"app": webhook(receiver)}, busy=lambda: True)
        first = run.run()
        assert 0 < first < 30
        while len(receiver.accepted) < 30:
            run.run()
        assert receiver.by_member() == order_of(1, 30)


@on_mariadb
def test_an_error_of_ours_in_one_event_stops_no_other(store: Store) -> None:
    class Broken:
        def send(self, event_id: str, body: bytes) -> tuple[str | None, timedelta | None]:  # noqa: ARG002
            if event_id == "evt_1":
                raise RuntimeError("boom")
            return None, None

    write_turns(store, 3, 3)
    assert deliver(store, {"app": Broken()}) == 2
    assert delivery(store, 1)["problem"] == "an error of the worker: RuntimeError"


@on_mariadb
def test_the_stream_has_the_same_events_and_drops_old_ones(store: Store, redis_url: str) -> None:
    write_turns(store, 3, 12)
    with Publisher(redis_url) as publisher, redis.Redis.from_url(redis_url) as client:
        client.xadd("events", {"id": "evt_0"}, id="1-1")  # fifty years old
        for _ in range(200):  # Redis drops whole nodes of a stream only
            client.xadd("events", {"id": "evt_0"}, id="1-*")
        endpoints = {"stream": StreamEndpoint(publisher, "events", MONTH)}
        assert deliver(store, endpoints) == 12
        entries = [fields for _, fields in client.xrange("events") if fields[b"id"] != b"evt_0"]
        assert len(entries) == 12
        assert client.xlen("events") < 213
        bodies = {fields[b"id"].decode(): json.loads(fields[b"body"]) for fields in entries}
        assert bodies["evt_12"]["data"]["request_id"] == "r12"
        client.set("taken", 1)
        write_events(store, an_event(13))
        assert deliver(store, {"stream": StreamEndpoint(publisher, "taken", MONTH)}) == 0
        assert "the key taken of this Redis is no stream" in str(delivery(store, 13, "stream")["problem"])
    with Publisher("redis://127.0.0.1:1/0") as nobody:
        assert deliver(store, {"stream": StreamEndpoint(nobody, "events", MONTH)}, 60) == 0
    assert "the broker cannot be reached" in str(delivery(store, 13, "stream")["problem"])


def test_a_worker_asks_for_a_delivery_at_most_once_a_second(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Publisher(redis_url) as publisher, redis.Redis.from_url(redis_url) as client:
        nudge = Nudge(publisher.send_delivery)
        nudge()
        nudge()
        assert client.llen("maintenance") == 1
        Nudge(publisher.send_delivery)()  # another process: there is a message already
        assert client.llen("maintenance") == 1
        (message,) = client.lrange("maintenance", 0, -1)
        assert json.loads(message)["headers"]["task"] == "worker.deliver_events"
    with Publisher("redis://127.0.0.1:1/0") as nobody:
        Nudge(nobody.send_delivery)()
    monkeypatch.setenv("VERIFY_BROKER_URL", "redis://127.0.0.1:1/0")
    runtime.reset()
    runtime.nudge_delivery()  # nobody is told of events: the broker is not even asked
    runtime.reset()
