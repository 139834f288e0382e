"""What the app is told, written in the transaction that changes it: `result`, `event`, and the member's row.

The member's row must be locked: so the events of one member are numbered in the order of the commits.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from pipeline.verdict import PhotoFinding, PhotoVerdict, Reason, Status
from worker.results.document import EventType, Told, erased, refused
from worker.store.counts.failing import is_of_another
from worker.store.database import AnyRow
from worker.store.mapped import MappedMember
from worker.store.members.sandbox import is_sandbox
from worker.store.requests.reading import read_requests
from worker.store.requests.records import RequestRecord
from worker.store.tables.people import is_undone
from worker.store.tables.schema import Tables
from worker.store.tables.states import State
from worker.store.tables.views import Deletable, decided
from worker.telemetry import traces

_TOLD: Final = frozenset({State.DONE, State.DEAD})
"""States with a verdict that holds. One that came after a newer request holds no more."""

_SAME: Final = ("request_id", "member_id", "state", "sandbox", "requested_at", "accepted_at", "finished_at")
"""Columns that `result` has from `verification` as they are."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Writes results and events within the transactions of others."""

    t: Tables
    mapped: MappedMember | None = None
    listening: bool = False
    """Whether there is anybody to send events to; without, none is written."""
    hold: timedelta = timedelta(0)
    """How long a person's decision is held before it is sent."""
    sandbox_prefix: str = ""

    def queued(self, c: sa.Connection, rows: Sequence[Mapping[str, Any]], now: datetime) -> None:
        """New rows of `verification` are waiting, were begun, or were superseded when they came."""
        results = [
            {**{name: row[name] for name in _SAME}, "state": _told_of(row["state"]), "changed_at": now}
            for row in rows
        ]
        refused_before = self._known(c, [row["request_id"] for row in rows])
        new = [result for result in results if result["request_id"] not in refused_before]
        if new:
            c.execute(sa.insert(self.t.result), new)
        r = decided(c, self.t.result)
        for result in results:
            if result["request_id"] in refused_before:
                update = sa.update(r).where(r.c.request_id == result["request_id"])
                c.execute(update.values(**result, problem=None))
        for row in rows:
            if row["state"] == State.SUPERSEDED:
                self.superseded(c, [row["request_id"]], now)
            else:
                self._write_mapped(c, row["member_id"], row["request_id"], State.QUEUED)

    def superseded(self, c: sa.Connection, request_ids: Collection[str], now: datetime) -> None:
        """These requests ended because newer ones came."""
        for request_id in request_ids:
            self._change(c, decided(c, self.t.result), request_id, now, EventType.SUPERSEDED)

    def requeued(self, c: sa.Connection, request_id: str, now: datetime) -> None:
        """A request that was dead waits again."""
        self._change(c, decided(c, self.t.result), request_id, now)

    def withdrawn(self, c: sa.Connection, request_id: str, now: datetime) -> None:
        """A request ended because its member withdrew consent."""
        self._change(c, decided(c, self.t.result), request_id, now, EventType.FAILED)

    def changed(
        self,
        c: sa.Connection,
        request_id: str,
        now: datetime,
        event: EventType | None = None,
        *,
        findings: Sequence[PhotoFinding] | None = None,
    ) -> None:
        """The machine has changed a request; the app hears of it by an event if it has ended. ``findings``:
        where its photos have just been written."""
        self._change(c, self.t.result, request_id, now, event, findings=findings)

    def _change(
        self,
        c: sa.Connection,
        r: sa.TableClause,
        request_id: str,
        now: datetime,
        event: EventType | None = None,
        *,
        findings: Sequence[PhotoFinding] | None = None,
    ) -> None:
        request = self._read(c, request_id, findings)
        state = _told_of(request.state)
        member = self._member(c, request.member_id)
        if member.request_id == request_id:
            self._note_state(c, request, state, member, now)
        told = self._told(c, request, state, member)
        update = sa.update(r).where(r.c.request_id == request_id).values(**told.columns(), changed_at=now)
        if not c.execute(update).rowcount:  # a worker of an earlier version has accepted it
            its = {name: getattr(request, name) for name in _SAME} | {"state": state, "changed_at": now}
            c.execute(sa.insert(self.t.result).values(**its))
            c.execute(update)
        if event is not None:
            self._add(c, event, told, member, now=now)

    def decided(self, c: sa.Connection, request_id: str, now: datetime) -> None:
        """A person has decided about a request; the event is held back for a while."""
        self._drop_held(c, request_id, now)
        self._change(c, decided(c, self.t.result), request_id, now, EventType.DECIDED)

    def undone(self, c: sa.Connection, request_id: str, now: datetime) -> None:
        """A decision was taken back; the app hears of it only if it may have heard of the decision."""
        unheard, d, e = self._drop_held(c, request_id, now), self.t.decision, self.t.event
        # An earlier decision may stand, or may have been told before this one replaced it.
        standing = sa.exists().where(d.c.request_id == request_id, ~is_undone(self.t.decision))
        told = sa.exists().where(e.c.request_id == request_id, e.c.type == EventType.DECIDED)
        silent = unheard and not c.scalar(sa.select(sa.or_(standing, told)))
        event = None if silent else EventType.DECIDED
        self._change(c, decided(c, self.t.result), request_id, now, event)

    def _drop_held(self, c: sa.Connection, request_id: str, now: datetime) -> bool:
        """Nobody has heard of what was decided before; False where somebody may have."""
        e = self.t.event
        held = (e.c.request_id == request_id, e.c.type == EventType.DECIDED, e.c.not_before > now)
        return c.execute(sa.delete(e).where(*held)).rowcount > 0

    def refused(
        self, c: sa.Connection, request_id: str | None, member_id: str | None, problem: str, now: datetime
    ) -> None:
        """A message cannot become a request. Its ID may be that of one that was accepted: that one stands."""
        r, sandbox = self.t.result, member_id is not None and self._is_sandbox(c, member_id)
        if request_id is not None and not self._known(c, [request_id]):
            row = {"request_id": request_id, "member_id": member_id, "state": State.DEAD, "problem": problem}
            times = dict.fromkeys(("accepted_at", "finished_at", "changed_at"), now)
            c.execute(sa.insert(r).values(**row, **times, sandbox=sandbox))
        payload = refused(request_id, member_id, problem, now, sandbox=sandbox)
        self._insert(c, EventType.REFUSED, member_id, request_id, payload, now=now)

    def _is_sandbox(self, c: sa.Connection, member_id: str) -> bool:
        m = self.t.member
        query = sa.select(m.c.request_id, m.c.sandbox).where(m.c.member_id == member_id)
        return is_sandbox(self.sandbox_prefix, member_id, c.execute(query).one_or_none())

    def erased(self, c: sa.Connection, member_id: str, now: datetime, *, sandbox: bool) -> None:
        """A member was forgotten. The event is the last trace, and goes when it is sent."""
        payload = erased(member_id, now, sandbox=sandbox)
        self._insert(c, EventType.ERASED, member_id, None, payload, now=now)

    def remove(self, c: sa.Connection, member_id: str, deletable: Deletable) -> None:
        """What is told about a member who is being forgotten, or purged."""
        for table in (deletable(c, self.t.result), self.t.event):
            c.execute(sa.delete(table).where(table.c.member_id == member_id))

    def _known(self, c: sa.Connection, request_ids: Sequence[str]) -> set[str]:
        r = self.t.result
        return set(c.scalars(sa.select(r.c.request_id).where(r.c.request_id.in_(request_ids))))

    def _read(
        self, c: sa.Connection, request_id: str, findings: Sequence[PhotoFinding] | None
    ) -> RequestRecord:
        v = self.t.verification
        query = sa.select(v).where(v.c.request_id == request_id)
        # The app is told nothing of reuses.
        (request,) = read_requests(c, self.t, query, reuses=False, findings=findings)
        return request

    def _told(self, c: sa.Connection, request: RequestRecord, state: State, member: AnyRow) -> Told:
        return Told(
            request_id=request.request_id,
            member_id=request.member_id,
            state=state,
            waiting_until=request.next_attempt_at,
            finished_at=request.finished_at,
            sandbox=request.sandbox,
            **(self._verdict(c, request, member) if request.state in _TOLD else {}),
        )

    def _verdict(self, c: sa.Connection, request: RequestRecord, member: AnyRow) -> dict[str, Any]:
        """What the request came to, as it holds for the member."""
        status, reason, photo = request.status, request.reason, request.photo
        if _review_stands(member, request):
            status, reason, photo = Status.REVIEW, Reason(member.reason), None
        return {
            "status": status,
            "reason": reason,
            "photo": photo,
            "code": request.code,
            "similarity": request.similarity,
            "decided_by": request.decided_by,
            "problem": self._problem(c, request),
            "findings": tuple(request.findings),
            "verified": frozenset(
                found.position
                for found in request.photos
                if request.verdict_of(found) is PhotoVerdict.VERIFIED
            ),
        }

    def _problem(self, c: sa.Connection, request: RequestRecord) -> str | None:
        if request.state is not State.DEAD:
            return None
        d = self.t.dead_job
        query = sa.select(d.c.reason).where(d.c.request_id == request.request_id).order_by(d.c.id.desc())
        return c.scalar(query.limit(1))

    def _member(self, c: sa.Connection, member_id: str) -> AnyRow:
        m = self.t.member.c
        told = (m.verification_status, m.reason, m.request_id, m.requested_state, m.verified_request_id)
        return c.execute(sa.select(*told, m.failed_at).where(m.member_id == member_id)).one()

    def _note_state(
        self, c: sa.Connection, request: RequestRecord, state: State, member: AnyRow, now: datetime
    ) -> None:
        """How the newest request stands, in the member's row, ours and the app's. Whoever has just written a
        verdict into ours has said it there."""
        m = self.t.member
        failed = request.state in _TOLD and request.status is Status.ERROR and is_of_another(member)
        if member.requested_state != state or (member.failed_at is not None) != failed:
            values = {"requested_state": state, "failed_at": now if failed else None, "updated_at": now}
            c.execute(sa.update(m).where(m.c.member_id == request.member_id).values(**values))
        self._write_mapped(c, request.member_id, request.request_id, state)

    def _write_mapped(self, c: sa.Connection, member_id: str, request_id: str, state: str) -> None:
        if self.mapped is not None:
            self.mapped.write_request(c, member_id, {"request_id": request_id, "requested_state": state})

    def _add(self, c: sa.Connection, event: EventType, told: Told, member: AnyRow, *, now: datetime) -> None:
        newest = member.request_id == told.request_id
        stands = {
            "status": member.verification_status,
            "request_id": member.request_id,
            "requested_state": told.state if newest else member.requested_state,
            "verified_request_id": member.verified_request_id,
        }
        payload = told.payload(event, now, stands)
        self._insert(c, event, told.member_id, told.request_id, payload, now=now)

    def _insert(
        self,
        c: sa.Connection,
        event: EventType,
        member_id: str | None,
        request_id: str | None,
        payload: Mapping[str, Any],
        *,
        now: datetime,
    ) -> None:
        if not self.listening:
            return
        its = {"event_id": f"evt_{uuid.uuid4().hex}", "type": event, "payload": payload, "occurred_at": now}
        ids = {"member_id": member_id, "request_id": request_id}
        held = now + self.hold if self.hold and event is EventType.DECIDED else None
        c.execute(sa.insert(self.t.event).values(**its, **ids, not_before=held, traceparent=traces.current()))


def _told_of(state: State) -> State:
    """To the app a request that runs still waits."""
    return State.QUEUED if state is State.RUNNING else state


def _review_stands(member: AnyRow, request: RequestRecord) -> bool:
    """Whether a person must look because of an earlier request, whatever this one came to."""
    earlier = member.verified_request_id != request.request_id
    return bool(
        request.state is State.DONE
        and request.status is not Status.ERROR
        and earlier
        and member.verification_status == Status.REVIEW
    )
