"""Whether the records of access are as they were written: the whole chain, a few thousand rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from worker.store.access.chain import NAME, AccessChain, Walk
from worker.store.access.records import BreakKind, ChainReport
from worker.store.access.reviews import seal_of
from worker.store.database import AnyRow, Database

_AT_ONCE: Final = 2000


class ChainVerification:
    """Follows the chain of `access_log` from its anchor to its head."""

    def __init__(self, database: Database, chain: AccessChain) -> None:
        self._db = database
        self._t = database.t
        self._chain = chain

    def verify(self, now: datetime) -> ChainReport:
        """Follow the whole chain, as it is at one moment; others go on writing meanwhile."""
        return self._db.read(lambda c: self._verify(c, now))

    def _verify(self, c: sa.Connection, now: datetime) -> ChainReport:
        chain, signed = self._t.access_chain, self._signed(c)
        row = c.execute(sa.select(chain).where(chain.c.name == NAME)).one_or_none()
        walk = self._chain.walk(row)
        begins = walk.end.number
        links = {review.chain_number: review.chain_link for review in signed}
        for each in self._rows(c):
            walk.step(each)
            if each.number in links and each.link != links[each.number]:
                walk.note(BreakKind.SIGNED, each.number, each)
        self._compare_head(walk, row)
        self._compare_signed(walk, signed)
        return ChainReport(
            checked_at=now,
            keyed=self._chain.keyed,
            records=walk.records,
            purged=begins,
            number=walk.end.number,
            link=walk.end.link,
            unlinked=walk.unlinked,
            late=walk.late,
            breaks=walk.breaks,
            signed_breaks=max((review.breaks for review in signed), default=0),
            told=tuple(walk.told),
        )

    def _signed(self, c: sa.Connection) -> Sequence[AnyRow]:
        review = self._t.access_review
        return c.execute(sa.select(review).order_by(review.c.id)).all()

    def _rows(self, c: sa.Connection) -> Iterator[AnyRow]:
        """All records, by their IDs."""
        log, last = self._t.access_log, 0
        while True:
            query = sa.select(log).where(log.c.id > last).order_by(log.c.id).limit(_AT_ONCE)
            rows = c.execute(query).all()
            yield from rows
            if len(rows) < _AT_ONCE:
                return
            last = rows[-1].id

    def _compare_head(self, walk: Walk, head: AnyRow | None) -> None:
        end = walk.end
        if head is None:
            if end.number:
                walk.note(BreakKind.HEAD, end.number)
        elif head.number > end.number:
            walk.note(BreakKind.NEWEST_REMOVED, end.number + 1)
        elif end.number and tuple(head)[1:4] != (*astuple(end), self._chain.seal("head", *astuple(end))):
            walk.note(BreakKind.HEAD, end.number)

    def _compare_signed(self, walk: Walk, signed: Sequence[AnyRow]) -> None:
        for review in signed:
            if review.chain_number > walk.end.number or review.seal != seal_of(self._chain, review):
                walk.note(BreakKind.SIGNED, review.chain_number)
