"""The counts of `status`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from pipeline.verdict import Status
from worker.store.database import Database
from worker.store.members.objections import Objections
from worker.store.models.models import Models
from worker.store.models.records import HeadProblem
from worker.store.outbox.records import OutboxReport
from worker.store.outbox.replays import Replays
from worker.store.reviews.claims import is_suspended
from worker.store.reviews.records import CaseCounts, ObjectionCounts
from worker.store.tables.schema import is_open
from worker.store.tables.states import State
from worker.store.training.records import RunRecord
from worker.store.training.runs import TrainingRuns

_EXAMPLES: Final = 10
"""Requests that a report names of those that it counts."""


@dataclass(frozen=True, slots=True)
class StatusReport:
    """How much there is of what. The counts of ``requests`` add up to all requests ever accepted.

    Members of the sandbox, and all of theirs but events, are in none of the other counts.
    """

    members: int
    sandbox: int
    """Members of the sandbox."""
    pending: int
    """Members who want a request and have none yet."""
    requests: Mapping[State, int]
    verdicts: Mapping[Status, int]
    """Members by their standing status; members without one are in none."""
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


class Reports:
    """Numbers over all subjects, of one moment."""

    def __init__(
        self,
        database: Database,
        models: Models,
        runs: TrainingRuns,
        replays: Replays,
        objections: Objections,
    ) -> None:
        self._db = database
        self._t = database.t
        self._models = models
        self._runs = runs
        self._replays = replays
        self._objections = objections

    def status(self, now: datetime) -> StatusReport:
        """The counts, all of one moment."""
        return self._db.read(lambda c: self._status(c, now))

    def _status(self, c: sa.Connection, now: datetime) -> StatusReport:
        m, v, d = self._t.member, self._t.verification, self._t.dead_job
        real = sa.not_(m.c.sandbox)
        due = sa.or_(m.c.request_after.is_(None), m.c.request_after <= now)
        waiting = sa.and_(v.c.due_at.is_not(None), sa.not_(v.c.sandbox))
        lapsed = sa.and_(v.c.state == State.RUNNING, v.c.lease_until <= now, sa.not_(v.c.sandbox))
        oldest = c.scalar(sa.select(sa.func.min(v.c.accepted_at)).where(waiting))
        heads = self._models.in_use_on(c)
        in_use = {heads.champion, *heads.shadows}
        requests = _counts(c, v.c.state, sa.not_(v.c.sandbox))
        verdicts = _counts(c, m.c.verification_status, real)
        return StatusReport(
            members=_count(c, m, real),
            sandbox=_count(c, m, m.c.sandbox),
            pending=_count(c, m, m.c.needs_request, due, real),
            requests={state: requests.get(state, 0) for state in State},
            verdicts={status: verdicts.get(status, 0) for status in Status},
            queued=_counts(c, v.c.queue, waiting),
            lapsed=_count(c, v, lapsed),
            **self._failed(c),
            dead_jobs=_count(c, d, is_open(d), self._real(d)),
            oldest_waiting=None if oldest is None else now - oldest,
            cases=self._cases(c, now),
            objections=self._objections.counts_on(c, now),
            outbox=self._replays.summary_on(c, now),
            training=self._runs.latest_on(c),
            champion=heads.champion,
            shadows=heads.shadows,
            refused_heads=tuple(one for one in self._models.problems_on(c) if one.version in in_use),
        )

    def _cases(self, c: sa.Connection, now: datetime) -> CaseCounts:
        case = self._t.review_case
        waiting = (case.c.unfinished.is_not(None), sa.not_(case.c.sandbox))
        m, suspended = self._t.member, is_suspended(self._t)
        late = sa.exists().where(m.c.member_id == case.c.member_id, ~suspended)
        return CaseCounts(_count(c, case, *waiting), _count(c, case, *waiting, case.c.due_at <= now, late))

    def _real(self, dead_job: sa.Table) -> sa.ColumnElement[bool]:
        """Dead jobs that are of no member of the sandbox."""
        m = self._t.member
        return sa.not_(sa.exists().where(m.c.member_id == dead_job.c.member_id, m.c.sandbox))

    def _failed(self, c: sa.Connection) -> dict[str, Any]:
        """Newest requests that ended in an error while a verdict of an earlier one stands."""
        m, v = self._t.member, self._t.verification
        failed = (
            sa.select(v.c.request_id)
            .join(m, m.c.request_id == v.c.request_id)
            .where(
                sa.not_(m.c.sandbox),
                m.c.verification_status != Status.ERROR,
                sa.func.coalesce(m.c.verified_request_id, "") != v.c.request_id,
                v.c.state.in_([State.DONE, State.DEAD]),
                v.c.status == Status.ERROR,
            )
        )
        count = c.scalar(sa.select(sa.func.count()).select_from(failed.subquery())) or 0
        some = c.scalars(failed.order_by(v.c.finished_at.desc(), v.c.request_id).limit(_EXAMPLES)).all()
        return {"failed_since_verdict": count, "failed_requests": tuple(some)}


def _count(c: sa.Connection, table: sa.Table, *where: sa.ColumnElement[bool]) -> int:
    return c.scalar(sa.select(sa.func.count()).select_from(table).where(*where)) or 0


def _counts(c: sa.Connection, column: sa.Column[Any], *where: sa.ColumnElement[bool]) -> dict[Any, int]:
    query = sa.select(column, sa.func.count()).where(column.is_not(None), *where).group_by(column)
    return {row[0]: row[1] for row in c.execute(query)}
