"""A Redis as a broker, and what a worker does with it, step by step."""

# mypy: allow-untyped-calls

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import Any, Final

import redis
from kombu.connection import Connection
from kombu.entity import Queue
from kombu.messaging import Consumer

from support.workers import wait_until
from worker.broker.redis import RedisTransport

VISIBLE_AFTER: Final = 3600
"""Seconds; no test lasts half as long."""


class Receiver:
    """What a worker does with its broker, step by step."""

    def __init__(self, url: str, prefix: str, queues: tuple[str, ...], *, no_ack: bool) -> None:
        options = {
            "queue_prefix": prefix,
            "queue_order_strategy": "priority",
            "visibility_timeout": VISIBLE_AFTER,
        }
        self.connection = Connection(url, transport=RedisTransport, transport_options=options)
        self.channel: Any = self.connection.channel()
        self.got: list[Any] = []
        declared = [Queue(prefix + name, no_ack=no_ack) for name in queues]
        consumer = Consumer(self.channel, declared, on_message=self.got.append, no_ack=no_ack)
        consumer.consume()
        self.channel.qos.prefetch_count = 1

    def drain(self, count: int) -> list[Any]:
        """Messages as they come, at least so many."""
        wait_until(lambda: self.poll() >= count)
        return self.got

    def poll(self) -> int:
        """For a moment; how many messages came so far."""
        with suppress(TimeoutError):
            self.connection.drain_events(timeout=0.2)
        return len(self.got)

    def send_fetch(self) -> None:
        """The command is on its way; the receiver never reads the reply."""
        self.connection.transport.cycle.on_poll_start()


class Broker:
    """A Redis database, perhaps one on which our queues have a prefix."""

    def __init__(self, url: str, prefix: str, stack: ExitStack) -> None:
        self.url, self.prefix, self._stack = url, prefix, stack
        self.server: Any = None
        self.client = stack.enter_context(redis.Redis.from_url(url))

    def send(self, *texts: str, queue: str = "verify") -> None:
        with Connection(self.url, transport=RedisTransport) as connection:
            for text in texts:
                connection.Producer().publish({"text": text}, routing_key=self.prefix + queue)

    def receiver(self, *queues: str, no_ack: bool = False) -> Receiver:
        receiver = Receiver(self.url, self.prefix, queues or ("verify",), no_ack=no_ack)
        self._stack.callback(receiver.connection.release)
        return receiver

    def waiting(self, queue: str = "verify") -> int:
        return int(self.client.llen(self.prefix + queue))

    def unacknowledged(self) -> int:
        key = f"{self.prefix}verify:unacked"
        messages, index = self.client.pipeline().hlen(key).zcard(f"{key}_index").execute()
        assert messages == index
        return int(messages)

    def let_time_pass(self, seconds: float, key: str = "") -> None:
        """For what is unacknowledged."""
        index = key or f"{self.prefix}verify:unacked_index"
        for name in self.client.zrange(index, 0, -1):
            self.client.zincrby(index, -seconds, name)
