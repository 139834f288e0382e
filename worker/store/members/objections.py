"""Objections: members who want a person to look, until one has decided.

The answer to an objection is the decision about its case. Nothing of it is written twice: what is undone
waits again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from pipeline.verdict import Status
from worker.client.identifiers import is_identifier
from worker.errors import MemberForgotten, NotPossible, ObjectionRefused
from worker.store.database import AnyRow, Database
from worker.store.members.tombstones import Tombstones
from worker.store.reviews.cases import PRIORITIES, Cases
from worker.store.reviews.claims import check_account, check_name, check_not_suspended, is_suspended
from worker.store.reviews.records import (
    NewObjection,
    Objection,
    ObjectionCounts,
    ReviewRules,
    WaitingObjection,
)
from worker.store.tables.people import is_undone, is_waiting
from worker.store.tables.states import Cause, ObjectionWay, State

UNKNOWN_MEMBER: Final = "unknown_member"
NO_REQUEST: Final = "no_request"
OBJECTION_CONFLICT: Final = "objection_conflict"


class Objections:
    """Writes them down, and says which wait for an answer."""

    def __init__(self, database: Database, tombstones: Tombstones, cases: Cases, rules: ReviewRules) -> None:
        self._db = database
        self._t = database.t
        self._tombstones = tombstones
        self._cases = cases
        self._rules = rules

    def record(self, new: NewObjection, now: datetime) -> bool:
        """Write an objection down: the member's case comes first, once the newest request has ended.

        False where the same message came before. A message while another one waits is written down beside
        it; a person is told of that one instead (NotPossible). Raises ObjectionRefused where nobody could
        decide, CaseSuspended and MemberForgotten.
        """
        if new.by is not None:
            check_name(new.by)
            check_account(new.by, new.member_id)
        return self._db.write(lambda c: self._record(c, new, now))

    def _record(self, c: sa.Connection, new: NewObjection, now: datetime) -> bool:
        o = self._t.objection
        member = self._objecting(c, new.member_id)
        if new.objection_id is not None:
            known = c.scalar(sa.select(o.c.member_id).where(o.c.objection_id == new.objection_id))
            if known is not None and known != new.member_id:
                raise ObjectionRefused(OBJECTION_CONFLICT, "its ID was used for another member's objection")
            if known is not None:
                return False
        waiting = self._waiting(c, new.member_id)
        if waiting is not None and new.by is not None:
            raise NotPossible(_already(new.member_id, waiting))
        received = min(new.received_at, now)
        due_at = received + self._rules.answer_within
        row = {
            "objection_id": new.objection_id,
            "member_id": new.member_id,
            "way": ObjectionWay.MESSAGE if new.by is None else ObjectionWay.OPERATOR,
            "received_at": received,
            "due_at": due_at,
            "recorded_at": now,
            "recorded_by": new.by,
            "against": self._standing_decision(c, new.member_id) if waiting is None else waiting.against,
        }
        case_id = waiting.case_id if waiting else self._case(c, member, due_at, now)
        c.execute(sa.insert(o).values(**row, case_id=case_id))
        return True

    def _objecting(self, c: sa.Connection, member_id: str) -> AnyRow:
        """The member, locked. Raises MemberForgotten, CaseSuspended and ObjectionRefused."""
        member = self._db.lock_member(c, member_id) if is_identifier(member_id) else None
        if self._tombstones.among(c, [member_id]):
            raise MemberForgotten(f"{member_id} was forgotten: there is nothing left to decide")
        if member is None:
            raise ObjectionRefused(UNKNOWN_MEMBER, f"no member {member_id}")
        check_not_suspended(member, self._db.lock_request(c, member.request_id or ""))
        if member.request_id is None:
            raise ObjectionRefused(NO_REQUEST, f"{member_id} has no request yet: there is nothing to decide")
        return member

    def _waiting(self, c: sa.Connection, member_id: str) -> AnyRow | None:
        """The member's first objection that waits for its answer."""
        o, case = self._t.objection, self._t.review_case
        waits = sa.or_(o.c.case_id.is_(None), is_waiting(case))
        query = (
            sa.select(o).outerjoin(case, case.c.id == o.c.case_id).where(o.c.member_id == member_id, waits)
        )
        return c.execute(query.order_by(o.c.due_at).limit(1)).one_or_none()

    def _standing_decision(self, c: sa.Connection, member_id: str) -> int | None:
        """The last one by a person about the member that was not taken back."""
        v, d = self._t.verification, self._t.decision
        query = sa.select(sa.func.max(d.c.id)).join(v, v.c.request_id == d.c.request_id)
        number: int | None = c.scalar(query.where(v.c.member_id == member_id, ~is_undone(d)))
        return number

    def _case(self, c: sa.Connection, member: AnyRow, due_at: datetime, now: datetime) -> int | None:
        """The number of the member's case; None while there is none and the newest request runs on."""
        case = self._cases.open_of(c, member.member_id)
        request = self._db.lock_request(c, member.request_id)
        if case is None and request is not None and not State(request.state).ended:
            return None
        return self._cases.put_first(c, member, case, due_at, now)

    def of_member(self, member_id: str) -> tuple[Objection, ...]:
        """With their answers, the latest first."""
        return self._db.read(lambda c: self.of_member_on(c, member_id))

    def of_member_on(self, c: sa.Connection, member_id: str) -> tuple[Objection, ...]:
        """The same, within the transaction of another."""
        o = self._t.objection
        query = sa.select(o).where(o.c.member_id == member_id).order_by(o.c.received_at.desc(), o.c.id.desc())
        return self._answered(c, c.execute(query).all())

    def _answered(self, c: sa.Connection, rows: Sequence[AnyRow]) -> tuple[Objection, ...]:
        d = self._t.decision
        its = d.c.case_id.in_([row.case_id for row in rows if row.case_id is not None])
        decisions = c.execute(sa.select(d).where(its, ~is_undone(d)).order_by(d.c.id)) if rows else ()
        answers = {row.case_id: row for row in decisions}
        return tuple(_objection(row, answers.get(row.case_id)) for row in rows)

    def waiting(self, now: datetime, limit: int = 50, *, after: int | None = None) -> list[WaitingObjection]:
        """Those without an answer, the nearest deadline first; none of the sandbox.

        ``after``: those that follow the objection of this number, which is passed over where it is not there.
        """
        return self._db.read(lambda c: self._waiting_page(c, now, limit, after))

    def _waiting_page(
        self, c: sa.Connection, now: datetime, limit: int, after: int | None
    ) -> list[WaitingObjection]:
        o, m, case = self._t.objection, self._t.member, self._t.review_case
        query = sa.select(o, is_suspended(self._t).label("suspended")).join(m, m.c.member_id == o.c.member_id)
        query = query.where(sa.not_(m.c.sandbox)).order_by(o.c.due_at, o.c.id).limit(limit)
        last = after and c.execute(sa.select(o.c.due_at, o.c.id).where(o.c.id == after)).one_or_none()
        if last:
            same = sa.and_(o.c.due_at == last.due_at, o.c.id > last.id)
            query = query.where(sa.or_(o.c.due_at > last.due_at, same))
        # Two queries, for each finds its own by an index.
        top = (is_waiting(case), case.c.priority == PRIORITIES[Cause.OBJECTION])
        opened = c.execute(query.join(case, case.c.id == o.c.case_id).where(*top)).all()
        to_come = c.execute(query.where(o.c.case_id.is_(None))).all()
        rows = sorted([*opened, *to_come], key=lambda row: (row.due_at, row.id))
        return [_waiting_objection(row, now, self._rules) for row in rows[:limit]]

    def counts(self, now: datetime) -> ObjectionCounts:
        """How many wait for an answer."""
        return self._db.read(lambda c: self.counts_on(c, now))

    def counts_on(self, c: sa.Connection, now: datetime) -> ObjectionCounts:
        """The same, within the transaction of another."""
        o, m, case = self._t.objection, self._t.member, self._t.review_case
        top = (is_waiting(case), case.c.priority == PRIORITIES[Cause.OBJECTION])
        opened = sa.select(o.c.member_id, o.c.due_at).join(case, case.c.id == o.c.case_id)
        to_come = sa.select(o.c.member_id, o.c.due_at).where(o.c.case_id.is_(None))
        both = sa.union_all(opened.where(*top), to_come).subquery()
        first = sa.select(sa.func.min(both.c.due_at), is_suspended(self._t).label("suspended"))
        query = first.join(m, m.c.member_id == both.c.member_id).where(sa.not_(m.c.sandbox))
        found = c.execute(query.group_by(m.c.member_id, m.c.verification_consent, m.c.request_id)).all()
        dues = [due for due, suspended in found if not suspended]
        late, soon = (sum(due <= moment for due in dues) for moment in (now, now + self._rules.alarm_before))
        return ObjectionCounts(len(found), soon - late, late)


def _objection(row: AnyRow, decision: AnyRow | None) -> Objection:
    answer: dict[str, Any] = dict.fromkeys(("answer", "answered_by", "answered_at"))
    if decision is not None:
        answer = {
            "answer": Status(decision.status),
            "answered_by": decision.decided_by,
            "answered_at": decision.decided_at,
        }
    way = ObjectionWay(row.way)
    return Objection(row.received_at, way, row.recorded_by, row.due_at, **answer)


def _waiting_objection(row: AnyRow, now: datetime, rules: ReviewRules) -> WaitingObjection:
    counts = not row.suspended
    return WaitingObjection(
        id=row.id,
        member_id=row.member_id,
        received_at=row.received_at,
        way=ObjectionWay(row.way),
        recorded_by=row.recorded_by,
        due_at=row.due_at,
        soon=counts and row.due_at <= now + rules.alarm_before,
        overdue=counts and row.due_at <= now,
        suspended=bool(row.suspended),
    )


def _already(member_id: str, waiting: AnyRow) -> str:
    by = "by message" if waiting.recorded_by is None else f"as {waiting.recorded_by} wrote down"
    since, until = f"{waiting.received_at:%Y-%m-%d}", f"{waiting.due_at:%Y-%m-%d}"
    return f"{member_id} has objected on {since} already ({by}), and gets an answer by {until}"
