"""Cases follow the members' verdicts, within the transactions of others."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from pipeline.decide import keyed_fraction
from pipeline.verdict import Reason, Status
from worker.store.database import AnyRow
from worker.store.reviews.records import ReviewRules
from worker.store.tables.people import is_waiting
from worker.store.tables.schema import Tables
from worker.store.tables.states import Cause

PRIORITIES: Final = {Cause.OBJECTION: 0}
ORDINARY: Final = 1
_CAUSES: Final = {Reason.MANY_RETRIES: Cause.RETRIES, Reason.MANUAL: Cause.MANUAL}
"""By the reason of the member's review; all others are verdicts."""
_ENDED_BY_PHOTOS: Final = frozenset({Cause.VERDICT, Cause.RETRIES})
_NOBODY: Final[dict[str, Any]] = dict.fromkeys(
    ("reviewer", "claimed_at", "lease_until", "looked_at", "looked_hash")
)


class Cases:
    """Opens, moves and closes them. The member's row must be locked."""

    def __init__(self, t: Tables, rules: ReviewRules) -> None:
        self._t = t
        self._rules = rules
        self._standing = _standing(t)

    def follow(self, c: sa.Connection, member_id: str, now: datetime) -> None:
        """The member's newest request has ended: the case is about that one, is new, or has ended with it.

        Only better photos end a case, and only one that the machine's doubt has opened. An objection that
        came while the request ran takes effect now.
        """
        o = self._t.objection
        member = c.execute(self._standing, {"key": member_id}).one()
        waits = member.verification_status == Status.REVIEW
        case = self.open_of(c, member_id) if member.is_open else None
        objects = member.objection_due is not None
        if case is not None and not (waits or objects) and case.cause in _ENDED_BY_PHOTOS:
            self.close(c, case, now)
            return
        if case is not None and case.request_id != member.request_id:
            self.update(c, case, request_id=member.request_id, round=case.round + 1, **_NOBODY)
        if objects:
            case_id = self.put_first(c, member, case, member.objection_due, now)
            update = sa.update(o).where(o.c.member_id == member_id, o.c.case_id.is_(None))
            c.execute(update.values(case_id=case_id))
        elif case is None and waits:
            self.open(c, member, _CAUSES.get(member.reason, Cause.VERDICT), now)

    def put_first(
        self, c: sa.Connection, member: AnyRow, case: AnyRow | None, due_at: datetime, now: datetime
    ) -> int:
        """The member's case, or a new one, comes first and ends by a decision only; its number."""
        if case is None:
            return self.open(c, member, Cause.OBJECTION, now, due_at=due_at)
        top = {"cause": Cause.OBJECTION, "priority": PRIORITIES[Cause.OBJECTION]}
        self.update(c, case, **top, due_at=min(case.due_at, due_at))
        return int(case.id)

    def open_of(self, c: sa.Connection, member_id: str) -> AnyRow | None:
        """The member's open case, locked."""
        case = self._t.review_case
        its = (case.c.member_id == member_id, is_waiting(case))
        return c.execute(sa.select(case).where(*its).with_for_update()).one_or_none()

    def open(
        self,
        c: sa.Connection,
        member: AnyRow,
        cause: Cause,
        now: datetime,
        by: str | None = None,
        *,
        due_at: datetime | None = None,
    ) -> int:
        """A new case about the member's newest request; the member must have no open one. Its number.

        ``due_at``: where it must be decided before others of its age.
        """
        ordinary = now + self._rules.due_after
        fraction = keyed_fraction(self._rules.key, "second review", member.request_id)
        row = {
            "member_id": member.member_id,
            "request_id": member.request_id,
            "sandbox": bool(member.sandbox),
            "cause": cause,
            "priority": PRIORITIES.get(cause, ORDINARY),
            "unfinished": True,
            "opened_at": now,
            "opened_by": by,
            "due_at": ordinary if due_at is None else min(ordinary, due_at),
            "second": fraction < self._rules.second_share and not member.sandbox,
            "round": 0,
            "attempts": 0,
        }
        return int(c.execute(sa.insert(self._t.review_case).values(**row)).lastrowid)

    def close(self, c: sa.Connection, case: AnyRow, now: datetime) -> None:
        """Nobody must decide any more."""
        self.update(c, case, unfinished=None, closed_at=now, **_NOBODY)

    def release(self, c: sa.Connection, case: AnyRow, **values: Any) -> None:
        """Nobody has the case any more."""
        self.update(c, case, **_NOBODY, **values)

    def update(self, c: sa.Connection, case: AnyRow, **values: Any) -> None:
        """Write these columns of a case that is locked."""
        table = self._t.review_case
        c.execute(sa.update(table).where(table.c.id == case.id).values(**values))


def _standing(t: Tables) -> sa.Select[Any]:
    """How a member stands, whether a case is open, and when a waiting objection is due; by the parameter
    ``key``."""
    m, o, case = t.member, t.objection, t.review_case
    due = sa.select(sa.func.min(o.c.due_at)).where(o.c.member_id == m.c.member_id, o.c.case_id.is_(None))
    is_open = sa.exists().where(case.c.member_id == m.c.member_id, is_waiting(case)).label("is_open")
    columns = (m.c.member_id, m.c.request_id, m.c.verification_status, m.c.reason, m.c.sandbox)
    query = sa.select(*columns, due.scalar_subquery().label("objection_due"), is_open)
    return query.where(m.c.member_id == sa.bindparam("key"))


def has_open_case(c: sa.Connection, t: Tables, member_id: str) -> bool:
    """Whether a person must still decide about the member."""
    query = sa.select(t.review_case.c.id).where(t.review_case.c.member_id == member_id)
    return c.execute(query.where(is_waiting(t.review_case))).first() is not None


def contents_hash(photos: Sequence[AnyRow]) -> str:
    """One hash over the files of a request, by position: what a reviewer has seen."""
    text = "\n".join(f"{photo.position} {photo.sha256 or '-'}" for photo in photos)
    return hashlib.sha256(text.encode()).hexdigest()
