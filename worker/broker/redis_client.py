"""What Redis says when it takes nothing just now, told apart from what is wrong for good."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import redis
from celery.exceptions import WorkerShutdown
from redis import exceptions
from redis.exceptions import NoPermissionError

_SOON: Final = ("OOM", "MISCONF", "NOREPLICAS", "BUSY", "TRYAGAIN")
"""It is full, cannot write to its disk or to enough replicas, or is busy with somebody's script."""
_ELSEWHERE: Final = ("READONLY", "MASTERDOWN", "CLUSTERDOWN")
"""It is no primary, or not yet: a new connection may find the one that is."""
_CLASSES: Final = {
    exceptions.OutOfMemoryError: "OOM",
    exceptions.TryAgainError: "TRYAGAIN",
    exceptions.ReadOnlyError: "READONLY",
    exceptions.MasterDownError: "MASTERDOWN",
    exceptions.ClusterDownError: "CLUSTERDOWN",
}
"""Whose texts come without their code."""
# Redis 6 wraps what a command in a script is told: `ERR Error running script (…): @user_script: 8: -OOM …`
_CODE: Final = re.compile(rf"(?:^|-)({'|'.join((*_SOON, *_ELSEWHERE))})\b")


class NotYet(exceptions.ResponseError):
    """Redis refuses a command for now; the same one may be taken in a moment."""

    def __init__(self, code: str) -> None:
        super().__init__(f"Redis takes nothing just now ({code})")
        self.code = code

    @property
    def elsewhere(self) -> bool:
        """Whether another Redis may be the one to ask."""
        return self.code in _ELSEWHERE


def not_yet(error: exceptions.RedisError) -> NotYet | None:
    """The refusal for now that an error is; None of one that will be the same next time."""
    if isinstance(error, NotYet):
        return error
    for kind, code in _CLASSES.items():
        if isinstance(error, kind):
            return NotYet(code)
    found = _CODE.search(str(error)) if isinstance(error, exceptions.ResponseError) else None
    return NotYet(found[1]) if found else None


class Client(redis.Redis):
    """redis-py's, which says NotYet where there is hope."""

    def parse_response(self, *args: Any, **options: Any) -> Any:
        """The answer to a command. Raises NotYet beside what redis-py raises."""
        try:
            return super().parse_response(*args, **options)  # type: ignore[no-untyped-call]
        except exceptions.ResponseError as error:
            if soon := not_yet(error):
                raise soon from error
            raise


logger = logging.getLogger(__name__)

UNFIT_EXIT: Final = 78
"""EX_CONFIG: nothing that a new start would mend."""
LEAST_MESSAGES: Final = 20_000
"""An import of this size is to fit in."""
MESSAGE_BYTES: Final = 4096
"""Of Redis' memory, for a job with six photos behind signed links."""


def check(client: Any, names: Iterable[str]) -> None:
    """Warn of a Redis on which these queues lie. Raises WorkerShutdown where nothing can work."""
    try:
        facts = client.info()
    except NoPermissionError:
        logger.info("this account may not ask Redis for its memory and its policy (INFO)")
        facts = {}
    problem = unfit(facts) or occupied(client, names)
    if problem is not None:
        logger.critical("the worker cannot start: %s", problem)
        raise WorkerShutdown(UNFIT_EXIT)
    for warning in doubtful(facts):
        logger.warning("%s", warning)


def unfit(facts: Mapping[str, Any]) -> str | None:
    """Why nothing can work on the Redis with this INFO."""
    if facts.get("cluster_enabled"):
        return "Redis is a cluster, which keeps each queue on another host: use one Redis, or Sentinel"
    return None


def occupied(client: Any, names: Iterable[str]) -> str | None:
    """Whether a queue's name is that of something else in this Redis."""
    for name in names:
        kind = client.type(name).decode()
        if kind not in ("list", "none"):
            return f"the key {name} of this Redis is a {kind} of another program: set VERIFY_QUEUE_PREFIX"
    return None


def doubtful(facts: Mapping[str, Any]) -> list[str]:
    """What loses messages on the Redis with this INFO, sooner or later."""
    policy, limit = str(facts.get("maxmemory_policy", "")), int(facts.get("maxmemory") or 0)
    found = []
    if limit and policy.startswith("allkeys"):
        found.append(
            f"Redis throws messages away when its memory runs out ({policy}): "
            "set maxmemory-policy to noeviction"
        )
    if limit and limit < LEAST_MESSAGES * MESSAGE_BYTES:
        holds = max(0, limit // MESSAGE_BYTES)
        found.append(
            f"Redis' memory limit holds about {holds:,} messages, and senders are refused then: "
            f"set maxmemory to {LEAST_MESSAGES * MESSAGE_BYTES // 2**20} MB or more"
        )
    return found
