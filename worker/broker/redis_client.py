"""A Redis client that tells temporary errors from permanent ones, and the checks of a Redis at start."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import redis
from redis import exceptions

logger = logging.getLogger(__name__)

_BUSY: Final = ("OOM", "MISCONF", "NOREPLICAS", "BUSY", "TRYAGAIN")
"""It is full, cannot write to its disk or to enough replicas, or is busy with somebody's script."""
_NOT_PRIMARY: Final = ("READONLY", "MASTERDOWN", "CLUSTERDOWN")
"""It is no primary, or not yet: a new connection may find the one that is."""
_CLASSES: Final = {
    exceptions.OutOfMemoryError: "OOM",
    exceptions.TryAgainError: "TRYAGAIN",
    exceptions.ReadOnlyError: "READONLY",
    exceptions.MasterDownError: "MASTERDOWN",
    exceptions.ClusterDownError: "CLUSTERDOWN",
}
"""Errors whose text comes without its code."""
# Redis 6 wraps the error of a command in a script: `ERR Error running script (…): @user_script: 8: -OOM …`
_CODE: Final = re.compile(rf"(?:^|-)({'|'.join((*_BUSY, *_NOT_PRIMARY))})\b")

UNFIT_EXIT: Final = 78
"""EX_CONFIG: a restart would not help."""
MIN_MESSAGES: Final = 20_000
"""An import of this size should fit."""
MESSAGE_BYTES: Final = 4096
"""Of Redis' memory, for a job with six photos behind signed links."""


class TransientRedisError(exceptions.ResponseError):
    """Redis refuses a command for now; the same command may succeed in a moment."""

    def __init__(self, code: str) -> None:
        super().__init__(f"Redis takes nothing just now ({code})")
        self.code = code

    @property
    def not_primary(self) -> bool:
        """Whether another Redis may be the primary."""
        return self.code in _NOT_PRIMARY


def as_transient(error: exceptions.RedisError) -> TransientRedisError | None:
    """The error as a temporary one; None if it will be the same next time."""
    if isinstance(error, TransientRedisError):
        return error
    for kind, code in _CLASSES.items():
        if isinstance(error, kind):
            return TransientRedisError(code)
    found = _CODE.search(str(error)) if isinstance(error, exceptions.ResponseError) else None
    return TransientRedisError(found[1]) if found else None


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
