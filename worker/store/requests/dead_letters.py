"""What could not be processed becomes a row of `dead_job`, and which member it was about."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from worker.client.identifiers import is_identifier
from worker.errors import BadMessage
from worker.jobs.verify_job import decode_job
from worker.store.members.tombstones import Tombstones
from worker.store.outbox.outcomes import Outcomes
from worker.store.requests.records import DeadJob
from worker.store.tables.schema import MESSAGE_BYTES, Tables, is_open

FORGOTTEN: Final = "forgotten"
"""Reason of a dead job whose member is barred: of it stays what says nothing about the member."""
_CLAIM: Final = re.compile(r'"member_id"\s*:\s*("(?:[^"\\]|\\.)*")')
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]{24,}")


class DeadLetters:
    """Writes `dead_job` within the transactions of others."""

    def __init__(self, t: Tables, tombstones: Tombstones, outcomes: Outcomes) -> None:
        self._t = t
        self._tombstones = tombstones
        self._outcomes = outcomes

    def write(self, c: sa.Connection, dead: DeadJob, now: datetime) -> int:
        """Returns the number of its row; see `DeadJobs.add`."""
        d, values = self._t.dead_job, dead_job_values(dead, now)
        number = int(c.execute(sa.insert(d).values(**values)).lastrowid)
        # Asked after the insert: an erasure that begins now waits for the row, and finds it.
        if values["member_id"] is None or not self._tombstones.among(c, [values["member_id"]]):
            self._outcomes.refused(c, values["request_id"], values["member_id"], values["reason"], now)
            return number
        c.execute(sa.delete(d).where(d.c.id == number))
        return self.write_barred(c, dead, now)

    def write_barred(self, c: sa.Connection, dead: DeadJob, now: datetime) -> int:
        """A message about a member who is barred; one row, however often the same one is delivered."""
        d, values = self._t.dead_job, self._without_member(dead_job_values(dead, now))
        same = (d.c.member_hash == values["member_hash"], d.c.message_sha256 == values["message_sha256"])
        known = c.scalar(sa.select(d.c.id).where(*same, is_open(d)).limit(1))
        if known is not None:
            return int(known)
        self._outcomes.refused(c, values["request_id"], None, FORGOTTEN, now)
        return int(c.execute(sa.insert(d).values(**values)).lastrowid)

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
            "member_hash": self._tombstones.hash_of(member_id),
            "message_sha256": self._tombstones.hash_of(values["message_sha256"]),
            "message_head": b"",
        }


def dead_job_values(dead: DeadJob, now: datetime) -> dict[str, Any]:
    """The row of a dead job. The member is the one that the message claims, where nobody could read it
    better; without one the request's ID is left out, for it may have the member's in it.
    """
    job = _job_in(dead.body)
    claimed = dead.member_id or job.get("member_id") or claimed_member(dead.body)
    member_id = claimed if is_identifier(claimed) else None
    return {
        "reason": dead.reason,
        "error": dead.error,
        "queue": dead.queue,
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
        return decode_job(body).to_message()
    except BadMessage as bad:
        return dict(json.loads(body)) if bad.code == "unknown_schema" else {}


def _kept(job: dict[str, Any], member_id: str | None) -> bytes:
    """What can be put back and is about this member alone.

    All else may hold anything about anybody, in any encoding, where no erasure would find it.
    """
    raw = json.dumps(job).encode()
    return raw if claimed_member(raw) == member_id is not None and len(raw) <= MESSAGE_BYTES else b""


def claimed_member(body: bytes) -> str | None:
    """The only member that a message claims to be about, however broken the rest of it is."""
    claims = {claim for text in _readings(body) for claim in _CLAIM.findall(text)}
    return _read(claims.pop()) if len(claims) == 1 else None


def _read(claim: str) -> str | None:
    try:
        return str(json.loads(claim))
    except ValueError:
        return None


def _readings(body: bytes) -> Iterator[str]:
    """As it is, and what Celery's base64 in it says."""
    yield body.decode(errors="replace")
    for run in _BASE64.findall(body):
        # An excerpt is cut off anywhere: a group of four that is not whole is left out.
        yield base64.b64decode(run[: len(run) // 4 * 4]).decode(errors="replace")
