"""How long the queries of photo links are kept: they are keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Final

import sqlalchemy as sa

from worker.jobs.links import message_without_queries, without_query
from worker.store.database import BATCH, Database, Window, within
from worker.store.members.galleries import Galleries

_AT_ONCE: Final = 500
"""Messages of one transaction; nobody else writes to requests that have ended."""


class LinkRetention:
    """Removes the queries of links; host and path stay, for by these a photo is known again."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._t = database.t
        self._galleries = Galleries(database.t)

    def purge_messages(self, before: datetime) -> int:
        """Of requests that ended before; how many."""
        purged = 0
        while step := self._db.write(partial(self._purge_some, before)):
            purged += step
        return purged

    def _purge_some(self, before: datetime, c: sa.Connection) -> int:
        v = self._t.verification
        ended = (v.c.has_links == sa.true(), v.c.finished_at < before, v.c.due_at.is_(None))
        query = sa.select(v.c.request_id, v.c.message).where(*ended).limit(_AT_ONCE)
        rows = c.execute(query.with_for_update(skip_locked=True)).all()
        if rows:
            update = sa.update(v).where(v.c.request_id == sa.bindparam("id")).values(has_links=False)
            c.execute(
                update,
                [{"id": row.request_id, "message": message_without_queries(row.message)} for row in rows],
            )
        return len(rows)

    def purge_members(self, before: datetime) -> int:
        """Of members whose newest request ended before, and who need none; how many.

        What the app has written since that request stays.
        """
        purged = 0
        for window in self._db.windows(self._t.member.c.member_id):
            ids = self._db.read(partial(self._with_links, before, window))
            for start in range(0, len(ids), BATCH):
                purged += self._db.write(partial(self._strip, before, ids[start : start + BATCH]))
        return purged

    def _with_links(self, before: datetime, window: Window, c: sa.Connection) -> Sequence[str]:
        """In the order of their IDs."""
        m, p = self._t.member, self._t.photo
        of_member = (p.c.member_id == m.c.member_id, _has_query(p.c.url))
        links = sa.or_(_has_query(m.c.selfie_url), sa.exists().where(*of_member))
        query = sa.select(m.c.member_id).where(within(m.c.member_id, window), links, *self._settled(before))
        return c.scalars(query.order_by(m.c.member_id)).all()

    def _settled(self, before: datetime) -> tuple[sa.ColumnElement[bool], ...]:
        m, v = self._t.member, self._t.verification
        newest = (v.c.request_id == m.c.request_id, v.c.finished_at < before, v.c.due_at.is_(None))
        return sa.not_(m.c.needs_request), sa.exists().where(*newest)

    def _strip(self, before: datetime, ids: Sequence[str], c: sa.Connection) -> int:
        m = self._t.member
        query = sa.select(m.c.member_id, m.c.selfie_url).where(m.c.member_id.in_(ids), *self._settled(before))
        members = c.execute(query.order_by(m.c.member_id).with_for_update()).all()
        if members:
            new: sa.BindParameter[str] = sa.bindparam("new")
            update = sa.update(m).where(m.c.member_id == sa.bindparam("of"))
            rows = [{"of": i, "new": without_query(url)} for i, url in members if url is not None]
            c.execute(update.values(selfie_url=new, requested_selfie_url=new), rows)
            self._strip_photos(c, [member.member_id for member in members])
        return len(members)

    def _strip_photos(self, c: sa.Connection, member_ids: Sequence[str]) -> None:
        p = self._t.photo
        self._galleries.lock(c, member_ids)
        rows = [
            {
                "of": photo.member_id,
                "at": photo.position,
                "url": photo.url if photo.changed else without_query(photo.url),
                "requested_url": photo.requested_url and without_query(photo.requested_url),
            }
            for photo in self._galleries.photos(c, member_ids)
        ]
        if rows:
            its = (p.c.member_id == sa.bindparam("of"), p.c.position == sa.bindparam("at"))
            c.execute(sa.update(p).where(*its), rows)


def _has_query(url: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    return sa.func.instr(url, "?") > 0
