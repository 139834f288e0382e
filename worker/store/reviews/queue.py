"""The queue of open cases: who gets which, and what a reviewer sees of it.

Whatever opened a case, the same statements run and the same is shown until the photos are answered.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from pipeline.verdict import Reason
from worker.client.identifiers import is_identifier
from worker.errors import CaseGone, NotPossible
from worker.jobs.links import current_links, urls_of
from worker.results.reviewer_reasons import ReviewReason
from worker.store.access.log import AccessLog
from worker.store.counts.backlog import OpenCases, open_cases_on
from worker.store.counts.open_cases import EVERYTHING, CaseFilter, WhyOpen, causes_on, page_on
from worker.store.database import AnyRow, Database
from worker.store.leases import is_free, is_leased, update_leased
from worker.store.members.galleries import Galleries
from worker.store.members.objections import Objections
from worker.store.members.records import Access
from worker.store.requests.reading import read_requests
from worker.store.requests.records import RequestRecord
from worker.store.requests.tries import Tries
from worker.store.reviews.cases import Cases, contents_hash, has_open_case
from worker.store.reviews.claims import (
    HeldCase,
    answers_of,
    check_name,
    has_answered,
    hold,
    is_suspended,
    named,
    not_about,
    objections_to,
    same_person,
    seniors_of,
)
from worker.store.reviews.records import (
    CaseList,
    CasePhoto,
    CaseView,
    Claim,
    EarlierVote,
    Evidence,
    ReviewRules,
)
from worker.store.tables.people import is_waiting
from worker.store.tables.states import Cause, Choice, State

_CANDIDATES: Final = 20
"""Cases that are tried, one after the other: the others have been taken at this very moment."""
_TRIES: Final = 5
_EARLIER: Final = 10
"""Requests of the member that are shown with the evidence."""


class ReviewQueue:
    """Hands out cases and shows them."""

    def __init__(
        self,
        database: Database,
        cases: Cases,
        rules: ReviewRules,
        *,
        accesses: AccessLog,
        tries: Tries,
        objections: Objections,
    ) -> None:
        self._db = database
        self._t = database.t
        self._cases = cases
        self._rules = rules
        self._accesses = accesses
        self._tries = tries
        self._objections = objections
        self._galleries = Galleries(database.t)

    def claim_next(
        self, reviewer: str, now: datetime, *, sandbox: bool = False, member_id: str | None = None
    ) -> Claim | None:
        """The reviewer's own case if there is one, else the next; None where nothing waits for this person.

        Of the ``sandbox``, where tests may name a ``member_id``, or of real members: of those nobody picks.

        Order: priority, then when it is due. Left out are cases that this person has voted on, is the member
        of, or has escalated; objections to what this person has decided; cases that go to named people; and
        members whose newest request is under way, or who have withdrawn consent to verification.
        """
        check_name(reviewer)
        case = self._t.review_case
        which = case.c.sandbox == sandbox
        if sandbox and member_id is not None:
            if not is_identifier(member_id):
                return None
            which = sa.and_(which, case.c.member_id == member_id)
        for _ in range(_TRIES):
            tried, claim = self._db.write(lambda c: self._claim_next(c, reviewer, now, which))
            if claim is not None or not tried:
                return claim
        return None

    def _claim_next(
        self, c: sa.Connection, reviewer: str, now: datetime, which: sa.ColumnElement[bool]
    ) -> tuple[Sequence[int], Claim | None]:
        case = self._t.review_case
        seniors = seniors_of(c, self._t, self._rules)
        claimable = self._claimable(reviewer, seniors).where(which)
        own = sa.and_(case.c.reviewer.is_not(None), named(case.c.reviewer, reviewer))
        ids = c.scalars(claimable.where(own).limit(1)).all()
        ids = ids or c.scalars(claimable.where(is_free(case, now)).limit(_CANDIDATES)).all()
        for case_id in ids:
            its = (case.c.id == case_id, is_waiting(case), sa.or_(own, is_free(case, now)))
            found = c.execute(sa.select(case).where(*its).with_for_update(skip_locked=True)).one_or_none()
            if found is not None:
                self._give_back_others(c, found, reviewer)
                return ids, self._take(c, found, reviewer, now)
        return ids, None

    def _give_back_others(self, c: sa.Connection, taken: AnyRow, reviewer: str) -> None:
        """A person has one case: one that was suspended, or whose member sent something, is anybody's again.

        Else what is answered next could be said of a case that was not shown.
        """
        case = self._t.review_case
        theirs = sa.and_(case.c.reviewer.is_not(None), named(case.c.reviewer, reviewer))
        its = (is_waiting(case), theirs, case.c.id != taken.id)
        others = c.scalars(sa.select(case.c.id).where(*its)).all()
        for case_id in others:  # by its number: looking for the name would lock every case that is open
            one = sa.select(case).where(case.c.id == case_id, *its).with_for_update(skip_locked=True)
            if (row := c.execute(one).one_or_none()) is not None:
                self._cases.release(c, row)

    def _claimable(self, reviewer: str, seniors: Collection[str]) -> sa.Select[Any]:
        """IDs of the cases that this person may have, in their order."""
        case, m, vote = self._t.review_case, self._t.member, self._t.review_vote
        ended = m.c.requested_state.in_([State.DONE, State.DEAD])
        theirs = (vote.c.case_id == case.c.id, vote.c.round == case.c.round, named(vote.c.voted_by, reviewer))
        # Counted, for MariaDB may answer an EXISTS by reading all votes of all cases.
        voted = sa.select(sa.func.count()).where(*theirs).correlate(case).scalar_subquery() > 0
        escalated, open_to_all = case.c.escalated_at.is_not(None), case.c.escalated_at.is_(None)
        if reviewer.lower() in seniors:
            may = sa.or_(sa.and_(escalated, self._all_voted(seniors)), ~voted)
        elif seniors:
            may = sa.and_(open_to_all, ~voted)
        else:
            others = ~named(sa.func.coalesce(case.c.escalated_by, ""), reviewer)
            may = sa.and_(sa.or_(open_to_all, others), ~voted)
        if self._rules.other_person:
            against = objections_to(self._t, reviewer, case.c.id).correlate(case).scalar_subquery()
            may = sa.and_(may, against == 0)
        return (
            sa.select(case.c.id)
            .join(m, m.c.member_id == case.c.member_id)
            .where(is_waiting(case), m.c.request_id == case.c.request_id, ended, may)
            .where(not_about(case, reviewer), ~is_suspended(self._t))
            .order_by(case.c.priority, case.c.due_at, case.c.id)
        )

    def _all_voted(self, seniors: Collection[str]) -> sa.ColumnElement[bool]:
        """Whether nobody is left to whom the case could go: it was one of them who disagreed or escalated."""
        case, vote = self._t.review_case, self._t.review_vote
        name = sa.func.lower(vote.c.voted_by)
        its = (vote.c.case_id == case.c.id, vote.c.round == case.c.round, name.in_(sorted(seniors)))
        count = sa.select(sa.func.count(name.distinct())).where(*its).correlate(case)
        return count.scalar_subquery() >= len(seniors)

    def _take(self, c: sa.Connection, row: AnyRow, reviewer: str, now: datetime) -> Claim:
        """A claim that still holds goes on; of any other the reviewer has seen nothing yet."""
        case, until = self._t.review_case, now + self._rules.lease
        goes_on = is_leased(row, now) and same_person(row.reviewer or "", reviewer)
        number = row.attempts if goes_on else row.attempts + 1
        new = {"attempts": number, "reviewer": reviewer, "claimed_at": now}
        nothing = {"looked_at": None, "looked_hash": None}
        fresh = {} if goes_on else {**new, **nothing}
        update_leased(c, case, row.attempts, case.c.id == row.id, lease_until=until, **fresh)
        return Claim(row.id, row.member_id, row.request_id, reviewer, number, until)

    def claim_of(self, reviewer: str, *, sandbox: bool | None = None) -> Claim | None:
        """The claim that this person had last, if nobody else has the case by now; it may have run out.

        ``sandbox``: only of one, or only of real members.
        """
        case = self._t.review_case
        its = [is_waiting(case), case.c.reviewer.is_not(None), named(case.c.reviewer, reviewer)]
        if sandbox is not None:
            its.append(case.c.sandbox == sandbox)
        query = sa.select(case).where(*its).order_by(case.c.claimed_at.desc()).limit(1)
        row = self._db.read(lambda c: c.execute(query).one_or_none())
        if row is None:
            return None
        return Claim(row.id, row.member_id, row.request_id, reviewer, row.attempts, row.lease_until)

    def claim_again(self, case_id: int, attempt: int, reviewer: str) -> Claim:
        """The claim that a page was made for, whether it holds or not: whatever is done with it checks that.

        Raises CaseGone where the member was erased.
        """
        case = self._t.review_case
        query = sa.select(case).where(case.c.id == case_id)
        row = self._db.read(lambda c: c.execute(query).one_or_none())
        if row is None:
            raise CaseGone("there is no such case any more: the member was erased")
        until = row.lease_until or row.opened_at
        return Claim(row.id, row.member_id, row.request_id, reviewer, attempt, until)

    def renew(self, claim: Claim, now: datetime) -> Claim:
        """Extend a claim that holds, without a look. Raises CaseGone, ClaimLost, CaseChanged, NotPossible."""
        until = now + self._rules.lease

        def write(c: sa.Connection) -> Claim:
            self._cases.update(c, hold(c, self._db, claim, now).case, lease_until=until)
            return replace(claim, until=until)

        return self._db.write(write)

    def peek(self, reviewer: str, now: datetime) -> str | None:
        """The request of the case that this person would get next, besides the one in hand.

        Nothing is taken, and by the time it is asked for somebody else may have it.
        """
        check_name(reviewer)
        case = self._t.review_case
        others = ~named(sa.func.coalesce(case.c.reviewer, ""), reviewer)
        free = (case.c.sandbox == sa.false(), is_free(case, now), others)

        def read(c: sa.Connection) -> str | None:
            claimable = self._claimable(reviewer, seniors_of(c, self._t, self._rules))
            which = claimable.where(*free).with_only_columns(case.c.request_id).limit(1)
            return c.scalar(which)

        return self._db.read(read)

    def holder_of(self, member_id: str, now: datetime) -> str | None:
        """Who has the member's case now. Raises NotPossible where there is no open one."""
        case = self._t.review_case
        query = sa.select(case).where(case.c.member_id == member_id, is_waiting(case))
        # MariaDB compares no text beyond ASCII with an ID.
        row = self._db.read(lambda c: c.execute(query).one_or_none()) if is_identifier(member_id) else None
        if row is None:
            raise NotPossible(f"there is no open case of {member_id}")
        return row.reviewer if is_leased(row, now) else None

    def is_open(self, member_id: str) -> bool:
        """Whether a person must still decide about the member."""
        return self._db.read(lambda c: has_open_case(c, self._t, member_id))

    def counts(self, now: datetime) -> OpenCases:
        """How many cases of real members wait for a person."""
        return self._db.read(lambda c: open_cases_on(c, self._t, now))

    def release(self, claim: Claim, now: datetime) -> None:
        """Give a case back. Raises CaseGone, ClaimLost, CaseChanged, NotPossible."""

        def write(c: sa.Connection) -> None:
            self._cases.release(c, hold(c, self._db, claim, now).case)

        self._db.write(write)

    def look(self, claim: Claim, access: Access, now: datetime) -> CaseView:
        """The photos; once this reviewer has answered them all, with what the machine found.

        That somebody looks is on record when this returns. Extends the claim. Raises CaseGone, ClaimLost,
        CaseChanged, NotPossible.
        """
        return self._db.write(lambda c: self._look(c, claim, access, now))

    def _look(self, c: sa.Connection, claim: Claim, access: Access, now: datetime) -> CaseView:
        held = hold(c, self._db, claim, now)
        until, seen = now + self._rules.lease, contents_hash(held.photos)
        self._cases.update(c, held.case, looked_at=now, looked_hash=seen, lease_until=until)
        answered = has_answered(c, self._t, held, claim.reviewer)
        evidence = self._evidence(c, held) if answered else None
        view = CaseView(replace(claim, until=until), self._photos(c, held, claim.reviewer), evidence)
        # The last: other records wait until this transaction ends.
        self._accesses.write(c, [claim.member_id], replace(access, by=claim.reviewer), now)
        return view

    def _photos(self, c: sa.Connection, held: HeldCase, reviewer: str) -> tuple[CasePhoto, ...]:
        """By the links of now."""
        files = {photo.position: photo.sha256 for photo in held.photos if photo.sha256}
        urls = urls_of(held.request.message)
        now = self._galleries.links(c, held.member)
        links = current_links(urls, now, held.member.member_id, files)
        said = answers_of(c, self._t, held, reviewer)
        return tuple(CasePhoto(n, link.url, n in files, said.get(n)) for n, link in enumerate(links))

    def _evidence(self, c: sa.Connection, held: HeldCase) -> Evidence:
        v, member = self._t.verification, held.member
        its = sa.select(v).where(v.c.request_id == held.request.request_id)
        (request,) = read_requests(c, self._t, its)
        others = sa.select(v).where(v.c.member_id == member.member_id, v.c.request_id != request.request_id)
        if not member.verification_consent:  # nothing of what was compared before
            others = others.where(v.c.reason == Reason.MANUAL)
        newest = others.order_by(v.c.requested_at.desc(), v.c.request_id.desc()).limit(_EARLIER)
        return Evidence(
            request=_without_gender(request),
            earlier=tuple(_without_gender(one) for one in read_requests(c, self._t, newest)),
            reason=member.reason and Reason(member.reason),
            opened_by=member.verified_request_id,
            declared_gender=member.declared_gender,
            tries=self._tries_before(c, member),
            cause=Cause(held.case.cause),
            objected_at=self._objected_at(c, held.case),
            votes=self._votes(c, held.case) if held.case.escalated_at is not None else (),
        )

    def _objected_at(self, c: sa.Connection, case: AnyRow) -> datetime | None:
        if case.cause != Cause.OBJECTION:
            return None
        o = self._t.objection
        at: datetime | None = c.scalar(sa.select(sa.func.min(o.c.received_at)).where(o.c.case_id == case.id))
        return at

    def _tries_before(self, c: sa.Connection, member: AnyRow) -> int | None:
        """Where there were too many."""
        if member.reason != Reason.TOO_MANY_TRIES or member.verified_at is None:
            return None
        return self._tries.before(c, member.member_id, member.verified_request_id, member.verified_at)

    def _votes(self, c: sa.Connection, case: AnyRow) -> tuple[EarlierVote, ...]:
        vote = self._t.review_vote
        its = (vote.c.case_id == case.id, vote.c.round == case.round, vote.c.choice != Choice.UNDO)
        rows = c.execute(sa.select(vote).where(*its).order_by(vote.c.id))
        return tuple(
            EarlierVote(
                Choice(row.choice), row.code and ReviewReason(row.code), row.photo, row.note, row.voted_by
            )
            for row in rows
        )

    def page(
        self,
        now: datetime,
        limit: int = 50,
        after: int | None = None,
        *,
        sandbox: bool = False,
        only: CaseFilter = EVERYTHING,
    ) -> CaseList:
        """Open cases in the queue's order, from the one after ``after``, with the counts of all.

        Raises NotPossible where there was never a case ``after``.
        """

        def read(c: sa.Connection) -> CaseList:
            objections = self._objections.counts_on(c, now)
            return page_on(c, self._t, now, objections, limit=limit, after=after, sandbox=sandbox, only=only)

        return self._db.read(read)

    def why_open(self, case_ids: Collection[int]) -> Mapping[int, WhyOpen]:
        """What opened these cases, by their numbers. Not for whoever reviews."""
        return self._db.read(lambda c: causes_on(c, self._t, case_ids))


def _without_gender(request: RequestRecord) -> RequestRecord:
    """The machine's guess could influence whoever has not decided yet."""
    return replace(request, gender=None, gender_probability=None)
