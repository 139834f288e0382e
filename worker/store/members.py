"""Members come in, want requests, and are forgotten."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import sqlalchemy as sa

from worker.errors import BadMessage, MemberForgotten
from worker.identifiers import new_request_id
from worker.messages import VerifyJob, Why, new_job
from worker.store.acceptance import Acceptance
from worker.store.base import BATCH, AnyRow
from worker.store.dead_jobs import dead_job_values
from worker.store.records import Change, DeadJob, Enqueued, NewMember, PendingMember, Queued

_Answer = tuple[str, Queued | str]
"""A member's ID with the job, or with the reason why there is none."""


class Members(Acceptance):
    """`import_members`, `pending`, `enqueue_pending`, `enqueue_members`, `forget`."""

    def import_members(self, members: Sequence[NewMember], now: datetime) -> list[Change]:
        """Write down new and changed members, who then are pending; the answers in the order given.

        In small transactions, so that sign-ups need not wait: what broke off is imported again.
        """
        starts = range(0, len(members), BATCH)
        batches = [members[start : start + BATCH] for start in starts]
        return [
            change for batch in batches for change in self._write(partial(self._import_batch, batch, now))
        ]

    def _import_batch(self, members: Sequence[NewMember], now: datetime, c: sa.Connection) -> list[Change]:
        # In the order of the IDs, whatever the file's: two imports must not wait for each other.
        changes = {i: self._import(c, members[i], now) for i in _by_id(members)}
        return [changes[i] for i in range(len(members))]

    def _import(self, c: sa.Connection, new: NewMember, now: datetime) -> Change:
        known = self._lock_or_insert(c, new.member_id, now)
        if self._is_forgotten(c, new.member_id):
            c.execute(sa.delete(self.t.member).where(self.t.member.c.member_id == new.member_id))
            return Change.FORGOTTEN
        if known is not None and self._unchanged(c, known, new):
            return Change.UNCHANGED
        values = {
            "declared_gender": new.declared_gender,
            "selfie_url": new.selfie_url,
            "pending": True,
            "updated_at": now,
        }
        m = self.t.member
        c.execute(sa.update(m).where(m.c.member_id == new.member_id).values(**values))
        self._replace_gallery(c, new.member_id, new.photo_urls, now)
        return Change.CREATED if known is None else Change.CHANGED

    def _unchanged(self, c: sa.Connection, known: AnyRow, new: NewMember) -> bool:
        same = known.declared_gender == new.declared_gender and known.selfie_url == new.selfie_url
        return same and self._gallery(c, new.member_id) == new.photo_urls

    def pending(self, limit: int = 100) -> list[PendingMember]:
        """Members who want a request, in the order of their IDs; changes nothing."""
        return self._read(lambda c: self._pending(c, self._wanting().limit(limit)))

    def _wanting(self) -> sa.Select[Any]:
        m = self.t.member
        return sa.select(m).where(m.c.pending, m.c.selfie_url.is_not(None)).order_by(m.c.member_id)

    def _pending(self, c: sa.Connection, query: sa.Select[Any]) -> list[PendingMember]:
        return [
            PendingMember(
                member_id=row.member_id,
                declared_gender=row.declared_gender,
                selfie_url=row.selfie_url or "",
                photo_urls=self._gallery(c, row.member_id),
                seen_before=row.request_id is not None,
            )
            for row in c.execute(query).all()
        ]

    def enqueue_pending(self, queue: str, now: datetime, limit: int = 100) -> Enqueued:
        """Accept a request for each pending member; the jobs belong on the broker's queue.

        Two callers at once share the members out. A member whose row cannot become a job gets a
        `dead_job` row instead, and is pending no more. Call it until it returns nothing.
        """
        query = self._wanting().with_for_update(skip_locked=True)

        def enqueue(size: int, c: sa.Connection) -> list[_Answer]:
            return self._enqueue(c, self._pending(c, query.limit(size)), None, queue, now=now)

        return _enqueued(self._write_batches(enqueue, limit))

    def enqueue_members(
        self, member_ids: Iterable[str], queue: str, now: datetime, why: Why = Why.OPERATOR
    ) -> Enqueued:
        """Accept a new request for each of these members, pending or not."""
        answers = [self._write(partial(self._enqueue_one, i, why, queue, now)) for i in member_ids]
        return _enqueued(answers)

    def _enqueue_one(self, member_id: str, why: Why, queue: str, now: datetime, c: sa.Connection) -> _Answer:
        m = self.t.member
        found = self._pending(c, sa.select(m).where(m.c.member_id == member_id).with_for_update())
        answers = self._enqueue(c, found, why, queue, now=now)
        return answers[0] if answers else (member_id, "no such member")

    def _enqueue(
        self, c: sa.Connection, members: list[PendingMember], why: Why | None, queue: str, *, now: datetime
    ) -> list[_Answer]:
        answers: list[_Answer] = []
        for member in members:
            try:
                job = _job_for(member, why, now)
                self._accept(c, job, queue, now)
                answers.append((member.member_id, Queued(job, queue)))
            except (BadMessage, MemberForgotten) as error:
                self._refuse(c, member, error, queue, now)
                answers.append((member.member_id, str(error)))
        return answers

    def _refuse(
        self,
        c: sa.Connection,
        member: PendingMember,
        error: BadMessage | MemberForgotten,
        queue: str,
        now: datetime,
    ) -> None:
        """Once and for all, or every sweep would find the row again."""
        m = self.t.member
        if isinstance(error, MemberForgotten):  # put back in SQL, behind the tombstone's back
            c.execute(sa.delete(m).where(m.c.member_id == member.member_id))
            return
        dead = DeadJob(
            reason=error.code,
            error=error.text,
            body=json.dumps(_message_for(member)).encode(),
            queue=queue,
            member_id=member.member_id,
        )
        c.execute(sa.insert(self.t.dead_job).values(**dead_job_values(dead, now)))
        c.execute(sa.update(m).where(m.c.member_id == member.member_id).values(pending=False))

    def forget(self, member_id: str, now: datetime) -> dict[str, int]:
        """Erase a member; returns how many rows went from each table.

        A tombstone, from which nobody can read who it was, keeps running jobs, queued messages,
        dead jobs and imports from bringing the member back.
        """
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
        if not self._is_forgotten(c, member_id):
            grave = {"member_hash": self._member_hash(member_id), "forgotten_at": now}
            c.execute(sa.insert(self.t.tombstone).values(**grave))


def _enqueued(answers: Iterable[_Answer]) -> Enqueued:
    listed = list(answers)
    return Enqueued(
        jobs=tuple(answer for _, answer in listed if isinstance(answer, Queued)),
        refused={member_id: answer for member_id, answer in listed if isinstance(answer, str)},
    )


def _by_id(members: Sequence[NewMember]) -> list[int]:
    return sorted(range(len(members)), key=lambda i: members[i].member_id)


def _message_for(member: PendingMember) -> dict[str, Any]:
    return {
        "member_id": member.member_id,
        "selfie_url": member.selfie_url,
        "photo_urls": list(member.photo_urls),
        "declared_gender": member.declared_gender,
    }


def _job_for(member: PendingMember, why: Why | None, now: datetime) -> VerifyJob:
    # An unknown gender is none declared.
    gender = None if member.declared_gender == "unknown" else member.declared_gender
    return new_job(
        request_id=new_request_id(now),
        requested_at=now,
        why=why or (Why.PHOTOS_CHANGED if member.seen_before else Why.SIGNUP),
        **{**_message_for(member), "declared_gender": gender},
    )
