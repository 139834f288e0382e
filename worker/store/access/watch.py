"""What is unusual about the records of access: found by the sweep and the daily purge, read by monitors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any, Final

import sqlalchemy as sa

from worker.store.access.month import NOT_SHOWN, far_more, usual_of_others
from worker.store.access.records import AccessState, ChainReport, UnusualAccount
from worker.store.access.reviews import reviewers_on
from worker.store.access.verification import ChainVerification
from worker.store.counts.tally import keep_count
from worker.store.database import AnyRow, Database

_EVERY: Final = timedelta(minutes=10)
_DAY: Final = timedelta(days=1)
_USUAL: Final = timedelta(days=28)
"""So long back lie the days that a day is held against."""
_UNUSUAL: Final = "access"
_CHAIN: Final = "access_chain"


class AccessWatch:
    """Looks, and keeps what was found in rows of `tally`."""

    def __init__(self, database: Database, verification: ChainVerification) -> None:
        self._db = database
        self._t = database.t
        self._verification = verification

    def check_chain(self, now: datetime) -> ChainReport:
        """Follow the whole chain and keep what was found."""
        report = self._verification.verify(now)
        counts = {"breaks": report.breaks, "number": report.number}
        self._db.write(lambda c: keep_count(c, self._t.tally, _CHAIN, counts, now))
        return report

    def look(self, now: datetime) -> bool:
        """Look again for accounts that open far more members than others, where the last time is ten minutes
        ago; whether it was so."""
        state = self._db.read(self.state_on)
        if state.unusual_at is not None and now - _EVERY < state.unusual_at <= now:
            return False
        found = self._db.read(lambda c: self._unusual(c, now))
        counts = {"unusual": [asdict(one) for one in found]}
        self._db.write(lambda c: keep_count(c, self._t.tally, _UNUSUAL, counts, now))
        return True

    def state_on(self, c: sa.Connection) -> AccessState:
        """What was found last. Cheap: a monitor asks all the time."""
        t, review = self._t.tally, self._t.access_review
        rows = c.execute(sa.select(t).where(t.c.name.in_((_UNUSUAL, _CHAIN))))
        found: dict[str, AnyRow] = {row.name: row for row in rows}
        unusual, chain = found.get(_UNUSUAL), found.get(_CHAIN)
        breaks = chain.counts["breaks"] if chain else 0
        signed = c.scalar(sa.select(sa.func.max(review.c.breaks))) or 0
        return AccessState(
            unusual=tuple(UnusualAccount(**one) for one in unusual.counts["unusual"]) if unusual else (),
            unusual_at=unusual.counted_at if unusual else None,
            checked_at=chain.counted_at if chain else None,
            breaks=breaks,
            unsigned_breaks=max(0, breaks - signed),
        )

    def state(self) -> AccessState:
        """The same on a connection of its own."""
        return self._db.read(self.state_on)

    def _unusual(self, c: sa.Connection, now: datetime) -> list[UnusualAccount]:
        """By the days of UTC before this one: the working day of Korea lies in one of them."""
        today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        days = self._days(c, today - _USUAL, today)
        reviewers = reviewers_on(c, self._t.review_vote, now - _USUAL)
        found = []
        for account, members in self._opened_since(c, now - _DAY).items():
            usual = usual_of_others(account, days, reviewers)
            if usual is None:  # nobody else reviews: the own days
                usual = median(list(days.get(account, {}).values()) or [0])
            if far_more(members, usual):
                found.append(UnusualAccount(account, members, usual))
        return found

    def _opened_since(self, c: sa.Connection, since: datetime) -> dict[str, int]:
        log = self._t.access_log
        query = sa.select(log.c.looked_by, _members(log)).where(log.c.looked_at >= since, _shown(log))
        return dict(map(tuple, c.execute(query.group_by(log.c.looked_by))))

    def _days(self, c: sa.Connection, since: datetime, until: datetime) -> Mapping[str, Mapping[str, int]]:
        log = self._t.access_log
        day = sa.func.date(log.c.looked_at)
        query = sa.select(log.c.looked_by, day, _members(log))
        query = query.where(log.c.looked_at >= since, log.c.looked_at < until, _shown(log))
        days: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for account, at, number in c.execute(query.group_by(log.c.looked_by, day)):
            days[account][str(at)] = number
        return days


def _members(log: sa.Table) -> sa.ColumnElement[Any]:
    return sa.func.count(sa.func.coalesce(log.c.member_id, log.c.member_hash).distinct())


def _shown(log: sa.Table) -> sa.ColumnElement[bool]:
    whose = sa.func.coalesce(log.c.member_id, log.c.member_hash)
    return sa.and_(whose.is_not(None), log.c.action.not_in(NOT_SHOWN))
