"""The open cases as a list: in the queue's order, a page at a time, and how many there are.

Whoever reviews sees nothing here of what opened a case. That is asked for apart, by `causes_on`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa

from pipeline.verdict import Reason
from worker.errors import NotPossible
from worker.store.counts.backlog import open_cases_on
from worker.store.database import AnyRow
from worker.store.leases import is_free, is_leased
from worker.store.reviews.cases import ORDINARY, PRIORITIES
from worker.store.reviews.claims import is_suspended
from worker.store.reviews.records import CaseList, ListedCase, ObjectionCounts
from worker.store.tables.people import is_waiting
from worker.store.tables.schema import Tables
from worker.store.tables.states import Cause


class CaseState(StrEnum):
    """Where an open case stands; it may stand at several of these."""

    WAITING = "waiting"
    """Somebody may take it."""
    TAKEN = "taken"
    ESCALATED = "escalated"
    OVERDUE = "overdue"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFilter:
    """Which open cases are listed: those to which all of this applies."""

    state: CaseState | None = None
    cause: Cause | None = None
    opened_from: datetime | None = None
    opened_before: datetime | None = None


EVERYTHING: Final = CaseFilter()


@dataclass(frozen=True, slots=True)
class Standing:
    """A state as conditions: on the case alone, and on whether it is suspended, where that matters."""

    by_case: tuple[sa.ColumnElement[bool], ...] = ()
    suspended: bool | None = None

    def conditions(self, t: Tables) -> Iterator[sa.ColumnElement[bool]]:
        """All of them, for a query that has the member."""
        yield from self.by_case
        if self.suspended is not None:
            yield is_suspended(t) if self.suspended else ~is_suspended(t)


@dataclass(frozen=True, slots=True)
class WhyOpen:
    """What opened a case. Not for whoever reviews."""

    cause: Cause
    reason: Reason | None
    """Of the member's verdict."""


def page_on(
    c: sa.Connection,
    t: Tables,
    now: datetime,
    objections: ObjectionCounts,
    *,
    limit: int,
    after: int | None,
    sandbox: bool,
    only: CaseFilter,
) -> CaseList:
    """Within the transaction of another. Raises NotPossible where there was never a case ``after``."""
    case, m = t.review_case, t.member
    order = (case.c.priority, case.c.due_at, case.c.id)
    state = _standing(t, only.state, now)
    which = (is_waiting(case), case.c.sandbox == sandbox, *_conditions(case, only))
    query = sa.select(case, is_suspended(t).label("suspended"))
    query = query.join(m, m.c.member_id == case.c.member_id).where(*which, *state.conditions(t))
    query = query.order_by(*order).limit(limit + 1)
    if after is not None:
        last = c.execute(sa.select(*order).where(case.c.id == after)).one_or_none()
        if last is None:
            raise NotPossible(f"there is no case {after}: begin with the first page", "no_such_case")
        query = query.where(_is_after(case, last))
    rows = c.execute(query).all()
    counts = open_cases_on(c, t, now, sandbox=sandbox)
    return CaseList(
        **asdict(counts),
        objections=objections,
        matching=counts.open if only == EVERYTHING else _number(c, t, which, state),
        cases=tuple(_listed(row, now) for row in rows[:limit]),
        after=rows[limit - 1].id if len(rows) > limit else None,
    )


def causes_on(c: sa.Connection, t: Tables, case_ids: Collection[int]) -> Mapping[int, WhyOpen]:
    """What opened these cases, by their numbers."""
    case, m = t.review_case, t.member
    query = sa.select(case.c.id, case.c.cause, m.c.reason).join(m, m.c.member_id == case.c.member_id)
    rows = c.execute(query.where(case.c.id.in_(case_ids)))
    return {row.id: WhyOpen(Cause(row.cause), row.reason and Reason(row.reason)) for row in rows}


def _number(c: sa.Connection, t: Tables, which: Sequence[sa.ColumnElement[bool]], state: Standing) -> int:
    """How many in all. What is suspended is found by the members who have withdrawn consent: they are few,
    and no other member is read."""
    case, m = t.review_case, t.member
    query = sa.select(sa.func.count()).select_from(case).where(*which, *state.by_case)
    suspended = query.join(m, m.c.member_id == case.c.member_id).where(is_suspended(t))
    if state.suspended is None:
        return c.scalar(query) or 0
    only_these = c.scalar(suspended) or 0
    return only_these if state.suspended else (c.scalar(query) or 0) - only_these


def _conditions(case: sa.Table, only: CaseFilter) -> Iterator[sa.ColumnElement[bool]]:
    if only.cause is not None:
        yield case.c.cause == only.cause
        yield case.c.priority == PRIORITIES.get(only.cause, ORDINARY)  # the index has it
    if only.opened_from is not None:
        yield case.c.opened_at >= only.opened_from
    if only.opened_before is not None:
        yield case.c.opened_at < only.opened_before


def _standing(t: Tables, state: CaseState | None, now: datetime) -> Standing:
    case = t.review_case
    if state is None:
        return Standing()
    return {
        CaseState.WAITING: Standing((is_free(case, now),), suspended=False),
        CaseState.TAKEN: Standing((case.c.lease_until > now,)),
        CaseState.ESCALATED: Standing((case.c.escalated_at.is_not(None),)),
        CaseState.OVERDUE: Standing((case.c.due_at <= now,), suspended=False),
        CaseState.SUSPENDED: Standing(suspended=True),
    }[state]


def _is_after(case: sa.Table, last: AnyRow) -> sa.ColumnElement[bool]:
    """In the queue's order."""
    same_priority = case.c.priority == last.priority
    same_time = sa.and_(same_priority, case.c.due_at == last.due_at)
    return sa.or_(
        case.c.priority > last.priority,
        sa.and_(same_priority, case.c.due_at > last.due_at),
        sa.and_(same_time, case.c.id > last.id),
    )


def _listed(row: Any, now: datetime) -> ListedCase:
    return ListedCase(
        case_id=row.id,
        member_id=row.member_id,
        opened_at=row.opened_at,
        due_at=row.due_at,
        overdue=row.due_at <= now and not row.suspended,
        escalated=row.escalated_at is not None,
        suspended=bool(row.suspended),
        reviewer=row.reviewer if is_leased(row, now) else None,
    )
