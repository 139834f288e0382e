"""The members' photos."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

import sqlalchemy as sa

from worker.store.base import Database

Gallery = tuple[str, ...]
"""URLs in the member's order; the first is the primary photo."""


class Galleries(Database):
    """Reads and writes of `photo` within the transactions of others."""

    def _galleries(self, c: sa.Connection, member_ids: Collection[str]) -> dict[str, Gallery]:
        """The photos of each of the members, of whom some may have none."""
        p = self.t.photo
        query = sa.select(p.c.member_id, p.c.url).where(p.c.member_id.in_(member_ids)).order_by(p.c.position)
        found: dict[str, list[str]] = {member_id: [] for member_id in member_ids}
        for member_id, url in c.execute(query):
            found[member_id].append(url)
        return {member_id: tuple(urls) for member_id, urls in found.items()}

    def _replace_galleries(self, c: sa.Connection, wanted: Mapping[str, Gallery], now: datetime) -> None:
        """Make these the members' photos, touching only what is different."""
        there = self._galleries(c, wanted.keys())
        changed = [member_id for member_id, urls in wanted.items() if there[member_id] != urls]
        p = self.t.photo
        if any(there[member_id] for member_id in changed):
            c.execute(sa.delete(p).where(p.c.member_id.in_(changed)))
        rows = [
            {"member_id": member_id, "position": position, "url": url, "created_at": now}
            for member_id in changed
            for position, url in enumerate(wanted[member_id], start=1)
        ]
        if rows:
            c.execute(sa.insert(p), rows)
