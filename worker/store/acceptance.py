"""A request enters the database."""

from __future__ import annotations

import json
from datetime import datetime

import sqlalchemy as sa

from worker.errors import MemberForgotten, RequestConflict
from worker.messages import VerifyJob
from worker.states import State
from worker.store.base import AnyRow, Database, is_newer
from worker.store.dead_jobs import dead_job_values
from worker.store.records import Accepted, DeadJob

CONFLICT = "conflict"


class Acceptance(Database):
    """`accept`."""

    def accept(self, job: VerifyJob, queue: str, now: datetime) -> Accepted:
        """Write the request down; the same message a second time changes nothing.

        Creates the member if need be, and takes selfie, gallery and declared gender from the newest
        request. Older requests of the member that have not started end `superseded`; so does this
        one, at once, where a newer one is already known.

        Raises RequestConflict (a `dead_job` row is written here already) and MemberForgotten.
        """
        try:
            return self._write(lambda c: self._accept(c, job, queue, now))
        except RequestConflict:
            self._write(lambda c: self._bury_conflict(c, job, queue, now))
            raise

    def _accept(self, c: sa.Connection, job: VerifyJob, queue: str, now: datetime) -> Accepted:
        member = self._lock_or_insert(c, job.member_id, now)
        if self._is_forgotten(c, job.member_id):
            raise MemberForgotten("the member was forgotten")
        known = self._lock_request(c, job.request_id)
        if known is not None:
            if known.content_hash != job.content_hash():
                raise RequestConflict(job.request_id)
            return Accepted(job.request_id, State(known.state), new=False)
        late = is_newer(member, job.requested_at, job.request_id)
        state = State.SUPERSEDED if late else State.QUEUED
        self._insert_request(c, job, queue, state, now)
        if not late:
            self._make_newest(c, job, now)
        return Accepted(job.request_id, state, new=True)

    def _lock_or_insert(self, c: sa.Connection, member_id: str, now: datetime) -> AnyRow | None:
        """The member's row as it was; None for one that is new. Ours alone in both cases."""
        member = self._lock_member(c, member_id)
        if member is None:
            c.execute(sa.insert(self.t.member).values(member_id=member_id, created_at=now, updated_at=now))
        return member

    def _insert_request(
        self, c: sa.Connection, job: VerifyJob, queue: str, state: State, now: datetime
    ) -> None:
        c.execute(
            sa.insert(self.t.verification).values(
                request_id=job.request_id,
                member_id=job.member_id,
                why=job.why,
                queue=queue,
                requested_at=job.requested_at,
                message=job.to_message(),
                content_hash=job.content_hash(),
                state=state,
                attempts=0,
                open_attempts=0,
                postponed=0,
                sweeps=0,
                accepted_at=now,
                due_at=None if state.ended else now + self._stale_after,
                finished_at=now if state.ended else None,
            )
        )

    def _make_newest(self, c: sa.Connection, job: VerifyJob, now: datetime) -> None:
        m = self.t.member
        c.execute(
            sa.update(m)
            .where(m.c.member_id == job.member_id)
            .values(
                declared_gender=job.declared_gender,
                selfie_url=job.selfie_url,
                request_id=job.request_id,
                requested_at=job.requested_at,
                pending=False,
                updated_at=now,
            )
        )
        self._supersede_waiting(c, job, now)
        self._replace_gallery(c, job.member_id, job.photo_urls, now)

    def _supersede_waiting(self, c: sa.Connection, job: VerifyJob, now: datetime) -> None:
        """End what waits; what runs ends by itself, and finds out then."""
        v = self.t.verification
        c.execute(
            sa.update(v)
            .where(
                v.c.member_id == job.member_id,
                v.c.request_id != job.request_id,
                v.c.state.in_([State.QUEUED, State.RETRY_WAIT]),
            )
            .values(state=State.SUPERSEDED, due_at=None, next_attempt_at=None, finished_at=now)
        )

    def _replace_gallery(
        self, c: sa.Connection, member_id: str, urls: tuple[str, ...], now: datetime
    ) -> bool:
        """Make these the member's photos; False when they were."""
        if self._gallery(c, member_id) == urls:
            return False
        p = self.t.photo
        c.execute(sa.delete(p).where(p.c.member_id == member_id))
        rows = [
            {"member_id": member_id, "position": position, "url": url, "created_at": now}
            for position, url in enumerate(urls, start=1)
        ]
        if rows:
            c.execute(sa.insert(p), rows)
        return True

    def _gallery(self, c: sa.Connection, member_id: str) -> tuple[str, ...]:
        p = self.t.photo
        return tuple(c.scalars(sa.select(p.c.url).where(p.c.member_id == member_id).order_by(p.c.position)))

    def _bury_conflict(self, c: sa.Connection, job: VerifyJob, queue: str, now: datetime) -> None:
        """Once for each content, however often the message is delivered."""
        d = self.t.dead_job
        values = dead_job_values(
            DeadJob(
                reason=CONFLICT,
                error="this request ID was sent before with other content",
                body=json.dumps(job.to_message()).encode(),
                queue=queue,
                request_id=job.request_id,
                member_id=job.member_id,
            ),
            now,
        )
        there = sa.select(d.c.id).where(
            d.c.request_id == job.request_id,
            d.c.reason == CONFLICT,
            d.c.message_sha256 == values["message_sha256"],
        )
        if c.execute(there).first() is None:
            c.execute(sa.insert(d).values(**values))
