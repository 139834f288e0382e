"""The month's check of the records of access, and that somebody has signed it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import takewhile
from typing import Any, Final
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from worker.errors import NotPossible
from worker.store.access.chain import AccessChain
from worker.store.access.log import AccessLog
from worker.store.access.month import BEFORE, Month, month_before, month_of
from worker.store.access.month_counts import CountedMonth, MonthCounts
from worker.store.access.records import MonthState, ReviewState, SignedReview
from worker.store.database import AnyRow, Database, fields_of
from worker.store.members.records import Access
from worker.store.reviews.claims import check_name, same_person
from worker.store.tables.columns import NOTE_LENGTH

_SHOWN: Final = 36
"""Months that are listed at most."""
_NEVER: Final = "9999-12"
_SEALED: Final = (
    *("month", "checked_by", "checked_at", "note", "records", "own_records", "breaks"),
    *("chain_number", "chain_link"),
)


class AccessReviews:
    """The months' figures, and the rows of `access_review`, which are added and never changed."""

    def __init__(self, database: Database, log: AccessLog, chain: AccessChain) -> None:
        self._db = database
        self._t = database.t
        self._log = log
        self._chain = chain

    def count(self, month: Month) -> MonthCounts:
        """What each account has done in the month, counted now."""
        return self._db.read(lambda c: self._count(c, month))

    def _count(self, c: sa.Connection, month: Month) -> MonthCounts:
        reviewers = reviewers_on(c, self._t.review_vote, month.first - BEFORE)
        return CountedMonth(c, self._t.access_log, month).counts(reviewers)

    def sign(self, month: Month, access: Access, note: str, now: datetime, *, breaks: int) -> SignedReview:
        """Write down that a person has checked the month, with what was found; on record as an access too.

        ``breaks``: places where the chain does not hold, as the person was shown; no alarm goes on for them.
        Whoever has own work in the month may sign, and a second person must then sign as well.
        Raises NotPossible where the month is not over, or the note is empty or too long.
        """
        check_name(access.by)
        if now < month.after:
            raise NotPossible(f"{month.name} is not over")
        if not note.strip() or len(note) > NOTE_LENGTH:
            raise NotPossible(f"a note says what was checked and found, in up to {NOTE_LENGTH} characters")
        said = {"month": month.name, "checked_by": access.by, "checked_at": now}
        said |= {"note": note.strip(), "breaks": breaks}
        return self._db.write(partial(self._sign, month, access, said))

    def _sign(self, month: Month, access: Access, said: dict[str, Any], c: sa.Connection) -> SignedReview:
        records, own = self._counts(c, month, access.by)
        end = self._log.write_list(c, access, said["checked_at"])
        found = {"records": records, "own_records": own, "chain_number": end.number, "chain_link": end.link}
        signed = {**said, **found}
        c.execute(sa.insert(self._t.access_review).values(**signed, seal=self._chain.seal(*_sealed(signed))))
        return SignedReview(**signed)

    def _counts(self, c: sa.Connection, month: Month, by: str) -> tuple[int, int]:
        """How many records the month has, and how many of them are what this person did with members."""
        log = self._t.access_log
        about = sa.func.coalesce(log.c.member_id, log.c.member_hash).is_not(None)
        own = sa.case((sa.and_(sa.func.lower(log.c.looked_by) == by.lower(), about), 1), else_=0)
        query = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(own), 0))
        row = c.execute(query.where(log.c.looked_at >= month.first, log.c.looked_at < month.after)).one()
        return row[0], int(row[1])

    def signed(self, month: str) -> MonthState:
        """The signatures of a month such as 2026-11."""
        review = self._t.access_review
        query = sa.select(review).where(review.c.month == month).order_by(review.c.id)
        signed = tuple(map(_signed_of, self._db.read(lambda c: c.execute(query).all())))
        return MonthState(month, _state(signed), signed)

    def months(self, now: datetime, zone: ZoneInfo) -> list[MonthState]:
        """Each month that is over and of which there are records or signatures, the latest first."""
        return self._db.read(lambda c: self._months(c, now, zone))

    def _months(self, c: sa.Connection, now: datetime, zone: ZoneInfo) -> list[MonthState]:
        log, review = self._t.access_log, self._t.access_review
        signed = defaultdict(list)
        for row in c.execute(sa.select(review).order_by(review.c.id)):
            signed[row.month].append(_signed_of(row))
        first = c.scalar(sa.select(sa.func.min(log.c.looked_at)))
        begins = [] if first is None else [month_of(first.astimezone(zone), zone).name]
        oldest = min([*signed, *begins], default=_NEVER)
        there = takewhile(lambda month: month >= oldest, _back_from(now, zone))
        return [MonthState(month, _state(signed[month]), tuple(signed[month])) for month in there]


def seal_of(chain: AccessChain, row: AnyRow) -> str:
    """What the seal of a row of `access_review` must be."""
    return chain.seal(*_sealed(row._asdict()))


def reviewers_on(c: sa.Connection, vote: sa.Table, since: datetime) -> frozenset[str]:
    """Who has decided cases since then, in small letters."""
    names = sa.select(vote.c.voted_by).where(vote.c.voted_at >= since).distinct()
    return frozenset(name.lower() for name in c.scalars(names))


def _sealed(values: dict[str, Any]) -> list[Any]:
    at = values["checked_at"].astimezone(UTC).isoformat(timespec="microseconds")
    return ["review", *(at if name == "checked_at" else values[name] for name in _SEALED)]


def _signed_of(row: AnyRow) -> SignedReview:
    return SignedReview(**fields_of(row, SignedReview))


def _state(signed: Sequence[SignedReview]) -> ReviewState:
    """Nobody is alone in checking the own work."""
    if not signed:
        return ReviewState.OPEN
    first = signed[0].checked_by
    others = any(not same_person(first, one.checked_by) for one in signed)
    independent = any(one.own_records == 0 for one in signed)
    return ReviewState.DONE if others or independent else ReviewState.NEEDS_ANOTHER


def _back_from(now: datetime, zone: ZoneInfo) -> Iterator[str]:
    month = month_before(now, zone)
    for _ in range(_SHOWN):
        yield month.name
        month = month_of(month.first.date() - timedelta(days=1), zone)
