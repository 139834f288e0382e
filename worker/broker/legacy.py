"""Restores messages that workers of an earlier version left unacknowledged.

They are in kombu's own keys, which every other Celery on the same database uses as well. So only a task of
ours from a queue of ours is restored, and only when it is overdue by the earlier version's own time limits. A
worker of that version may do the same at the same time: each message is restored once, by whichever is first.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from worker.broker.envelope import is_marked_invalid
from worker.jobs.queues import IN_ORDER, TASK_NAMES

_UNACKED: Final = "unacked"
_FETCHED: Final = "unacked_held"
_FETCHED_SECONDS: Final = 10
_PAGE: Final = 500
_RESTORE: Final = """
if redis.call('HDEL', KEYS[1], ARGV[1]) == 1 then redis.call('RPUSH', KEYS[3], ARGV[2]) end
redis.call('ZREM', KEYS[2], ARGV[1])
"""


class LegacyUnacked:
    """The unacknowledged messages of earlier versions on one Redis database."""

    def __init__(self, prefix: str, seconds: float) -> None:
        """``prefix`` of our queues; ``seconds`` after which a message is overdue."""
        self._prefix = prefix
        self._seconds = seconds
        self._not_ours: set[bytes] = set()

    def restore(self, client: Any) -> None:
        """Move every overdue message of ours back to its queue. Raises redis-py's errors."""
        now = client.time()[0]
        overdue = set(client.zrangebyscore(f"{_UNACKED}_index", "-inf", now - self._seconds))
        self._not_ours &= overdue
        for tag, value in _values(client, _UNACKED, sorted(overdue - self._not_ours)):
            if found := _queue_and_item(value):
                self._restore(client, _UNACKED, tag, *found)
            else:
                self._not_ours.add(tag)
        fetched = client.zrangebyscore(f"{_FETCHED}_index", "-inf", now - _FETCHED_SECONDS)
        for tag, item in _values(client, _FETCHED, fetched):
            self._restore(client, _FETCHED, tag, tag[32:].decode(), item)

    def _restore(self, client: Any, key: str, tag: bytes, queue: str, item: bytes) -> None:
        client.eval(_RESTORE, 3, key, f"{key}_index", self._prefix + queue, tag, item)


def _values(client: Any, key: str, tags: list[bytes]) -> Iterable[tuple[bytes, bytes]]:
    for start in range(0, len(tags), _PAGE):
        page = tags[start : start + _PAGE]
        yield from ((tag, value) for tag, value in zip(page, client.hmget(key, page), strict=True) if value)


def _queue_and_item(value: bytes) -> tuple[str, bytes] | None:
    """What kombu recorded of an unacknowledged message; None unless it is a message of ours."""
    try:
        payload, _, queue = json.loads(value)
        headers = payload["headers"]
        ours = queue in IN_ORDER and (headers.get("task") in TASK_NAMES or is_marked_invalid(headers))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return (queue, json.dumps(payload).encode()) if ours else None
