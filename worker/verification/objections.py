"""One delivery of an objection: written down, or a dead job that says why not."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from worker.clock import utc_now
from worker.errors import BadMessage, CaseSuspended, MemberForgotten, ObjectionRefused
from worker.jobs.objection_job import ObjectionJob, parse_objection_job
from worker.logs import about
from worker.store import DeadJob, NewObjection
from worker.store.members.refused_consent import NO_CONSENT
from worker.store.requests.dead_letters import FORGOTTEN
from worker.verification.dead_letters import invalid_job

logger = logging.getLogger(__name__)


class Objections(Protocol):
    """The objections of the store. May raise StoreUnavailable."""

    def record(self, new: NewObjection, now: datetime) -> bool:
        """False where it was known. Raises ObjectionRefused, CaseSuspended and MemberForgotten."""


class DeadJobs(Protocol):
    """The dead jobs of the store."""

    def add(self, dead: DeadJob, now: datetime) -> int: ...


class Received(StrEnum):
    """What became of a delivery; in each case its message is acknowledged."""

    RECORDED = "recorded"
    KNOWN = "known"
    DEAD_LETTER = "dead_letter"


@dataclass(frozen=True, kw_only=True, eq=False)
class ObjectionDelivery:
    """Handles deliveries one after the other."""

    objections: Objections
    dead_jobs: DeadJobs
    clock: Callable[[], datetime] = utc_now

    def handle(self, body: object, queue: str) -> Received:
        """Write the objection in a message's body down. Raises StoreUnavailable: deliver it again, then."""
        now = self.clock()
        try:
            job = parse_objection_job(body, now)
        except BadMessage as bad:
            return self._dead_letter(bad, body, queue, now)
        with about(job.objection_id, job.member_id):
            return self._record(job, body, queue, now)

    def _record(self, job: ObjectionJob, body: object, queue: str, now: datetime) -> Received:
        new = NewObjection(job.member_id, job.requested_at, job.objection_id)
        try:
            recorded = self.objections.record(new, now)
        except ObjectionRefused as refused:
            return self._dead_letter(BadMessage(refused.code, str(refused)), body, queue, now)
        except MemberForgotten as forgotten:
            return self._dead_letter(BadMessage(FORGOTTEN, str(forgotten)), body, queue, now)
        except CaseSuspended as suspended:
            return self._dead_letter(BadMessage(NO_CONSENT, str(suspended)), body, queue, now)
        logger.info("the member objects" if recorded else "this objection is known")
        return Received.RECORDED if recorded else Received.KNOWN

    def _dead_letter(self, bad: BadMessage, body: object, queue: str, now: datetime) -> Received:
        """Nothing of the message is kept, for `requeue` puts back requests only: the app sends it again."""
        logger.warning("an objection on %s goes to dead_job: %s", queue, bad.code)
        member_id = body.get("member_id") if isinstance(body, dict) else None
        dead = invalid_job(bad, body, queue).without_body()
        self.dead_jobs.add(replace(dead, member_id=member_id), now)
        return Received.DEAD_LETTER
