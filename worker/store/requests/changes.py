"""Changes that the app makes by SQL without asking for a request.

A new or changed row of `photo`, and a changed selfie or gender of a member, are found by an index over
generated columns, which compare the row with what the last request asked about. A deleted photo leaves no
row; so the photos are counted, some members' at each sweep.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import sqlalchemy as sa

from pipeline.verdict import Gender
from worker.jobs.links import is_same_photo, urls_of
from worker.store.database import AnyRow, Database
from worker.store.members.galleries import Galleries, Gallery, by_member
from worker.store.members.tombstones import Tombstones
from worker.store.requests.records import PendingMember
from worker.store.tables.states import State

QUIET: Final = timedelta(seconds=10)
"""Photos of one gallery that come within this time, each in a transaction of its own, are one change."""
PHOTOS_WAIT: Final = timedelta(minutes=5)
"""How long a member who needs a request may be without photos before the request is made without any."""
COUNTED: Final = 1000
"""Members whose photos are counted at a time."""
CONTENT: Final = ("selfie_url", "photo_urls", "declared_gender")
Content = dict[str, Any]
"""The values of `CONTENT`, as a message has them."""
_MOST: Final = 10_000
"""Changes of one sweep, at most."""


class Changes:
    """Finds members whose photos are others than their request knew."""

    def __init__(self, database: Database, tombstones: Tombstones) -> None:
        self._db = database
        self._t = database.t
        self._tombstones = tombstones
        self._galleries = Galleries(database.t)
        self._counted_up_to = ""

    def notice(self, now: datetime) -> None:
        """See `PendingMembers.notice_changes`."""
        self._db.write_batches(partial(self._notice_photos, now), _MOST)
        self._db.write_batches(partial(self._notice_missing, now), _MOST)
        self._notice_deleted()

    def _notice_missing(self, now: datetime, size: int, c: sa.Connection) -> Sequence[AnyRow]:
        """Photos that could not be fetched are asked for again, unless a person has decided without them."""
        v, m, d = self._t.verification, self._t.member, self._t.decision
        due = v.c.refetch_at <= now
        of = c.scalars(sa.select(v.c.member_id).where(due).order_by(v.c.refetch_at).limit(size)).all()
        query = sa.select(m).where(m.c.member_id.in_(of)).order_by(m.c.member_id)
        members = c.execute(query.with_for_update(skip_locked=True)).all()
        ids, newest = [one.member_id for one in members], [one.request_id for one in members]
        undecided = sa.not_(sa.exists().where(d.c.request_id == v.c.request_id))
        wanted = sa.select(v.c.member_id).where(due, v.c.request_id.in_(newest), undecided)
        self._set_request_after(c, c.scalars(wanted).all() if ids else (), now)
        if ids:
            c.execute(sa.update(v).where(due, v.c.member_id.in_(ids)).values(refetch_at=None))
        return members

    def _notice_photos(self, now: datetime, size: int, c: sa.Connection) -> Sequence[AnyRow]:
        p, m = self._t.photo, self._t.member
        changed = c.scalars(sa.select(p.c.member_id).where(p.c.changed).distinct().limit(size)).all()
        if not changed:
            return ()
        query = sa.select(m).where(m.c.member_id.in_(changed)).order_by(m.c.member_id)
        members = c.execute(query.with_for_update(skip_locked=True)).all()
        ids = [member.member_id for member in members]
        photos = self._galleries.photos(c, ids)
        self._galleries.know(c, photos)
        self._set_request_after(c, self._late(c, members, by_member(ids, photos)), now + QUIET)
        return members

    def _late(
        self, c: sa.Connection, members: Sequence[AnyRow], galleries: Mapping[str, Gallery]
    ) -> list[str]:
        """Whose photos came when we were waiting for them, or are others than those of their request.

        Nobody is verified for photos alone whom the app has never wanted to be, nor because the app
        has written the same photos anew.
        """
        asked = self.asked(c, members, *State)
        unfetched = self._galleries.unfetched(c, [member.request_id for member in members])

        def is_known(member: AnyRow) -> bool:
            before, now = asked.get(member.member_id), content(member, galleries[member.member_id])
            return before == now or (member.request_id not in unfetched and asks_the_same(before, now))

        return [
            member.member_id
            for member in members
            if (member.pending and member.request_after is not None)
            or (_is_settled(member) and not is_known(member))
        ]

    def asked(self, c: sa.Connection, members: Iterable[AnyRow], *states: State) -> dict[str, Content]:
        """What the newest requests of these members ask about, of those that are in one of the states."""
        v = self._t.verification
        newest = v.c.request_id.in_([member.request_id for member in members if member.request_id])
        query = sa.select(v.c.member_id, v.c.message).where(newest, v.c.state.in_(states))
        return {
            row.member_id: {field: row.message.get(field) for field in CONTENT} for row in c.execute(query)
        }

    def note_newcomers(self, now: datetime) -> None:
        """Set when members get their request who have needed one since the last sweep: now, with photos."""
        self._db.write_batches(partial(self._note_batch, now), _MOST)

    def _note_batch(self, now: datetime, size: int, c: sa.Connection) -> Sequence[str]:
        m, p = self._t.member, self._t.photo
        query = sa.select(m).where(m.c.needs_request, m.c.request_after.is_(None)).limit(size)
        members = c.execute(query.with_for_update(skip_locked=True)).all()
        if not members:
            return ()
        fresh = self._know_fresh_selfies(c, members)
        ids = [member.member_id for member in members if member.member_id not in fresh]
        with_photos = c.scalars(sa.select(p.c.member_id).where(p.c.member_id.in_(ids))).all()
        ready = {*with_photos, *self._tombstones.among(c, ids)}
        self._set_request_after(c, [i for i in ids if i in ready], now)
        self._set_request_after(c, [i for i in ids if i not in ready], now + PHOTOS_WAIT)
        return [member.member_id for member in members]

    def _know_fresh_selfies(self, c: sa.Connection, members: Sequence[AnyRow]) -> set[str]:
        """Members whose selfie has a fresh link, which is no reason for a request."""
        unfetched = self._galleries.unfetched(c, [member.request_id for member in members])
        fresh = {
            member.member_id: member.selfie_url
            for member in members
            if _is_settled(member)
            and (member.declared_gender or "") == (member.requested_gender or "")
            and member.request_id not in unfetched
            and is_same_photo(member.requested_selfie_url, member.selfie_url)
        }
        m = self._t.member
        update = sa.update(m).where(m.c.member_id == sa.bindparam("of"))
        if fresh:
            rows = [{"of": member_id, "url": url} for member_id, url in fresh.items()]
            c.execute(update.values(requested_selfie_url=sa.bindparam("url")), rows)
        return {*fresh}

    def _set_request_after(self, c: sa.Connection, member_ids: Sequence[str], at: datetime) -> None:
        m = self._t.member
        if member_ids:
            update = sa.update(m).where(m.c.member_id.in_(member_ids))
            c.execute(update.values(pending=True, request_after=at))

    def _notice_deleted(self) -> None:
        """The next members in the order of their IDs; after the last one the first ones again."""
        ids, last = self._db.read(partial(self._short, self._counted_up_to))
        if ids:
            self._db.write(partial(self._set_pending, ids))
        self._counted_up_to = last

    def _short(self, after: str, c: sa.Connection) -> tuple[list[str], str]:
        """Members with fewer photos than their request knew, and how far they were counted ("": all)."""
        m, p = self._t.member, self._t.photo
        some = sa.select(m.c.member_id, m.c.requested_photos, m.c.pending).where(m.c.member_id > after)
        rows = c.execute(some.order_by(m.c.member_id).limit(COUNTED)).all()
        last = rows[-1].member_id if rows else ""
        count = sa.select(p.c.member_id, sa.func.count()).where(p.c.member_id.between(after, last))
        there: dict[str, int] = {row[0]: row[1] for row in c.execute(count.group_by(p.c.member_id))}
        settled = [row for row in rows if row.requested_photos and not row.pending]
        short = [row.member_id for row in settled if there.get(row.member_id, 0) < row.requested_photos]
        return short, last if len(rows) == COUNTED else ""

    def _set_pending(self, member_ids: list[str], c: sa.Connection) -> None:
        m, p = self._t.member, self._t.photo
        c.execute(sa.select(m.c.member_id).where(m.c.member_id.in_(member_ids)).with_for_update()).all()
        there = sa.select(sa.func.count()).where(p.c.member_id == m.c.member_id).scalar_subquery()
        short = m.c.member_id.in_(member_ids) & (there < m.c.requested_photos) & ~m.c.pending
        c.execute(sa.update(m).where(short).values(pending=True))


def content(member: AnyRow | PendingMember, photo_urls: Gallery) -> Content:
    """What a request for the member asks about."""
    # An unknown gender is none declared.
    gender = None if member.declared_gender == Gender.UNKNOWN else member.declared_gender
    return dict(zip(CONTENT, (member.selfie_url, list(photo_urls), gender), strict=True))


def asks_the_same(asked: Content | None, now: Content) -> bool:
    """Whether both are about the same photos, whatever their links' signatures, and the same gender."""
    if asked is None or asked["declared_gender"] != now["declared_gender"]:
        return False
    before, after = urls_of(asked), urls_of(now)
    return len(before) == len(after) and all(map(is_same_photo, before, after))


def _is_settled(member: AnyRow) -> bool:
    """Whether the member had a request, or was refused one, and needs none now."""
    return member.requested_selfie_url is not None and not member.pending
