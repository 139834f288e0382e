"""The records of access form a chain: each has a link, a MAC over the link before it and the record.

Whoever changes, removes or adds a record by SQL breaks it there. The head says how long the chain is and ends
in which link, the anchor which records the purge has removed; both are sealed with the key.

Without a secret (`VERIFY_TOMBSTONE_KEY`) the links are plain SHA-256, which anybody can make anew: that shows
an accident and no forgery.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from functools import lru_cache
from operator import attrgetter
from types import SimpleNamespace
from typing import Any, Final

import sqlalchemy as sa

from worker.store.access.records import Break, BreakKind
from worker.store.database import AnyRow
from worker.store.members.tombstones import Tombstones
from worker.store.tables.columns import CutText
from worker.store.tables.schema import Tables

NAME: Final = "access_log"
"""Of the one row of `access_chain`."""
_PURPOSE: Final = b"face-verification: chain of access_log, 1"
_MOST_BREAKS: Final = 20
"""So many are told one by one."""
_HASHES: Final = 10_000
"""Of members, kept in memory."""
_WHOSE: Final = {"member_id": None, "member_hash": None}
_content: Final = attrgetter("looked_by", "action", "way", "host", "client", "login")
_encode: Final = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the chain: how many records there are up to it, and the link of the last one."""

    number: int = 0
    link: str = ""


class AccessChain:
    """Makes links and seals, and keeps the row of `access_chain`.

    That row is locked by everybody who writes records, until the transaction ends. So it is the **last** row
    that a transaction locks: whoever has it waits for nobody, and no two can wait for each other.
    """

    def __init__(self, t: Tables, tombstones: Tombstones, secret: bytes) -> None:
        self._t = t
        self._hash_of = lru_cache(_HASHES)(tombstones.hash_of)
        self._key = hmac.digest(secret, _PURPOSE, "sha256") if secret else b""

    @property
    def keyed(self) -> bool:
        """Whether only who has the secret can make links."""
        return bool(self._key)

    def append(self, c: sa.Connection, rows: Sequence[dict[str, Any]]) -> Position:
        """Write these rows of `access_log`; returns where the chain ends then."""
        chain, end = self._t.access_chain, self._lock(c)
        linked = []
        for row in map(self._as_stored, rows):
            end = self.next(end, SimpleNamespace(**_WHOSE | row))
            linked.append({**row, "number": end.number, "link": end.link})
        c.execute(sa.insert(self._t.access_log), linked)
        head = {"number": end.number, "link": end.link, "seal": self.seal("head", end.number, end.link)}
        c.execute(sa.update(chain).where(chain.c.name == NAME).values(**head))
        return end

    def _lock(self, c: sa.Connection) -> Position:
        """The head, ours alone until the end of the transaction; made by the first who writes."""
        chain = self._t.access_chain
        query = sa.select(chain.c.number, chain.c.link).where(chain.c.name == NAME).with_for_update()
        row = c.execute(query).one_or_none()
        if row is None:
            first = sa.insert(chain).prefix_with("IGNORE", dialect="mysql")
            c.execute(first.prefix_with("OR IGNORE", dialect="sqlite").values(name=NAME))
            row = c.execute(query).one()
        return Position(row.number, row.link)

    def move_anchor(self, c: sa.Connection, removed: Iterable[AnyRow]) -> None:
        """Behind the rows that were removed for their age; what is broken among them stays counted."""
        chain = self._t.access_chain
        row = c.execute(sa.select(chain).where(chain.c.name == NAME).with_for_update()).one_or_none()
        if row is None:
            return
        walk = self.walk(row)
        for each in removed:
            walk.step(each)
        values = {"number": walk.end.number, "link": walk.end.link, "breaks": walk.breaks}
        values["seal"] = self.seal("anchor", *values.values())
        anchor = {f"anchor_{name}": value for name, value in values.items()}
        c.execute(sa.update(chain).where(chain.c.name == NAME).values(**anchor))

    def walk(self, row: AnyRow | None) -> Walk:
        """From the anchor on; the row is that of `access_chain`, if there is one."""
        if row is None:
            return Walk(self, Position())
        walk = Walk(self, Position(row.anchor_number, row.anchor_link), breaks=row.anchor_breaks)
        kept = (row.anchor_number, row.anchor_link, row.anchor_breaks)
        if row.anchor_seal != self.seal("anchor", *kept) and (any(kept) or row.anchor_seal):
            walk.note(BreakKind.ANCHOR, row.anchor_number)
        return walk

    def next(self, before: Position, row: AnyRow | SimpleNamespace) -> Position:
        """The place of a record that follows."""
        number, at = before.number + 1, row.looked_at.astimezone(UTC).isoformat(timespec="microseconds")
        return Position(number, self._mac(before.link, number, self._whose(row), at, *_content(row)))

    def seal(self, *parts: object) -> str:
        """Over values that have no link."""
        return self._mac("seal", *parts)

    def _mac(self, *parts: object) -> str:
        message = _encode(parts).encode()
        if not self._key:
            return hashlib.sha256(message).hexdigest()
        return hmac.digest(self._key, message, "sha256").hex()

    def _whose(self, row: AnyRow | SimpleNamespace) -> list[str]:
        """The member's hash, whether the ID is there or was erased; nothing for a list."""
        hashed = [] if row.member_id is None else [self._hash_of(row.member_id)]
        return hashed if row.member_hash is None else [*hashed, row.member_hash]

    def _as_stored(self, row: dict[str, Any]) -> dict[str, Any]:
        """Text that is too long for its column is cut there: the link is over what remains."""
        log = self._t.access_log
        return {name: _cut(log.c[name].type, value) for name, value in row.items()}


def _cut(kind: sa.types.TypeEngine[Any], value: Any) -> Any:
    return value[: kind.length] if isinstance(kind, CutText) and value is not None else value


@dataclass(slots=True)
class Walk:
    """Follows the chain from one place on, record by record, and goes on behind a break."""

    chain: AccessChain
    end: Position
    records: int = 0
    """Those that have a link."""
    unlinked: int = 0
    late: int = 0
    """Those without a link that stand behind one that has a link."""
    breaks: int = 0
    told: list[Break] = field(default_factory=list)
    """The first of them."""

    def step(self, row: AnyRow) -> None:
        """The next row of `access_log`, by its ID."""
        if row.number is None and row.link is None:
            self.unlinked += 1
            self.late += self.records > 0 or self.end.number > 0
            return
        self.records += 1
        number = int(row.number or 0)
        if number != self.end.number + 1:
            missing = number > self.end.number
            self.note(BreakKind.REMOVED if missing else BreakKind.ADDED, self.end.number + 1, row)
        elif row.link != self.chain.next(self.end, row).link:
            self.note(BreakKind.CHANGED, number, row)
        self.end = Position(max(number, self.end.number), row.link or "")

    def note(self, kind: BreakKind, number: int, row: AnyRow | None = None) -> None:
        """Count a break at the record of that number; the row is where it was seen."""
        self.breaks += 1
        if len(self.told) < _MOST_BREAKS:
            at = None if row is None else row.looked_at
            self.told.append(Break(kind, number, None if row is None else row.id, at))
