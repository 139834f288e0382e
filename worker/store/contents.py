"""Another picture behind the same link: seen when a photo is fetched again."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from worker.store.base import AnyRow, Database

logger = logging.getLogger(__name__)


class Contents(Database):
    """`note_contents`."""

    def note_contents(self, member_id: str, seen: Mapping[str, str]) -> bool:
        """Hold what lies at these URLs now (SHA-256) against what was judged there.

        True where a photo that the member has is another one by now: the member gets a request then.
        """
        return self._write(lambda c: self._note_contents(c, member_id, seen))

    def _note_contents(self, c: sa.Connection, member_id: str, seen: Mapping[str, str]) -> bool:
        member = self._lock_member(c, member_id)
        if member is None or not self._swapped(c, member, seen, member.request_id):
            return False  # what the newest request has seen is judged already
        m = self.t.member
        c.execute(sa.update(m).where(m.c.member_id == member_id).values(pending=True))
        return True

    def _swapped(
        self, c: sa.Connection, member: AnyRow, seen: Mapping[str, str], newest: str | None = None
    ) -> set[str]:
        """Those of the URLs where the standing verdict, or a newest request since, saw another picture."""
        before = {**self._seen_by(c, member.verified_request_id), **self._seen_by(c, newest)}
        swapped = {url for url, digest in seen.items() if before.get(url, digest) != digest}
        if swapped:
            text = "member %s: at the links of %d photos lie others than were judged"
            logger.warning(text, member.member_id, len(swapped))
        return swapped

    def _seen_by(self, c: sa.Connection, request_id: str | None) -> dict[str, str]:
        """What a request saw at which URL."""
        if request_id is None:
            return {}
        v, vp = self.t.verification, self.t.verification_photo
        query = sa.select(vp.c.position, vp.c.sha256, v.c.message).join(v, v.c.request_id == vp.c.request_id)
        rows = c.execute(query.where(v.c.request_id == request_id, vp.c.sha256.is_not(None)))
        return {_url(row): row.sha256 for row in rows}


def urls_of(message: Mapping[str, Any]) -> list[str]:
    """The links of a request by the photos' positions; the selfie's is 0."""
    return [str(message.get("selfie_url") or ""), *map(str, message.get("photo_urls") or ())]


def _url(row: AnyRow) -> str:
    urls = urls_of(row.message)
    return urls[row.position] if row.position < len(urls) else ""
