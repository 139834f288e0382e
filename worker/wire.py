"""Broker transports and a consumer that no message can end, deafen or slip through.

Found in Celery 5.7 with kombu 5.7: bare JSON on the Redis list makes kombu reconnect and loses it;
bytes that are no JSON, or a `task` header with a dict body, end the worker; a missing or unknown
task is dropped with a log line. `worker.envelope` holds the rules; here they are put in front of
kombu (raw items of Redis lists and queue files) and of Celery (messages of every broker, RabbitMQ
included). What they refuse travels on as a task `worker.bury`, acknowledged when it is recorded.
"""

from __future__ import annotations

import fcntl
import functools
import json
import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from queue import Empty
from typing import Any, Final

from celery.worker.consumer import Consumer
from kombu.message import Message
from kombu.transport import filesystem
from kombu.transport import redis as kombu_redis
from redis import Redis

from worker.clock import utc_now
from worker.envelope import Letter, Parts, admit, burial, open_item
from worker.errors import BadMessage

logger = logging.getLogger(__name__)

TRANSPORTS: Final = {
    "redis": "worker.wire:RedisTransport",
    "rediss": "worker.wire:RedisTransport",
    "sentinel": "worker.wire:SentinelTransport",
    "filesystem": "worker.wire:FilesystemTransport",
}
"""By URL scheme, for kombu's table of aliases: so a broker URL keeps its ordinary spelling, and a
fail-over to a second URL keeps the guard."""

WRITING_SECONDS: Final = 60.0
"""An empty queue file that is younger may still be written to."""


class _GuardedReplies:
    """A Redis client whose BRPOP gives envelopes only."""

    def parse_response(self, connection: Any, command_name: str, **options: Any) -> Any:
        reply = super().parse_response(connection, command_name, **options)  # type: ignore[misc]
        if command_name != "BRPOP" or not reply:
            return reply
        key, item = reply
        queue = bytes(key).decode(errors="replace").rsplit(kombu_redis.Channel.sep, 1)[0]
        return key, json.dumps(open_item(bytes(item), queue)).encode()


class GuardedRedis(_GuardedReplies, Redis):
    """For a Redis database of our own."""


class GuardedPrefixedRedis(_GuardedReplies, kombu_redis.PrefixedStrictRedis):
    """For one that is shared under a key prefix."""


class _GuardedChannel:
    def _get_client(self) -> Callable[..., Any]:
        client = super()._get_client()  # type: ignore[misc]
        if client is Redis:
            return GuardedRedis
        return functools.partial(GuardedPrefixedRedis, **client.keywords)

    def _deliver_fanout_message(self, message: Any, exchange: str) -> bool:
        """Remote control (PUB/SUB): never a job, so what is no message is only logged."""
        if not isinstance(message, dict) or not isinstance(message.get("properties"), dict):
            logger.warning("dropped a broadcast on %s that is no message", exchange)
            return False
        return bool(super()._deliver_fanout_message(message, exchange))  # type: ignore[misc]


class RedisChannel(_GuardedChannel, kombu_redis.Channel):
    """Redis, guarded."""


class SentinelChannel(_GuardedChannel, kombu_redis.SentinelChannel):
    """Redis behind Sentinel, guarded."""


class RedisTransport(kombu_redis.Transport):
    """`redis://` and `rediss://`."""

    Channel = RedisChannel


class SentinelTransport(kombu_redis.SentinelTransport):
    """`sentinel://`."""

    Channel = SentinelChannel


class InOrder:
    """kombu's cycle over queues, without turns: the first queue that has a message is served.

    ``fetch`` raises Empty for an empty queue.
    """

    def __init__(self, fetch: Callable[..., Any], queues: Iterable[str]) -> None:
        self.fetch, self.queues = fetch, queues

    def get(self, callback: Callable[..., Any], **options: Any) -> Any:
        """The first message there is; raises Empty."""
        for queue in list(self.queues):
            try:
                return self.fetch(queue, callback, **options)
            except Empty:
                continue
        raise Empty

    def close(self) -> None:
        """Nothing is held."""


class FilesystemChannel(filesystem.Channel):
    """Queue files, guarded; a file is taken by one process only, and never half written."""

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:  # noqa: ARG002
        suffix = f".{queue}.msg"
        folder = Path(self.data_folder_in)
        for name in sorted(file.name for file in folder.iterdir() if file.name.endswith(suffix)):
            raw = take_file(folder / name)
            if raw is not None:
                return open_item(raw, queue)
        raise Empty

    def _reset_cycle(self) -> None:
        self._cycle = InOrder(self._get_and_deliver, self._active_queues)


class FilesystemTransport(filesystem.Transport):
    """`filesystem://`."""

    Channel = FilesystemChannel


def take_file(file: Path) -> bytes | None:
    """The content of a queue file, which is gone then; None if another process has it or writes it.

    kombu's writer locks the file after it has created it: an empty one may be just that moment.
    """
    try:
        with file.open("rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            raw = held.read()
            if not file.exists() or (not raw and time.time() - file.stat().st_mtime < WRITING_SECONDS):
                return None
            file.unlink()
            return raw
    except (BlockingIOError, FileNotFoundError):
        return None


class GuardedConsumer(Consumer):
    """Celery's consumer behind `admit`: every message becomes a task that this worker has."""

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
        rewrite(message, burial(parts_of(message), bad, utc_now()))
        super().create_task_handler()(message)

    def _letter(self, message: Message) -> Letter:
        parts, now = parts_of(message), utc_now()
        try:
            return admit(parts, self.app.tasks, now)
        except BadMessage as bad:
            logger.warning("a message on %s is no job and goes to dead_job: %s", parts.queue, bad)
            return burial(parts, bad, now)


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
