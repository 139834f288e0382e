"""Messages leave a Redis list for a hash in which they are unacknowledged, in one step.

kombu takes a message with BRPOP, which forgets it, and notes it as unacknowledged a moment later. A
worker that is killed in between, or a connection that breaks while the reply is under way, takes it
along; and where Redis is full the note is refused, and nothing is taken any more. Here one script takes
and notes it. The first command of a script that writes makes room, and what follows is never refused:
so a full Redis is drained.

Before a script takes a message it gives back what was unacknowledged for longer than any job may run,
to the end of its list that is next. A second copy, should the first taker live after all, is refused by
its lease like every second delivery. The keys are ours alone: kombu's own (`unacked`) belong to an app's
Celery on the same database as well, whose jobs are not ours to give back.

A script cannot wait, and what waits for several lists takes from them. So a worker that found nothing
naps on a key that nobody writes, and looks again.
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
from redis.exceptions import NoPermissionError

from worker.broker.envelope import foreign_task, open_item
from worker.broker.inherited import Inheritance
from worker.broker.redis_client import Client, NotYet
from worker.jobs.queues import OF_OURS_ONLY

logger = logging.getLogger(__name__)

NAP_SECONDS: Final = 0.1
MOST_PATIENT: Final = 10.0
"""Seconds after which a Redis that takes nothing is asked again, at last."""
LEFT_SECONDS: Final = 0.25
"""For which a queue is not looked at on which another program's task was met: the others are."""
REMIND_SECONDS: Final = 60.0
"""Between two warnings of one kind."""
_TAG: Final = 32
"""Characters of a delivery tag before the name of the list."""

_GIVE_BACK: Final = f"""
local function give_back(tag, push)
  local item = redis.call('HGET', KEYS[1], tag)
  redis.call('ZREM', KEYS[2], tag)
  redis.call('HDEL', KEYS[1], tag)
  if item then redis.call(push, string.sub(tag, {_TAG} + 1), item) end
end
"""
_TAKE: Final = f"""{_GIVE_BACK}
local now = redis.call('TIME')[1]
local late = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[2], 'LIMIT', 0, 100)
for _, tag in ipairs(late) do give_back(tag, 'RPUSH') end
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
_RETURN: Final = f"{_GIVE_BACK} give_back(ARGV[1], ARGV[2])"
_FORGET: Final = "redis.call('ZREM', KEYS[2], ARGV[1]) redis.call('HDEL', KEYS[1], ARGV[1])"


class NotedQoS(kombu_redis.QoS):
    """Counts what is delivered; that it is unacknowledged stands in Redis before it arrives."""

    def append(self, message: Any, delivery_tag: str) -> None:
        """It was noted when it was taken."""
        CountingQoS.append(self, message, delivery_tag)  # type: ignore[no-untyped-call]

    def ack(self, delivery_tag: str) -> None:
        """The message has done its duty."""
        self.channel.forget(delivery_tag)
        CountingQoS.ack(self, delivery_tag)  # type: ignore[no-untyped-call]

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """It has not: gone, or behind all others."""
        if requeue:
            self.channel.give_back(delivery_tag, last=True)
        else:
            self.channel.forget(delivery_tag)
        CountingQoS.ack(self, delivery_tag)  # type: ignore[no-untyped-call]

    def restore_by_tag(self, tag: str, client: Any = None, leftmost: bool = False) -> None:  # noqa: ARG002
        """Back to its list, the next to be taken or the last."""
        self.channel.give_back(tag, last=leftmost)

    def restore_visible(self, *_: Any, **__: Any) -> None:
        """Called regularly. What is overdue is given back by whoever takes a message; what is left are
        messages of workers of an earlier version."""
        self.channel.take_over()


class TakingChannel(kombu_redis.Channel):
    """A channel whose messages are unacknowledged or in their list, and are envelopes whatever they were."""

    QoS = NotedQoS
    from_transport_options: tuple[str, ...] = (*kombu_redis.Channel.from_transport_options, "queue_prefix")  # type: ignore[assignment]
    queue_prefix = ""
    refused = False
    """Whether Redis takes nothing just now."""
    _found_nothing = False
    _napping = False
    _pause = 0.0
    _resume_at = 0.0
    _in_poll: Any
    _brpop_sent_at: Any

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)  # type: ignore[no-untyped-call]
        self.unacked_key = f"{self.queue_prefix}verify:unacked"
        self.unacked_index_key = f"{self.unacked_key}_index"
        self._left_until: dict[str, float] = {}
        self._warned: dict[str, float] = defaultdict(lambda: -REMIND_SECONDS)
        self._inheritance = Inheritance(self.queue_prefix, self.visibility_timeout)

    def _get_client(self) -> Any:
        super()._get_client()  # type: ignore[no-untyped-call]  # checks the version
        return Client

    def _queue_bind(self, *args: Any) -> None:
        """Broadcasts need no table of bindings, which a full Redis would refuse to a starting worker."""
        exchange, routing_key, _, queue = args
        if self.typeof(exchange).type == "fanout":  # type: ignore[no-untyped-call]
            self._fanout_queues[queue] = (exchange, routing_key.replace("#", "*"))
        else:
            super()._queue_bind(*args)  # type: ignore[no-untyped-call]

    def _size(self, queue: str) -> int:
        """Asked outside of a transaction, which a full Redis refuses whatever is in it."""
        with self.conn_or_acquire() as client, client.pipeline(transaction=False) as pipe:
            for step in self.priority_steps:
                pipe.llen(self._q_for_pri(queue, step))  # type: ignore[no-untyped-call]
            return sum(pipe.execute())

    def maybe_refresh_binding_expiry(self) -> None:
        """Nothing is consumed that has a table of bindings."""

    def _brpop_start(self, timeout: float | None = None) -> None:  # noqa: ARG002 - kombu's signature
        """Ask for the next message or, after there was none, for a nap. The reply is read later."""
        queues = self._queue_cycle.consume(len(self.active_queues))
        if not queues or monotonic() < self._resume_at:
            return
        served = [queue for queue in queues if monotonic() >= self._left_until.get(queue, 0.0)]
        self._in_poll = connection = self.client.connection
        self._brpop_sent_at = monotonic()
        self._napping = self._found_nothing or not served
        connection.send_command(*(self._nap() if self._napping else self._take(served)))

    def _nap(self) -> tuple[Any, ...]:
        return "BLPOP", f"{self.unacked_key}_nap", NAP_SECONDS

    def _take(self, queues: list[str]) -> tuple[Any, ...]:
        lists = [self._q_for_pri(queue, step) for step in self.priority_steps for queue in queues]  # type: ignore[no-untyped-call]
        keys = [self.unacked_key, self.unacked_index_key, *lists]
        return "EVAL", _TAKE, len(keys), *keys, uuid.uuid4().hex, self.visibility_timeout

    def _brpop_read(self, **options: Any) -> bool:
        try:
            taken = self._reply(**options)
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()  # type: ignore[no-untyped-call]
        if taken is None:
            raise Empty
        name, item, tag = taken[0].decode(), taken[1], taken[2].decode()
        queue = name.rsplit(self.sep, 1)[0]
        payload = open_item(item, queue)
        if self._of_somebody_else(payload["headers"], queue):
            self.give_back(tag, last=True)
            raise Empty
        self._queue_cycle.rotate(queue)
        payload["properties"]["delivery_tag"] = tag
        self.connection._deliver(payload, queue)  # noqa: SLF001 - as kombu's own does
        if tag not in self.qos._delivered:  # noqa: SLF001 - its consumer acknowledges nothing
            self.forget(tag)
        return True

    def _reply(self, **options: Any) -> tuple[bytes, bytes, bytes] | None:
        """The list, the item, and its delivery tag; None of a nap, of a refusal, and if there was none."""
        try:
            reply = self.client.parse_response(self.client.connection, "EVAL", **options)
        except NotYet as refusal:
            if refusal.elsewhere:
                self.client.connection.disconnect()
                raise
            self._wait(refusal)
            return None
        except self.connection_errors:
            self.client.connection.disconnect()
            raise
        if self.refused:
            logger.info("Redis takes messages again")
        self.refused, self._pause = False, 0.0
        self._found_nothing = reply is None and not self._napping
        return reply if reply is None else tuple(reply)

    def _wait(self, refusal: NotYet) -> None:
        """Ask again, later each time."""
        self._pause = min(2 * self._pause or 1.0, MOST_PATIENT)
        self._resume_at = monotonic() + self._pause
        self.refused = True
        self._warn("take", "%s; this worker waits and goes on by itself", refusal)

    def _of_somebody_else(self, headers: dict[str, Any], queue: str) -> bool:
        """Whether it stays on a queue to which only our workers write, for the program that it is for."""
        if queue.removeprefix(self.queue_prefix) not in OF_OURS_ONLY or not (task := foreign_task(headers)):
            return False
        self._left_until[queue] = monotonic() + LEFT_SECONDS
        text = (
            "the queue %s holds a task of another program (%s), which is left there: set VERIFY_QUEUE_PREFIX"
        )
        self._warn(queue, text, queue, task)
        return True

    def _warn(self, kind: str, text: str, *values: object) -> None:
        if monotonic() - self._warned[kind] >= REMIND_SECONDS:
            self._warned[kind] = monotonic()
            logger.warning(text, *values)

    def forget(self, tag: str) -> None:
        """It need not come again."""
        self._tell(_FORGET, tag)

    def give_back(self, tag: str, *, last: bool = False) -> None:
        """To its list: the next one to be taken, or the last."""
        self._tell(_RETURN, tag, "LPUSH" if last else "RPUSH")

    def _tell(self, script: str, *arguments: str) -> None:
        try:
            with self.conn_or_acquire() as client:
                client.eval(script, 2, self.unacked_key, self.unacked_index_key, *arguments)
        except NotYet as refusal:
            if refusal.elsewhere:
                raise
            self._warn("tell", "%s; messages come once more, and are done once", refusal)

    def take_over(self) -> None:
        """Give back what a worker of an earlier version has left behind."""
        # Who takes messages tells of a Redis that refuses; an account may be for keys of our own alone.
        with suppress(NotYet, NoPermissionError), self.conn_or_acquire() as client:
            self._inheritance.take_over(client)
