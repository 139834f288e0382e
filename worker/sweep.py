"""The database is the truth, the broker only a courier: what is unfinished is enqueued again.

That covers a message the broker lost, a worker that was killed, a job that waited for a photo host,
and members whom the app or an import wrote into the database without sending a message.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from worker.messages import VerifyJob
from worker.queues import BULK
from worker.store import Enqueued, Queued

logger = logging.getLogger(__name__)

Send = Callable[[VerifyJob, str], None]
"""Puts a job on a queue."""

AT_ONCE: Final = 500
"""Jobs of one sweep: a broker that lost everything is filled again in steps."""


class Unfinished(Protocol):
    """The part of the store that a sweep needs. Two sweeps at once get different jobs."""

    def unfinished(self, now: datetime, limit: int) -> Sequence[Queued]:
        """Accepted, not ended, and due."""
        ...

    def notice_changes(self, now: datetime) -> None:
        """Members whose photos the app has changed want a request."""
        ...

    def enqueue_pending(self, queue: str, now: datetime, limit: int) -> Enqueued:
        """A request for each member who wants one."""
        ...


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep has put on the queues."""

    unfinished: int
    pending: int


def sweep(store: Unfinished, send: Send, now: datetime, limit: int = AT_ONCE) -> Swept:
    """Enqueue what is unfinished, then members who wait for a request."""
    lost = store.unfinished(now, limit)
    store.notice_changes(now)
    waiting = store.enqueue_pending(BULK, now, limit)
    for queued in (*lost, *waiting.jobs):
        send(queued.job, queued.queue)
    for member_id, problem in waiting.refused.items():
        logger.warning("member %s cannot be enqueued: %s", member_id, problem)
    swept = Swept(len(lost), len(waiting.jobs))
    if swept.unfinished or swept.pending:
        logger.info("swept: %d unfinished, %d waiting members", swept.unfinished, swept.pending)
    return swept
