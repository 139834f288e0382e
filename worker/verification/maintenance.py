"""Periodic work: the sweep enqueues what is unfinished, the purge removes what was kept long enough.

The database is the truth and the broker only carries messages. So the sweep covers a message that the
broker lost, a worker that was killed, a request that waited for a photo host, and members whom the app or
an import stored without sending a message. What still lies on a queue is not sent again.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from worker.jobs.queues import BULK, JUDGING
from worker.jobs.verify_job import VerifyJob
from worker.settings import Settings
from worker.store import ChainReport, Cutoffs, Enqueued, Purged, Queued

logger = logging.getLogger(__name__)

MAX_JOBS: Final = 500
"""Of one sweep: a broker that lost everything is filled again in steps."""

SANDBOX_KEPT: Final = timedelta(days=1)
"""After the last change of a member of the sandbox."""
GRANTS_KEPT: Final = timedelta(days=3 * 366)
"""Who had which role in the console, after the account was closed: three years, as the law asks."""


class Requests(Protocol):
    """The requests of the store, as a sweep needs them. Two sweeps at once get different jobs."""

    def unfinished(self, now: datetime, limit: int, waiting: Mapping[str, int]) -> Sequence[Queued]:
        """Accepted, not ended, due, and not among the messages that wait on the queues."""


class PendingMembers(Protocol):
    """The members of the store who want a request."""

    def notice_changes(self, now: datetime) -> None:
        """Members whose photos the app has changed want a request."""

    def enqueue(self, queue: str, now: datetime, limit: int) -> Enqueued:
        """A request for each member who wants one."""


class Broker(Protocol):
    """The part of the broker that a sweep needs. Both raise NotSent."""

    def waiting(self, queue: str) -> int:
        """How many messages are on a queue."""

    def send(self, job: VerifyJob, queue: str) -> None: ...


class AccessWatch(Protocol):
    """The part of the store that follows the chain of the records of access."""

    def check_chain(self, now: datetime) -> ChainReport:
        """Follow the whole chain and keep what was found."""


class Retention(Protocol):
    """The part of the store that purges."""

    def purge(self, old: Cutoffs, endpoints: Collection[str]) -> Purged:
        """Remove what is old, but for events that an endpoint has not got."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep has put on the queues."""

    unfinished: int
    pending: int


def sweep(
    requests: Requests, pending: PendingMembers, broker: Broker, now: datetime, limit: int = MAX_JOBS
) -> Swept:
    """Enqueue what is unfinished, then members who wait for a request.

    Raises NotSent where the broker is unavailable; what was not sent is due again later.
    """
    # Before the database: a message that is fetched in between counts as waiting and is not sent again.
    waiting = {queue: broker.waiting(queue) for queue in sorted(JUDGING)}
    lost = requests.unfinished(now, limit, waiting)
    _send(broker, lost)
    pending.notice_changes(now)
    new = pending.enqueue(BULK, now, limit)
    _send(broker, new.jobs)
    for member_id, problem in new.refused.items():
        logger.warning("member %s cannot be enqueued: %s", member_id, problem)
    swept = Swept(len(lost), len(new.jobs))
    if swept.unfinished or swept.pending:
        logger.info("swept: %d unfinished, %d waiting members", swept.unfinished, swept.pending)
    return swept


def _send(broker: Broker, jobs: Sequence[Queued]) -> None:
    for queued in jobs:
        broker.send(queued.job, queued.queue)


def check_access_chain(watch: AccessWatch, now: datetime) -> ChainReport:
    """Whether the records of access are as they were written; the log says where the chain ends, so that
    something outside the database knows. Raises StoreUnavailable."""
    report = watch.check_chain(now)
    end = f"{report.records} records, up to number {report.number} with the link {report.link or 'none'}"
    if report.alarming:
        logger.warning("the access log does not hold together: %d places; %s", report.breaks, end)
    else:
        logger.info("the access log was followed: %s, %d places known to be broken", end, report.breaks)
    return report


def purge_old(retention: Retention, settings: Settings, now: datetime) -> Purged:
    """Purge data older than the retention settings. Raises StoreUnavailable; safe to call again."""
    links = now - timedelta(days=settings.link_days)
    old = Cutoffs(
        numbers=now - timedelta(days=settings.retention_days),
        dead_jobs=now - timedelta(days=settings.dead_job_days),
        looks=now - timedelta(days=settings.access_log_days),
        events=now - timedelta(days=settings.event_days),
        links=links,
        member_links=None if settings.photo_resolver is None else links,
        sandbox=now - SANDBOX_KEPT,
        staff=now - GRANTS_KEPT,
    )
    purged = retention.purge(old, settings.endpoints)
    logger.info(
        "purged: %d photos, %d dead jobs, %d looks, %d shadow verdicts, %d events, links of %d requests and "
        "%d members, %d of the sandbox, %d accounts of the console",
        *(purged.photos, purged.dead_jobs, purged.looks, purged.shadows, purged.events),
        *(purged.links, purged.member_links, purged.sandbox, purged.staff),
    )
    return purged
