"""How often somebody may try to sign in: counted in the database, by account, by address, and by both.

A try is counted before it is checked, so that many at once are not one. After too many there is a wait, which
doubles up to 15 minutes and is never longer: nobody can lock somebody else out for ever. An account that was
used from an address in the last 30 days can be used from there whatever others try, there or
elsewhere: it may be the address of a whole office.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address
from typing import Any, Final

import sqlalchemy as sa

from worker.store.database import AnyRow, Database

LONGEST_WAIT: Final = timedelta(minutes=15)
_FIRST_WAIT: Final = timedelta(seconds=30)
_FORGOTTEN_AFTER: Final = timedelta(hours=1)
_KNOWN_FOR: Final = timedelta(days=30)
_FREE: Final[Mapping[str, int]] = {"both": 5, "account": 20, "address": 30}
"""Tries without a wait."""


@dataclass(frozen=True, slots=True)
class Tried:
    """Who tries, and from where."""

    name: str | None
    """In small letters, whether there is such an account or not; None where no account is named."""
    address: str | None

    def keys(self) -> dict[str, str]:
        """Kind to hash: the table says neither who nor where."""
        place = _network(self.address)
        keys = {"address": _key("address", place)}
        if self.name is not None:
            keys |= {"account": _key("account", self.name), "both": _key("both", self.name, place)}
        return keys


class Attempts:
    """The rows of `staff_attempt`."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._t = database.t.staff.attempt

    def begin(self, tried: Tried, now: datetime) -> timedelta | None:
        """Count a try; or how long to wait, and it must not be checked."""
        return self._db.write(lambda c: self._begin(c, tried, now))

    def _begin(self, c: sa.Connection, tried: Tried, now: datetime) -> timedelta | None:
        keys = tried.keys()
        rows = self._locked(c, keys)
        known = rows.get("both")
        is_known = known is not None and (known.succeeded_at or now - 2 * _KNOWN_FOR) > now - _KNOWN_FOR
        ends: list[datetime] = [
            row.blocked_until
            for kind, row in rows.items()
            if row.blocked_until is not None and not (kind != "both" and is_known)
        ]
        if ends and max(ends) > now:
            return max(ends) - now
        for kind, key in keys.items():
            self._count(c, key, rows.get(kind), _FREE[kind], now)
        return None

    def _locked(self, c: sa.Connection, keys: Mapping[str, str]) -> dict[str, AnyRow]:
        query = sa.select(self._t).where(self._t.c.key_hash.in_(keys.values()))
        found = {row.key_hash: row for row in c.execute(query.order_by(self._t.c.key_hash).with_for_update())}
        return {kind: found[key] for kind, key in keys.items() if key in found}

    def _count(self, c: sa.Connection, key: str, row: AnyRow | None, free: int, now: datetime) -> None:
        recent = row is not None and now - row.tried_at < _FORGOTTEN_AFTER
        failures = row.failures + 1 if row is not None and recent else 1
        values = {"failures": failures, "tried_at": now, "blocked_until": _blocked(failures, free, now)}
        if row is None:
            c.execute(sa.insert(self._t).values(key_hash=key, **values))
        else:
            self._update(c, key, values)

    def half_way(self, tried: Tried, now: datetime) -> None:
        """The try that was counted at this moment did not fail: the next step need not wait for it."""
        self._db.write(lambda c: self._half_way(c, tried, now))

    def _half_way(self, c: sa.Connection, tried: Tried, now: datetime) -> None:
        for row in self._locked(c, tried.keys()).values():
            if row.tried_at == now:  # else somebody else has tried since, and that wait stays
                self._update(c, row.key_hash, {"failures": row.failures - 1, "blocked_until": None})

    def succeeded(self, tried: Tried, now: datetime) -> None:
        """Somebody is who they say: the try was no failure; old rows are swept out."""
        self._db.write(lambda c: self._succeeded(c, tried, now))

    def _succeeded(self, c: sa.Connection, tried: Tried, now: datetime) -> None:
        for kind, row in self._locked(c, tried.keys()).items():
            left = 0 if kind == "both" else max(0, row.failures - 1)
            values: dict[str, Any] = {"failures": left}
            if left < _FREE[kind]:
                values["blocked_until"] = None
            if kind == "both":
                values["succeeded_at"] = now
            self._update(c, row.key_hash, values)
        c.execute(sa.delete(self._t).where(self._t.c.tried_at < now - _KNOWN_FOR))

    def _update(self, c: sa.Connection, key: str, values: Mapping[str, Any]) -> None:
        c.execute(sa.update(self._t).where(self._t.c.key_hash == key).values(**values))


def _blocked(failures: int, free: int, now: datetime) -> datetime | None:
    if failures < free:
        return None
    wait: timedelta = _FIRST_WAIT * 2 ** min(failures - free, 10)
    return now + min(wait, LONGEST_WAIT)


def _network(address: str | None) -> str:
    """One customer has a whole network of IPv6."""
    try:
        found = ip_address(address or "")
    except ValueError:
        return "unknown"
    return str(int(found) >> 64) if isinstance(found, IPv6Address) else str(found)


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
