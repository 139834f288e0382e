"""Who was forgotten, as keyed hashes."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Iterable

import sqlalchemy as sa

from worker.store.tables.schema import Tables


class Tombstones:
    """Reads `tombstone` within the transactions of others."""

    def __init__(self, t: Tables, key: bytes) -> None:
        self._t = t
        self._key = key

    def hash_of(self, text: str) -> str:
        """In hexadecimal; whoever lacks the key cannot find the text, a member's ID, by trying."""
        return hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()

    def among(self, c: sa.Connection, member_ids: Iterable[str]) -> set[str]:
        """Those of the members whose ID is barred. Ask *after* their rows were locked or inserted.

        A locking read: it waits for an erasure that is under way, and an erasure that begins later
        waits for our rows and then finds them.
        """
        hashes = {self.hash_of(member_id): member_id for member_id in member_ids}
        return {hashes[each] for each in c.scalars(self.in_force(hashes).with_for_update())}

    def in_force(self, hashes: Iterable[str]) -> sa.Select[str]:
        """Those of the hashes that have a tombstone which nobody has lifted."""
        t = self._t.tombstone.c
        return sa.select(t.member_hash).where(t.member_hash.in_(list(hashes)), t.lifted_at.is_(None))

    def erase_put_back(self, c: sa.Connection, member_ids: Collection[str]) -> None:
        """Members whom somebody inserted by SQL although their ID is barred.

        Of one whom a person has looked at meanwhile the row stays, empty, until `forget`: only that takes
        the ID out of the access log.
        """
        m, log = self._t.member, self._t.access_log
        c.execute(sa.delete(self._t.photo).where(self._t.photo.c.member_id.in_(member_ids)))
        back = m.c.member_id.in_(member_ids)
        looked_at = sa.exists().where(log.c.member_id == m.c.member_id)
        c.execute(sa.delete(m).where(back, ~looked_at))
        empty = dict.fromkeys(("selfie_url", "declared_gender", "requested_selfie_url", "request_after"))
        c.execute(sa.update(m).where(back).values(pending=False, **empty))
