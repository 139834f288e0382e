"""Members who want a request, and how they get it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import sqlalchemy as sa

from worker.client.identifiers import is_identifier, new_request_id
from worker.errors import BadMessage
from worker.jobs.verify_job import VerifyJob, Why, new_job
from worker.store.database import BATCH, AnyRow, Database
from worker.store.members.galleries import Galleries
from worker.store.members.refused_consent import NO_CONSENT, WITHDRAWN
from worker.store.members.tombstones import Tombstones
from worker.store.outbox.outcomes import Outcomes
from worker.store.requests.acceptance import Acceptance, Entry, just_after
from worker.store.requests.changes import Changes, asks_the_same, content
from worker.store.requests.dead_letters import FORGOTTEN, DeadLetters, dead_job_values
from worker.store.requests.records import DeadJob, Enqueued, PendingMember, Queued
from worker.store.tables.states import State

Answers = dict[str, Queued | str]
"""By the member's ID: the job, or the reason why there is none."""


class PendingMembers:
    """Members who want a request: the app or an import has written them down, or changed their photos."""

    def __init__(
        self,
        database: Database,
        tombstones: Tombstones,
        dead_letters: DeadLetters,
        acceptance: Acceptance,
        outcomes: Outcomes,
    ) -> None:
        self._db = database
        self._t = database.t
        self._tombstones = tombstones
        self._dead_letters = dead_letters
        self._acceptance = acceptance
        self._outcomes = outcomes
        self._galleries = Galleries(database.t)
        self._changes = Changes(database, tombstones)

    def members(self, limit: int = 100) -> list[PendingMember]:
        """Members who want a request, in the order of their IDs; changes nothing."""
        m = self._t.member
        query = sa.select(m).where(m.c.needs_request).order_by(m.c.member_id).limit(limit)
        return self._db.read(lambda c: self._described(c, c.execute(query).all()))

    def notice_changes(self, now: datetime) -> None:
        """Members with photos that no request knows, or with fewer than it knew, become pending; so do
        those with photos that could not be had, after some time.

        Deleted photos are found once all members were counted, `COUNTED` at each call: at the next
        call where there are no more members than that.
        """
        self._changes.notice(now)

    def _described(self, c: sa.Connection, rows: Sequence[AnyRow]) -> list[PendingMember]:
        galleries = self._galleries.of(c, [row.member_id for row in rows])
        return [
            PendingMember(
                member_id=row.member_id,
                declared_gender=row.declared_gender,
                selfie_url=row.selfie_url or "",
                photo_urls=galleries[row.member_id],
                seen_before=row.request_id is not None,
            )
            for row in rows
        ]

    def enqueue(self, queue: str, now: datetime, limit: int = 100) -> Enqueued:
        """Accept a request for each member who needs one; the jobs belong on the broker's queue.

        Who needs one first gets it first; a member without photos waits `PHOTOS_WAIT` for them. Two
        callers at once share the members out. A member whose row cannot become a job gets a `dead_job`
        row instead, and needs none any more. Call it until it returns nothing.
        """
        m = self._t.member
        self._changes.note_newcomers(now)
        query = (
            sa.select(m)
            .where(m.c.needs_request, m.c.request_after <= now)
            .order_by(m.c.request_after, m.c.member_id)
            .with_for_update(skip_locked=True)
        )

        def batch(size: int, c: sa.Connection) -> list[tuple[str, Queued | str]]:
            return list(self._enqueue(c, query.limit(size), None, queue, now=now).items())

        return _enqueued(dict(self._db.write_batches(batch, limit)))

    def enqueue_members(
        self,
        member_ids: Iterable[str],
        queue: str,
        now: datetime,
        why: Why = Why.OPERATOR,
        *,
        manual: bool | None = None,
    ) -> Enqueued:
        """Accept a new request for each of these members, pending or not.

        ``manual``: whether people look at them; None: as at the request before.
        """
        ids = sorted(set(member_ids))
        answers: Answers = dict.fromkeys(ids, "no such member")
        m = self._t.member
        for start in range(0, len(ids), BATCH):
            # MariaDB would find `m1` for `m1 `, which is no ID.
            chosen = m.c.member_id.in_(list(filter(is_identifier, ids[start : start + BATCH])))
            query = sa.select(m).where(chosen).order_by(m.c.member_id).with_for_update()
            work = partial(self._enqueue, query=query, why=why, queue=queue, now=now, manual=manual)
            answers |= self._db.write(work)
        return _enqueued(answers)

    def _enqueue(
        self,
        c: sa.Connection,
        query: sa.Select[Any],
        why: Why | None,
        queue: str,
        *,
        now: datetime,
        manual: bool | None = None,
    ) -> Answers:
        rows = {row.member_id: row for row in c.execute(query).all()}
        forgotten = self._tombstones.among(c, rows)
        self._erase_again(c, [rows[member_id] for member_id in forgotten], queue, now)
        answers: Answers = dict.fromkeys(forgotten, "the member was forgotten")
        entries = []
        self._galleries.lock(c, rows)
        members = self._described(c, [row for i, row in rows.items() if i not in forgotten])
        for member in members if why else self._settle_asked(c, members, rows.values()):
            try:
                job = _job_for(member, why, rows[member.member_id], now, manual=manual)
            except BadMessage as error:
                self._refuse(c, member, error, queue, now=now)
                answers[member.member_id] = str(error)
            else:
                row = rows[member.member_id]
                entry = Entry(job, job.requested_at, self._acceptance.is_sandbox(row.member_id, row))
                entries.append(entry)
                answers[member.member_id] = Queued(job, queue)
        if entries:
            self._acceptance.enter(c, entries, queue, now)
        return answers

    def _erase_again(self, c: sa.Connection, rows: Sequence[AnyRow], queue: str, now: datetime) -> None:
        """Members whom somebody inserted by SQL although their ID is barred."""
        for member in self._described(c, rows):
            self._dead_letters.write_barred(c, _dead(member, FORGOTTEN, "", queue), now)
        if rows:
            self._tombstones.erase_put_back(c, [row.member_id for row in rows])

    def _refuse(
        self, c: sa.Connection, member: PendingMember, error: BadMessage, queue: str, *, now: datetime
    ) -> None:
        """Write a dead job, and settle the member: the next sweep must not find the row again."""
        dead = _dead(member, error.code, error.text, queue)
        c.execute(sa.insert(self._t.dead_job).values(**dead_job_values(dead, now)))
        self._outcomes.refused(c, None, member.member_id, error.code, now)
        self._settle(c, member)

    def _settle_asked(
        self, c: sa.Connection, members: Sequence[PendingMember], rows: Iterable[AnyRow]
    ) -> list[PendingMember]:
        """Settle those about whom a waiting request asks the same; returns the others.

        That one is fetched by the links which the member has then.
        """
        asked = self._changes.asked(c, rows, State.QUEUED, State.RETRY_WAIT)
        same = [
            one for one in members if asks_the_same(asked.get(one.member_id), content(one, one.photo_urls))
        ]
        for member in same:
            self._settle(c, member)
        return [member for member in members if member not in same]

    def _settle(self, c: sa.Connection, member: PendingMember) -> None:
        """No request is wanted any more: what the member has now counts as asked about."""
        known = {
            "requested_selfie_url": member.selfie_url,
            "requested_gender": member.declared_gender,
            "requested_photos": len(member.photo_urls),
        }
        self._db.update_member(c, member.member_id, pending=False, request_after=None, **known)
        self._galleries.know(c, self._galleries.photos(c, [member.member_id]))


def _enqueued(answers: Answers) -> Enqueued:
    return Enqueued(
        jobs=tuple(answer for answer in answers.values() if isinstance(answer, Queued)),
        refused={member_id: answer for member_id, answer in answers.items() if isinstance(answer, str)},
    )


def _dead(member: PendingMember, reason: str, error: str, queue: str) -> DeadJob:
    return DeadJob(
        reason=reason,
        error=error,
        body=json.dumps(_message_for(member)).encode(),
        queue=queue,
        member_id=member.member_id,
    )


def _message_for(member: PendingMember) -> dict[str, Any]:
    return {"member_id": member.member_id, **content(member, member.photo_urls)}


def _job_for(
    member: PendingMember, why: Why | None, row: AnyRow, now: datetime, *, manual: bool | None
) -> VerifyJob:
    """``manual``: None for what the request before had. What we ask for must not undo what the app wanted."""
    manual = bool(row.requested_manual) if manual is None else manual
    if not row.verification_consent and not (manual or row.manual):
        raise BadMessage(NO_CONSENT, WITHDRAWN)
    at = just_after(row, now)
    return new_job(
        request_id=new_request_id(at),
        requested_at=at,
        why=why or (Why.PHOTOS_CHANGED if member.seen_before else Why.SIGNUP),
        manual=manual,
        **_message_for(member),
    )
