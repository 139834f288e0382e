"""Members who have withdrawn consent to verification: nothing of theirs is judged until they give it."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from worker.jobs.verify_job import VerifyJob
from worker.store.database import AnyRow, Database
from worker.store.outbox.outcomes import Outcomes
from worker.store.requests.dead_letters import DeadLetters, dead_job_values
from worker.store.requests.records import DeadJob
from worker.store.requests.rows import is_manual
from worker.store.tables.states import State

NO_CONSENT: Final = "no_consent"
"""Reason of a dead job. Its message is not kept: the app sends it again."""
WITHDRAWN: Final = "the member has withdrawn consent to verification"


class RefusedConsent:
    """Ends and refuses requests within the transactions of others."""

    def __init__(self, database: Database, dead_letters: DeadLetters, outcomes: Outcomes) -> None:
        self._db = database
        self._t = database.t
        self._dead_letters = dead_letters
        self._outcomes = outcomes

    def end_open(self, c: sa.Connection, member_ids: Collection[str], now: datetime) -> None:
        """End all open requests of these members, who are locked; what runs finds out when it is done.

        Those go on at which people look in place of the machine: they process nothing that the consent is
        about.
        """
        v, m = self._t.verification, self._t.member
        open_states = (State.QUEUED, State.RUNNING, State.RETRY_WAIT)
        query = sa.select(v, m.c.manual).join(m, m.c.member_id == v.c.member_id)
        query = query.where(v.c.member_id.in_(list(member_ids)), v.c.state.in_(open_states))
        rows = c.execute(query.order_by(v.c.request_id).with_for_update()).all() if member_ids else ()
        for request in rows:
            if not is_manual(request, request.message):
                self.end(c, request, now)

    def end(self, c: sa.Connection, request: AnyRow, now: datetime) -> None:
        """End one that is locked: dead, without a verdict; the member's standing one stays."""
        ended = {"open_attempts": 0, "next_attempt_at": None, "due_at": None, "finished_at": now}
        self._db.update_request(c, request.request_id, state=State.DEAD, **ended)
        dead = _dead(request.message, request.queue, request.request_id, request.member_id)
        c.execute(sa.insert(self._t.dead_job).values(**dead_job_values(dead, now)))
        self._outcomes.withdrawn(c, request.request_id, now)

    def refuse(self, c: sa.Connection, job: VerifyJob, queue: str, now: datetime) -> None:
        """Write down a new request that is not taken; once, however often its message is delivered."""
        self._db.lock_member(c, job.member_id)
        dead = _dead(job.to_message(), queue, job.request_id, job.member_id)
        d, digest = self._t.dead_job, dead.sha256
        same = (d.c.request_id == job.request_id, d.c.reason == NO_CONSENT, d.c.message_sha256 == digest)
        if c.execute(sa.select(d.c.id).where(*same)).first() is None:
            self._dead_letters.write(c, dead, now)


def _dead(message: object, queue: str, request_id: str, member_id: str) -> DeadJob:
    raw = json.dumps(message).encode()
    return DeadJob(NO_CONSENT, WITHDRAWN, raw, queue, request_id, member_id).without_body()
