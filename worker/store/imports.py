"""Members come in from a list."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import partial

import sqlalchemy as sa

from worker.store.base import BATCH, AnyRow
from worker.store.galleries import Galleries, Gallery
from worker.store.records import Change, NewMember


class Imports(Galleries):
    """`import_members`."""

    def import_members(self, members: Sequence[NewMember], now: datetime) -> list[Change]:
        """Write down new and changed members, who then are pending; the answers in the order given.

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
            changes |= self._write(partial(self._import, batch, now))
        return [changes[member_id] for member_id in ids]

    def _import(self, news: Mapping[str, NewMember], now: datetime, c: sa.Connection) -> dict[str, Change]:
        known = self._lock_or_insert(c, news.keys(), now)
        forgotten = self._forgotten(c, news)
        if forgotten:
            self._erase_put_back(c, forgotten)
        galleries = self._galleries(c, news.keys())
        changes = {
            member_id: Change.FORGOTTEN
            if member_id in forgotten
            else _change(new, known.get(member_id), galleries)
            for member_id, new in news.items()
        }
        written = [new for i, new in news.items() if changes[i] in (Change.CREATED, Change.CHANGED)]
        self._note_consents(c, written, now)
        # A consent alone is no reason to verify the member again.
        others = [new for new in written if not _same_photos(new, known.get(new.member_id), galleries)]
        self._overwrite(c, others, now)
        return changes

    def _note_consents(self, c: sa.Connection, news: Sequence[NewMember], now: datetime) -> None:
        rows = [
            {"id": new.member_id, "training_consent": new.training_consent}
            for new in news
            if new.training_consent is not None
        ]
        m = self.t.member
        if rows:
            c.execute(sa.update(m).where(m.c.member_id == sa.bindparam("id")).values(updated_at=now), rows)

    def _lock_or_insert(
        self, c: sa.Connection, member_ids: Collection[str], now: datetime
    ) -> dict[str, AnyRow]:
        """The members who were there, as they were; all are ours alone then."""
        m = self.t.member
        query = sa.select(m).where(m.c.member_id.in_(member_ids)).order_by(m.c.member_id).with_for_update()
        known = {row.member_id: row for row in c.execute(query)}
        missing = [i for i in member_ids if i not in known]
        if missing:
            c.execute(sa.insert(m), [{"member_id": i, "created_at": now, "updated_at": now} for i in missing])
        return known

    def _overwrite(self, c: sa.Connection, news: Sequence[NewMember], now: datetime) -> None:
        if not news:
            return
        m = self.t.member
        update = sa.update(m).where(m.c.member_id == sa.bindparam("id"))
        c.execute(
            # A list is whole: nobody waits for photos that are not in it.
            update.values(pending=True, request_after=now, updated_at=now),
            [
                {"id": new.member_id, "declared_gender": new.declared_gender, "selfie_url": new.selfie_url}
                for new in news
            ],
        )
        self._replace_galleries(c, {new.member_id: new.photo_urls for new in news}, now)


def _change(new: NewMember, known: AnyRow | None, galleries: Mapping[str, Gallery]) -> Change:
    if known is None:
        return Change.CREATED
    same_consent = new.training_consent in (None, bool(known.training_consent))
    same = same_consent and _same_photos(new, known, galleries)
    return Change.UNCHANGED if same else Change.CHANGED


def _same_photos(new: NewMember, known: AnyRow | None, galleries: Mapping[str, Gallery]) -> bool:
    """Whether all that a verdict depends on is as it was."""
    if known is None:
        return False
    there = (known.declared_gender, known.selfie_url, galleries[new.member_id])
    return there == (new.declared_gender, new.selfie_url, new.photo_urls)
