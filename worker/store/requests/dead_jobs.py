"""Dead jobs: what could not be processed, until a person puts it back or dismisses it."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from worker.errors import BadMessage, NotPossible, NotRequeueable
from worker.jobs.verify_job import decode_job
from worker.store.database import AnyRow, Database
from worker.store.members.tombstones import Tombstones
from worker.store.requests.acceptance import CONFLICT, Acceptance
from worker.store.requests.dead_letters import FORGOTTEN, DeadLetters
from worker.store.requests.records import DeadJob, DeadJobRecord, Queued
from worker.store.tables.schema import is_open


class DeadJobs:
    """The rows of `dead_job`."""

    def __init__(
        self, database: Database, tombstones: Tombstones, dead_letters: DeadLetters, acceptance: Acceptance
    ) -> None:
        self._db = database
        self._t = database.t
        self._tombstones = tombstones
        self._dead_letters = dead_letters
        self._acceptance = acceptance

    def add(self, dead: DeadJob, now: datetime) -> int:
        """Write down what cannot be processed; returns its number.

        Where it is about a member who was forgotten, the member and the message are left out.
        """
        return self._db.write(lambda c: self._dead_letters.write(c, dead, now))

    def latest(
        self, limit: int = 100, *, reason: str | None = None, closed: bool = False, before: int | None = None
    ) -> list[DeadJobRecord]:
        """The latest first, of one reason if named; with ``closed`` also those put back or dismissed.

        ``before``: only those with a smaller number.
        """
        d = self._t.dead_job
        columns = [c for c in d.c if c.name != "message_head"]
        kept = (sa.func.length(d.c.message_head) > 0).label("message_kept")
        query = sa.select(*columns, kept).order_by(d.c.id.desc()).limit(limit)
        if not closed:
            query = query.where(is_open(d))
        if reason is not None:
            query = query.where(d.c.reason == reason)
        if before is not None:
            query = query.where(d.c.id < before)
        rows = self._db.read(lambda c: c.execute(query).mappings().all())
        return [DeadJobRecord(**{**row, "message_kept": bool(row["message_kept"])}) for row in rows]

    def find(self, number: int) -> DeadJobRecord | None:
        """One of them, open or closed; None if there is none of that number."""
        found = self.latest(1, closed=True, before=number + 1)
        return found[0] if found and found[0].id == number else None

    def count_open(self) -> dict[str, int]:
        """How many are open, by reason; most first."""
        d = self._t.dead_job
        count = sa.func.count()
        query = sa.select(d.c.reason, count).where(is_open(d)).group_by(d.c.reason)
        rows = self._db.read(lambda c: c.execute(query.order_by(count.desc(), d.c.reason)).all())
        return {row[0]: row[1] for row in rows}

    def dismiss(self, number: int, by: str, note: str, now: datetime) -> None:
        """Close a dead job for good, on record; it is not counted any more. Raises NotPossible."""
        self._db.write(lambda c: self._dismiss(c, number, by, note, now=now))

    def _dismiss(self, c: sa.Connection, number: int, by: str, note: str, *, now: datetime) -> None:
        d = self._t.dead_job
        row = c.execute(sa.select(d).where(d.c.id == number).with_for_update()).one_or_none()
        if row is None:
            raise NotPossible("there is none of that number")
        if row.requeued_at is not None:
            raise NotPossible(f"it was put back on {row.requeued_at:%Y-%m-%d %H:%M} UTC")
        if row.dismissed_at is not None:
            raise NotPossible(f"{row.dismissed_by} dismissed it on {row.dismissed_at:%Y-%m-%d %H:%M} UTC")
        said = {"dismissed_at": now, "dismissed_by": by, "dismissed_note": note or None}
        c.execute(sa.update(d).where(d.c.id == number).values(**said))

    def requeue(self, dead_id: int, now: datetime) -> Queued:
        """Put a dead job back; the answer belongs on the broker's queue.

        Raises NotRequeueable where that cannot help, and MemberForgotten.
        """
        return self._db.write(lambda c: self._requeue(c, dead_id, now))

    def _requeue(self, c: sa.Connection, dead_id: int, now: datetime) -> Queued:
        d = self._t.dead_job
        found = c.execute(sa.select(d).where(d.c.id == dead_id).with_for_update()).one_or_none()
        dead = _requeueable(dead_id, found)
        if dead.reason == FORGOTTEN:
            raise NotRequeueable(self._why_refused(c, dead))
        request = dead.request_id and self._db.lock_both(c, dead.request_id)
        queued = self._acceptance.revive(c, dead.request_id, now) if request else self._reaccept(c, dead, now)
        c.execute(sa.update(d).where(d.c.id == dead_id).values(requeued_at=now))
        return queued

    def _why_refused(self, c: sa.Connection, dead: AnyRow) -> str:
        again = "let the app send it again, for nothing of it was kept, then `dismiss` this one"
        if c.scalar(self._tombstones.in_force([dead.member_hash])) is None:
            return f"the ID is barred no more: {again}"
        return f"the ID is barred since its member was forgotten; if by mistake `unbar` it and {again}"

    def _reaccept(self, c: sa.Connection, dead: AnyRow, now: datetime) -> Queued:
        """What was never accepted, for instance because its schema was not known then."""
        if not dead.message_head:
            raise NotRequeueable(
                "nothing to put back is kept: it was no job, or its message was purged. Let the app send it "
                "again, then `dismiss` this one"
            )
        try:
            job = decode_job(dead.message_head)
        except BadMessage as error:
            raise NotRequeueable(f"still no job: {error}") from None
        self._acceptance.accept(c, job, dead.queue, now)
        return Queued(job, dead.queue)


def _requeueable(dead_id: int, dead: AnyRow | None) -> AnyRow:
    if dead is None:
        raise NotRequeueable(f"there is no dead job {dead_id}")
    if dead.requeued_at is not None:
        raise NotRequeueable(f"dead job {dead_id} was put back before")
    if dead.reason == CONFLICT:
        raise NotRequeueable("its request ID is taken by another content: send it with a new one")
    return dead
