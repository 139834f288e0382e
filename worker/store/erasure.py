"""A member is forgotten."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from worker.identifiers import is_identifier
from worker.store.base import Database


class Erasure(Database):
    """`forget`."""

    def forget(self, member_id: str, now: datetime) -> dict[str, int]:
        """Erase a member; returns how many rows went from each table.

        A tombstone, from which nobody can read who it was, keeps running jobs, queued messages,
        dead jobs and imports from bringing the member back. Raises ValueError for what is no ID.
        """
        if not is_identifier(member_id):
            raise ValueError("not a member ID")
        return self._write(lambda c: self._forget(c, member_id, now))

    def _forget(self, c: sa.Connection, member_id: str, now: datetime) -> dict[str, int]:
        t = self.t
        self._raise_tombstone(c, member_id, now)
        self._lock_member(c, member_id)  # waits for whoever writes about the member just now
        requests = sa.select(t.verification.c.request_id).where(t.verification.c.member_id == member_id)
        wheres = {
            t.label: t.label.c.request_id.in_(requests),
            t.verification_photo: t.verification_photo.c.request_id.in_(requests),
            t.verification: t.verification.c.member_id == member_id,
            t.dead_job: t.dead_job.c.member_id == member_id,
            t.photo: t.photo.c.member_id == member_id,
            t.member: t.member.c.member_id == member_id,
        }
        gone = {
            table.name: c.execute(sa.delete(table).where(where)).rowcount for table, where in wheres.items()
        }
        if self._mapped is not None:
            self._mapped.clear(c, member_id)
        return gone

    def _raise_tombstone(self, c: sa.Connection, member_id: str, now: datetime) -> None:
        if not self._forgotten(c, [member_id]):
            grave = {"member_hash": self._member_hash(member_id), "forgotten_at": now}
            c.execute(sa.insert(self.t.tombstone).values(**grave))
