"""The state of the system as metrics: what `status` and `review list` say, and what is on the broker."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Protocol

from prometheus_client import Metric

from worker.broker.depths import QueueDepth
from worker.jobs.queues import JUDGING
from worker.metrics import families
from worker.metrics.sources import gauge
from worker.store import ObjectionCounts, OpenCases, ReviewPace, RunRecord, StatusReport, Store
from worker.store.tables.states import RunState

SHIPPED = "shipped"
"""In place of a version: the head of the bundle that each host has."""
NO_VERDICT = "none"


class Broker(Protocol):
    """The part of the broker that tells how full it is."""

    def depths(self, now: datetime) -> Mapping[str, QueueDepth]:
        """By queue. Raises NotSent."""


def read_broker(broker: Broker, now: Callable[[], datetime]) -> Iterable[Metric]:
    """The messages on the broker. Raises NotSent."""
    depths = broker.depths(now())
    counts = {
        (name, state): float(count)
        for name, depth in depths.items()
        for state, count in _by_state(depth).items()
        if count is not None
    }
    yield gauge(families.QUEUE_MESSAGES, counts)
    ages = {name: _seconds(depth.oldest) for name, depth in depths.items() if _has_age(name, depth)}
    yield gauge(families.QUEUE_OLDEST, ages)


def _by_state(depth: QueueDepth) -> dict[str, int | None]:
    return {"waiting": depth.waiting, "unacknowledged": depth.unacknowledged, "held": depth.held}


def _has_age(name: str, depth: QueueDepth) -> bool:
    """Where messages wait whose age cannot be told, nothing is said: 0 would be a lie."""
    return name in JUDGING and (depth.oldest is not None or depth.waiting == 0)


def read_database(store: Store, endpoints: Collection[str], now: Callable[[], datetime]) -> Iterable[Metric]:
    """The state of requests, members, reviews, events and models. Raises StoreUnavailable."""
    at = now()
    report = store.reports.status(at)
    yield from _requests(report)
    yield from _members(report)
    yield from _outbox(report, endpoints)
    yield from _reviews(store.reviews.queue.counts(at), store.reviews.reports.pace(at))
    yield _objections(report.objections)
    yield gauge(families.ACCESS_UNUSUAL, len(report.access.unusual))
    yield gauge(families.ACCESS_BREAKS, report.access.unsigned_breaks)
    yield from _models(report)
    yield from _training(report.training, at)


def _requests(report: StatusReport) -> Iterable[Metric]:
    unfinished = {queue: float(report.queued.get(queue, 0)) for queue in sorted(JUDGING)}
    yield gauge(families.UNFINISHED, unfinished)
    yield gauge(families.OLDEST_UNFINISHED, _seconds(report.oldest_waiting))
    yield gauge(families.LAPSED, report.lapsed)
    yield gauge(families.REQUESTS, {state: float(count) for state, count in report.requests.items()})
    yield gauge(families.DEAD_JOBS, report.dead_jobs)


def _members(report: StatusReport) -> Iterable[Metric]:
    without = report.members - sum(report.verdicts.values())
    verdicts = {status: float(count) for status, count in report.verdicts.items()}
    yield gauge(families.MEMBERS, {**verdicts, NO_VERDICT: float(without)})
    yield gauge(families.WITHOUT_REQUEST, report.pending)
    yield gauge(families.FAILED_SINCE_VERDICT, report.failed_since_verdict)


def _outbox(report: StatusReport, endpoints: Collection[str]) -> Iterable[Metric]:
    outbox = report.outbox
    counts = {"waiting": float(outbox.waiting), "parked": float(outbox.parked)}
    yield gauge(families.OUTBOX_EVENTS, counts)
    yield gauge(families.OUTBOX_OLDEST, _seconds(outbox.oldest))
    names = sorted({*endpoints, *outbox.paused})
    yield gauge(families.ENDPOINT_PAUSED, {name: float(name in outbox.paused) for name in names})


def _reviews(cases: OpenCases, pace: ReviewPace) -> Iterable[Metric]:
    counts = {
        "open": float(cases.open),
        "overdue": float(cases.overdue),
        "claimed": float(cases.claimed),
        "escalated": float(cases.escalated),
    }
    yield gauge(families.REVIEW_CASES, counts)
    yield gauge(families.REVIEW_OLDEST, _seconds(pace.oldest))
    yield gauge(families.REVIEW_VOTES, pace.votes)
    yield gauge(families.REVIEW_MEDIAN, pace.median_seconds or 0.0)


def _objections(counts: ObjectionCounts) -> Metric:
    by_state = {"open": counts.open, "due_soon": counts.due_soon, "overdue": counts.overdue}
    return gauge(families.OBJECTIONS, {state: float(count) for state, count in by_state.items()})


def _models(report: StatusReport) -> Iterable[Metric]:
    heads = {(report.champion or SHIPPED, "champion"): 1.0}
    heads |= {(version, "shadow"): 1.0 for version in report.shadows}
    yield gauge(families.MODEL_INFO, heads)
    yield gauge(families.HEADS_REFUSED, len(report.refused_heads))


def _training(run: RunRecord | None, now: datetime) -> Iterable[Metric]:
    states = {state.value: float(run is not None and run.state is state) for state in RunState}
    yield gauge(families.TRAINING_STATE, states)
    if run is not None:
        since = run.finished_at or run.created_at
        yield gauge(families.TRAINING_SECONDS, (now - since).total_seconds())


def _seconds(age: timedelta | None) -> float:
    return age.total_seconds() if age else 0.0
