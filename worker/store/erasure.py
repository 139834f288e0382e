"""A member is forgotten."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import sqlalchemy as sa

from worker.errors import NotPossible
from worker.jobs.identifiers import is_identifier
from worker.store.dead_jobs import is_open
from worker.store.galleries import Galleries
from worker.store.guarded import of_forgotten
from worker.store.people_records import Forgotten, Lifted
from worker.store.tables.people import NAME_LENGTH


class Erasure(Galleries):
    """`forget`, `stored_about`, `forgotten`, `lift`."""

    def forget(self, member_id: str, now: datetime) -> Forgotten:
        """Erase a member.

        A tombstone, from which nobody can read who it was, keeps running jobs, queued messages,
        dead jobs and imports from bringing the member back. Raises ValueError for what is no ID.
        """
        if not is_identifier(member_id):
            raise ValueError("not a member ID")
        gone = self._write(lambda c: self._forget(c, member_id, now))
        if self.engine.dialect.name == "sqlite":
            self._empty_write_ahead_log()
        return gone

    def _empty_write_ahead_log(self) -> None:
        """It holds pages as they were. A reader in the way is no error: the next checkpoint does it."""
        with self.engine.connect() as c:
            raw = c.connection.driver_connection
            if raw is not None:
                c.rollback()
                raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def forgotten(self, member_ids: Iterable[str]) -> set[str]:
        """Those of the members whose ID is barred; changes nothing."""
        hashes = {self._member_hash(member_id): member_id for member_id in member_ids}
        return {hashes[each] for each in self._read(lambda c: c.scalars(self._barred(hashes)).all())}

    def stored_about(self, member_id: str) -> dict[str, int]:
        """How many rows `forget` would remove from each table; changes nothing."""
        return self._read(lambda c: self._stored_about(c, member_id))

    def _stored_about(self, c: sa.Connection, member_id: str) -> dict[str, int]:
        m, d = self.t.member, self.t.dead_job
        member = sa.select(sa.func.count()).where(m.c.member_id == member_id)
        return {
            **self._counts(c, member_id),
            d.name: len(c.execute(sa.select(d.c.id).where(self._about(member_id))).all()),
            m.name: c.scalar(member) or 0,
        }

    def lift(self, member_id: str, by: str, now: datetime) -> Lifted:
        """Let a forgotten member's ID in again; who did it, and when, stays. Raises NotPossible."""
        return self._write(lambda c: self._lift(c, member_id, by, now))

    def _lift(self, c: sa.Connection, member_id: str, by: str, now: datetime) -> Lifted:
        t, d = self.t.tombstone, self.t.dead_job
        its = (t.c.member_hash == self._member_hash(member_id), t.c.lifted_at.is_(None))
        since = c.scalar(sa.select(sa.func.min(t.c.forgotten_at)).where(*its))
        if since is None:
            raise NotPossible(f"{member_id} is not barred")
        c.execute(sa.update(t).where(*its).values(lifted_at=now, lifted_by=by[:NAME_LENGTH]))
        refused = sa.select(d.c.id).where(d.c.member_hash == self._member_hash(member_id), is_open(d))
        return Lifted(since, tuple(c.scalars(refused.order_by(d.c.id))))

    def _forget(self, c: sa.Connection, member_id: str, now: datetime) -> Forgotten:
        t = self.t
        self._raise_tombstones(c, member_id, now)
        gone = self._counts(c, member_id)
        d = t.dead_job
        gone[d.name] = c.execute(sa.delete(d).where(self._about(member_id))).rowcount
        self._delete_records(c, member_id)
        # Takes the rest along (ON DELETE CASCADE): photos, and what a retraining has of the member.
        member = sa.delete(t.member).where(t.member.c.member_id == member_id)
        gone[t.member.name] = c.execute(member).rowcount
        return Forgotten(gone, self._mapped.clear(c, member_id) if self._mapped is not None else ())

    def _delete_records(self, c: sa.Connection, member_id: str) -> None:
        """What outlives everything else; with the requests go what was found, and what shadows said."""
        requests = self._request_ids(member_id)
        for table in (self.t.label, self.t.decision):
            rows = of_forgotten(c, table)
            c.execute(sa.delete(rows).where(rows.c.request_id.in_(requests)))
        for table in (self.t.access_log, self.t.verification):
            rows = of_forgotten(c, table)
            c.execute(sa.delete(rows).where(rows.c.member_id == member_id))

    def _counts(self, c: sa.Connection, member_id: str) -> dict[str, int]:
        t = self.t
        requests = self._request_ids(member_id)
        wheres = {
            t.label: t.label.c.request_id.in_(requests),
            t.decision: t.decision.c.request_id.in_(requests),
            t.shadow_verdict: t.shadow_verdict.c.request_id.in_(requests),
            t.verification_photo: t.verification_photo.c.request_id.in_(requests),
            t.verification: t.verification.c.member_id == member_id,
            t.access_log: t.access_log.c.member_id == member_id,
            t.photo: t.photo.c.member_id == member_id,
            t.training_face: t.training_face.c.member_id == member_id,
            t.training_member: t.training_member.c.member_id == member_id,
        }
        counts = {table.name: sa.select(sa.func.count()).where(where) for table, where in wheres.items()}
        return {name: c.scalar(query) or 0 for name, query in counts.items()}

    def _request_ids(self, member_id: str) -> sa.Select[tuple[str]]:
        v = self.t.verification
        return sa.select(v.c.request_id).where(v.c.member_id == member_id)

    def _about(self, member_id: str) -> sa.ColumnElement[bool]:
        """Dead jobs of the member and of the member's requests. What no other column says, none keeps."""
        d = self.t.dead_job
        return sa.or_(d.c.member_id == member_id, d.c.request_id.in_(self._request_ids(member_id)))

    def _raise_tombstones(self, c: sa.Connection, member_id: str, now: datetime) -> None:
        """One that names the member, who is locked then, until the row goes; one at least, if none stands.

        A member who comes in at this very moment is seen after the first one: so there may be two.
        """
        there = self._lock_member(c, member_id) is not None
        if there or not self._forgotten(c, [member_id]):
            self._raise_tombstone(c, member_id, now, there=there)
        if not there and self._lock_member(c, member_id) is not None:
            self._raise_tombstone(c, member_id, now, there=True)

    def _raise_tombstone(self, c: sa.Connection, member_id: str, now: datetime, *, there: bool) -> None:
        t, member_hash = self.t.tombstone, self._member_hash(member_id)
        latest = c.scalar(sa.select(sa.func.max(t.c.forgotten_at)).where(t.c.member_hash == member_hash))
        at = now if latest is None else max(now, latest + timedelta(microseconds=1))
        grave = {"member_hash": member_hash, "forgotten_at": at, "erases": member_id if there else None}
        c.execute(sa.insert(t).values(**grave))
