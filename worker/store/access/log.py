"""Who looked at members or changed something of them, from where, and when; never changed afterwards.

When a member is erased the records stay, with the keyed hash of the ID in place of the ID.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from itertools import takewhile
from typing import Any, Final

import sqlalchemy as sa

from worker.client.identifiers import is_identifier
from worker.store.access.chain import AccessChain, Position
from worker.store.database import Database
from worker.store.members.records import Access, AccessRecord
from worker.store.members.tombstones import Tombstones
from worker.store.tables.views import of_forgotten

_COLUMNS: Final = ("looked_at", "looked_by", "action", "way", "host", "client", "login")
_AT_ONCE: Final = 500
"""Rows of one transaction of the purge."""
_STREAMED: Final = 1000


class AccessLog:
    """The rows of `access_log`."""

    def __init__(self, database: Database, tombstones: Tombstones, chain: AccessChain) -> None:
        self._db = database
        self._t = database.t
        self._tombstones = tombstones
        self._chain = chain

    def note(self, member_ids: Iterable[str], access: Access, now: datetime) -> set[str]:
        """Write down an access to these members; returns those who exist, of others nothing is written."""
        known = sorted(filter(is_identifier, set(member_ids)))
        return self._db.write(lambda c: self._note(c, known, access, now))

    def _note(self, c: sa.Connection, member_ids: Collection[str], access: Access, now: datetime) -> set[str]:
        m = self._t.member
        query = sa.select(m.c.member_id).where(m.c.member_id.in_(member_ids)).order_by(m.c.member_id)
        there = c.scalars(query.with_for_update()).all()
        self.write(c, there, access, now)
        return set(there)

    def write(self, c: sa.Connection, member_ids: Collection[str], access: Access, now: datetime) -> None:
        """The same within the transaction of another, where the members are there and locked.

        The last thing that a transaction does: all other records wait until it ends.
        """
        if member_ids:
            self._chain.append(c, [_row(access, now, member_id=i) for i in member_ids])

    def note_absent(self, member_id: str, access: Access, now: datetime) -> None:
        """Write down an access to a member who is not there, or not there any more."""
        row = _row(access, now, member_hash=self._tombstones.hash_of(member_id))
        self._db.write(lambda c: self._chain.append(c, [row]))

    def note_list(self, access: Access, now: datetime) -> None:
        """Write down an access to a list that may name any member."""
        self._db.write(lambda c: self.write_list(c, access, now))

    def write_list(self, c: sa.Connection, access: Access, now: datetime) -> Position:
        """The same within the transaction of another, as the last thing; where the chain ends then."""
        return self._chain.append(c, [_row(access, now)])

    def of_member(self, member_id: str, limit: int = 100) -> list[AccessRecord]:
        """The latest first; also of a member who was erased."""
        log = self._t.access_log
        theirs = sa.or_(
            log.c.member_id == member_id, log.c.member_hash == self._tombstones.hash_of(member_id)
        )
        query = sa.select(*(log.c[name] for name in _COLUMNS)).where(theirs)
        rows = self._db.read(lambda c: c.execute(query.order_by(log.c.id.desc()).limit(limit)).all())
        return [AccessRecord(*row) for row in rows]

    def between(self, since: datetime, until: datetime) -> list[tuple[str | None, AccessRecord]]:
        """All records of a time, the oldest first, each with what stands for its member: the ID, or its hash,
        or None for a list."""
        return self._db.read(lambda c: list(self.between_on(c, since, until)))

    def between_on(
        self, c: sa.Connection, since: datetime, until: datetime
    ) -> Iterator[tuple[str | None, AccessRecord]]:
        """The same one after the other, for as long as the connection is there."""
        log = self._t.access_log
        whose = sa.func.coalesce(log.c.member_id, log.c.member_hash)
        query = sa.select(whose, *(log.c[name] for name in _COLUMNS))
        query = query.where(log.c.looked_at >= since, log.c.looked_at < until).order_by(log.c.id)
        for row in c.execute(query.execution_options(yield_per=_STREAMED)):
            yield row[0], AccessRecord(*row[1:])

    def blank(self, c: sa.Connection, member_id: str) -> int:
        """Put the keyed hash in place of the ID of a member who is being erased; in how many records."""
        return self._blank(c, of_forgotten(c, self._t.access_log), member_id)

    def blank_sandbox(self, c: sa.Connection, member_id: str) -> int:
        """The same for a member of the sandbox, of whom no tombstone stays."""
        return self._blank(c, self._t.access_log, member_id)

    def _blank(self, c: sa.Connection, log: sa.TableClause, member_id: str) -> int:
        blank = {"member_id": None, "member_hash": self._tombstones.hash_of(member_id)}
        return c.execute(sa.update(log).where(log.c.member_id == member_id).values(**blank)).rowcount

    def purge(self, before: datetime) -> int:
        """Remove the records that are older, a few hundred at once; 0 where none is left.

        The oldest first and none out of the middle: a record that another clock has written a little later
        waits until that time has come. What says up to where the chain was removed is moved along.
        """
        return self._db.write(lambda c: self._purge(c, before))

    def _purge(self, c: sa.Connection, before: datetime) -> int:
        log = self._t.access_log
        # Locked: a second purge goes on behind these rows.
        oldest = c.execute(sa.select(log).order_by(log.c.id).limit(_AT_ONCE).with_for_update()).all()
        old = list(takewhile(lambda row: row.looked_at < before, oldest))
        if not old:
            return 0
        gone = c.execute(sa.delete(log).where(log.c.id.in_([row.id for row in old]))).rowcount
        if any(row.number is not None for row in old):
            self._chain.move_anchor(c, old)
        return gone


def _row(access: Access, now: datetime, **whose: str) -> dict[str, Any]:
    return {
        "looked_by": access.by,
        "action": access.action,
        "way": access.way,
        "host": access.host,
        "client": access.client,
        "login": access.login,
        "looked_at": now,
        **whose,
    }
