"""The members' photos."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from pipeline.verdict import FetchProblem
from worker.store.database import AnyRow
from worker.store.tables.schema import Tables
from worker.store.tables.states import State

Gallery = tuple[str, ...]
"""URLs in the member's order; the first is the primary photo."""
_DEAD_LINK: Final = (FetchProblem.EXPIRED, FetchProblem.FORBIDDEN)


class Galleries:
    """Reads and writes `photo` within the transactions of others."""

    def __init__(self, t: Tables) -> None:
        self._t = t

    def of(self, c: sa.Connection, member_ids: Collection[str]) -> dict[str, Gallery]:
        """The photos of each of the members, of whom some may have none."""
        return by_member(member_ids, self.photos(c, member_ids))

    def photos(self, c: sa.Connection, member_ids: Collection[str]) -> Sequence[AnyRow]:
        """Their rows, by position."""
        p = self._t.photo
        return c.execute(sa.select(p).where(p.c.member_id.in_(member_ids)).order_by(p.c.position)).all()

    def links(self, c: sa.Connection, member: AnyRow) -> list[str]:
        """The member's links as they stand now, by position; the selfie's is 0."""
        return [member.selfie_url or "", *self.of(c, [member.member_id])[member.member_id]]

    def unfetched(self, c: sa.Connection, request_ids: Collection[str | None]) -> set[str]:
        """Those of the requests that ended without a photo whose link had died: a fresh one may bring it."""
        v, vp = self._t.verification, self._t.verification_photo
        wanted = [request_id for request_id in request_ids if request_id]
        query = sa.select(vp.c.request_id).join(v, v.c.request_id == vp.c.request_id).distinct()
        missing = (vp.c.request_id.in_(wanted), vp.c.fetch_problem.in_(_DEAD_LINK), v.c.state == State.DONE)
        return {*c.scalars(query.where(*missing))} if wanted else set()

    def lock(self, c: sa.Connection, member_ids: Iterable[str]) -> None:
        """What is read of the photos after this stays so until the end of the transaction.

        The members are locked, so that no photo can come in: the app must not change one in between.
        """
        p = self._t.photo
        c.execute(sa.select(p.c.position).where(p.c.member_id.in_(list(member_ids))).with_for_update()).all()

    def replace(self, c: sa.Connection, wanted: Mapping[str, Gallery], now: datetime) -> None:
        """Make these the members' photos, touching only what is different; they are known then."""
        photos = self.photos(c, wanted.keys())
        there = by_member(wanted.keys(), photos)
        changed = [member_id for member_id, urls in wanted.items() if there[member_id] != urls]
        p = self._t.photo
        if any(there[member_id] for member_id in changed):
            c.execute(sa.delete(p).where(p.c.member_id.in_(changed)))
        self.add(c, {member_id: wanted[member_id] for member_id in changed}, now)
        self.know(c, [photo for photo in photos if photo.member_id not in changed])

    def add(self, c: sa.Connection, wanted: Mapping[str, Gallery], now: datetime) -> None:
        """Write down the photos of members who have none."""
        rows = [
            _new_photo(member_id, position, url) | {"created_at": now}
            for member_id, urls in wanted.items()
            for position, url in enumerate(urls, start=1)
        ]
        if rows:
            c.execute(sa.insert(self._t.photo), rows)

    def know(self, c: sa.Connection, photos: Iterable[AnyRow]) -> None:
        """They are changes no more, as they were read: what the app has written since is one."""
        p = self._t.photo
        known = [
            {"of": photo.member_id, "at": photo.position, "requested_url": photo.url}
            for photo in photos
            if photo.changed
        ]
        update = sa.update(p).where(p.c.member_id == sa.bindparam("of"), p.c.position == sa.bindparam("at"))
        if known:
            c.execute(update.values(requested_position=sa.bindparam("at")), known)


def _new_photo(member_id: str, position: int, url: str) -> dict[str, Any]:
    known = {"requested_position": position, "requested_url": url}
    return {"member_id": member_id, "position": position, "url": url, **known}


def by_member(member_ids: Collection[str], photos: Sequence[AnyRow]) -> dict[str, Gallery]:
    """The photos of each of the members, out of rows that are ordered by their positions."""
    found: dict[str, list[str]] = {member_id: [] for member_id in member_ids}
    for photo in photos:
        found[photo.member_id].append(photo.url)
    return {member_id: tuple(urls) for member_id, urls in found.items()}
