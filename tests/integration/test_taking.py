"""Redis has every message at every moment: in its list, held for a worker, or unacknowledged."""

# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
import redis
from kombu.connection import Connection
from kombu.entity import Queue
from kombu.messaging import Consumer

from support.workers import wait_until
from worker.taking import HELD_SECONDS
from worker.wire import RedisTransport


class Taker:
    """What a worker does with its broker, step by step."""

    def __init__(self, url: str, prefix: str, queues: tuple[str, ...], *, no_ack: bool) -> None:
        options = {"global_keyprefix": prefix, "queue_order_strategy": "priority"}
        self.connection = Connection(url, transport=RedisTransport, transport_options=options)
        self.channel: Any = self.connection.channel()
        self.got: list[Any] = []
        declared = [Queue(name, no_ack=no_ack) for name in queues]
        consumer = Consumer(self.channel, declared, on_message=self.got.append, no_ack=no_ack)
        consumer.consume()
        self.channel.qos.prefetch_count = 1

    def drain(self, count: int) -> list[Any]:
        """Messages as they come, at least so many."""
        wait_until(lambda: self.look() >= count)
        return self.got

    def look(self) -> int:
        """For a moment; how many messages came so far."""
        with suppress(TimeoutError):
            self.connection.drain_events(timeout=0.2)
        return len(self.got)

    def ask(self) -> None:
        """The question for a message is on its way; whoever asked never reads the answer."""
        self.connection.transport.cycle.on_poll_start()


class Broker:
    """A Redis database, perhaps one that is shared under a key prefix."""

    def __init__(self, url: str, prefix: str, stack: ExitStack) -> None:
        self.url, self.prefix, self._stack = url, prefix, stack
        self.client = stack.enter_context(redis.Redis.from_url(url))

    def send(self, *texts: str, queue: str = "verify") -> None:
        with Connection(
            self.url, transport=RedisTransport, transport_options={"global_keyprefix": self.prefix}
        ) as connection:
            for text in texts:
                connection.Producer().publish({"text": text}, routing_key=queue, declare=[Queue(queue)])

    def taker(self, *queues: str, no_ack: bool = False) -> Taker:
        taker = Taker(self.url, self.prefix, queues or ("verify",), no_ack=no_ack)
        self._stack.callback(taker.connection.release)
        return taker

    def waiting(self, queue: str = "verify") -> int:
        return int(self.client.llen(self.prefix + queue))

    def held(self) -> int:
        return int(self.client.hlen(f"{self.prefix}unacked_held"))

    def unacknowledged(self) -> int:
        return int(self.client.hlen(f"{self.prefix}unacked"))

    def let_time_pass(self, seconds: float) -> None:
        """For what is held."""
        index = f"{self.prefix}unacked_held_index"
        for name in self.client.zrange(index, 0, -1):
            self.client.zincrby(index, -seconds, name)


@pytest.fixture(params=["", "shared:"], ids=["a database of its own", "a shared database"])
def broker(request: pytest.FixtureRequest, redis_url: str) -> Iterator[Broker]:
    with ExitStack() as stack:
        yield Broker(redis_url, request.param, stack)


def texts(messages: list[Any]) -> list[str]:
    return [message.payload["text"] for message in messages]


def test_a_message_that_its_taker_did_not_live_to_note_is_given_to_another(broker: Broker) -> None:
    broker.send("only here")
    broker.taker().ask()
    wait_until(lambda: broker.held() == 1)
    assert broker.waiting() == 0
    broker.let_time_pass(HELD_SECONDS + 1)
    assert texts(broker.taker().drain(1)) == ["only here"]
    assert broker.held() == 0


def test_a_message_whose_taker_still_lives_is_not_given_to_another(broker: Broker) -> None:
    broker.send("mine")
    broker.taker().ask()
    wait_until(lambda: broker.held() == 1)
    broker.let_time_pass(-60)  # as if it were taken in a minute: so long this test may last
    assert broker.taker().look() == 0
    assert broker.held() == 1
    assert broker.waiting() == 0


def test_an_answer_that_gets_lost_with_its_connection_takes_no_message_along(broker: Broker) -> None:
    broker.send("on the way")
    unlucky = broker.taker()
    unlucky.ask()
    wait_until(lambda: broker.held() == 1)
    unlucky.channel.client.connection.disconnect()
    broker.let_time_pass(HELD_SECONDS + 1)
    assert texts(unlucky.drain(1)) == ["on the way"]


def test_a_delivered_message_is_unacknowledged_and_no_longer_held(broker: Broker) -> None:
    broker.send("one")
    (message,) = broker.taker().drain(1)
    assert (broker.waiting(), broker.held(), broker.unacknowledged()) == (0, 0, 1)
    message.ack()
    assert (broker.waiting(), broker.held(), broker.unacknowledged()) == (0, 0, 0)


def test_what_needs_no_acknowledgement_is_held_by_nobody_when_it_is_delivered(broker: Broker) -> None:
    broker.send("an answer")
    assert texts(broker.taker(no_ack=True).drain(1)) == ["an answer"]
    assert (broker.waiting(), broker.held(), broker.unacknowledged()) == (0, 0, 0)


def test_who_found_nothing_sees_what_is_sent_later(broker: Broker) -> None:
    taker = broker.taker()
    taker.drain(0)
    broker.send("later")
    assert texts(taker.drain(1)) == ["later"]


def test_queues_are_served_in_their_order_and_the_oldest_message_first(broker: Broker) -> None:
    broker.send("imported", queue="bulk")
    broker.send("first", "second", queue="verify")
    taker = broker.taker("verify", "bulk")
    for number in range(3):
        taker.drain(number + 1)[-1].ack()
    assert texts(taker.got) == ["first", "second", "imported"]


def test_what_is_given_back_is_the_next_of_its_own_queue(broker: Broker) -> None:
    broker.send("taken", "behind it", queue="bulk")
    broker.taker("bulk").ask()
    wait_until(lambda: broker.held() == 1)
    broker.let_time_pass(HELD_SECONDS + 1)
    assert broker.taker("verify").look() == 0
    assert broker.waiting("bulk") == 2
    assert texts(broker.taker("verify", "bulk").drain(1)) == ["taken"]


def test_bytes_that_are_no_message_are_given_back_like_every_other(broker: Broker) -> None:
    broker.client.lpush(f"{broker.prefix}verify", b"\xff\x00 no message")
    broker.taker().ask()
    wait_until(lambda: broker.held() == 1)
    broker.let_time_pass(HELD_SECONDS + 1)
    (message,) = broker.taker().drain(1)
    assert message.headers["worker_garbage"]["code"] == "bad_json"
