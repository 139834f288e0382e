"""Reviews: people decide about requests, and label photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from pipeline.verdict import Gender, Outcome, Reason, Status
from worker.errors import NotPossible
from worker.store.database import AnyRow, Database
from worker.store.mapped import MappedMember
from worker.store.members.members import existing_member
from worker.store.members.records import BY_PERSON, Decided, Labelled, WaitingReview
from worker.store.outbox.outcomes import Outcomes
from worker.store.requests.reading import read_reuses
from worker.store.requests.tries import Tries
from worker.store.tables.states import PairLabel, State
from worker.store.tables.views import decided

_DECIDABLE: Final = frozenset({Status.APPROVED, Status.REVIEW, Status.RETRY_PHOTO, Status.REJECTED})


class Reviews:
    """What a person decides about a request, and says of each photo."""

    def __init__(
        self, database: Database, mapped: MappedMember | None, outcomes: Outcomes, tries: Tries
    ) -> None:
        self._db = database
        self._t = database.t
        self._mapped = mapped
        self._outcomes = outcomes
        self._tries = tries

    def label(
        self,
        member_id: str,
        position: int,
        label: PairLabel,
        by: str,
        now: datetime,
        *,
        gender: Gender | None = None,
    ) -> Labelled:
        """Say whether a gallery photo shows the person of the selfie.

        About the photo in the member's latest judged request. Another label of the same photo is
        added to the first; the latest counts. Raises NotPossible.
        """

        def write(c: sa.Connection) -> Labelled:
            member = existing_member(c, self._db, member_id)
            if member.sandbox:
                raise NotPossible(f"{member_id} is of the sandbox: there is nobody in its photos to label")
            found = c.execute(self._latest_findings(member_id)).all()
            photo = _to_label(found, member_id, position)
            row = {"request_id": photo.request_id, "position": position, "label": label, "gender": gender}
            files = {"sha256": photo.sha256, "selfie_sha256": found[0].sha256}
            said = {**row, **files, "labelled_by": by, "labelled_at": now}
            c.execute(sa.insert(self._t.label).values(**said))
            consent = bool(member.training_consent)
            return Labelled(photo.request_id, position, Outcome(photo.outcome), consent)

        return self._db.write(write)

    def _latest_findings(self, member_id: str) -> sa.Select[Any]:
        """Photos of the latest request that was judged, the selfie's first."""
        v, vp = self._t.verification, self._t.verification_photo
        latest = (
            sa.select(v.c.request_id)
            .where(v.c.member_id == member_id, v.c.finished_at.is_not(None))
            .where(sa.exists().where(vp.c.request_id == v.c.request_id))
            .order_by(v.c.requested_at.desc(), v.c.request_id.desc())
            .limit(1)
            .scalar_subquery()
        )
        return sa.select(vp).where(vp.c.request_id == latest).order_by(vp.c.position)

    def decide(
        self, member_id: str, status: Status, by: str, now: datetime, *, request_id: str | None = None
    ) -> Decided:
        """A person approves or rejects: the request and the member's row, together or not at all.

        Only the newest request can be decided, once it is judged; with ``request_id`` only while
        that is the newest. Who waits for a review can be rejected, too, where the newest one failed.
        What the machine said and found stays as it is. Raises NotPossible.
        """
        if status not in BY_PERSON:
            raise ValueError("a person approves or rejects")

        def write(c: sa.Connection) -> Decided:
            member = existing_member(c, self._db, member_id)
            request = self._db.lock_request(c, member.request_id or "")
            if request is None:
                raise NotPossible(f"{member_id} has no request yet: there is nothing to decide")
            _check_decidable(member, request, status, request_id)
            was = Status(member.verification_status or request.status)
            done = Decided(request.request_id, status, was, member.reason and Reason(member.reason))
            self._note_decision(c, done, by, now)
            self._write_decided(c, member_id, done, now)
            self._outcomes.decided(c, done.request_id, now)
            return done

        return self._db.write(write)

    def _write_decided(self, c: sa.Connection, member_id: str, done: Decided, now: datetime) -> None:
        result = {
            "verification_status": done.status,
            "reason": BY_PERSON[done.status],
            "verified_at": now,
            "verified_request_id": done.request_id,
        }
        m = decided(c, self._t.member)
        c.execute(sa.update(m).where(m.c.member_id == member_id).values(updated_at=now, **result))
        if self._mapped is not None:
            self._mapped.write(c, member_id, result)

    def _note_decision(self, c: sa.Connection, done: Decided, by: str, now: datetime) -> None:
        row = {**asdict(done), "decided_by": by, "decided_at": now}
        c.execute(sa.insert(self._t.decision).values(**row))

    def waiting(self, limit: int = 100) -> list[WaitingReview]:
        """Members whom a person must decide about, those who wait longest first."""
        m, v = self._t.member, self._t.verification
        opened = (m.c.member_id, m.c.reason, m.c.verified_at, m.c.verified_request_id, m.c.sandbox)
        query = (
            sa.select(*opened, v.c.request_id, v.c.state, v.c.status, v.c.reason.label("newest_reason"))
            .select_from(m)
            .outerjoin(v, v.c.request_id == m.c.request_id)
            .where(m.c.verification_status == Status.REVIEW)
            .order_by(m.c.verified_at, m.c.member_id)
            .limit(limit)
        )
        return self._db.read(lambda c: [self._waiting(c, row) for row in c.execute(query).all()])

    def _waiting(self, c: sa.Connection, row: AnyRow) -> WaitingReview:
        """With what the reason is about: the other members' requests, or the number of earlier tries."""
        opened_by, since = row.verified_request_id, row.verified_at
        reuses = read_reuses(c, self._t, [opened_by]) if opened_by else []
        many = row.reason == Reason.TOO_MANY_TRIES and opened_by and since
        ended = row.state is not None and State(row.state).ended
        return WaitingReview(
            member_id=row.member_id,
            reason=row.reason and Reason(row.reason),
            since=since,
            opened_by=opened_by,
            request_id=row.request_id,
            newest_state=row.state and State(row.state),
            newest_status=Status(row.status) if ended and row.status else None,
            newest_reason=Reason(row.newest_reason) if ended and row.newest_reason else None,
            sandbox=row.sandbox,
            tries=self._tries.before(c, row.member_id, opened_by, since) if many else None,
            photos_of=tuple(dict.fromkeys(one.of_request_id for one in reuses)),
        )


def _to_label(found: Sequence[AnyRow], member_id: str, position: int) -> AnyRow:
    """The photo of that position. Raises NotPossible."""
    photo = next((row for row in found if row.position == position and position > 0), None)
    if photo is None and not found:
        raise NotPossible(f"{member_id} was never judged: there is no photo to label")
    if photo is None:
        there = f"the latest judged request has 1 to {len(found) - 1}"
        raise NotPossible(f"{member_id} has no gallery photo {position}: {there}")
    if not photo.faces or not found[0].faces:
        where = "photo" if found[0].faces else "selfie"
        raise NotPossible(f"no face was seen in the {where} ({photo.outcome}): there is nothing to label")
    return photo


def _check_decidable(member: AnyRow, request: AnyRow, status: Status, expected: str | None) -> None:
    if expected is not None and request.request_id != expected:
        raise NotPossible(f"the newest request is {request.request_id}: look at that one first")
    judged = request.state == State.DONE and request.status in _DECIDABLE
    # Photos that could not be fetched cannot be approved; but failing links must not end a review.
    waits = State(request.state).ended and member.verification_status == Status.REVIEW
    if not judged and not (waits and status is Status.REJECTED):
        raise NotPossible(
            f"the newest request is {request.state} ({request.status or 'no verdict'}): nothing to decide"
        )
