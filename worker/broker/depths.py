"""How many messages are where on the broker, and how old the next one of each queue is.

All of it from outside: nothing is fetched. RabbitMQ tells over AMQP only what waits; what it has handed out
is in its own metrics.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from redis.exceptions import NoPermissionError

from worker.broker.envelope import decode_item
from worker.errors import BadMessage
from worker.jobs.queues import IN_ORDER
from worker.jobs.verify_job import parse_job

_TAG: Final = 32
"""Characters of a delivery tag before the name of the list (`worker.broker.redis`)."""
_PRIORITY: Final = "\x06\x16"
"""kombu's mark between the name of a queue and a priority."""


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """The messages of one queue."""

    waiting: int
    """No worker has fetched them yet."""
    unacknowledged: int | None = None
    """A worker has fetched them and is not done with them; None where the broker does not say."""
    held: int | None = None
    """The same of workers of an earlier version, which keep them in another place (Redis)."""
    oldest: timedelta | None = None
    """Since the request of the next message was made, by its sender's clock; None where none waits, or its
    age cannot be told."""


def redis_depths(
    client: Any, prefix: str, waiting: Mapping[str, int], now: datetime
) -> dict[str, QueueDepth]:
    """By queue. Raises redis-py's errors."""
    unacknowledged = _by_queue(client, f"{prefix}verify:unacked_index", prefix)
    held = _by_queue(client, "unacked_held_index", "")
    return {
        name: QueueDepth(
            waiting=waiting[name],
            unacknowledged=None if unacknowledged is None else unacknowledged[name],
            held=None if held is None else held[name],
            oldest=_age(client.lindex(prefix + name, -1), name, now),
        )
        for name in IN_ORDER
    }


def _by_queue(client: Any, index: str, prefix: str) -> Counter[str] | None:
    """How many delivery tags are of each queue; None where this account may not look."""
    with suppress(NoPermissionError):
        lists = (tag[_TAG:].decode(errors="replace") for tag in client.zrange(index, 0, -1))
        return Counter(name.partition(_PRIORITY)[0].removeprefix(prefix) for name in lists)
    return None


def file_depths(folder: Path, prefix: str, now: datetime) -> dict[str, QueueDepth]:
    """The same of the queue files of an embedded worker."""
    waiting, taken = sorted(folder.glob("*.msg")), list((folder / "taken").glob("*.msg"))
    depths = {}
    for name in IN_ORDER:
        files = _of_queue(waiting, prefix + name)
        oldest = _age(_content(files[0]), name, now) if files else None
        depths[name] = QueueDepth(len(files), len(_of_queue(taken, prefix + name)), oldest=oldest)
    return depths


def _of_queue(files: Iterable[Path], queue: str) -> list[Path]:
    return [file for file in files if file.name.endswith(f".{queue}.msg")]


def _content(file: Path) -> bytes | None:
    with suppress(OSError):  # somebody has just fetched it
        return file.read_bytes()
    return None


def _age(raw: bytes | None, queue: str, now: datetime) -> timedelta | None:
    """Of the request in a message; whatever else a message holds has none."""
    if raw is None:
        return None
    payload = decode_item(raw, queue)
    body = payload["body"]
    with suppress(ValueError, TypeError, KeyError, IndexError, BadMessage):
        text = base64.b64decode(body) if payload["properties"].get("body_encoding") == "base64" else body
        return max(timedelta(0), now - parse_job(json.loads(text)[1]["job"], now).requested_at)
    return None
