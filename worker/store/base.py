"""Transactions: one for each public method, tried again where the database asks for it."""

from __future__ import annotations

import hashlib
import hmac
import random
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from worker.jobs.identifiers import is_identifier
from worker.store.failures import lost_race, translate
from worker.store.mapped import MappedMember
from worker.store.tables.schema import Tables, tables

T = TypeVar("T")

AnyRow = sa.Row[*tuple[Any, ...]]

BATCH: Final = 50
"""Members or requests that one transaction of a longer work takes on: a sign-up waits for no more."""
_TRIES: Final = 6
# A report is of several statements: they should see the same moment. (SQLite's always do.)
_SNAPSHOT: Final = {"mysql": {"isolation_level": "REPEATABLE READ"}}


class Database:
    """An engine with our tables and the rules for transactions on them.

    Locks are always taken in the same order: member, then its requests. Whoever holds the member's
    row is alone with that member.
    """

    def __init__(
        self,
        engine: sa.Engine,
        schema: Tables | None = None,
        *,
        mapped: MappedMember | None = None,
        tombstone_key: bytes = b"",
        stale_after: timedelta = timedelta(minutes=2),
    ) -> None:
        self.engine = engine
        self._reader = engine.execution_options(reads_only=True, **_SNAPSHOT.get(engine.dialect.name, {}))
        self.t = schema or tables()
        self._mapped = mapped
        self._tombstone_key = tombstone_key
        self._stale_after = stale_after

    def _write(self, work: Callable[[sa.Connection], T]) -> T:
        """Run the work in a transaction of its own; again, from the start, after a lost race."""
        tried = 0
        while True:
            tried += 1
            try:
                with self.engine.begin() as connection:
                    return work(connection)
            except SQLAlchemyError as error:
                if tried >= _TRIES or not lost_race(error):
                    raise translate(error) from error
            time.sleep(random.uniform(0, 0.01 * 2**tried))  # noqa: S311  # spreads the losers, no secret

    def _write_batches(self, work: Callable[[int, sa.Connection], Sequence[T]], limit: int) -> list[T]:
        """Small transactions, one after the other, until the limit or until one finds less than it may."""
        found: list[T] = []
        while len(found) < limit:
            size = min(BATCH, limit - len(found))
            batch = self._write(partial(work, size))
            found += batch
            if len(batch) < size:
                break
        return found

    def _read(self, work: Callable[[sa.Connection], T]) -> T:
        """Run the work on one consistent view of the database."""
        try:
            with self._reader.connect() as connection:
                return work(connection)
        except SQLAlchemyError as error:
            raise translate(error) from error

    def _lock_member(self, c: sa.Connection, member_id: str) -> AnyRow | None:
        """The member's row, ours alone until the end of the transaction."""
        return c.execute(
            sa.select(self.t.member).where(self.t.member.c.member_id == member_id).with_for_update()
        ).one_or_none()

    def _lock_request(self, c: sa.Connection, request_id: str) -> AnyRow | None:
        """The request's row. The member's must have been locked before."""
        return c.execute(
            sa.select(self.t.verification)
            .where(self.t.verification.c.request_id == request_id)
            .with_for_update()
        ).one_or_none()

    def _lock_both(self, c: sa.Connection, request_id: str) -> tuple[AnyRow, AnyRow] | None:
        """Member and request, locked in that order; None if either is not there."""
        if not is_identifier(request_id):  # MariaDB would find `r1` for `r1 `
            return None
        member_id = c.scalar(
            sa.select(self.t.verification.c.member_id).where(self.t.verification.c.request_id == request_id)
        )
        member = None if member_id is None else self._lock_member(c, member_id)
        request = None if member is None else self._lock_request(c, request_id)
        return None if member is None or request is None else (member, request)

    def _update_request(self, c: sa.Connection, request_id: str, **values: Any) -> None:
        v = self.t.verification
        c.execute(sa.update(v).where(v.c.request_id == request_id).values(**values))

    def _member_hash(self, member_id: str) -> str:
        return self._keyed_hash(member_id)

    def _keyed_hash(self, text: str) -> str:
        """In hexadecimal; whoever lacks the key cannot find the text by trying."""
        return hmac.new(self._tombstone_key, text.encode(), hashlib.sha256).hexdigest()

    def _forgotten(self, c: sa.Connection, member_ids: Iterable[str]) -> set[str]:
        """Those of the members whose ID is barred. Ask *after* their rows were locked or inserted.

        A locking read: it waits for an erasure that is under way, and an erasure that begins later
        waits for our rows and then finds them.
        """
        hashes = {self._member_hash(member_id): member_id for member_id in member_ids}
        return {hashes[each] for each in c.scalars(self._barred(hashes).with_for_update())}

    def _barred(self, hashes: Iterable[str]) -> sa.Select[str]:
        """Those of the hashes that have a tombstone which nobody has lifted."""
        t = self.t.tombstone.c
        return sa.select(t.member_hash).where(t.member_hash.in_(list(hashes)), t.lifted_at.is_(None))


def is_newer(member: AnyRow | None, requested_at: datetime, request_id: str) -> bool:
    """Whether the member's newest request is newer than this one."""
    if member is None or member.request_id is None:
        return False
    return bool((member.requested_at, member.request_id) > (requested_at, request_id))
