"""What could not be processed, and its way back."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from worker.identifiers import is_identifier
from worker.schema import ERROR_LENGTH, MESSAGE_HEAD_BYTES
from worker.store.base import Database
from worker.store.mentions import claimed_member
from worker.store.records import DeadJob, DeadJobRecord


class DeadJobs(Database):
    """`bury`, `dead_jobs`."""

    def bury(self, dead: DeadJob, now: datetime) -> int:
        """Write down what cannot be processed; returns the number to put it back with.

        0, and nothing written, where it is about a member who was forgotten.
        """
        return self._write(lambda c: self._bury(c, dead, now))

    def _bury(self, c: sa.Connection, dead: DeadJob, now: datetime) -> int:
        values = dead_job_values(dead, now)
        number = int(c.execute(sa.insert(self.t.dead_job).values(**values)).lastrowid)
        # Asked after the insert: an erasure that begins now waits for the row, and finds it.
        member_id = values["member_id"]
        if member_id is None or not self._forgotten(c, [member_id]):
            return number
        c.execute(sa.delete(self.t.dead_job).where(self.t.dead_job.c.id == number))
        return 0

    def dead_jobs(self, limit: int = 100, *, requeued: bool = False) -> list[DeadJobRecord]:
        """The latest first; with ``requeued`` also those that were put back."""
        d = self.t.dead_job
        columns = [c for c in d.c if c.name != "message_head"]
        query = sa.select(*columns).order_by(d.c.id.desc()).limit(limit)
        if not requeued:
            query = query.where(d.c.requeued_at.is_(None))
        return self._read(lambda c: [DeadJobRecord(**row) for row in c.execute(query).mappings()])


def dead_job_values(dead: DeadJob, now: datetime) -> dict[str, Any]:
    """The row of a dead job: of the message only its hash, length and first 4 KiB.

    The member is the one that the message claims, where nobody could read it better.
    """
    member_id = dead.member_id if dead.member_id is not None else claimed_member(dead.body)
    return {
        "reason": dead.reason[:32],
        "error": dead.error[:ERROR_LENGTH],
        "queue": dead.queue[:32],
        "request_id": dead.request_id if is_identifier(dead.request_id) else None,
        "member_id": member_id if is_identifier(member_id) else None,
        "attempts": dead.attempts,
        "message_sha256": dead.sha256 or hashlib.sha256(dead.body).hexdigest(),
        "message_length": len(dead.body) if dead.length is None else dead.length,
        "message_head": dead.body[:MESSAGE_HEAD_BYTES],
        "created_at": now,
    }
