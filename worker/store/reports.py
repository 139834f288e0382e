"""The counts of `status`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta

import sqlalchemy as sa

from pipeline.verdict import Status
from worker.store.access.records import AccessState
from worker.store.access.watch import AccessWatch
from worker.store.counts.backlog import Backlog, OpenCases, backlog_on, open_cases_on
from worker.store.counts.tally import Tally
from worker.store.database import Database
from worker.store.members.objections import Objections
from worker.store.models.models import Models
from worker.store.models.records import HeadProblem, HeadsInUse
from worker.store.outbox.records import OutboxReport
from worker.store.outbox.replays import Replays
from worker.store.reviews.records import CaseCounts, ObjectionCounts
from worker.store.tables.states import State
from worker.store.training.records import RunRecord
from worker.store.training.runs import TrainingRuns


@dataclass(frozen=True, slots=True)
class StatusReport:
    """How much there is of what. The counts of ``requests`` add up to all requests ever accepted.

    Members of the sandbox, and all of theirs but events, are in none of the other counts.
    """

    members: int
    sandbox: int
    """Members of the sandbox."""
    requests: Mapping[State, int]
    verdicts: Mapping[Status, int]
    """Members by their standing status; members without one are in none."""
    counted_at: datetime | None
    """When the four above were counted, at most ten minutes ago while the sweep runs; None: just now."""
    pending: int
    """Members who want a request and have none yet."""
    queued: Mapping[str, int]
    """Unfinished requests by queue."""
    lapsed: int
    """Running requests whose lease has ended."""
    failed_since_verdict: int
    """Members whose newest request failed: their standing verdict is of an earlier one."""
    failed_requests: tuple[str, ...]
    """The newest of these requests, a few."""
    dead_jobs: int
    """Dead jobs that are open: neither put back nor dismissed."""
    oldest_waiting: timedelta | None
    """How long the oldest unfinished request has been there."""
    champion: str | None
    """The head that judges; None: the bundle that each host was shipped with."""
    shadows: tuple[str, ...]
    """Heads that judge live requests without deciding."""
    refused_heads: tuple[HeadProblem, ...]
    """Hosts that cannot use one of these heads, and go on with the one they have."""
    cases: CaseCounts
    """What waits for people."""
    objections: ObjectionCounts
    outbox: OutboxReport
    """Events that the app has not had yet."""
    training: RunRecord | None
    """The latest retraining, without its report."""
    access: AccessState
    """What is unusual about the records of access."""


@dataclass(frozen=True, slots=True)
class WaitingReport:
    """What waits, and what somebody must do something about, for a page: nothing of it is counted over all
    members or requests. What a field means: see `StatusReport`."""

    backlog: Backlog
    cases: OpenCases
    objections: ObjectionCounts
    outbox: OutboxReport
    heads: HeadsInUse
    refused_heads: tuple[HeadProblem, ...]


class Reports:
    """Numbers over all subjects, of one moment."""

    def __init__(
        self,
        database: Database,
        *,
        models: Models,
        runs: TrainingRuns,
        replays: Replays,
        objections: Objections,
        tally: Tally,
        accesses: AccessWatch,
    ) -> None:
        self._db = database
        self._t = database.t
        self._models = models
        self._runs = runs
        self._replays = replays
        self._objections = objections
        self._tally = tally
        self._accesses = accesses

    def status(self, now: datetime) -> StatusReport:
        """The counts, all of one moment."""
        return self._db.read(lambda c: self._status(c, now))

    def _status(self, c: sa.Connection, now: datetime) -> StatusReport:
        waiting = self._waiting(c, now)
        counts, counted_at = self._tally.counts_on(c)
        return StatusReport(
            **{field.name: getattr(counts, field.name) for field in fields(counts)},
            **{field.name: getattr(waiting.backlog, field.name) for field in fields(waiting.backlog)},
            counted_at=counted_at,
            cases=CaseCounts(waiting.cases.open, waiting.cases.overdue),
            objections=waiting.objections,
            outbox=waiting.outbox,
            training=self._runs.latest_on(c),
            access=self._accesses.state_on(c),
            champion=waiting.heads.champion,
            shadows=waiting.heads.shadows,
            refused_heads=waiting.refused_heads,
        )

    def waiting(self, now: datetime) -> WaitingReport:
        """What waits, all of one moment. Cheap: a page asks at each visit."""
        return self._db.read(lambda c: self._waiting(c, now))

    def _waiting(self, c: sa.Connection, now: datetime) -> WaitingReport:
        heads = self._models.in_use_on(c)
        in_use = {heads.champion, *heads.shadows}
        return WaitingReport(
            backlog=backlog_on(c, self._t, now),
            cases=open_cases_on(c, self._t, now),
            objections=self._objections.counts_on(c, now),
            outbox=self._replays.summary_on(c, now),
            heads=heads,
            refused_heads=tuple(one for one in self._models.problems_on(c) if one.version in in_use),
        )
