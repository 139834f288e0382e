"""Undo: a reviewer takes back the last choice within a minute."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from pipeline.verdict import Reason, Status
from worker.errors import NotPossible
from worker.store.database import AnyRow, Database
from worker.store.members.members import existing_member
from worker.store.members.records import BY_PERSON
from worker.store.outbox.outcomes import Outcomes
from worker.store.reviews.cases import Cases
from worker.store.reviews.claims import locked_case, named
from worker.store.reviews.decisions import Decisions
from worker.store.reviews.records import Effect, LastChoice, ReviewRules, Undone
from worker.store.tables.states import Choice

_GONE_ON: Final = "gone_on"


class Undoing:
    """Restores the verdict before a decision, and opens its case again: new rows, and none goes."""

    def __init__(
        self, database: Database, cases: Cases, rules: ReviewRules, decisions: Decisions, outcomes: Outcomes
    ) -> None:
        self._db = database
        self._t = database.t
        self._cases = cases
        self._rules = rules
        self._decisions = decisions
        self._outcomes = outcomes

    def undo(self, reviewer: str, now: datetime) -> Undone:
        """Take back what this reviewer has said last. The case waits again, for anybody, as it did before.

        Raises NotPossible after a minute, and where somebody or something has gone on with it since.
        """
        return self._db.write(lambda c: self._undo(c, reviewer, now))

    def last_of(self, reviewer: str, now: datetime) -> LastChoice | None:
        """What this reviewer may still take back, so far as time is concerned."""
        vote, case = self._t.review_vote, self._t.review_case
        theirs = sa.select(vote, case.c.member_id, case.c.escalated_at).where(vote.c.voted_by == reviewer)
        newest = theirs.join(case, case.c.id == vote.c.case_id).order_by(vote.c.id.desc()).limit(1)
        row = self._db.read(lambda c: c.execute(newest).one_or_none())
        if row is None or row.choice == Choice.UNDO or row.voted_at + self._rules.undo_within < now:
            return None
        effect = Effect.ESCALATED if row.escalated_at == row.voted_at else Effect.WAITS
        if row.decision_id is not None:
            effect = Effect.DECIDED
        until = row.voted_at + self._rules.undo_within
        return LastChoice(Choice(row.choice), effect, row.member_id, row.request_id, until)

    def _undo(self, c: sa.Connection, reviewer: str, now: datetime) -> Undone:
        vote, case = self._t.review_vote, self._t.review_case
        its = sa.select(vote, case.c.member_id).join(case, case.c.id == vote.c.case_id)
        last = its.where(named(vote.c.voted_by, reviewer)).order_by(vote.c.id.desc()).limit(1)
        row = c.execute(last).one_or_none()
        if row is None or row.choice == Choice.UNDO:
            raise NotPossible(f"{reviewer} has decided nothing that could be undone", "nothing_to_undo")
        if row.voted_at + self._rules.undo_within < now:
            seconds = f"{self._rules.undo_within.total_seconds():.0f} seconds"
            text = f"after {seconds} nothing is undone: `review reopen {row.member_id}`"
            raise NotPossible(text, "undo_late")
        member = existing_member(c, self._db, row.member_id)
        self._check_last(c, row, locked_case(c, self._t, row.case_id))
        if row.decision_id is not None:
            self._restore(c, member, row, reviewer, now)
        self._reopen(c, row, locked_case(c, self._t, row.case_id))
        names = ("case_id", "request_id", "round", "voted_by", "claimed_at")
        undo = {**{name: getattr(row, name) for name in names}, "choice": Choice.UNDO, "voted_at": now}
        c.execute(sa.insert(vote).values(**undo))
        m = self._t.member
        query = sa.select(m.c.verification_status, m.c.reason).where(m.c.member_id == row.member_id)
        status, reason = c.execute(query).one()
        stands = status and Status(status), reason and Reason(reason)
        return Undone(row.member_id, Choice(row.choice), *stands)

    def _check_last(self, c: sa.Connection, row: AnyRow, case: AnyRow) -> None:
        vote = self._t.review_vote
        newest = c.scalar(sa.select(sa.func.max(vote.c.id)).where(vote.c.case_id == case.id))
        if newest != row.id or case.round != row.round:
            raise NotPossible(f"the case of {row.member_id} has gone on since: it cannot be undone", _GONE_ON)
        other = self._cases.open_of(c, row.member_id)
        if other is not None and other.id != case.id:
            raise NotPossible(f"{row.member_id} has another case since: it cannot be undone", _GONE_ON)

    def _restore(self, c: sa.Connection, member: AnyRow, row: AnyRow, by: str, now: datetime) -> None:
        d = self._t.decision
        decision = c.execute(sa.select(d).where(d.c.id == row.decision_id)).one()
        still = (member.request_id, member.verified_request_id, member.verification_status)
        if still != (decision.request_id, decision.request_id, decision.status):
            raise NotPossible(f"{row.member_id} has sent something since: it cannot be undone", _GONE_ON)
        undone = {
            "request_id": decision.request_id,
            "status": decision.previous_status,
            "previous_status": decision.status,
            "previous_reason": BY_PERSON[Status(decision.status)],
            "previous_request_id": decision.request_id,
            "previous_at": decision.decided_at,
            "decided_by": by,
            "decided_at": now,
            "case_id": row.case_id,
            "undoes": decision.id,
        }
        self._decisions.insert_decision(c, undone)
        result = {
            "verification_status": decision.previous_status,
            "reason": decision.previous_reason,
            "verified_at": decision.previous_at,
            "verified_request_id": decision.previous_request_id,
        }
        self._decisions.write_verdict(c, row.member_id, result, now)
        self._outcomes.undone(c, decision.request_id, now)

    def _reopen(self, c: sa.Connection, row: AnyRow, case: AnyRow) -> None:
        """Votes of this round count no more, or whoever takes it back could not decide it anew."""
        values: dict[str, Any] = {"unfinished": True, "closed_at": None, "round": case.round + 1}
        if case.escalated_at == row.voted_at:
            values |= {"escalated_at": None, "escalated_by": None}
        if case.unfinished:
            self._cases.update(c, case, **values)
        else:
            self._cases.release(c, case, **values)
