"""A Redis client that tells temporary errors from permanent ones, and the checks of a Redis at start."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Final

import redis
from redis import exceptions

from worker.client.redis_errors import as_transient

logger = logging.getLogger(__name__)

UNFIT_EXIT: Final = 78
"""EX_CONFIG: a restart would not help."""
MIN_MESSAGES: Final = 20_000
"""An import of this size should fit."""
MESSAGE_BYTES: Final = 4096
"""Of Redis' memory, for a job with six photos behind signed links."""


class Client(redis.Redis):
    """redis-py's client; raises TransientRedisError where a retry may help."""

    def parse_response(self, *args: Any, **options: Any) -> Any:
        """The reply to a command. Raises TransientRedisError beside what redis-py raises."""
        try:
            return super().parse_response(*args, **options)  # type: ignore[no-untyped-call]
        except exceptions.ResponseError as error:
            if transient := as_transient(error):
                raise transient from error
            raise


def check(client: Any, queues: Iterable[str]) -> None:
    """Log what is doubtful about the Redis with these queues. Raises WorkerShutdown where nothing can
    work."""
    from celery.exceptions import WorkerShutdown  # not above: the app's client must not load Celery

    try:
        info = client.info()
    except exceptions.NoPermissionError:
        logger.info("this account may not ask Redis for its memory and its policy (INFO)")
        info = {}
    problem = unfit(info) or occupied(client, queues)
    if problem is not None:
        logger.critical("the worker cannot start: %s", problem)
        raise WorkerShutdown(UNFIT_EXIT)
    for warning in doubtful(info):
        logger.warning("%s", warning)


def unfit(info: Mapping[str, Any]) -> str | None:
    """Why the worker cannot use a Redis with this INFO."""
    if info.get("cluster_enabled"):
        return "Redis is a cluster, which keeps each queue on another host: use one Redis, or Sentinel"
    return None


def occupied(client: Any, queues: Iterable[str]) -> str | None:
    """Whether another program uses a queue's name for something else in this Redis."""
    for name in queues:
        kind = client.type(name).decode()
        if kind not in ("list", "none"):
            return f"the key {name} of this Redis is a {kind} of another program: set VERIFY_QUEUE_PREFIX"
    return None


def doubtful(info: Mapping[str, Any]) -> list[str]:
    """What will lose or refuse messages, sooner or later, on a Redis with this INFO."""
    policy, limit = str(info.get("maxmemory_policy", "")), int(info.get("maxmemory") or 0)
    found = []
    if limit and policy.startswith("allkeys"):
        found.append(
            f"Redis throws messages away when its memory runs out ({policy}): "
            "set maxmemory-policy to noeviction"
        )
    if limit and limit < MIN_MESSAGES * MESSAGE_BYTES:
        holds = max(0, limit // MESSAGE_BYTES)
        found.append(
            f"Redis' memory limit holds about {holds:,} messages, and senders are refused then: "
            f"set maxmemory to {MIN_MESSAGES * MESSAGE_BYTES // 2**20} MB or more"
        )
    return found
