"""What a worker says of a Redis in which messages get lost, before it takes the first one."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any, Final

from celery.exceptions import WorkerShutdown
from redis.exceptions import NoPermissionError

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
