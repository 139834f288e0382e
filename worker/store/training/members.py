"""The members and faces of a run, for as long as it lasts.

A member who is forgotten takes all of it along (ON DELETE CASCADE); one who withdraws consent is left
out from that moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import sqlalchemy as sa

from pipeline.verdict import Gender
from worker.store.database import BATCH, AnyRow, Database
from worker.store.leases import is_free, update_leased
from worker.store.requests.results import note_contents
from worker.store.tables.states import PairLabel, Studied
from worker.store.training.encryption import VectorCipher
from worker.store.training.labels import Labels
from worker.store.training.records import FaceRow, LearnedFace, Progress, RunLease, StudiedPhoto, ToStudy

CRASHED: Final = "crashed"
"""The photos of the member killed their process, or their host was in trouble, time and again."""
NOT_REACHED: Final = "not_reached"
"""No verify worker took the member on, however often the message was sent."""
NO_KEY: Final = "no_key"
"""The worker that embedded the face has no key to encrypt its vectors with."""
_AT_ONCE: Final = 500


class TrainingMembers:
    """Who is learned from, how far that is, and what was found in the photos."""

    def __init__(self, database: Database, labels: Labels, cipher: VectorCipher) -> None:
        self._db = database
        self._t = database.t
        self._labels = labels
        self._cipher = cipher

    def enter(self, held: RunLease, size: int) -> int:
        """Put all labelled members who consented on the run's list, in batches of ``size``; how many.

        Goes on where an earlier try broke off. Raises TrainingFailed where there is no key to encrypt with.
        """
        self._cipher.check()
        entered = self.progress(held.run_id).members
        while step := self._db.write(partial(self._enter_some, held.run_id, entered, size)):
            entered += step
        return entered

    def _enter_some(self, run_id: int, entered: int, size: int, c: sa.Connection) -> int:
        m, mine = self._t.member, self._t.training_member
        last = c.scalar(sa.select(sa.func.max(mine.c.member_id)).where(mine.c.run_id == run_id)) or ""
        some = self._labels.of_consenting(m.c.member_id).distinct().where(m.c.member_id > last)
        found = c.scalars(some.order_by(m.c.member_id).limit(BATCH)).all()
        there = sa.select(m.c.member_id).where(m.c.member_id.in_(found)).order_by(m.c.member_id)
        rows = [
            {
                "run_id": run_id,
                "member_id": member_id,
                "batch": number // size,
                "state": Studied.WAITING,
                "attempts": 0,
            }
            for number, member_id in enumerate(c.scalars(there.with_for_update()), entered)
        ]
        if rows:
            c.execute(sa.insert(mine), rows)
        return len(rows)

    def waiting_batches(self, run_id: int, now: datetime) -> list[int]:
        """Batches with a member whom nobody works on."""
        mine = self._t.training_member
        query = sa.select(mine.c.batch).distinct().where(mine.c.run_id == run_id, self._available(now))
        return [*self._db.read(lambda c: c.scalars(query.order_by(mine.c.batch)).all())]

    def _available(self, now: datetime) -> sa.ColumnElement[bool]:
        mine = self._t.training_member
        return sa.and_(mine.c.state == Studied.WAITING, is_free(mine, now))

    def acquire(
        self, run_id: int, batch: int, lease: timedelta, most_attempts: int, now: datetime
    ) -> ToStudy | None:
        """The next member of a batch to look at, for as long as the lease; None when none is left.

        Committed on return, so that photos that kill their process are counted.
        """
        mine, r = self._t.training_member, self._t.training_run
        under_way = sa.exists().where(r.c.run_id == run_id, r.c.unfinished)
        of_batch = sa.and_(mine.c.run_id == run_id, mine.c.batch == batch, under_way)
        free = sa.select(mine).where(of_batch, self._available(now)).order_by(mine.c.member_id)
        return self._db.write(lambda c: self._acquire_first(c, free, now + lease, most_attempts))

    def _acquire_first(
        self, c: sa.Connection, free: sa.Select[Any], until: datetime, most: int
    ) -> ToStudy | None:
        mine = self._t.training_member
        first = free.limit(1).with_for_update(skip_locked=True)
        while (row := c.execute(first).one_or_none()) is not None:
            photos = self._labels.true_photos(c, row.member_id)
            if row.attempts >= most:
                self._update_member(c, row, state=Studied.FAILED, reason=CRASHED)
            elif not photos:
                c.execute(sa.delete(mine).where(self._is(row)))
            else:
                self._update_member(c, row, attempts=row.attempts + 1, lease_until=until)
                return ToStudy(row.run_id, row.member_id, row.attempts + 1, photos)
        return None

    def _is(self, row: AnyRow | ToStudy) -> sa.ColumnElement[bool]:
        mine = self._t.training_member
        return sa.and_(mine.c.run_id == row.run_id, mine.c.member_id == row.member_id)

    def _update_member(self, c: sa.Connection, row: AnyRow, **values: Any) -> None:
        c.execute(sa.update(self._t.training_member).where(self._is(row)).values(**values))

    def postpone(self, study: ToStudy, until: datetime) -> None:
        """Leave the member alone until a photo host may have recovered."""
        mine, its = self._t.training_member, self._is(study)
        self._db.write(lambda c: update_leased(c, mine, study.attempt, its, lease_until=until))

    def note(self, study: ToStudy, photos: Sequence[StudiedPhoto]) -> bool:
        """Write down what was found; False, and nothing written, where it is not wanted any more: it was
        found before, the run is over, the member was forgotten or has withdrawn consent.

        A member at whose links other pictures lie than were judged gets a request.
        """
        return self._db.write(lambda c: self._note(c, study, photos))

    def _note(self, c: sa.Connection, study: ToStudy, photos: Sequence[StudiedPhoto]) -> bool:
        mine, face = self._t.training_member, self._t.training_face
        member = self._db.lock_member(c, study.member_id)
        row = c.execute(sa.select(mine).where(self._is(study)).with_for_update()).one_or_none()
        if member is None or row is None:
            return False
        if not member.training_consent:
            c.execute(sa.delete(mine).where(self._is(study)))
            return False
        if row.state != Studied.WAITING:
            return False
        rows = [self._face_row(study, number, found) for number, found in enumerate(photos)]
        if rows:
            c.execute(sa.insert(face), rows)
        seen = {found.photo.link.url: found.sha256 for found in photos if found.sha256}
        note_contents(c, self._db, study.member_id, seen)
        self._update_member(c, row, state=Studied.DONE, lease_until=None)
        return True

    def _face_row(self, study: ToStudy, number: int, found: StudiedPhoto) -> dict[str, Any]:
        row = FaceRow(study.run_id, study.member_id, number, found.networks)
        usable = found.vectors is not None and self._cipher.ready
        return {
            **asdict(row),
            "label": found.photo.label,
            "gender": found.photo.gender,
            "audited": found.photo.audited,
            "reason": found.reason or (None if usable else NO_KEY),
            "sha256": found.sha256,
            "vectors": self._cipher.encrypt(found.vectors, row) if found.vectors and usable else None,
        }

    def give_up_waiting(self, run_id: int) -> int:
        """Go on without those who still wait; how many."""
        mine = self._t.training_member
        waiting = sa.update(mine).where(mine.c.run_id == run_id, mine.c.state == Studied.WAITING)
        values = {"state": Studied.FAILED, "reason": NOT_REACHED}
        return self._db.write(lambda c: c.execute(waiting.values(**values)).rowcount)

    def progress(self, run_id: int) -> Progress:
        """How far the run's members are."""
        mine = self._t.training_member
        query = sa.select(mine.c.state, sa.func.count()).where(mine.c.run_id == run_id)
        found = {
            row[0]: row[1] for row in self._db.read(lambda c: c.execute(query.group_by(mine.c.state)).all())
        }
        return Progress(*(found.get(state, 0) for state in (Studied.WAITING, Studied.DONE, Studied.FAILED)))

    def any_waiting(self, run_id: int) -> bool:
        """Whether any member of the run is still to be looked at."""
        return self.progress(run_id).waiting > 0

    def faces(self, run_id: int) -> list[LearnedFace]:
        """All faces that may be learned from, of members who still consent, in a stable order.

        Raises TrainingFailed where vectors cannot be decrypted.
        """
        face, m = self._t.training_face, self._t.member
        names = ("run_id", "member_id", "number", "label", "gender", "audited", "networks", "vectors")
        query = (
            sa.select(*(face.c[name] for name in names))
            .join(m, m.c.member_id == face.c.member_id)
            .where(face.c.run_id == run_id, face.c.reason.is_(None), m.c.training_consent)
            .order_by(face.c.member_id, face.c.number)
        )
        return [self._learned(row) for row in self._db.read(lambda c: c.execute(query).all())]

    def _learned(self, row: AnyRow) -> LearnedFace:
        its = FaceRow(row.run_id, row.member_id, row.number, row.networks)
        return LearnedFace(
            member_id=row.member_id,
            label=row.label and PairLabel(row.label),
            gender=row.gender and Gender(row.gender),
            audited=bool(row.audited),
            networks=row.networks,
            vectors=self._cipher.decrypt(row.vectors, its),
        )

    def kept_out(self, run_id: int) -> dict[str, int]:
        """Photos that are not learned from, by reason."""
        face = self._t.training_face
        return self._by_reason(face.c.reason, face.c.run_id == run_id)

    def failed(self, run_id: int) -> dict[str, int]:
        """Members none of whose photos could be looked at, by reason."""
        mine = self._t.training_member
        return self._by_reason(mine.c.reason, mine.c.run_id == run_id)

    def _by_reason(self, reason: sa.Column[Any], which: sa.ColumnElement[bool]) -> dict[str, int]:
        query = sa.select(reason, sa.func.count()).where(which, reason.is_not(None)).group_by(reason)
        found = self._db.read(lambda c: c.execute(query.order_by(sa.func.count().desc(), reason)).all())
        return {row[0]: row[1] for row in found}

    def clear(self) -> int:
        """Remove what nobody may learn from any more; how many members' went.

        That is: all of a run that is over, and who has withdrawn consent, whoever wrote that down.
        """
        cleared = 0
        while step := self._db.write(self._clear_some):
            cleared += step
        return cleared

    def _clear_some(self, c: sa.Connection) -> int:
        mine, r, m = self._t.training_member, self._t.training_run, self._t.member
        done_with = (
            sa.select(mine.c.run_id, mine.c.member_id)
            .join(r, r.c.run_id == mine.c.run_id)
            .join(m, m.c.member_id == mine.c.member_id)
            .where(sa.or_(r.c.unfinished.is_(None), sa.not_(m.c.training_consent)))
        )
        rows = c.execute(done_with.limit(_AT_ONCE)).all()
        if not rows:
            return 0
        keys = sa.tuple_(mine.c.run_id, mine.c.member_id).in_([tuple(row) for row in rows])
        return c.execute(sa.delete(mine).where(keys)).rowcount
