"""Messages that workers of an earlier version have left unacknowledged.

They lie in kombu's own keys, together with those of every other Celery on the same database: only a task
of ours on a queue of ours is taken over, and only when it is overdue, as the worker that left it would
have counted. An earlier version that still runs does the same, with everything that lies there: each
message goes back once, whoever is quicker.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from worker.broker.envelope import is_sealed
from worker.jobs.queues import BURY, IN_ORDER, TASKS

_OURS: Final = frozenset({BURY}.union(*TASKS.values()))
_UNACKED: Final = "unacked"
_HELD: Final = "unacked_held"
_HELD_SECONDS: Final = 10
_PAGE: Final = 500
_RETURN: Final = """
if redis.call('HDEL', KEYS[1], ARGV[1]) == 1 then redis.call('RPUSH', KEYS[3], ARGV[2]) end
redis.call('ZREM', KEYS[2], ARGV[1])
"""


class Inheritance:
    """What is looked for, and what was seen that is not ours."""

    def __init__(self, prefix: str, seconds: float) -> None:
        """``prefix`` of our queues; ``seconds`` after which a message is overdue."""
        self._prefix = prefix
        self._seconds = seconds
        self._not_ours: set[bytes] = set()

    def take_over(self, client: Any) -> None:
        """Give back all that is ours and overdue. Raises redis-py's errors."""
        now = client.time()[0]
        overdue = set(client.zrangebyscore(f"{_UNACKED}_index", "-inf", now - self._seconds))
        self._not_ours &= overdue
        for tag, value in _values(client, _UNACKED, sorted(overdue - self._not_ours)):
            if found := _job_of_ours(value):
                queue, item = found
                self._give_back(client, _UNACKED, tag, queue, item)
            else:
                self._not_ours.add(tag)
        held = client.zrangebyscore(f"{_HELD}_index", "-inf", now - _HELD_SECONDS)
        for tag, item in _values(client, _HELD, held):
            self._give_back(client, _HELD, tag, tag[32:].decode(), item)

    def _give_back(self, client: Any, key: str, tag: bytes, queue: str, item: bytes) -> None:
        client.eval(_RETURN, 3, key, f"{key}_index", self._prefix + queue, tag, item)


def _values(client: Any, key: str, tags: list[bytes]) -> Iterable[tuple[bytes, bytes]]:
    for start in range(0, len(tags), _PAGE):
        page = tags[start : start + _PAGE]
        yield from ((tag, value) for tag, value in zip(page, client.hmget(key, page), strict=True) if value)


def _job_of_ours(value: bytes) -> tuple[str, bytes] | None:
    """Queue and item of a message of ours in kombu's note of it."""
    try:
        payload, _, queue = json.loads(value)
        headers = payload["headers"]
        ours = queue in IN_ORDER and (headers.get("task") in _OURS or is_sealed(headers))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return (queue, json.dumps(payload).encode()) if ours else None
