"""Who has a case: checked under the locks of member and case, in the transactions of others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from pipeline.verdict import Reason
from worker.errors import CaseChanged, CaseGone, CaseSuspended, ClaimLost, NotPossible
from worker.jobs.links import urls_of
from worker.store.database import AnyRow, Database
from worker.store.leases import is_leased
from worker.store.reviews.cases import contents_hash
from worker.store.reviews.records import Claim, ReviewRules
from worker.store.staff.roles import checkers
from worker.store.tables.schema import Tables
from worker.store.tables.states import Cause, PairLabel, Phase, State

NAME_LENGTH: Final = 255


@dataclass(frozen=True, slots=True)
class HeldCase:
    """A case whose claim holds, with what it is about; all locked."""

    member: AnyRow
    case: AnyRow
    request: AnyRow
    photos: Sequence[AnyRow]
    """Rows of `verification_photo`, the selfie's first."""

    @property
    def to_answer(self) -> list[int]:
        """Positions of the photos that a person can answer: whose file is known. The sandbox has none."""
        asked = 0 if self.case.sandbox else len(urls_of(self.request.message))
        return [photo.position for photo in self.photos if 0 < photo.position < asked and photo.sha256]


def hold(c: sa.Connection, database: Database, claim: Claim, now: datetime) -> HeldCase:
    """The case of a claim. Raises CaseGone, CaseSuspended, ClaimLost, CaseChanged, NotPossible."""
    t = database.t
    member = database.lock_member(c, claim.member_id)
    if member is None:
        raise CaseGone(f"there is no member {claim.member_id} any more: nothing is left to decide")
    case = locked_case(c, t, claim.case_id)
    request = database.lock_request(c, member.request_id or "")
    if case.unfinished:
        check_not_suspended(member, request)
    check_claim(case, claim, now)
    check_account(claim.reviewer, claim.member_id)
    if request is None or member.request_id != claim.request_id or not State(request.state).ended:
        state = "none" if request is None else f"{request.request_id}, which is {request.state}"
        raise CaseChanged(f"{claim.member_id} has sent something since: the newest request is {state}")
    vp = t.verification_photo
    photos = c.execute(sa.select(vp).where(vp.c.request_id == claim.request_id).order_by(vp.c.position)).all()
    return HeldCase(member, case, request, photos)


def locked_case(c: sa.Connection, t: Tables, case_id: int) -> AnyRow:
    """The row of a case. The member's must have been locked before. Raises CaseGone."""
    row = c.execute(sa.select(t.review_case).where(t.review_case.c.id == case_id).with_for_update())
    if (case := row.one_or_none()) is None:
        raise CaseGone("there is no such case any more: the member was erased")
    return case


def check_claim(case: AnyRow, claim: Claim, now: datetime) -> None:
    """Raises CaseGone and ClaimLost, which say who has it."""
    about = f"the case of {case.member_id}"
    if not case.unfinished:
        raise CaseGone(f"{about} is closed: it was decided, or better photos have ended it")
    if case.attempts != claim.attempt or not same_person(case.reviewer or "", claim.reviewer):
        if case.reviewer is not None and is_leased(case, now):
            raise ClaimLost(f"{case.reviewer} has {about}, until {_clock(case.lease_until)}", case.reviewer)
        raise ClaimLost(f"nobody has {about} now, and it is not yours any more: `review next`", None)
    if not is_leased(case, now):
        ended = f"your claim of {about} ran out at {_clock(case.lease_until)}"
        raise ClaimLost(f"{ended}: `review next` renews it, if nobody else has it by then", None)


def is_suspended(t: Tables) -> sa.ColumnElement[bool]:
    """Whether nobody decides a case, in a query that has its member: consent to verification is withdrawn.

    Such a case keeps its place in the queue, its answers and its votes: nothing must be opened again. A case
    about photos that the machine has not judged goes on.
    """
    m, v = t.member, t.verification
    manual = sa.exists().where(v.c.request_id == m.c.request_id, v.c.reason == Reason.MANUAL)
    return sa.and_(sa.not_(m.c.verification_consent), ~manual)


def check_not_suspended(member: AnyRow, request: AnyRow | None) -> None:
    """The same, with the member's newest request. Raises CaseSuspended."""
    manual = request is not None and request.reason == Reason.MANUAL
    if not member.verification_consent and not manual:
        text = f"{member.member_id} has withdrawn consent to verification"
        raise CaseSuspended(f"{text}: nobody decides until it is given again")


def check_account(reviewer: str, member_id: str) -> None:
    """Nobody decides about themselves. Raises NotPossible."""
    if same_person(reviewer, member_id):
        text = f"{reviewer} is the member's own account: somebody else must decide"
        raise NotPossible(text, "own_account")


def check_other_person(c: sa.Connection, t: Tables, case: AnyRow, reviewer: str) -> None:
    """An objection is not for whoever made the decision that it is against. Raises NotPossible."""
    if case.cause == Cause.OBJECTION and c.scalar(objections_to(t, reviewer, case.id)):
        text = f"{case.member_id} objects to what you decided: somebody else must decide now"
        raise NotPossible(text, "objects_to_yours")


def objections_to(t: Tables, reviewer: str, case_id: sa.ColumnElement[int] | int) -> sa.Select[int]:
    """How many objections of a case are to a decision of this person's, or to one that this person voted for.

    Counted, for MariaDB may answer an EXISTS by reading all objections and votes.
    """
    o, d, vote = t.objection, t.decision, t.review_vote
    theirs = (vote.c.case_id == d.c.case_id, named(vote.c.voted_by, reviewer))
    voted = sa.select(sa.func.count()).where(*theirs).correlate(d).scalar_subquery() > 0
    query = sa.select(sa.func.count()).select_from(o).join(d, d.c.id == o.c.against)
    return query.where(o.c.case_id == case_id, sa.or_(named(d.c.decided_by, reviewer), voted))


def seniors_of(c: sa.Connection, t: Tables, rules: ReviewRules) -> frozenset[str]:
    """Who escalated cases go to, in small letters: the setting's names, and the checkers of the console."""
    return frozenset(name.lower() for name in rules.seniors) | checkers(c, t.staff)


def check_name(reviewer: str) -> None:
    """Raises NotPossible where the name cannot be kept and found again."""
    if not 0 < len(reviewer) <= NAME_LENGTH or not reviewer.isprintable():
        raise NotPossible(f"a reviewer's name has 1 to {NAME_LENGTH} characters that can be printed")


def check_looked(held: HeldCase) -> None:
    """Raises NotPossible before a look, CaseChanged where other photos were seen."""
    if held.case.looked_at is None:
        text = f"nobody has looked at {held.member.member_id} since the claim: `review show`"
        raise NotPossible(text, "not_looked")
    if held.case.looked_hash != contents_hash(held.photos):
        raise CaseChanged(f"the photos of {held.member.member_id} are others than you saw: `review show`")


def answers_of(
    c: sa.Connection, t: Tables, held: HeldCase, reviewer: str, *phases: Phase
) -> dict[int, PairLabel]:
    """What this reviewer has answered about these very files, by position; the latest counts."""
    label, files = t.label, {photo.position: photo.sha256 for photo in held.photos}
    its = (label.c.case_id == held.case.id, label.c.request_id == held.case.request_id)
    query = sa.select(label.c.position, label.c.label, label.c.sha256).where(*its)
    query = query.where(named(label.c.labelled_by, reviewer), label.c.phase.in_(phases or list(Phase)))
    rows = c.execute(query.order_by(label.c.id))
    return {row.position: PairLabel(row.label) for row in rows if files.get(row.position) == row.sha256}


def has_answered(c: sa.Connection, t: Tables, held: HeldCase, reviewer: str) -> bool:
    """Whether this reviewer has said something of every photo, blind."""
    return not set(held.to_answer) - answers_of(c, t, held, reviewer, Phase.BLIND).keys()


def named(column: sa.ColumnElement[str], name: str) -> sa.ColumnElement[bool]:
    """Whether a column names this person: `Lee` and `lee` are one."""
    return sa.func.lower(column) == name.lower()


def not_about(case: sa.Table, reviewer: str) -> sa.ColumnElement[bool]:
    """Whether a case is not about the reviewer: MariaDB compares an ID with no name beyond ASCII."""
    return ~named(case.c.member_id, reviewer) if reviewer.isascii() else sa.true()


def same_person(one: str, other: str) -> bool:
    """The same of two names."""
    return one.lower() == other.lower()


def _clock(moment: datetime) -> str:
    return f"{moment:%H:%M:%S} UTC"
