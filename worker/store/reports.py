"""Reading: how the work stands, and what is known about a member."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from pipeline.verdict import PhotoFinding, Status
from worker.jobs.identifiers import is_identifier
from worker.store.dead_jobs import is_open
from worker.store.galleries import Galleries
from worker.store.models import Models
from worker.store.people_records import DecisionRecord
from worker.store.records import MemberRecord, RequestRecord, StatusReport
from worker.store.rows import decision_of, finding_of, member_of, request_of
from worker.store.tables.states import State
from worker.store.training_runs import TrainingRuns

_EXAMPLES: Final = 10
"""Requests that a report names of those that it counts."""


class Reports(Galleries, Models, TrainingRuns):
    """`status`, `member`, `request`, `requests_of`."""

    def status(self, now: datetime) -> StatusReport:
        """The counts, all of one moment."""
        return self._read(lambda c: self._status(c, now))

    def _status(self, c: sa.Connection, now: datetime) -> StatusReport:
        m, v, d = self.t.member, self.t.verification, self.t.dead_job
        due = sa.or_(m.c.request_after.is_(None), m.c.request_after <= now)
        waiting = v.c.due_at.is_not(None)
        lapsed = sa.and_(v.c.state == State.RUNNING, v.c.lease_until <= now)
        oldest = c.scalar(sa.select(sa.func.min(v.c.accepted_at)).where(waiting))
        standing = self._standing(c)
        in_use = {standing.champion, *standing.shadows}
        requests, verdicts = _counts(c, v.c.state), _counts(c, m.c.verification_status)
        return StatusReport(
            members=_count(c, m),
            pending=_count(c, m, m.c.needs_request, due),
            requests={state: requests.get(state, 0) for state in State},
            verdicts={status: verdicts.get(status, 0) for status in Status},
            queued=_counts(c, v.c.queue, waiting),
            lapsed=_count(c, v, lapsed),
            **self._failed(c),
            dead_jobs=_count(c, d, is_open(d)),
            oldest_waiting=None if oldest is None else now - oldest,
            training=self._latest_run(c),
            champion=standing.champion,
            shadows=standing.shadows,
            refused_heads=tuple(one for one in self._refusals(c) if one.version in in_use),
        )

    def _failed(self, c: sa.Connection) -> dict[str, Any]:
        """Newest requests that ended in an error while a verdict of an earlier one stands."""
        m, v = self.t.member, self.t.verification
        failed = (
            sa.select(v.c.request_id)
            .join(m, m.c.request_id == v.c.request_id)
            .where(
                m.c.verification_status != Status.ERROR,
                sa.func.coalesce(m.c.verified_request_id, "") != v.c.request_id,
                v.c.state.in_([State.DONE, State.DEAD]),
                v.c.status == Status.ERROR,
            )
        )
        count = c.scalar(sa.select(sa.func.count()).select_from(failed.subquery())) or 0
        some = c.scalars(failed.order_by(v.c.finished_at.desc(), v.c.request_id).limit(_EXAMPLES)).all()
        return {"failed_since_verdict": count, "failed_requests": tuple(some)}

    def member(self, member_id: str) -> MemberRecord | None:
        """The member with the standing result; None if there is none of that ID."""
        return self._read(lambda c: self._member(c, member_id))

    def _member(self, c: sa.Connection, member_id: str) -> MemberRecord | None:
        if not is_identifier(member_id):  # MariaDB would find `m1` for `m1 `
            return None
        m = self.t.member
        row = c.execute(sa.select(m).where(m.c.member_id == member_id)).one_or_none()
        return None if row is None else member_of(row, self._galleries(c, [member_id])[member_id])

    def request(self, request_id: str) -> RequestRecord | None:
        """One request with its photos; None if there is none of that ID."""
        v = self.t.verification
        if not is_identifier(request_id):
            return None
        found = self._read(lambda c: self._requests(c, sa.select(v).where(v.c.request_id == request_id)))
        return found[0] if found else None

    def requests_of(self, member_id: str, limit: int = 10) -> list[RequestRecord]:
        """The member's requests, the newest first."""
        v = self.t.verification
        query = (
            sa.select(v)
            .where(v.c.member_id == member_id)
            .order_by(v.c.requested_at.desc(), v.c.request_id.desc())
            .limit(limit)
        )
        return self._read(lambda c: self._requests(c, query))

    def _requests(self, c: sa.Connection, query: sa.Select[Any]) -> list[RequestRecord]:
        rows = c.execute(query).all()
        return [
            request_of(row, self._findings(c, row.request_id), self._decisions(c, row.request_id))
            for row in rows
        ]

    def _findings(self, c: sa.Connection, request_id: str) -> list[PhotoFinding]:
        vp = self.t.verification_photo
        query = sa.select(vp).where(vp.c.request_id == request_id).order_by(vp.c.position)
        return [finding_of(row) for row in c.execute(query)]

    def _decisions(self, c: sa.Connection, request_id: str) -> list[DecisionRecord]:
        d = self.t.decision
        query = sa.select(d).where(d.c.request_id == request_id).order_by(d.c.id)
        return [decision_of(row) for row in c.execute(query)]


def _count(c: sa.Connection, table: sa.Table, *where: sa.ColumnElement[bool]) -> int:
    return c.scalar(sa.select(sa.func.count()).select_from(table).where(*where)) or 0


def _counts(c: sa.Connection, column: sa.Column[Any], *where: sa.ColumnElement[bool]) -> dict[Any, int]:
    query = sa.select(column, sa.func.count()).where(column.is_not(None), *where).group_by(column)
    return {row[0]: row[1] for row in c.execute(query)}
