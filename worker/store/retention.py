"""What is kept for a time only."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

import sqlalchemy as sa

from worker.store.access.log import AccessLog
from worker.store.database import Database, within
from worker.store.link_retention import LinkRetention
from worker.store.members.members import Members
from worker.store.tables.views import expired

_AT_ONCE: Final = 500
"""Rows of one transaction: its locks are short."""
_NUMBERS: Final = (
    *("box_x", "box_y", "box_width", "box_height", "landmarks"),
    *("gate", "gate_value", "gate_limit", "quality"),
    *("score", "similarity", "approve_edge", "different_edge", "cosines", "distances"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutoffs:
    """What is older than these moments goes."""

    numbers: datetime
    """Of photos, and verdicts of heads in shadow."""
    dead_jobs: datetime
    looks: datetime
    events: datetime
    links: datetime
    """Of requests."""
    member_links: datetime | None
    """None: links of members stay."""
    sandbox: datetime
    staff: datetime
    """Accounts of the console that were closed before."""


@dataclass(frozen=True, slots=True)
class Purged:
    """How much was purged for its age."""

    photos: int
    """Photos whose numbers went; what was found in them stays."""
    dead_jobs: int
    """Dead jobs whose message went; their reason stays."""
    looks: int
    """Entries of the access log that went."""
    shadows: int
    """Verdicts of heads in shadow that went."""
    events: int
    """Events that went."""
    links: int
    """Messages whose links lost their queries."""
    member_links: int
    """Members whose links did."""
    sandbox: int
    """Members of the sandbox who went, with all of theirs."""
    staff: int
    """Accounts of the console that went, with the history of their roles."""


class Retention:
    """Removes what was kept long enough."""

    def __init__(self, database: Database, members: Members, accesses: AccessLog) -> None:
        self._db = database
        self._members = members
        self._accesses = accesses
        self._t = database.t
        self._links = LinkRetention(database)

    def purge(self, old: Cutoffs, endpoints: Collection[str]) -> Purged:
        """Remove what is old. Safe to break off and to call again.

        An event that still waits for one of the ``endpoints`` stays.
        """
        purged = Purged(
            photos=self._purge_numbers(old.numbers),
            dead_jobs=self._purge_bodies(old.dead_jobs),
            looks=self._purge_looks(old.looks),
            shadows=self._purge_shadows(old.numbers),
            events=self._purge_events(old.events, endpoints),
            links=self._links.purge_messages(old.links),
            member_links=self._links.purge_members(old.member_links) if old.member_links else 0,
            sandbox=self._members.purge_sandbox(old.sandbox),
            staff=self._purge_staff(old.staff),
        )
        self._db.empty_write_ahead_log()
        return purged

    def _purge_numbers(self, before: datetime) -> int:
        """The numbers of faces in old requests that have ended; what was decided stays."""
        v, vp = self._t.verification, self._t.verification_photo
        numbers = sa.exists().where(vp.c.request_id == v.c.request_id, vp.c.quality.is_not(None))
        old = sa.select(v.c.request_id).where(v.c.finished_at < before, v.c.due_at.is_(None), numbers)
        update = sa.update(vp).values(**dict.fromkeys(_NUMBERS, sa.null()))
        purged = 0
        for window in self._db.windows(v.c.request_id):  # no index tells what was purged before
            ids = self._db.read(partial(_ids, old.where(within(v.c.request_id, window))))
            for start in range(0, len(ids), _AT_ONCE):
                some = ids[start : start + _AT_ONCE]
                purged += self._db.write(partial(_changed, update.where(vp.c.request_id.in_(some))))
        return purged

    def _purge_shadows(self, before: datetime) -> int:
        s = self._t.shadow_verdict
        old = sa.select(s.c.request_id).distinct().where(s.c.judged_at < before)
        rows = sa.delete(s).where(s.c.judged_at < before)
        return self._in_steps(old, lambda ids: rows.where(s.c.request_id.in_(ids)))

    def _purge_bodies(self, before: datetime) -> int:
        d = self._t.dead_job
        old = sa.select(d.c.id).where(d.c.created_at < before, sa.func.length(d.c.message_head) > 0)
        return self._in_steps(old, lambda ids: sa.update(d).where(d.c.id.in_(ids)).values(message_head=b""))

    def _purge_looks(self, before: datetime) -> int:
        purged = 0
        while step := self._accesses.purge(before):
            purged += step
        return purged

    def _purge_events(self, before: datetime, endpoints: Collection[str]) -> int:
        """With their deliveries; also those that wait for an endpoint that there is no more."""
        e, d = self._t.event, self._t.event_delivery
        waits = sa.exists().where(d.c.id == e.c.id, d.c.endpoint.in_(endpoints), d.c.due_at.is_not(None))
        old = sa.select(e.c.id).where(e.c.occurred_at < before, e.c.dispatched, ~waits)
        return self._in_steps(old, lambda ids: sa.delete(e).where(e.c.id.in_(ids)))

    def _purge_staff(self, before: datetime) -> int:
        return self._db.write(lambda c: self._delete_staff(c, before))

    def _delete_staff(self, c: sa.Connection, before: datetime) -> int:
        a = expired(c, self._t.staff.account)
        return c.execute(sa.delete(a).where(a.c.closed_at < before)).rowcount

    def _in_steps(self, old: sa.Select[Any], change: Any) -> int:
        """Rows changed, in small transactions, until nothing old is left."""
        changed = 0
        while True:
            step = self._db.write(lambda c: self._step(c, old, change))
            changed += step
            if not step:
                return changed

    def _step(self, c: sa.Connection, old: sa.Select[Any], change: Any) -> int:
        ids = c.scalars(old.limit(_AT_ONCE)).all()
        return int(c.execute(change(ids)).rowcount) if ids else 0


def _ids(query: sa.Select[str], c: sa.Connection) -> Sequence[str]:
    return c.scalars(query).all()


def _changed(change: sa.Update, c: sa.Connection) -> int:
    return c.execute(change).rowcount
