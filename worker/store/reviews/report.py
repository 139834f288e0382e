"""How well people decide: agreement, changes of mind, corrections; and what the blind audit says."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import Final

import sqlalchemy as sa

from worker.store.database import AnyRow, Database
from worker.store.reviews.audit import audit_on, open_audits
from worker.store.reviews.intervals import exact_interval, kappa
from worker.store.reviews.records import AuditReport, ReviewerReport, ReviewPace, ReviewReport
from worker.store.reviews.ruling import STATUSES
from worker.store.tables.people import is_undone, is_waiting
from worker.store.tables.states import Choice, Phase

_Photo = tuple[int, str, int]
"""Case, request and position of what was answered."""
_CHOICES: Final = (*STATUSES, Choice.ESCALATE)
_MOST_VOTES: Final = 1000
_LATELY: Final = timedelta(hours=1)


class ReviewReports:
    """Numbers about reviewers, of one moment."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._t = database.t

    def report(self, since: datetime) -> ReviewReport:
        """Each reviewer's work since then; the blind audit's of all time."""
        return self._db.read(lambda c: self._report(c, since))

    def pace(self, now: datetime) -> ReviewPace:
        """How long cases wait, and how fast people decide. Cheap: a monitor asks all the time."""
        return self._db.read(lambda c: self._pace(c, now))

    def _pace(self, c: sa.Connection, now: datetime) -> ReviewPace:
        case, vote = self._t.review_case, self._t.review_vote
        waits = (is_waiting(case), sa.not_(case.c.sandbox))
        oldest = c.scalar(sa.select(sa.func.min(case.c.opened_at)).where(*waits))
        votes = sa.select(vote.c.voted_at, vote.c.claimed_at, vote.c.choice)
        newest = votes.where(vote.c.voted_at > now - _LATELY).order_by(vote.c.voted_at.desc())
        lately = [row for row in c.execute(newest.limit(_MOST_VOTES)) if row.choice in _CHOICES]
        return ReviewPace(
            oldest=None if oldest is None else now - oldest,
            votes=len(lately),
            median_seconds=_median_seconds(lately),
        )

    def decided_since(self, reviewer: str, since: datetime) -> int:
        """How many cases this reviewer has decided since then, and not taken back."""
        vote = self._t.review_vote
        theirs = sa.select(vote.c.choice, sa.func.count()).group_by(vote.c.choice)
        query = theirs.where(vote.c.voted_by == reviewer, vote.c.voted_at >= since)
        numbers: dict[str, int] = self._db.read(lambda c: {row[0]: row[1] for row in c.execute(query)})
        return max(0, sum(numbers.values()) - 2 * numbers.get(Choice.UNDO, 0))

    def _report(self, c: sa.Connection, since: datetime) -> ReviewReport:
        votes, answers = self._votes(c, since), self._answers(c, since)
        blind = _blind(answers)
        standing = self._standing(c, since)
        names = sorted({*votes, *answers})
        reviewers = (
            _reviewer(name, votes.get(name, []), answers.get(name, []), blind, standing) for name in names
        )
        return ReviewReport(since, tuple(reviewers), self._audit(c))

    def _votes(self, c: sa.Connection, since: datetime) -> Mapping[str, list[AnyRow]]:
        """By reviewer, without those that were taken back."""
        vote, undo = self._t.review_vote, self._t.review_vote.alias("undo")
        its = (undo.c.case_id == vote.c.case_id, undo.c.round == vote.c.round, undo.c.id > vote.c.id)
        taken_back = sa.exists().where(*its, undo.c.choice == Choice.UNDO, undo.c.voted_by == vote.c.voted_by)
        query = sa.select(vote).where(vote.c.voted_at >= since, vote.c.choice.in_(_CHOICES), ~taken_back)
        return _by_name(c.execute(query.order_by(vote.c.id)).all(), "voted_by")

    def _answers(self, c: sa.Connection, since: datetime) -> Mapping[str, list[AnyRow]]:
        label = self._t.label
        query = sa.select(label).where(label.c.labelled_at >= since, label.c.case_id.is_not(None))
        return _by_name(c.execute(query.order_by(label.c.id)).all(), "labelled_by")

    def _standing(self, c: sa.Connection, since: datetime) -> dict[str, str]:
        """The decision that counts in the end, by request."""
        d = self._t.decision
        query = sa.select(d.c.request_id, d.c.status).where(
            d.c.decided_at >= since, ~is_undone(self._t.decision)
        )
        return {row.request_id: row.status for row in c.execute(query.order_by(d.c.id))}

    def _audit(self, c: sa.Connection) -> AuditReport:
        counts = audit_on(c, self._t)
        return AuditReport(
            counts=counts,
            open=c.scalar(open_audits(self._t)) or 0,
            rate=counts.wrong / counts.judged if counts.judged else None,
            interval=exact_interval(counts.wrong, counts.judged),
        )


def _by_name(rows: Sequence[AnyRow], column: str) -> Mapping[str, list[AnyRow]]:
    """`Lee` and `lee` are one."""
    found: defaultdict[str, list[AnyRow]] = defaultdict(list)
    for row in rows:
        found[getattr(row, column).lower()].append(row)
    return found


def _blind(answers: Mapping[str, Sequence[AnyRow]]) -> Mapping[_Photo, Mapping[str, str]]:
    """What each reviewer said of a photo before the evidence."""
    found: defaultdict[_Photo, dict[str, str]] = defaultdict(dict)
    for name, rows in answers.items():
        for row in rows:
            if row.phase == Phase.BLIND:
                found[row.case_id, row.request_id, row.position][name] = row.label
    return found


def _reviewer(
    name: str,
    votes: Sequence[AnyRow],
    answers: Sequence[AnyRow],
    blind: Mapping[_Photo, Mapping[str, str]],
    standing: Mapping[str, str],
) -> ReviewerReport:
    pairs = [
        (said[name], other)
        for said in blind.values()
        if name in said
        for who, other in said.items()
        if who != name
    ]
    phases = Counter(row.phase for row in answers)
    choices = Counter(Choice(row.choice) for row in votes)
    return ReviewerReport(
        reviewer=name,
        cases=len({row.case_id for row in votes}),
        decisions={choice: choices[choice] for choice in _CHOICES},
        answers=phases[Phase.BLIND],
        changed=phases[Phase.EVIDENCE],
        compared=len(pairs),
        agreement=sum(one == other for one, other in pairs) / len(pairs) if pairs else None,
        kappa=kappa(pairs),
        overturned=sum(_is_overturned(row, standing) for row in votes),
        median_seconds=_median_seconds(votes),
    )


def _median_seconds(votes: Sequence[AnyRow]) -> float | None:
    """From the claim to the vote."""
    seconds = [(row.voted_at - row.claimed_at).total_seconds() for row in votes]
    return median(seconds) if seconds else None


def _is_overturned(vote: AnyRow, standing: Mapping[str, str]) -> bool:
    """Whether what counts in the end is something else; where nothing was decided, nothing is overturned."""
    status = STATUSES.get(Choice(vote.choice))
    return status is not None and standing.get(vote.request_id, status) != status
