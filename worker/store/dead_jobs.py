"""What could not be processed, and its way back."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from worker.errors import BadMessage, NotPossible
from worker.jobs.identifiers import is_identifier
from worker.jobs.verify_job import read_job
from worker.store.base import Database
from worker.store.mentions import claimed_member
from worker.store.records import DeadJob, DeadJobRecord
from worker.store.tables.people import NAME_LENGTH
from worker.store.tables.schema import ERROR_LENGTH, MESSAGE_BYTES

FORGOTTEN: Final = "forgotten"
"""Reason of a dead job whose member is barred: of it stays what says nothing about the member."""


class DeadJobs(Database):
    """`bury`, `dead_jobs`, `dismiss`."""

    def bury(self, dead: DeadJob, now: datetime) -> int:
        """Write down what cannot be processed; returns its number.

        Where it is about a member who was forgotten, the member and the message are left out.
        """
        return self._write(lambda c: self._bury(c, dead, now))

    def _bury(self, c: sa.Connection, dead: DeadJob, now: datetime) -> int:
        d, values = self.t.dead_job, dead_job_values(dead, now)
        number = int(c.execute(sa.insert(d).values(**values)).lastrowid)
        # Asked after the insert: an erasure that begins now waits for the row, and finds it.
        if values["member_id"] is None or not self._forgotten(c, [values["member_id"]]):
            return number
        c.execute(sa.delete(d).where(d.c.id == number))
        return self._bury_barred(c, dead, now)

    def _bury_barred(self, c: sa.Connection, dead: DeadJob, now: datetime) -> int:
        """A message about a member who is barred; one row, however often the same one is delivered."""
        d, values = self.t.dead_job, self._without_member(dead_job_values(dead, now))
        same = (d.c.member_hash == values["member_hash"], d.c.message_sha256 == values["message_sha256"])
        known = c.scalar(sa.select(d.c.id).where(*same, is_open(d)).limit(1))
        return known or int(c.execute(sa.insert(d).values(**values)).lastrowid)

    def _without_member(self, values: dict[str, Any]) -> dict[str, Any]:
        """Nothing that tells who it was to somebody without the key.

        A plain hash would: IDs and the addresses of photos can be tried. The app chooses request IDs,
        perhaps with the member's in them.
        """
        member_id, request_id = values["member_id"], values["request_id"]
        return {
            **values,
            "reason": FORGOTTEN,
            "error": "the member was forgotten, and the ID is barred",
            "request_id": None if request_id and member_id in request_id else request_id,
            "member_id": None,
            "member_hash": self._member_hash(member_id),
            "message_sha256": self._keyed_hash(values["message_sha256"]),
            "message_head": b"",
        }

    def dead_jobs(
        self, limit: int = 100, *, reason: str | None = None, closed: bool = False
    ) -> list[DeadJobRecord]:
        """The latest first, of one reason if named; with ``closed`` also those put back or dismissed."""
        d = self.t.dead_job
        columns = [c for c in d.c if c.name != "message_head"]
        kept = (sa.func.length(d.c.message_head) > 0).label("message_kept")
        query = sa.select(*columns, kept).order_by(d.c.id.desc()).limit(limit)
        if not closed:
            query = query.where(is_open(d))
        if reason is not None:
            query = query.where(d.c.reason == reason)
        rows = self._read(lambda c: c.execute(query).mappings().all())
        return [DeadJobRecord(**{**row, "message_kept": bool(row["message_kept"])}) for row in rows]

    def dismiss(self, number: int, by: str, note: str, now: datetime) -> None:
        """Close a dead job for good, on record; it is not counted any more. Raises NotPossible."""
        self._write(lambda c: self._dismiss(c, number, by, note, now=now))

    def _dismiss(self, c: sa.Connection, number: int, by: str, note: str, *, now: datetime) -> None:
        d = self.t.dead_job
        row = c.execute(sa.select(d).where(d.c.id == number).with_for_update()).one_or_none()
        if row is None:
            raise NotPossible("there is none of that number")
        if row.requeued_at is not None:
            raise NotPossible(f"it was put back on {row.requeued_at:%Y-%m-%d %H:%M} UTC")
        if row.dismissed_at is not None:
            raise NotPossible(f"{row.dismissed_by} dismissed it on {row.dismissed_at:%Y-%m-%d %H:%M} UTC")
        said = {"dismissed_at": now, "dismissed_by": by[:NAME_LENGTH], "dismissed_note": note or None}
        c.execute(sa.update(d).where(d.c.id == number).values(**said))


def is_open(dead_job: sa.Table) -> sa.ColumnElement[bool]:
    """Neither put back nor dismissed: somebody must still do something about it."""
    return sa.and_(dead_job.c.requeued_at.is_(None), dead_job.c.dismissed_at.is_(None))


def dead_job_values(dead: DeadJob, now: datetime) -> dict[str, Any]:
    """The row of a dead job. The member is the one that the message claims, where nobody could read it
    better; without one the request's ID is left out, for it may have the member's in it.
    """
    job = _job_in(dead.body)
    claimed = dead.member_id or job.get("member_id") or claimed_member(dead.body)
    member_id = claimed if is_identifier(claimed) else None
    return {
        "reason": dead.reason[:32],
        "error": dead.error[:ERROR_LENGTH],
        "queue": dead.queue[:32],
        "request_id": dead.request_id if member_id and is_identifier(dead.request_id) else None,
        "member_id": member_id,
        "attempts": dead.attempts,
        "message_sha256": dead.sha256 or hashlib.sha256(dead.body).hexdigest(),
        "message_length": len(dead.body) if dead.length is None else dead.length,
        "message_head": _kept(job, member_id),
        "created_at": now,
    }


def _job_in(body: bytes) -> dict[str, Any]:
    """The message, if it is a job or may be one to a newer worker; of all others nothing."""
    try:
        return read_job(body).to_message()
    except BadMessage as bad:
        return dict(json.loads(body)) if bad.code == "unknown_schema" else {}


def _kept(job: dict[str, Any], member_id: str | None) -> bytes:
    """What can be put back and is about this member alone.

    All else may hold anything about anybody, in any encoding, where no erasure would find it.
    """
    raw = json.dumps(job).encode()
    return raw if claimed_member(raw) == member_id is not None and len(raw) <= MESSAGE_BYTES else b""
