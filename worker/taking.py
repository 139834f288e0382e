"""Messages leave a Redis list for a place where a worker's death cannot take them along.

kombu takes a message with BRPOP, which forgets it, and writes it into `unacked` a moment later; a
worker that is killed in between, or a connection that breaks while the reply is under way, takes it
along. Here one script moves it from the list into a hash of held messages, so that Redis has it at
every moment. It leaves the hash when it stands in `unacked`; before another is taken, what is held
longer than any living worker holds it goes back to its list. A second copy, should the first taker
live after all, is refused by its lease like every second delivery.

A script cannot wait, and what waits for several lists takes from them. So a worker that found nothing
naps on a key that nobody writes, and looks again.
"""

from __future__ import annotations

import uuid
from time import monotonic
from typing import Any, Final

from kombu.transport import redis as kombu_redis
from kombu.transport.virtual import Empty

from worker.envelope import open_item

HELD_SECONDS: Final = 10
"""From the list into `unacked` it takes about a millisecond; a worker that was stopped in between, longer."""
NAP_SECONDS: Final = 0.1

_TAKE: Final = """
local now = redis.call('TIME')[1]
local late = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[2], 'LIMIT', 0, 100)
for _, hold in ipairs(late) do
  local item = redis.call('HGET', KEYS[1], hold)
  redis.call('ZREM', KEYS[2], hold)
  redis.call('HDEL', KEYS[1], hold)
  if item then redis.call('RPUSH', string.sub(hold, #ARGV[1] + 1), item) end
end
for i = 3, #KEYS do
  local item = redis.call('RPOP', KEYS[i])
  if item then
    local hold = ARGV[1] .. KEYS[i]
    redis.call('HSET', KEYS[1], hold, item)
    redis.call('ZADD', KEYS[2], now, hold)
    return {KEYS[i], item, hold}
  end
end
return false
"""


class HoldingQoS(kombu_redis.QoS):
    """Knows which messages are unacknowledged; from then on they need not be held."""

    def append(self, message: Any, delivery_tag: str) -> None:
        """Note it, then let go of it: in between there are two copies, never none."""
        super().append(message, delivery_tag)  # type: ignore[no-untyped-call]
        self.channel.let_go()


class TakingChannel(kombu_redis.Channel):
    """A channel whose messages are held until they are noted, and are envelopes whatever they were."""

    QoS = HoldingQoS
    _held: bytes | None = None
    _found_nothing = False
    _in_poll: Any
    _brpop_sent_at: Any

    def _brpop_start(self, timeout: float | None = None) -> None:  # noqa: ARG002 - kombu's signature
        """Ask for the next message or, after there was none, for a nap. The reply is read later."""
        queues = self._queue_cycle.consume(len(self.active_queues))
        if not queues:
            return
        self._in_poll = connection = self.client.connection
        self._brpop_sent_at = monotonic()
        connection.send_command(*(self._nap() if self._found_nothing else self._take(queues)))

    def _nap(self) -> tuple[Any, ...]:
        return "BLPOP", self._prefixed(f"{self.unacked_key}_nap"), NAP_SECONDS

    def _take(self, queues: list[str]) -> tuple[Any, ...]:
        lists = [self._q_for_pri(queue, step) for step in self.priority_steps for queue in queues]  # type: ignore[no-untyped-call]
        keys = [self._prefixed(name) for name in (*self._holds, *lists)]
        return "EVAL", _TAKE, len(keys), *keys, uuid.uuid4().hex, HELD_SECONDS

    @property
    def _holds(self) -> tuple[str, str]:
        """The hash of what is held, and since when each is."""
        return f"{self.unacked_key}_held", f"{self.unacked_key}_held_index"

    def _prefixed(self, name: str) -> str:
        """A key of a database that is shared; kombu's client does not know it in every command."""
        return f"{self.global_keyprefix}{name}"

    def _brpop_read(self, **options: Any) -> bool:
        try:
            taken = self._reply(**options)
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()  # type: ignore[no-untyped-call]
        if taken is None:
            raise Empty
        name, item, self._held = taken
        queue = name.decode().removeprefix(self.global_keyprefix).rsplit(self.sep, 1)[0]
        self._queue_cycle.rotate(queue)
        self.connection._deliver(open_item(item, queue), queue)  # noqa: SLF001 - as kombu's own does
        self.let_go()  # of what its consumer does not acknowledge
        return True

    def _reply(self, **options: Any) -> tuple[bytes, bytes, bytes] | None:
        """The list, the item, and the name under which it is held; None of a nap and if there was none."""
        napped = self._found_nothing
        try:
            reply = self.client.parse_response(self.client.connection, "EVAL", **options)
        except self.connection_errors:
            self.client.connection.disconnect()
            raise
        self._found_nothing = reply is None and not napped
        return reply if reply is None else tuple(reply)

    def let_go(self) -> None:
        """It is noted or delivered: forget that it was held."""
        if self._held is None:
            return
        hold, self._held = self._held, None
        messages, index = self._holds
        with self.conn_or_acquire() as client, client.pipeline() as pipe:
            pipe.hdel(messages, hold).zrem(index, hold).execute()
