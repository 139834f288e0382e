"""Decisions: what reviewers make of cases, and when it takes effect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from pipeline.verdict import Reason, Status
from worker.errors import NotPossible
from worker.results.reviewer_reasons import ReviewReason
from worker.store.database import AnyRow, Database
from worker.store.mapped import MappedMember
from worker.store.members.members import existing_member
from worker.store.members.records import BY_PERSON
from worker.store.outbox.outcomes import Outcomes
from worker.store.reviews.cases import Cases
from worker.store.reviews.claims import (
    HeldCase,
    answers_of,
    check_account,
    check_looked,
    check_name,
    check_not_suspended,
    check_other_person,
    has_answered,
    hold,
    same_person,
    seniors_of,
)
from worker.store.reviews.records import Claim, Effect, ReviewRules, Ruled
from worker.store.reviews.ruling import STATUSES, Ruling
from worker.store.tables.states import Cause, Choice, PairLabel, State
from worker.store.tables.views import decided

_OPPOSITE: Final = {
    (Choice.APPROVE, ReviewReason.SAME_PERSON): PairLabel.IMPOSTOR,
    (Choice.REJECT, ReviewReason.OTHER_PERSON): PairLabel.GENUINE,
}
_DECIDABLE: Final = frozenset({Status.APPROVED, Status.REVIEW, Status.RETRY_PHOTO, Status.REJECTED})


class Decisions:
    """Writes down what reviewers make of cases, and the members' verdicts that follow."""

    def __init__(
        self,
        database: Database,
        cases: Cases,
        rules: ReviewRules,
        mapped: MappedMember | None,
        outcomes: Outcomes,
    ) -> None:
        self._db = database
        self._t = database.t
        self._cases = cases
        self._rules = rules
        self._mapped = mapped
        self._outcomes = outcomes

    def decide(self, claim: Claim, ruling: Ruling, now: datetime) -> Ruled:
        """What a reviewer makes of a case: takes effect, waits for another person, or goes to others.

        Needs the claim, a look since, and blind answers about every photo. Member, request and case change
        together or not at all; what the machine said and found stays as it is. Raises CaseGone, ClaimLost,
        CaseChanged and NotPossible.
        """
        return self._db.write(lambda c: self._decide(c, claim, ruling, now))

    def _decide(self, c: sa.Connection, claim: Claim, ruling: Ruling, now: datetime) -> Ruled:
        held = hold(c, self._db, claim, now)
        check_looked(held)
        if self._rules.other_person:
            check_other_person(c, self._t, held.case, claim.reviewer)
        if not has_answered(c, self._t, held, claim.reviewer):
            text = f"the photos of {claim.member_id} come first: `review answer`"
            raise NotPossible(text, "answers_missing")
        _check_decidable(held, ruling)
        _check_agrees(answers_of(c, self._t, held, claim.reviewer), ruling)
        earlier = self._earlier(c, held.case, claim.reviewer)
        effect, decision = self._effect(held.case, ruling, earlier), None
        if ruling.choice is Choice.ESCALATE and self._is_at_the_top(c, held.case):
            raise NotPossible("the case was escalated already, to you: decide it", "escalated_to_you")
        if effect is Effect.DECIDED:
            decision = self._take_effect(c, held, ruling, claim.reviewer, now)
        self._note_vote(c, held, ruling, claim.reviewer, now=now, decision=decision)
        if effect is Effect.ESCALATED:
            self._cases.release(c, held.case, escalated_at=now, escalated_by=claim.reviewer)
        elif effect is Effect.WAITS:
            self._cases.release(c, held.case)
        was = _standing(held)
        status = STATUSES[ruling.choice] if effect is Effect.DECIDED else was
        return Ruled(
            claim.member_id,
            claim.request_id,
            ruling.choice,
            effect,
            status,
            was,
            held.member.reason and Reason(held.member.reason),
        )

    def _is_at_the_top(self, c: sa.Connection, case: AnyRow) -> bool:
        return case.escalated_at is not None and bool(seniors_of(c, self._t, self._rules))

    def _earlier(self, c: sa.Connection, case: AnyRow, reviewer: str) -> list[AnyRow]:
        """What others have voted in this round."""
        vote = self._t.review_vote
        its = (vote.c.case_id == case.id, vote.c.round == case.round, vote.c.choice.in_([*STATUSES]))
        rows = c.execute(sa.select(vote).where(*its).order_by(vote.c.id)).all()
        return [row for row in rows if not same_person(row.voted_by, reviewer)]

    def _effect(self, case: AnyRow, ruling: Ruling, earlier: Sequence[AnyRow]) -> Effect:
        """Whoever an escalated case went to decides it alone: two people have seen it by then."""
        if ruling.choice is Choice.ESCALATE:
            return Effect.ESCALATED
        if case.escalated_at is not None:
            return Effect.DECIDED
        if earlier:
            return Effect.DECIDED if earlier[-1].choice == ruling.choice else Effect.ESCALATED
        four_eyes = ruling.choice is Choice.REJECT and self._rules.rejection_votes > 1
        return Effect.WAITS if case.second or four_eyes else Effect.DECIDED

    def _take_effect(
        self, c: sa.Connection, held: HeldCase, ruling: Ruling, reviewer: str, now: datetime
    ) -> int:
        """The decision's number. The case is closed then."""
        member, status = held.member, STATUSES[ruling.choice]
        row = {
            "request_id": held.request.request_id,
            "status": status,
            "previous_status": _standing(held),
            "previous_reason": member.reason,
            "previous_request_id": member.verified_request_id,
            "previous_at": member.verified_at,
            "decided_by": reviewer,
            "decided_at": now,
            "case_id": held.case.id,
            "code": ruling.code,
            "photo": ruling.photo,
            "note": ruling.note,
        }
        number = self.insert_decision(c, row)
        result = {
            "verification_status": status,
            "reason": BY_PERSON[status],
            "verified_at": now,
            "verified_request_id": held.request.request_id,
        }
        self.write_verdict(c, member.member_id, result, now)
        self._cases.close(c, held.case, now)
        self._outcomes.decided(c, held.request.request_id, now)
        return number

    def insert_decision(self, c: sa.Connection, row: Mapping[str, Any]) -> int:
        """A row of `decision`; its number."""
        done = c.execute(sa.insert(self._t.decision).values(**row))
        return int(done.lastrowid)

    def write_verdict(
        self, c: sa.Connection, member_id: str, result: Mapping[str, Any], now: datetime
    ) -> None:
        """Into the member's row, ours and the app's; our accounts let through only what was decided."""
        m = decided(c, self._t.member)
        c.execute(sa.update(m).where(m.c.member_id == member_id).values(updated_at=now, **result))
        if self._mapped is not None:
            self._mapped.write(c, member_id, dict(result))

    def _note_vote(
        self,
        c: sa.Connection,
        held: HeldCase,
        ruling: Ruling,
        reviewer: str,
        *,
        now: datetime,
        decision: int | None,
    ) -> None:
        row = {
            "case_id": held.case.id,
            "request_id": held.request.request_id,
            "round": held.case.round,
            "choice": ruling.choice,
            "code": ruling.code,
            "photo": ruling.photo,
            "note": ruling.note,
            "voted_by": reviewer,
            "claimed_at": held.case.claimed_at,
            "voted_at": now,
            "decision_id": decision,
        }
        c.execute(sa.insert(self._t.review_vote).values(**row))

    def reopen(self, member_id: str, by: str, now: datetime) -> None:
        """Open a case about a member's newest request, so that what was decided is looked at again.

        Raises NotPossible.
        """
        return self._db.write(lambda c: self._reopen(c, member_id, by, now))

    def _reopen(self, c: sa.Connection, member_id: str, by: str, now: datetime) -> None:
        check_name(by)
        check_account(by, member_id)
        member = existing_member(c, self._db, member_id)
        request = self._db.lock_request(c, member.request_id or "")
        check_not_suspended(member, request)
        if request is None:
            raise NotPossible(f"{member_id} has no request yet: there is nothing to decide")
        if not _is_judged(request):
            raise NotPossible(f"the newest request {_stands(request)}: nothing to decide")
        if self._cases.open_of(c, member_id) is not None:
            raise NotPossible(f"there is an open case of {member_id} already: it comes with `review next`")
        self._cases.open(c, member, Cause.CORRECTION, now, by)


def _standing(held: HeldCase) -> Status:
    return Status(held.member.verification_status or held.request.status)


def _check_decidable(held: HeldCase, ruling: Ruling) -> None:
    photos = [photo.position for photo in held.photos]
    if ruling.photo is not None and photos and ruling.photo not in photos:
        text = f"no photo {ruling.photo}: there are {photos[0]} to {photos[-1]}"
        raise NotPossible(text, "no_such_photo")
    # Photos that could not be fetched cannot be approved; but failing links must not end a review.
    if ruling.choice is not Choice.APPROVE:
        return
    if not _is_judged(held.request):
        raise NotPossible(f"the newest request {_stands(held.request)}: it cannot be approved", "not_judged")
    if held.request.reason == Reason.MANUAL and not held.case.sandbox and not _was_fetched(held):
        text = "the selfie, or every photo, could not be fetched: it cannot be approved"
        raise NotPossible(text, "not_fetched")


def _check_agrees(answers: Mapping[int, PairLabel], ruling: Ruling) -> None:
    """A decision may not say the opposite of what the same person has answered about every photo."""
    against = _OPPOSITE.get((ruling.choice, ruling.code))
    if answers and {*answers.values()} == {against}:
        raise NotPossible(
            f"you have answered the opposite of {ruling.code} for every photo: correct the answers "
            "(`review answer`), or give another reason",
            "opposite",
        )


def _was_fetched(held: HeldCase) -> bool:
    """Whether there was a photo to compare with the selfie."""
    return bool(held.to_answer) and held.photos[0].sha256 is not None


def _is_judged(request: AnyRow) -> bool:
    return request.state == State.DONE and request.status in _DECIDABLE


def _stands(request: AnyRow) -> str:
    return f"is {request.state} ({request.status or 'no verdict'})"
