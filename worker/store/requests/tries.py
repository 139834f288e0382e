"""How often a member has tried, and was asked to try again.

Each new set of photos is another draw at the false-match rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from pipeline.verdict import FetchProblem, Reason, Status
from worker.jobs.verify_job import Why
from worker.store.tables.people import is_undone
from worker.store.tables.schema import Tables
from worker.store.tables.states import State

Content = tuple[tuple[int, str | None], ...]
"""Position and SHA-256 of each photo of a request."""
_READ: Final = 200
"""Requests of one member that are looked at, at most: the newest."""
NOTHING_JUDGED: Final = frozenset({Reason.NO_PHOTOS, Reason.SELFIE_NOT_FETCHED})
"""Reasons to ask for a photo where there is nothing that a person could look at."""
_RETRIES: Final = 2
"""So many times in a row the member is asked for another photo; the next time a person looks."""
_ANSWERS: Final = (Status.APPROVED, Status.REJECTED)


@dataclass(frozen=True, slots=True)
class TryLimit:
    """So many tries within so long; then a person looks at an approval."""

    most: int = 5
    within: timedelta = timedelta(days=30)


DEFAULT_LIMIT: Final = TryLimit()


@dataclass(frozen=True, slots=True)
class Tries:
    """Counts tries within the transactions of others."""

    t: Tables
    limit: TryLimit

    def before(self, c: sa.Connection, member_id: str, request_id: str, at: datetime) -> int:
        """How many sets of photos, others than this request's, were judged before it and not approved.

        Within the days of the limit, and since the last approval, by machine or person, or rejection by a
        person. A try is a request in which faces were compared; those that an operator asked for, or that
        ended in an error, are none.
        """
        v = self.t.verification
        query = sa.select(v.c.request_id, v.c.finished_at).where(
            *(v.c.member_id == member_id, v.c.request_id != request_id, v.c.state == State.DONE),
            *(v.c.finished_at > at - self.limit.within, v.c.finished_at <= at, v.c.why != Why.OPERATOR),
            *(v.c.status.not_in([Status.APPROVED, Status.ERROR]), v.c.reason != Reason.BLIND_AUDIT),
            *(v.c.similarity.is_not(None), sa.not_(v.c.sandbox)),
        )
        rows = c.execute(query.order_by(v.c.finished_at.desc()).limit(_READ)).all()
        since = self._last_answer(c, member_id, at) if rows else at  # a first request is not asked about
        tried = [row.request_id for row in rows if row.finished_at > since]
        contents = self._contents(c, [*tried, request_id]) if tried else {}
        others = {contents[one] for one in tried if one in contents}
        return len(others - {contents.get(request_id, ())})

    def asked_again(self, c: sa.Connection, member_id: str, request_id: str) -> bool:
        """Whether the member's two requests before this one both ended with the wish for another photo.

        Left out are requests of operators and of the sandbox, errors, and those in which photos could not be
        judged because there was none, or its host failed. A person's decision begins the count anew.
        """
        v, d, vp = self.t.verification, self.t.decision, self.t.verification_photo
        decided = sa.exists().where(d.c.request_id == v.c.request_id, ~is_undone(d))
        asked = sa.or_(v.c.status == Status.RETRY_PHOTO, v.c.reason == Reason.MANY_RETRIES)
        passing = [problem for problem in FetchProblem if problem.passing]
        missing = sa.exists().where(vp.c.request_id == v.c.request_id, vp.c.fetch_problem.in_(passing))
        query = sa.select(sa.and_(asked, ~decided)).where(
            *(v.c.member_id == member_id, v.c.request_id != request_id, v.c.state == State.DONE),
            *(v.c.status != Status.ERROR, v.c.reason.not_in(NOTHING_JUDGED), v.c.why != Why.OPERATOR),
            *(sa.not_(v.c.sandbox), ~missing),
        )
        rows = c.scalars(query.order_by(v.c.requested_at.desc(), v.c.request_id.desc()).limit(_RETRIES))
        return list(rows) == [True] * _RETRIES

    def _last_answer(self, c: sa.Connection, member_id: str, at: datetime) -> datetime:
        v, d = self.t.verification, self.t.decision
        approved = sa.select(sa.func.max(v.c.finished_at)).where(
            v.c.member_id == member_id, v.c.state == State.DONE, v.c.status == Status.APPROVED
        )
        decided = (
            sa.select(sa.func.max(d.c.decided_at))
            .join(v, v.c.request_id == d.c.request_id)
            .where(v.c.member_id == member_id, d.c.status.in_(_ANSWERS), ~is_undone(self.t.decision))
        )
        answers = [
            c.scalar(query.where(column < at))
            for query, column in ((approved, v.c.finished_at), (decided, d.c.decided_at))
        ]
        return max([answer for answer in answers if answer is not None], default=at - self.limit.within)

    def _contents(self, c: sa.Connection, request_ids: Sequence[str]) -> dict[str, Content]:
        vp = self.t.verification_photo
        query = sa.select(vp.c.request_id, vp.c.position, vp.c.sha256).where(vp.c.request_id.in_(request_ids))
        contents: dict[str, Content] = {}
        for row in c.execute(query.order_by(vp.c.position)):
            contents[row.request_id] = (*contents.get(row.request_id, ()), (row.position, row.sha256))
        return contents
