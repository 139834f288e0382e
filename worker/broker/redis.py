"""kombu's Redis transport with a reliable fetch: Redis has each message until it is acknowledged.

kombu fetches a message with BRPOP, which removes it from its list, and records it as unacknowledged a moment
later. When the worker is killed in between, or the connection breaks before the reply arrives, the message is
lost. When Redis is full it refuses the record, and nothing is fetched any more. Here one Lua script moves the
message from its list into a hash of unacknowledged messages. The script's first write, RPOP, frees memory,
and Redis refuses no write after that: so a full Redis can be emptied.

Before the script fetches a message, it releases messages that were unacknowledged for longer than any job may
run, to the end of the list that is fetched next. If their first worker is alive after all, its lease refuses
the second copy like every second delivery. The hash has a key of ours alone: kombu's own (`unacked`) also
belongs to an app's Celery on the same database, whose jobs are not ours to release.

A script cannot block. So a worker that found nothing waits for a moment, with BLPOP on a key that nobody
writes, and polls again.
"""

from __future__ import annotations

import logging
import uuid
from collections import defaultdict
from contextlib import suppress
from time import monotonic
from typing import Any, Final

from kombu.transport import redis as kombu_redis
from kombu.transport.virtual import Empty
from kombu.transport.virtual.base import QoS as CountingQoS
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoPermissionError

from worker.broker.envelope import decode_item, foreign_task, is_envelope
from worker.broker.legacy import LegacyUnacked
from worker.broker.redis_client import Client
from worker.client.redis_errors import TransientRedisError
from worker.jobs.queues import INTERNAL

logger = logging.getLogger(__name__)

POLL_PAUSE_SECONDS: Final = 0.1
MAX_BACKOFF_SECONDS: Final = 10.0
"""The longest wait before a Redis that refuses commands is asked again."""
FOREIGN_TASK_SECONDS: Final = 0.25
"""How long a queue is not polled after another program's task was found on it: the other queues are."""
WARNING_SECONDS: Final = 60.0
"""Between two warnings of one kind."""
_TAG: Final = 32
"""Characters of a delivery tag before the name of the list."""

_RELEASE: Final = f"""
local function release(tag, push)
  local item = redis.call('HGET', KEYS[1], tag)
  redis.call('ZREM', KEYS[2], tag)
  redis.call('HDEL', KEYS[1], tag)
  if item then redis.call(push, string.sub(tag, {_TAG} + 1), item) end
end
"""
_FETCH_SCRIPT: Final = f"""{_RELEASE}
local now = redis.call('TIME')[1]
local late = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[2], 'LIMIT', 0, 100)
for _, tag in ipairs(late) do release(tag, 'RPUSH') end
for i = 3, #KEYS do
  local item = redis.call('RPOP', KEYS[i])
  if item then
    local tag = ARGV[1] .. KEYS[i]
    redis.call('HSET', KEYS[1], tag, item)
    redis.call('ZADD', KEYS[2], now, tag)
    return {{KEYS[i], item, tag}}
  end
end
return false
"""
_RELEASE_SCRIPT: Final = f"{_RELEASE} release(ARGV[1], ARGV[2])"
_ACKNOWLEDGE_SCRIPT: Final = "redis.call('ZREM', KEYS[2], ARGV[1]) redis.call('HDEL', KEYS[1], ARGV[1])"


class ReliableQoS(kombu_redis.QoS):
    """Counts deliveries; the fetch script has recorded them in Redis as unacknowledged already."""

    def append(self, message: Any, delivery_tag: str) -> None:
        CountingQoS.append(self, message, delivery_tag)  # type: ignore[no-untyped-call]

    def ack(self, delivery_tag: str) -> None:
        self.channel.acknowledge(delivery_tag)
        CountingQoS.ack(self, delivery_tag)  # type: ignore[no-untyped-call]

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Drop a message, or requeue it behind all others."""
        if requeue:
            self.channel.release(delivery_tag, last=True)
        else:
            self.channel.acknowledge(delivery_tag)
        CountingQoS.ack(self, delivery_tag)  # type: ignore[no-untyped-call]

    def restore_by_tag(self, tag: str, client: Any = None, leftmost: bool = False) -> None:  # noqa: ARG002
        """Release a message to its list, as the next one or the last."""
        self.channel.release(tag, last=leftmost)

    def restore_visible(self, *_: Any, **__: Any) -> None:
        """Called regularly. The fetch script releases what is overdue; messages that workers of an earlier
        version left are in other keys."""
        self.channel.restore_legacy()


class RedisChannel(kombu_redis.Channel):
    """A channel with a reliable fetch, all of whose messages are envelopes, whatever they were."""

    QoS = ReliableQoS
    from_transport_options: tuple[str, ...] = (*kombu_redis.Channel.from_transport_options, "queue_prefix")  # type: ignore[assignment]
    queue_prefix = ""
    refused = False
    """Whether Redis refuses commands at the moment."""
    _was_empty = False
    _pausing = False
    _backoff = 0.0
    _retry_at = 0.0
    _in_poll: Any
    _brpop_sent_at: Any

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)  # type: ignore[no-untyped-call]
        self.unacked_key = f"{self.queue_prefix}verify:unacked"
        self.unacked_index_key = f"{self.unacked_key}_index"
        self._skipped_until: dict[str, float] = {}
        self._warned_at: dict[str, float] = defaultdict(lambda: -WARNING_SECONDS)
        self._legacy = LegacyUnacked(self.queue_prefix, self.visibility_timeout)

    def _get_client(self) -> Any:
        super()._get_client()  # type: ignore[no-untyped-call]  # checks the version
        return Client

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        """A channel may outlive its connection; kombu would ask None for its address, and the worker end."""
        if self.connection is None or self.connection.client is None:
            raise RedisConnectionError("the connection to Redis is closed")
        params: dict[str, Any] = super()._connparams(asynchronous)  # type: ignore[no-untyped-call]
        return params

    def _handle_message(self, client: Any, reply: Any) -> dict[str, Any]:
        """Remote control (PUB/SUB) carries no jobs, so an invalid message is only logged."""
        payload: dict[str, Any] = super()._handle_message(client, reply)  # type: ignore[no-untyped-call]
        data = payload["data"]
        raw = data.encode() if isinstance(data, str) else data
        if isinstance(raw, bytes) and not is_envelope(raw):
            logger.warning("dropped a broadcast that is no message (%d bytes)", len(data))
            payload["data"] = None
        return payload

    def _queue_bind(self, *args: Any) -> None:
        """Broadcasts need no table of bindings, which a full Redis would refuse to a starting worker."""
        exchange, routing_key, _, queue = args
        if self.typeof(exchange).type == "fanout":  # type: ignore[no-untyped-call]
            self._fanout_queues[queue] = (exchange, routing_key.replace("#", "*"))
        else:
            super()._queue_bind(*args)  # type: ignore[no-untyped-call]

    def _size(self, queue: str) -> int:
        """Without a transaction, which a full Redis refuses whatever is in it."""
        with self.conn_or_acquire() as client, client.pipeline(transaction=False) as pipe:
            for step in self.priority_steps:
                pipe.llen(self._q_for_pri(queue, step))  # type: ignore[no-untyped-call]
            return sum(pipe.execute())

    def maybe_refresh_binding_expiry(self) -> None:
        """Nothing is consumed that has a table of bindings."""

    def _brpop_start(self, timeout: float | None = None) -> None:  # noqa: ARG002 - kombu's signature
        """Send the command that fetches a message or, after an empty poll, one that pauses. kombu reads the
        reply later (`_brpop_read`)."""
        queues = self._queue_cycle.consume(len(self.active_queues))
        if not queues or monotonic() < self._retry_at:
            return
        polled = [queue for queue in queues if monotonic() >= self._skipped_until.get(queue, 0.0)]
        self._in_poll = connection = self.client.connection
        self._brpop_sent_at = monotonic()
        self._pausing = self._was_empty or not polled
        pause = ("BLPOP", f"{self.unacked_key}_nap", POLL_PAUSE_SECONDS)
        connection.send_command(*(pause if self._pausing else self._fetch_command(polled)))

    def _fetch_command(self, queues: list[str]) -> tuple[Any, ...]:
        lists = [self._q_for_pri(queue, step) for step in self.priority_steps for queue in queues]  # type: ignore[no-untyped-call]
        keys = [self.unacked_key, self.unacked_index_key, *lists]
        return "EVAL", _FETCH_SCRIPT, len(keys), *keys, uuid.uuid4().hex, self.visibility_timeout

    def _brpop_read(self, **options: Any) -> bool:
        try:
            fetched = self._reply(**options)
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()  # type: ignore[no-untyped-call]
        if fetched is None:
            raise Empty
        name, item, tag = fetched[0].decode(), fetched[1], fetched[2].decode()
        queue = name.rsplit(self.sep, 1)[0]
        payload = decode_item(item, queue)
        if self._is_foreign(payload["headers"], queue):
            self.release(tag, last=True)
            raise Empty
        self._queue_cycle.rotate(queue)
        payload["properties"]["delivery_tag"] = tag
        self.connection._deliver(payload, queue)  # noqa: SLF001 - as kombu's own does
        if tag not in self.qos._delivered:  # noqa: SLF001 - its consumer acknowledges nothing
            self.acknowledge(tag)
        return True

    def _reply(self, **options: Any) -> tuple[bytes, bytes, bytes] | None:
        """The list, the item, and its delivery tag; None after a pause, an empty poll or a temporary
        error."""
        try:
            reply = self.client.parse_response(self.client.connection, "EVAL", **options)
        except TransientRedisError as error:
            if error.not_primary:
                self.client.connection.disconnect()
                raise
            self._back_off(error)
            return None
        except self.connection_errors:
            self.client.connection.disconnect()
            raise
        if self.refused:
            logger.info("Redis takes messages again")
        self.refused, self._backoff = False, 0.0
        self._was_empty = reply is None and not self._pausing
        return reply if reply is None else tuple(reply)

    def _back_off(self, error: TransientRedisError) -> None:
        self._backoff = min(2 * self._backoff or 1.0, MAX_BACKOFF_SECONDS)
        self._retry_at = monotonic() + self._backoff
        self.refused = True
        self._warn("fetch", "%s; this worker waits and goes on by itself", error)

    def _is_foreign(self, headers: dict[str, Any], queue: str) -> bool:
        """Whether it is another program's task on a queue that is ours alone; it is left there for that
        program."""
        if queue.removeprefix(self.queue_prefix) not in INTERNAL or not (task := foreign_task(headers)):
            return False
        self._skipped_until[queue] = monotonic() + FOREIGN_TASK_SECONDS
        text = (
            "the queue %s holds a task of another program (%s), which is left there: set VERIFY_QUEUE_PREFIX"
        )
        self._warn(queue, text, queue, task)
        return True

    def _warn(self, kind: str, text: str, *values: object) -> None:
        if monotonic() - self._warned_at[kind] >= WARNING_SECONDS:
            self._warned_at[kind] = monotonic()
            logger.warning(text, *values)

    def acknowledge(self, tag: str) -> None:
        """Delete an unacknowledged message."""
        self._run(_ACKNOWLEDGE_SCRIPT, tag)

    def release(self, tag: str, *, last: bool = False) -> None:
        """Return an unacknowledged message to its list, as the next one or the last."""
        self._run(_RELEASE_SCRIPT, tag, "LPUSH" if last else "RPUSH")

    def _run(self, script: str, *arguments: str) -> None:
        try:
            with self.conn_or_acquire() as client:
                client.eval(script, 2, self.unacked_key, self.unacked_index_key, *arguments)
        except TransientRedisError as error:
            if error.not_primary:
                raise
            self._warn("run", "%s; messages come once more, and are done once", error)

    def restore_legacy(self) -> None:
        """Restore what a worker of an earlier version left unacknowledged."""
        # The fetch reports a Redis that refuses; and an account may be limited to keys of ours.
        with suppress(TransientRedisError, NoPermissionError), self.conn_or_acquire() as client:
            self._legacy.restore(client)


class SentinelChannel(RedisChannel, kombu_redis.SentinelChannel):
    """The same for a Redis behind Sentinel."""

    from_transport_options: tuple[str, ...] = (
        *kombu_redis.SentinelChannel.from_transport_options,
        *RedisChannel.from_transport_options,
    )  # type: ignore[assignment]


class RedisTransport(kombu_redis.Transport):
    """`redis://` and `rediss://`."""

    Channel = RedisChannel
    connection_errors = (*kombu_redis.Transport.connection_errors, TransientRedisError)


class SentinelTransport(kombu_redis.SentinelTransport):
    """`sentinel://`."""

    Channel = SentinelChannel
    connection_errors = (*kombu_redis.SentinelTransport.connection_errors, TransientRedisError)
