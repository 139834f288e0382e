"""Broker transports and a consumer that no message can end, deafen or slip through.

Found in Celery 5.7 with kombu 5.7: bare JSON on the Redis list makes kombu reconnect and loses it;
bytes that are no JSON, or a `task` header with a dict body, end the worker; a missing or unknown
task is dropped with a log line. `worker.broker.envelope` holds the rules; here they are put in front of
kombu (raw items: `worker.broker.redis` for Redis, `worker.broker.filesystem`) and of Celery (messages of
every broker, RabbitMQ included). What they refuse travels on as a task `worker.bury`, acknowledged
when it is recorded.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from celery import Celery
from celery.worker.consumer import Consumer
from kombu.message import Message
from kombu.transport import redis as kombu_redis
from redis.exceptions import ConnectionError as RedisConnectionError

from worker.broker.envelope import Letter, Parts, admit, burial, is_envelope
from worker.broker.redis import TakingChannel
from worker.broker.redis_client import NotYet, check
from worker.clock import utc_now
from worker.errors import BadMessage

logger = logging.getLogger(__name__)


class RedisChannel(TakingChannel):
    """Redis, guarded."""

    def _handle_message(self, client: Any, reply: Any) -> dict[str, Any]:
        """Remote control (PUB/SUB): never a job, so what is no message is only logged."""
        payload: dict[str, Any] = super()._handle_message(client, reply)  # type: ignore[no-untyped-call]
        told = payload["data"]
        if isinstance(told, bytes | str) and not is_envelope(
            told.encode() if isinstance(told, str) else told
        ):
            logger.warning("dropped a broadcast that is no message (%d bytes)", len(told))
            payload["data"] = None
        return payload

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        """A channel may outlive its connection; kombu would ask None for its address, and the worker end."""
        if self.connection is None or self.connection.client is None:
            raise RedisConnectionError("the connection to Redis is closed")
        params: dict[str, Any] = super()._connparams(asynchronous)  # type: ignore[no-untyped-call]
        return params


class SentinelChannel(RedisChannel, kombu_redis.SentinelChannel):
    """Redis behind Sentinel, guarded."""

    from_transport_options: tuple[str, ...] = (
        *kombu_redis.SentinelChannel.from_transport_options,
        *TakingChannel.from_transport_options,
    )  # type: ignore[assignment]


class RedisTransport(kombu_redis.Transport):
    """`redis://` and `rediss://`."""

    Channel = RedisChannel
    connection_errors = (*kombu_redis.Transport.connection_errors, NotYet)


class SentinelTransport(kombu_redis.SentinelTransport):
    """`sentinel://`."""

    Channel = SentinelChannel
    connection_errors = (*kombu_redis.SentinelTransport.connection_errors, NotYet)


_SILENT: Final = {"without_gossip": True, "without_mingle": True, "without_heartbeat": True}


class GuardedConsumer(Consumer):
    """Celery's consumer behind `admit`: every message becomes a task that this worker has."""

    class Blueprint(Consumer.Blueprint):
        """Without RabbitMQ's delayed delivery, which would keep 28 more queues there: nothing here is due
        later. Remote control looks and changes nothing."""

        default_steps = (
            *(s for s in Consumer.Blueprint.default_steps if "delayed" not in s and "control" not in s),
            "worker.broker.inspection:Inspection",
        )

    def __init__(self, *args: Any, **options: Any) -> None:
        # Nobody here reads what workers tell each other; and what they tell may revoke jobs.
        super().__init__(*args, **options, **_SILENT)

    def connect(self) -> Any:
        """Before anything else is asked of it: whatever is found of a Redis may be another one each time."""
        connection = super().connect()
        if connection.transport.driver_type == "redis":
            check(connection.default_channel.client, self.app.amqp.queues.consume_from)
        return connection

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Message], Any]:
        """Called once for each connection; the handler is called for each message."""
        handle = super().create_task_handler(*args, **kwargs)

        def on_message(message: Message) -> Any:
            rewrite(message, self._letter(message))
            return handle(message)

        return on_message

    def on_decode_error(self, message: Message, exc: Exception) -> None:
        """kombu could not make the bytes into a message (AMQP: a wrong `compression`, for one)."""
        bad = BadMessage("undecodable", f"cannot be decoded: {type(exc).__name__}")
        rewrite(message, burial(self._parts(message), bad, utc_now()))
        super().create_task_handler()(message)

    def _parts(self, message: Message) -> Parts:
        parts = parts_of(message)
        return replace(parts, queue=alias_of(self.app, parts.queue))

    def _letter(self, message: Message) -> Letter:
        parts, now = self._parts(message), utc_now()
        try:
            return admit(parts, self.app.tasks, now)
        except BadMessage as bad:
            logger.warning("a message on %s is no job and goes to dead_job: %s", parts.queue, bad)
            return burial(parts, bad, now)


def alias_of(app: Celery, queue: str) -> str:
    """The name by which this program calls a queue of the broker; of another's the one that it has."""
    known = app.amqp.queues.get(queue)
    return str(known.alias) if known is not None else queue


def parts_of(message: Message) -> Parts:
    """What kombu made of a message, body as bytes."""
    body = message.body
    raw = body.encode(errors="backslashreplace") if isinstance(body, str) else bytes(body or b"")
    route = message.delivery_info.get("routing_key") or ""
    return Parts(message.headers, raw, message.content_type, message.content_encoding, str(route))


def rewrite(message: Message, letter: Letter) -> None:
    """Put a letter into a message; its acknowledgement stays that of what arrived."""
    message.headers, message.body = letter.headers, letter.body
    message.content_type, message.content_encoding = "application/json", "utf-8"
    message.errors = []
    message._decoded_cache = json.loads(letter.body)  # noqa: SLF001 - kombu has no other way
