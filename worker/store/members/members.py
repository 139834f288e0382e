"""Members: written down from a list, looked at by people, forgotten."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

import sqlalchemy as sa

from pipeline.verdict import Gender, Reason, Status
from worker.client.identifiers import is_identifier
from worker.errors import NotPossible
from worker.store.access.log import AccessLog
from worker.store.counts.days import days_changed
from worker.store.database import BATCH, AnyRow, Database, fields_of
from worker.store.mapped import MappedMember
from worker.store.members.consents import Consents
from worker.store.members.galleries import Galleries, Gallery
from worker.store.members.records import Access, Agreement, Change, Forgotten, Lifted, MemberRecord, NewMember
from worker.store.members.tombstones import Tombstones
from worker.store.outbox.outcomes import Outcomes
from worker.store.tables.schema import is_open
from worker.store.tables.states import ConsentSource, Purpose
from worker.store.tables.views import Deletable, of_forgotten, of_sandbox


class Members:
    """Who they are, and that nothing of them is left."""

    def __init__(
        self,
        database: Database,
        tombstones: Tombstones,
        mapped: MappedMember | None,
        outcomes: Outcomes,
        *,
        accesses: AccessLog,
        consents: Consents,
    ) -> None:
        self._db = database
        self._t = database.t
        self._tombstones = tombstones
        self._accesses = accesses
        self._consents = consents
        self._galleries = Galleries(database.t)
        self._mapped = mapped
        self._outcomes = outcomes

    def find(self, member_id: str) -> MemberRecord | None:
        """The member with the standing result; None if there is none of that ID."""
        return self._db.read(lambda c: self._find(c, member_id))

    def _find(self, c: sa.Connection, member_id: str) -> MemberRecord | None:
        if not is_identifier(member_id):  # MariaDB would find `m1` for `m1 `
            return None
        m = self._t.member
        row = c.execute(sa.select(m).where(m.c.member_id == member_id)).one_or_none()
        return None if row is None else _member_of(row, self._galleries.of(c, [member_id])[member_id])

    def import_list(
        self, members: Sequence[NewMember], now: datetime, by: Access | None = None, version: str = ""
    ) -> list[Change]:
        """Write down new and changed members, who then are pending; the answers in the order given.

        ``by``: whoever imports them, for the records of those who are new or changed; ``version``: of the
        text that they agreed to.

        In small transactions, so that sign-ups need not wait: what broke off is imported again.
        Raises ValueError where a member is in the list twice.
        """
        ids = [new.member_id for new in members]
        if len(set(ids)) < len(ids):
            raise ValueError("a member is in the list twice")
        # In the order of the IDs, whatever the list's: two imports do not wait for each other.
        ordered = sorted(members, key=lambda new: new.member_id)
        changes: dict[str, Change] = {}
        for start in range(0, len(ordered), BATCH):
            batch = {new.member_id: new for new in ordered[start : start + BATCH]}
            changes |= self._db.write(partial(self._import, batch, now, by, version))
        return [changes[member_id] for member_id in ids]

    def _import(
        self,
        news: Mapping[str, NewMember],
        now: datetime,
        by: Access | None,
        version: str,
        c: sa.Connection,
    ) -> dict[str, Change]:
        known = self._lock_or_insert(c, news.keys(), now)
        forgotten = self._tombstones.among(c, news)
        if forgotten:
            self._tombstones.erase_put_back(c, forgotten)
        galleries = self._galleries.of(c, news.keys())
        changes = {
            member_id: Change.FORGOTTEN
            if member_id in forgotten
            else _change(new, known.get(member_id), galleries)
            for member_id, new in news.items()
        }
        written = [new for i, new in news.items() if changes[i] in (Change.CREATED, Change.CHANGED)]
        self._note_consents(c, written, version, now)
        # A consent alone is no reason to verify the member again.
        others = [new for new in written if not _same_photos(new, known.get(new.member_id), galleries)]
        self._overwrite(c, others, now)
        unchanged = [new for i, new in news.items() if changes[i] is Change.UNCHANGED]
        links = {i: (row.selfie_url, *galleries[i]) for i, row in known.items()}
        fresh = [new for new in unchanged if links[new.member_id] != (new.selfie_url, *new.photo_urls)]
        self._freshen(c, fresh, now)
        if by is not None:  # the last: other records wait until this transaction ends
            self._accesses.write(c, [new.member_id for new in written], by, now)
        return changes

    def _freshen(self, c: sa.Connection, news: Sequence[NewMember], now: datetime) -> None:
        """The links are those of the list; nobody is verified for that."""
        if news:
            m = self._t.member
            update = sa.update(m).where(m.c.member_id == sa.bindparam("id")).values(updated_at=now)
            c.execute(update, [{"id": new.member_id, "selfie_url": new.selfie_url} for new in news])
            self._galleries.replace(c, {new.member_id: new.photo_urls for new in news}, now)

    def _note_consents(
        self, c: sa.Connection, news: Sequence[NewMember], version: str, now: datetime
    ) -> None:
        said = {new.member_id: new.training_consent for new in news if new.training_consent is not None}
        if said:
            self._consents.note(c, said, Agreement(Purpose.TRAINING, ConsentSource.IMPORT, version), now)

    def _lock_or_insert(
        self, c: sa.Connection, member_ids: Collection[str], now: datetime
    ) -> dict[str, AnyRow]:
        """The members who were there, as they were; all are ours alone then."""
        m = self._t.member
        query = sa.select(m).where(m.c.member_id.in_(member_ids)).order_by(m.c.member_id).with_for_update()
        known = {row.member_id: row for row in c.execute(query)}
        missing = [i for i in member_ids if i not in known]
        if missing:
            c.execute(sa.insert(m), [{"member_id": i, "created_at": now, "updated_at": now} for i in missing])
        return known

    def _overwrite(self, c: sa.Connection, news: Sequence[NewMember], now: datetime) -> None:
        if not news:
            return
        m = self._t.member
        update = sa.update(m).where(m.c.member_id == sa.bindparam("id"))
        c.execute(
            # A list is whole: nobody waits for photos that are not in it.
            update.values(pending=True, request_after=now, updated_at=now),
            [
                {"id": new.member_id, "declared_gender": new.declared_gender, "selfie_url": new.selfie_url}
                for new in news
            ],
        )
        self._galleries.replace(c, {new.member_id: new.photo_urls for new in news}, now)

    def forget(self, member_id: str, now: datetime) -> Forgotten:
        """Erase a member.

        A tombstone, from which nobody can read who it was, keeps running jobs, queued messages,
        dead jobs and imports from bringing the member back. Raises ValueError for what is no ID.
        """
        if not is_identifier(member_id):
            raise ValueError("not a member ID")
        gone = self._db.write(lambda c: self._forget(c, member_id, now))
        self._db.empty_write_ahead_log()
        return gone

    def forgotten(self, member_ids: Iterable[str]) -> set[str]:
        """Those of the members whose ID is barred; changes nothing."""
        hashes = {self._tombstones.hash_of(member_id): member_id for member_id in member_ids}
        return {
            hashes[each]
            for each in self._db.read(lambda c: c.scalars(self._tombstones.in_force(hashes)).all())
        }

    def barred(self) -> list[str]:
        """Of whom something is stored although the ID is barred: a backup, or SQL, has brought them back."""
        return self._db.read(self._barred)

    def _barred(self, c: sa.Connection) -> list[str]:
        t, kinds = self._t.tombstone, (self._t.member, self._t.dead_job, self._t.access_log)
        hashes = set(c.scalars(sa.select(t.c.member_hash).where(t.c.lifted_at.is_(None))))
        named = (sa.select(kind.c.member_id).where(kind.c.member_id.is_not(None)) for kind in kinds)
        stored = c.scalars(sa.union(*named))
        return sorted(each for each in stored if self._tombstones.hash_of(each) in hashes)

    def stored_about(self, member_id: str) -> dict[str, int]:
        """How many rows `forget` would remove from each table; changes nothing."""
        return self._db.read(lambda c: self._stored_about(c, member_id))

    def _stored_about(self, c: sa.Connection, member_id: str) -> dict[str, int]:
        m, d = self._t.member, self._t.dead_job
        member = sa.select(sa.func.count()).where(m.c.member_id == member_id)
        return {
            **self._counts(c, member_id),
            d.name: len(c.execute(sa.select(d.c.id).where(self._about(c, member_id))).all()),
            m.name: c.scalar(member) or 0,
        }

    def lift(self, member_id: str, by: str, now: datetime) -> Lifted:
        """Let a forgotten member's ID in again; who did it, and when, stays. Raises NotPossible."""
        return self._db.write(lambda c: self._lift(c, member_id, by, now))

    def _lift(self, c: sa.Connection, member_id: str, by: str, now: datetime) -> Lifted:
        t, d = self._t.tombstone, self._t.dead_job
        its = (t.c.member_hash == self._tombstones.hash_of(member_id), t.c.lifted_at.is_(None))
        since = c.scalar(sa.select(sa.func.min(t.c.forgotten_at)).where(*its))
        if since is None:
            raise NotPossible(f"{member_id} is not barred")
        c.execute(sa.update(t).where(*its).values(lifted_at=now, lifted_by=by))
        refused = sa.select(d.c.id).where(d.c.member_hash == self._tombstones.hash_of(member_id), is_open(d))
        return Lifted(since, tuple(c.scalars(refused.order_by(d.c.id))))

    def _forget(self, c: sa.Connection, member_id: str, now: datetime) -> Forgotten:
        m = self._t.member
        self._raise_tombstones(c, member_id, now)
        sandbox = c.scalar(sa.select(m.c.sandbox).where(m.c.member_id == member_id))
        records = self._accesses.blank(c, member_id)
        self._note_days(c, member_id)
        gone = self._erase(c, member_id, of_forgotten)
        if gone[m.name]:
            self._outcomes.erased(c, member_id, now, sandbox=bool(sandbox))
        not_emptied = self._mapped.clear(c, member_id) if self._mapped is not None else ()
        return Forgotten(gone, records, not_emptied)

    def _note_days(self, c: sa.Connection, member_id: str) -> None:
        """On which days something of the member was counted that goes now."""
        v, d = self._t.verification, self._t.decision
        ended = sa.select(v.c.finished_at).where(v.c.member_id == member_id)
        decided = sa.select(d.c.decided_at).join(v, v.c.request_id == d.c.request_id)
        moments = [*c.scalars(ended), *c.scalars(decided.where(v.c.member_id == member_id))]
        days_changed(c, self._t, moments)

    def count_real(self, prefix: str) -> int:
        """How many members whose ID begins so are none of the sandbox: no verdict of theirs is made up."""
        m = self._t.member
        beyond = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        begins = sa.and_(m.c.member_id >= prefix, m.c.member_id < beyond)
        real = sa.select(sa.func.count()).select_from(m).where(begins, sa.not_(m.c.sandbox))
        return self._db.read(lambda c: c.scalar(real.where(m.c.request_id.is_not(None)))) or 0

    def purge_sandbox(self, before: datetime) -> int:
        """Erase the members of the sandbox with whom nothing has happened since; their IDs stay free.

        Returns how many.
        """
        m = self._t.member
        old = sa.and_(m.c.sandbox, m.c.updated_at < before)
        some = sa.select(m.c.member_id).where(old).limit(BATCH)  # the order would be another index's
        purged = 0
        while ids := self._db.read(lambda c: c.scalars(some).all()):
            for member_id in ids:
                purged += self._db.write(partial(self._purge_one, member_id, old))
        return purged

    def _purge_one(self, member_id: str, old: sa.ColumnElement[bool], c: sa.Connection) -> int:
        m = self._t.member
        query = sa.select(m.c.member_id).where(m.c.member_id == member_id, old)
        if c.scalar(query.with_for_update()) is None:
            return 0
        self._accesses.blank_sandbox(c, member_id)
        self._erase(c, member_id, of_sandbox)
        if self._mapped is not None:
            self._mapped.clear(c, member_id)
        return 1

    def _erase(self, c: sa.Connection, member_id: str, deletable: Deletable) -> dict[str, int]:
        """How many rows went from each table."""
        t, d = self._t, self._t.dead_job
        gone = self._counts(c, member_id)
        gone[d.name] = c.execute(sa.delete(d).where(self._about(c, member_id))).rowcount
        self._outcomes.remove(c, member_id, deletable)
        self._delete_records(c, member_id, deletable)
        # Takes the rest along (ON DELETE CASCADE): photos, and what a retraining has of the member.
        member = sa.delete(t.member).where(t.member.c.member_id == member_id)
        gone[t.member.name] = c.execute(member).rowcount
        return gone

    def _delete_records(self, c: sa.Connection, member_id: str, deletable: Deletable) -> None:
        """What outlives everything else; with the requests go what was found, and what shadows said."""
        requests = self._known_requests(c, member_id)
        for table in (self._t.label, self._t.decision, self._t.review_vote):
            rows = deletable(c, table)
            c.execute(sa.delete(rows).where(rows.c.request_id.in_(requests)))
        for table in (self._t.review_case, self._t.verification):
            rows = deletable(c, table)
            c.execute(sa.delete(rows).where(rows.c.member_id == member_id))

    def _counts(self, c: sa.Connection, member_id: str) -> dict[str, int]:
        t = self._t
        requests = self._request_ids(member_id)
        wheres = {
            t.label: t.label.c.request_id.in_(requests),
            t.decision: t.decision.c.request_id.in_(requests),
            t.review_vote: t.review_vote.c.request_id.in_(requests),
            t.review_case: t.review_case.c.member_id == member_id,
            t.objection: t.objection.c.member_id == member_id,
            t.shadow_verdict: t.shadow_verdict.c.request_id.in_(requests),
            t.verification_photo: t.verification_photo.c.request_id.in_(requests),
            t.photo_reuse: sa.or_(
                t.photo_reuse.c.request_id.in_(requests), t.photo_reuse.c.of_request_id.in_(requests)
            ),
            t.verification: t.verification.c.member_id == member_id,
            t.result: t.result.c.member_id == member_id,
            t.event: t.event.c.member_id == member_id,
            t.photo: t.photo.c.member_id == member_id,
            t.consent: t.consent.c.member_id == member_id,
            t.training_face: t.training_face.c.member_id == member_id,
            t.training_member: t.training_member.c.member_id == member_id,
        }
        counts = {table.name: sa.select(sa.func.count()).where(where) for table, where in wheres.items()}
        return {name: c.scalar(query) or 0 for name, query in counts.items()}

    def _request_ids(self, member_id: str) -> sa.Select[str]:
        v = self._t.verification
        return sa.select(v.c.request_id).where(v.c.member_id == member_id)

    def _known_requests(self, c: sa.Connection, member_id: str) -> Sequence[str]:
        """Their IDs: a DELETE would ask a subquery about each row of its table."""
        return c.scalars(self._request_ids(member_id)).all()

    def _about(self, c: sa.Connection, member_id: str) -> sa.ColumnElement[bool]:
        """Dead jobs of the member and of the member's requests. What no other column says, none keeps."""
        d = self._t.dead_job
        requests = self._known_requests(c, member_id)
        return sa.or_(d.c.member_id == member_id, d.c.request_id.in_(requests))

    def _raise_tombstones(self, c: sa.Connection, member_id: str, now: datetime) -> None:
        """One that names the member, who is locked then, until the row goes; one at least, if none stands.

        A member who comes in at this very moment is seen after the first one: so there may be two.
        """
        there = self._db.lock_member(c, member_id) is not None
        if there or not self._tombstones.among(c, [member_id]):
            self._raise_tombstone(c, member_id, now, there=there)
        if not there and self._db.lock_member(c, member_id) is not None:
            self._raise_tombstone(c, member_id, now, there=True)

    def _raise_tombstone(self, c: sa.Connection, member_id: str, now: datetime, *, there: bool) -> None:
        t, member_hash = self._t.tombstone, self._tombstones.hash_of(member_id)
        latest = c.scalar(sa.select(sa.func.max(t.c.forgotten_at)).where(t.c.member_hash == member_hash))
        at = now if latest is None else max(now, latest + timedelta(microseconds=1))
        row = {"member_hash": member_hash, "forgotten_at": at, "erases": member_id if there else None}
        c.execute(sa.insert(t).values(**row))


def existing_member(c: sa.Connection, database: Database, member_id: str) -> AnyRow:
    """The member's row, locked. Raises NotPossible."""
    member = database.lock_member(c, member_id) if is_identifier(member_id) else None
    if member is None:
        raise NotPossible(f"no member {member_id}")
    return member


def _change(new: NewMember, known: AnyRow | None, galleries: Mapping[str, Gallery]) -> Change:
    if known is None:
        return Change.CREATED
    same_consent = new.training_consent in (None, bool(known.training_consent))
    same = same_consent and _same_photos(new, known, galleries)
    return Change.UNCHANGED if same else Change.CHANGED


def _same_photos(new: NewMember, known: AnyRow | None, galleries: Mapping[str, Gallery]) -> bool:
    """Whether all that a verdict depends on is as it was."""
    gallery = galleries[new.member_id]
    return known is not None and new.is_known(
        known.declared_gender, known.selfie_url, gallery, known.verification_status
    )


def _member_of(row: AnyRow, gallery: tuple[str, ...]) -> MemberRecord:
    """The member out of a row of `member` and the photos' URLs."""
    words = {
        "declared_gender": row.declared_gender and Gender(row.declared_gender),
        "status": row.verification_status and Status(row.verification_status),
        "gender": row.predicted_gender and Gender(row.predicted_gender),
        "reason": row.reason and Reason(row.reason),
        "training_consent": bool(row.training_consent),
        "verification_consent": bool(row.verification_consent),
        "manual": bool(row.manual),
    }
    return MemberRecord(**fields_of(row, MemberRecord) | words, photo_urls=gallery)
